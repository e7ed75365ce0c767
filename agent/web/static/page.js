// Keeps the page as the box tells it: parts come by server-sent events, ages tick here, and silence is told.
import { morph } from "./morph.js";
import { Times } from "./times.js";

const SILENCE_MS = 2900; // the box sends something every 2 s
const RETRY_MS = 1500;

const body = document.body;
const root = document.documentElement;
const times = new Times(body.dataset);
const offline = document.getElementById("offline");
let heard = performance.now();
let lostAt = null;
let source = null;

function connect() {
  if (source) source.close();
  source = new EventSource(body.dataset.stream);
  source.addEventListener("parts", (event) => show(JSON.parse(event.data)));
  source.addEventListener("beat", (event) => beat(JSON.parse(event.data)));
  source.onerror = () => {
    // A browser gives up for good when the server refuses; we do not.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
}

function beat(told) {
  heard = performance.now();
  times.take(told);
  root.classList.add("live");
  if (told.build && told.build !== body.dataset.build) location.reload();
}

function show(told) {
  beat(told);
  document.title = told.title;
  root.dataset.state = told.state;
  for (const name of Object.keys(told.parts)) {
    const part = document.getElementById("part-" + name);
    if (part) morph(part, told.parts[name]);
  }
  root.classList.toggle("stale", told.frozen);
  times.tick();
}

function watch() {
  const silent = performance.now() - heard > SILENCE_MS;
  if (silent && lostAt === null) {
    lostAt = heard;
    document.getElementById("offline-at").textContent = times.timeOfDay(times.boxAt(lostAt));
  }
  if (!silent) lostAt = null;
  offline.hidden = !silent;
  root.classList.toggle("offline-now", silent);
  root.classList.toggle("live", !silent);
  if (silent) document.getElementById("offline-age").textContent = times.age((performance.now() - lostAt) / 1000);
}

root.classList.toggle("stale", body.dataset.frozen === "1");
times.tick();
setInterval(watch, 200);
setInterval(() => times.tick(), 1000);
window.addEventListener("pagehide", () => source && source.close());
window.addEventListener("pageshow", (event) => event.persisted && connect());
connect();
