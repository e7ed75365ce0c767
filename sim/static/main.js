// The page: draws the gate from GET /site, then follows GET /stream.

import { drawMovers } from "./actors.js";
import { desk } from "./desk.js";
import { say } from "./dom.js";
import { drawDoor, drawReader } from "./door.js";
import { faultsPanel } from "./faults.js";
import { drawLane } from "./lane.js";
import { layout, WALL_Y } from "./layout.js";
import { ground } from "./scene.js";
import { strip } from "./strip.js";
import { switchLanguage, t, translate } from "./words.js";

const get = async (path) => (await fetch(path)).json();

function readers(scene, site, plan) {
  const beside = (reader) => plan.doors.find(({ door }) => door.id === reader.door) ?? plan.lanes.find(({ lane }) => lane.id === reader.lane);
  const drawn = [];
  let spare = 0;
  for (const reader of site.readers) {
    const at = beside(reader);
    const y = WALL_Y + (reader.direction === "out" ? -46 : 46);
    drawn.push(at ? drawReader(scene.layers, site, reader, at.x + 50, y) : drawReader(scene.layers, site, reader, plan.house.x + 84 - 30 * spare++, WALL_Y + 96));
  }
  return drawn;
}

function build(site, catalogue) {
  const plan = layout(site);
  const scene = ground(plan, { campus: t("campus"), street: t("street"), gatehouse: t("gatehouse") });
  document.getElementById("stage").append(scene.svg);
  const lanes = plan.lanes.map((item) => drawLane(plan, scene.layers, item));
  const parts = [
    scene, ...lanes,
    ...plan.doors.map((item) => drawDoor(scene.layers, item)),
    ...plan.house.doors.map((door) => drawDoor(scene.layers, { door, x: plan.house.x - 62 }, WALL_Y + 74, 17)),
    ...readers(scene, site, plan),
    ...plan.lanes.flatMap((item, index) => drawMovers(scene.layers, item, index)),
    desk(document.getElementById("desk"), site),
    faultsPanel(document.getElementById("desk"), site, catalogue),
  ];
  return { parts, lanes };
}

/** Runs only while something travels. */
function animator(lanes) {
  let running = false;
  const frame = (now) => {
    running = lanes.map((lane) => lane.animate(now)).some(Boolean);
    if (running) requestAnimationFrame(frame);
  };
  return () => {
    if (!running) {
      running = true;
      requestAnimationFrame(frame);
    }
  };
}

async function start() {
  const [site, catalogue] = await Promise.all([get("site"), get("faults")]);
  say(document.getElementById("site"), site.site.name || site.site.id);
  const { parts, lanes } = build(site, catalogue);
  const wire = strip(document.getElementById("strip"), new Map(Object.entries(site.pins).map(([gpio, name]) => [Number(gpio), name])));
  const run = animator(lanes);
  let world = null;
  const show = () => {
    for (const part of parts) part.update(world);
    run();
  };
  const link = document.getElementById("link");
  const live = (up) => {
    link.className = up ? "up" : "down";
    link.dataset.word = up ? "live" : "lost";
    say(link, t(link.dataset.word));
    document.body.classList.toggle("lost", !up);
  };
  const stream = new EventSource("stream");
  stream.addEventListener("world", (event) => {
    world = JSON.parse(event.data);
    live(true);
    show();
  });
  stream.addEventListener("wire", (event) => wire.add(JSON.parse(event.data)));
  stream.onerror = () => live(false);
  const language = document.getElementById("language");
  language.dataset.word = "language";
  language.addEventListener("click", () => {
    switchLanguage();
    if (world) show();
  });
  document.getElementById("pace").dataset.word = "pace";
  translate();
}

start();
