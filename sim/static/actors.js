// The car and the person of each lane: click to move on, drag to put anywhere along the lane.

import { act, pressable, put, s, toast } from "./dom.js";
import { PLACES, PLACE_Y, spacing } from "./layout.js";
import { t } from "./words.js";

const COLOURS = ["#2f6db5", "#c8553d", "#3f8f6b", "#7c5ba6"];

const carBody = (colour) => s("g", { class: "carbody" },
  s("rect", { x: -24, y: -44, width: 54, height: 96, rx: 17, class: "shade" }),
  s("rect", { x: -31, y: -31, width: 6, height: 17, rx: 2, class: "tyre" }), s("rect", { x: 25, y: -31, width: 6, height: 17, rx: 2, class: "tyre" }),
  s("rect", { x: -31, y: 17, width: 6, height: 17, rx: 2, class: "tyre" }), s("rect", { x: 25, y: 17, width: 6, height: 17, rx: 2, class: "tyre" }),
  s("rect", { x: -28, y: -48, width: 56, height: 96, rx: 17, fill: colour }),
  s("path", { d: "M-20 -19Q0 -31 20 -19L17 -5Q0 -11 -17 -5Z", class: "glass" }),
  s("path", { d: "M-18 31Q0 38 18 31L16 22Q0 26 -16 22Z", class: "glass" }),
  s("rect", { x: -17, y: -5, width: 34, height: 27, rx: 5, class: "cabin" }),
  s("path", { d: "M-23 -43Q-19 -47 -13 -47M23 -43Q19 -47 13 -47", class: "headlight" }),
  s("path", { d: "M-23 45H-12M23 45H12", class: "taillight" }));

const walker = () => s("g", { class: "walkerbody" },
  s("ellipse", { cx: 3, cy: 4, rx: 15, ry: 9, class: "shade" }), s("ellipse", { rx: 15, ry: 8.5, class: "coat" }),
  s("circle", { r: 7.5, class: "hair" }), s("path", { d: "M-4 -4Q0 -7 4 -4", class: "shine" }));

const carAt = (x, place) => (place === "away" ? { x, y: PLACE_Y.away, turn: 90 } : { x, y: PLACE_Y[place], turn: 0 });

const personAt = (x, place, post) => {
  if (place === "away") return { x: x - 104, y: 502, turn: 0 };
  if (place === "between") return { x: post, y: PLACE_Y.between - 2, turn: 0 };
  return { x: x - 47, y: PLACE_Y[place], turn: 0 };
};

function nearest(y) {
  if (y > 540) return "away";
  const along = PLACES.filter((place) => place !== "away");
  return along.reduce((best, place) => (Math.abs(PLACE_Y[place] - y) < Math.abs(PLACE_Y[best] - y) ? place : best));
}

function blocked(world, lane, next) {
  return next === "between" && Object.values(world.lanes[lane].bollards).some((post) => post.position > 0.15);
}

/** Draws one mover. `verb` is "vehicle" or "person". Returns {update(world)}. */
function mover(layer, lane, verb, body, whereIs, label) {
  let place = "away", world = null, drag = null, moved = false;
  const group = pressable({ class: `mover ${verb}`, "aria-label": `${label} ${lane.name}` }, () => {
    if (moved || !world) return;
    const next = PLACES[(PLACES.indexOf(place) + 1) % PLACES.length];
    if (verb === "vehicle" && blocked(world, lane.id, next)) toast(t("blocked"));
    else act(verb, { lane: lane.id, at: next });
  }, s("title", {}, label), body);
  layer.append(group);

  const stand = ({ x, y, turn }) => put(group, "style", `transform:translate(${x}px,${y}px) rotate(${turn}deg)`);
  const toDrawing = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(group.ownerSVGElement.getScreenCTM().inverse());
  };
  group.addEventListener("pointerdown", (event) => {
    moved = false;
    drag = toDrawing(event);
    group.setPointerCapture(event.pointerId);
  });
  group.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const now = toDrawing(event);
    if (!moved && Math.hypot(now.x - drag.x, now.y - drag.y) < 8) return;
    moved = true;
    group.classList.add("dragged");
    stand({ ...whereIs(nearest(now.y)), y: now.y });
  });
  const drop = (event) => {
    if (!drag) return;
    drag = null;
    group.classList.remove("dragged");
    if (!moved) return;
    const at = nearest(toDrawing(event).y);
    if (at === place) stand(whereIs(place));
    else act(verb, { lane: lane.id, at });
  };
  group.addEventListener("pointerup", drop);
  group.addEventListener("pointercancel", drop);
  stand(whereIs(place));

  const leave = () => {
    // Driving on into the campus: out of sight at the top, then parked in the street again.
    stand({ ...whereIs("leaving"), y: -80 });
    setTimeout(() => {
      group.classList.add("hidden");
      stand(whereIs("away"));
      setTimeout(() => group.classList.remove("hidden"), 60);
    }, 900);
  };
  return {
    update(told) {
      world = told;
      const now = told.lanes[lane.id][verb];
      if (now === place || drag) return;
      const before = place;
      place = now;
      if (now === "away" && before === "leaving") leave();
      else stand(whereIs(now));
    },
  };
}

/** Draws the car and the person of a lane. */
export function drawMovers(layers, { lane, x }, index) {
  const post = x - ((lane.bollards.length - 1) / 2) * spacing(lane.bollards.length);
  return [
    mover(layers.cars, lane, "vehicle", carBody(COLOURS[index % COLOURS.length]), (place) => carAt(x, place), t("car")),
    mover(layers.walkers, lane, "person", walker(), (place) => personAt(x, place, post), t("person")),
  ];
}
