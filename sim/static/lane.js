// One lane: loops and beam, bollards that rise, lights, the warning lamp, and the controller's cabinet.

import { GAP } from "./scene.js";
import { PLACE_Y, spacing, WALL_Y } from "./layout.js";
import { act, choice, h, popover, pressable, put, s, say } from "./dom.js";
import { t, why } from "./words.js";

const TALL = 34;  // how far a raised post stands out of the ground on the drawing
const R = 17;

function bollard(x, id, size) {
  const body = s("path", { class: "body" });
  const bands = [s("path", { class: "band" }), s("path", { class: "band" })];
  const cap = s("g", { class: "cap" }, s("ellipse", { rx: R, ry: R * 0.82, class: "top" }),
    s("ellipse", { rx: R * 0.62, ry: R * 0.5, class: "ring" }), s("ellipse", { rx: 4, ry: 3.4, class: "led" }));
  const shadow = s("path", { class: "postshadow" });
  const group = s("g", { class: "bollard", transform: `translate(${x} ${WALL_Y}) scale(${size})` }, s("title", {}, id),
    s("ellipse", { rx: R + 6, ry: (R + 6) * 0.82, class: "collar" }), shadow,
    s("ellipse", { rx: R + 1, ry: (R + 1) * 0.82, class: "shaft" }), body, ...bands, cap);
  const slab = (from, to) => `M${-R} ${from}A${R} ${R * 0.82} 0 0 0 ${R} ${from}V${to}A${R} ${R * 0.82} 0 0 1 ${-R} ${to}Z`;
  const draw = (fraction) => {
    const up = fraction * TALL;
    put(cap, "transform", `translate(0 ${-up.toFixed(2)})`);
    put(body, "d", slab(0, -up));
    bands.forEach((band, n) => put(band, "d", up > 8 ? slab(-up * (0.28 + 0.36 * n), -up * (0.46 + 0.36 * n)) : ""));
    put(shadow, "d", `M${-R * 0.8} 6L${R * 0.8} ${R * 0.7}L${R * 0.8 + up * 0.9} ${R * 0.7 - up * 0.1}L${up * 0.9} ${-up * 0.28}Z`);
  };
  draw(0);
  return { group, draw };
}

function lights(x, y) {
  const red = s("circle", { cy: -11, r: 8, class: "lamp red" });
  const green = s("circle", { cy: 11, r: 8, class: "lamp green" });
  const group = s("g", { class: "signal", transform: `translate(${x} ${y})` },
    s("rect", { x: -11, y: -21, width: 28, height: 48, rx: 8, class: "shade" }),
    s("rect", { x: -14, y: -24, width: 28, height: 48, rx: 8, class: "housing" }), red, green);
  return { group, red, green };
}

function arrows(lane, x) {
  const up = (y) => `M${x} ${y + 24}V${y}M${x - 9} ${y + 9}L${x} ${y}L${x + 9} ${y + 9}`;
  const down = (y) => `M${x} ${y}V${y + 24}M${x - 9} ${y + 15}L${x} ${y + 24}L${x + 9} ${y + 15}`;
  const d = lane.kind === "exit" ? down(436) + down(92) : lane.kind === "entry" ? up(436) + up(92) : up(448) + down(92);
  return s("path", { d, class: "arrow" });
}

function cabinetMenu(lane, world, event) {
  const modes = ["remote", "local", "hand", "estop"].map((mode) =>
    choice(t(mode), () => act("mode", { lane: lane.id, mode }), mode === world.mode ? "chosen" : mode === "estop" ? "bad" : ""));
  popover(event, `${t("cabinet")} · ${lane.name}`, h("div", { class: "row" }, ...modes),
    choice(t("plcFireOn"), () => act("key", { key: `lane:${lane.id}:fire`, position: "on" })),
    choice(t("plcFireOff"), () => act("key", { key: `lane:${lane.id}:fire`, position: "off" })),
    choice(t("reboot"), () => act("fault", { device: `lane:${lane.id}`, kind: "reboot" }), "bad"));
}

/** Draws a lane into the layers. Returns {update(world), animate(now)}. */
export function drawLane(plan, layers, { lane, x }) {
  const loops = {
    loop1: s("rect", { x: x - 44, y: PLACE_Y.on_loop - 34, width: 88, height: 68, rx: 9, class: "loop" }),
    loop2: s("rect", { x: x - 44, y: PLACE_Y.leaving - 34, width: 88, height: 68, rx: 9, class: "loop" }),
  };
  const beam = s("path", { d: `M${x - GAP / 2 + 15} ${WALL_Y + 25}H${x + GAP / 2 - 15}`, class: "beam" });
  const eyes = [-1, 1].map((side) => s("rect", { x: x + side * (GAP / 2 - 12) - 4, y: WALL_Y + 20, width: 8, height: 10, class: "eye" }));
  const pressure = s("rect", { x: x - 58, y: WALL_Y - 27, width: 116, height: 54, rx: 27, class: "pressure" });
  const count = lane.bollards.length;
  const apart = spacing(count);
  const posts = new Map(lane.bollards.map((post, n) => {
    const drawn = bollard(x + (n - (count - 1) / 2) * apart, post.name, Math.min(1, apart / 46));
    return [post.id, { ...drawn, position: 0, speed: 0, since: 0 }];
  }));
  const signal = lights(x + GAP / 2 + 22, WALL_Y + 62);
  const warning = s("g", { class: "warning", transform: `translate(${x - GAP / 2} ${WALL_Y})` },
    s("circle", { r: 34, class: "glow" }), s("circle", { r: 10, class: "bulb" }),
    s("path", { d: "M-15 -9Q-22 0 -15 9M-21 -14Q-31 0 -21 14", class: "sound" }));
  const plate = s("text", { x: 0, y: 45, class: "lanemode" });
  let latest = null;
  const cabinet = pressable({ class: "cabinet", transform: `translate(${x - GAP / 2 - 24} ${WALL_Y + 66})`, "aria-label": t("cabinet") },
    (event) => latest && cabinetMenu(lane, latest, event),
    s("rect", { x: -13, y: -19, width: 32, height: 46, rx: 4, class: "shade" }), s("rect", { x: -16, y: -22, width: 32, height: 46, rx: 4, class: "box" }),
    s("path", { d: "M-9 2H9M-9 8H9M-9 14H9", class: "vents" }), s("circle", { cy: -12, r: 4.5, class: "plcled" }), plate);
  const name = s("text", { x, y: 522, class: "lanename" }, lane.name);
  layers.under.append(arrows(lane, x), ...Object.values(loops), pressure, name);
  layers.posts.append(beam, ...eyes, ...[...posts.values()].map((post) => post.group));
  layers.over.append(signal.group, warning, cabinet);

  const update = (world) => {
    latest = world.lanes[lane.id];
    for (const sensor of ["loop1", "loop2"]) put(loops[sensor], "class", `loop ${latest.sensors[sensor] ?? "absent"}`);
    put(beam, "class", `beam ${latest.sensors.beam ?? "absent"}`);
    for (const eye of eyes) put(eye, "class", `eye ${latest.sensors.beam ?? "absent"}`);
    put(pressure, "class", `pressure ${latest.sensors.pressure ?? "absent"}`);
    for (const light of ["red", "green"]) put(signal[light], "class", `lamp ${light}${latest.lights[light] ? " on" : ""}`);
    put(warning, "class", `warning${latest.lights.warning_lamp ? " lit" : ""}${latest.lights.buzzer ? " loud" : ""}`);
    const dead = world.faults.some((fault) => fault.device === `lane:${lane.id}` && fault.kind === "dead");
    const state = latest.plc === "booting" ? "booting" : dead ? "gone" : latest.mode === "estop" ? "estop" : latest.remote_enabled ? "live" : "alone";
    put(cabinet, "class", `act cabinet ${state}`);
    say(plate, t(latest.mode));
    for (const [id, post] of posts) {
      const told = latest.bollards[id];
      Object.assign(post, { position: told.position, speed: told.speed, since: performance.now() });
      put(post.group, "class", `bollard${told.fault ? " bad" : ""}${told.speed ? " moving" : ""}${told.position > 0.98 ? " high" : ""}`);
    }
  };
  const animate = (now) => {
    let moving = false;
    for (const post of posts.values()) {
      const at = post.position + (post.speed * (now - post.since)) / 1000;
      post.draw(Math.min(1, Math.max(0, at)));
      moving ||= post.speed !== 0;
    }
    return moving;
  };
  return { update, animate };
}

/** Why a lane's controller would refuse a raise, for the desk. */
export function laneSays(lane) {
  if (lane.plc === "booting") return ["bad", t("booting")];
  if (!lane.remote_enabled) return ["dim", t("noBeat")];
  return lane.inhibited ? ["bad", `${t("inhibited")} · ${why(lane.inhibited)}`] : ["good", t("ready")];
}
