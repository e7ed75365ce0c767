// Keeps the page as the box tells it: parts come by server-sent events, ages tick here, and silence is told.
import { morph } from "./morph.js";
import { Times } from "./times.js";

const SILENCE_MS = 2700; // the box sends something every 2 s
const BROKEN_MS = 1500; // the connection is known to be gone
const RETRY_MS = 1500;

const body = document.body;
const root = document.documentElement;
const times = new Times(body.dataset);
const offline = document.getElementById("offline");
let heard = performance.now();
let told = false;
let lostAt = null;
let full = false; // the box is there, and has no room for one more page
let source = null;

function connect() {
  if (source) source.close();
  source = new EventSource(body.dataset.stream);
  source.addEventListener("parts", (event) => show(JSON.parse(event.data)));
  source.addEventListener("beat", (event) => beat(JSON.parse(event.data)));
  source.onerror = () => {
    // A browser gives up for good when the server refuses, and says not why; we go on, and ask.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(connect, RETRY_MS);
    ask();
  };
}

// A log-in that has ended is no lost box: the page, loaded anew, goes to where one logs in. Nor is a box that has no room.
function ask() {
  const stop = new AbortController();
  fetch(body.dataset.stream, { signal: stop.signal }).then((answer) => {
    stop.abort();
    if (answer.status === 403) leave();
    full = answer.status === 503;
  }).catch(() => { full = false; });
}

// What was being typed is handed to the box first: it stands in its form again after the log-in.
let typed = null;
document.addEventListener("input", (event) => { typed = event.target.form; });

function leave() {
  const left = typed && typed.isConnected && typed.getAttribute("action") === "/guard/do"
    ? fetch("/guard/left", { method: "POST", body: new URLSearchParams(new FormData(typed)) })
    : Promise.resolve();
  left.catch(() => {}).then(() => location.reload());
}

function beat(news) {
  told = true;
  full = false;
  heard = performance.now();
  times.take(news);
  root.classList.add("live");
  if (news.build !== body.dataset.build) location.reload();
}

// Nothing moves under a finger that is down: what came meanwhile is shown when it is lifted.
let pressed = false;
let waiting = [];

function press(down) {
  pressed = down;
  if (down) return;
  const late = waiting;
  waiting = [];
  setTimeout(() => late.forEach(show), 80);
}

function show(news) {
  beat(news);
  if (pressed) {
    waiting.push(news);
    return;
  }
  document.title = news.title;
  root.dataset.state = news.state;
  for (const name of Object.keys(news.parts)) {
    const part = document.getElementById("part-" + name);
    if (part) morph(part, news.parts[name]);
  }
  root.classList.toggle("stale", news.frozen);
  times.tick();
}

function watch() {
  const broken = told && source.readyState !== EventSource.OPEN;
  const silent = full || performance.now() - heard > (broken ? BROKEN_MS : SILENCE_MS);
  if (silent && lostAt === null) {
    lostAt = heard;
    document.getElementById("offline-at").textContent = times.timeOfDay(times.boxAt(lostAt));
  }
  if (!silent) lostAt = null;
  offline.hidden = !silent;
  offline.classList.toggle("full", full);
  root.classList.toggle("offline-now", silent);
  root.classList.toggle("live", !silent);
  if (silent) document.getElementById("offline-age").textContent = times.age((performance.now() - lostAt) / 1000);
}

root.classList.toggle("stale", body.dataset.frozen === "1");
times.tick();
setInterval(watch, 100);
document.addEventListener("pointerdown", () => press(true), true);
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => press(false), true);
setInterval(() => times.tick(), 1000);
window.addEventListener("pagehide", () => source && source.close());
window.addEventListener("pageshow", (event) => event.persisted && connect());
connect();
