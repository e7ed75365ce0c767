// The guard's desk: panic buttons, lamps, keys, lane controls and what surrounds the gate.

import { act, choice, h, holdable, popover, put, say } from "./dom.js";
import { laneSays } from "./lane.js";
import { t } from "./words.js";

const card = (title, hint, ...content) => h("section", { class: "panel" },
  h("h2", {}, h("span", { "data-word": title }, t(title)), hint ? h("small", { "data-word": hint }, t(hint)) : null), ...content);

function panicButton(button) {
  const chip = h("button", { type: "button", class: "chip", onclick: (event) => lineMenu(button, event) });
  const knob = h("button", { type: "button", class: "mushroom", "aria-label": `${t("panic")} ${button.name}` }, h("i"), h("b", {}, "SOS"));
  holdable(knob, () => act("press", { button: button.id, hold: true }), () => act("release", { button: button.id }));
  const box = h("div", { class: "panic" }, knob, h("strong", {}, button.name), chip);
  return {
    box,
    update(world) {
      const { pressed, line } = world.buttons[button.id];
      put(knob, "aria-pressed", pressed);
      put(chip, "class", `chip line-${line}`);
      say(chip, `${t("line")} ${t(line)}`);
    },
  };
}

function lineMenu(button, event) {
  const set = (state) => () => act("line", { button: button.id, state });
  popover(event, `${t("line")} · ${button.name}`, choice(t("mend"), set("normal")),
    choice(t("doCut"), set("cut"), "bad"), choice(t("doShort"), set("shorted"), "bad"));
}

function lamp(name) {
  const box = h("div", { class: `lens ${name}` }, h("i"), h("span", { "data-word": name }, t(name)));
  return { box, update: (world) => put(box, "class", `lens ${name}${(name === "siren" ? world.siren : world.lamps[name]) ? " on" : ""}`) };
}

function keySwitch(key) {
  const knob = h("button", { type: "button", class: "keyswitch", "aria-label": t(key.use) }, h("i"));
  const word = h("span", { "data-word": key.use }, t(key.use));
  knob.addEventListener("click", () =>
    act("key", { key: key.id, position: knob.getAttribute("aria-pressed") === "true" ? "off" : "on" }));
  return {
    box: h("div", { class: "keybox" }, knob, word),
    update: (world) => put(knob, "aria-pressed", world.keys[key.id] === "on"),
  };
}

function laneControls(lane) {
  const hold = (way, sign) => {
    const key = { key: `lane:${lane.id}:${way}` };
    const button = h("button", { type: "button", class: `hold ${way}`, title: t("holdToRun") }, h("b", {}, sign), h("span", { "data-word": way }, t(way)));
    return holdable(button, () => act("key", { ...key, position: "on" }), () => act("key", { ...key, position: "off" }));
  };
  const modes = ["remote", "local", "hand", "estop"].map((mode) => h("button", {
    type: "button", class: mode, onclick: () => act("mode", { lane: lane.id, mode }),
  }, h("span", { "data-word": mode }, t(mode))));
  const status = h("p", { class: "says" });
  const bars = lane.bollards.map((post) => [post.id, h("i", { title: post.name })]);
  return {
    box: h("div", { class: "lanebox" }, h("strong", {}, lane.name), h("div", { class: "bars" }, bars.map(([, bar]) => h("span", {}, bar))),
      h("div", { class: "holds" }, lane.keys.includes("raise") ? hold("raise", "▲") : null, lane.keys.includes("lower") ? hold("lower", "▼") : null),
      h("div", { class: "segments", role: "group", "aria-label": t("mode") }, modes), status),
    update(world) {
      const told = world.lanes[lane.id];
      modes.forEach((button) => put(button, "aria-pressed", button.classList.contains(told.mode)));
      const [kind, text] = laneSays(told);
      put(status, "class", `says ${kind}`);
      say(status, text);
      for (const [id, bar] of bars) {
        const { position, speed } = told.bollards[id];
        // The bar runs to where the post is going, in the time that it will take.
        const goal = speed > 0 ? 1 : speed < 0 ? 0 : position;
        const left = speed ? Math.abs(goal - position) / Math.abs(speed) : 0.15;
        put(bar, "style", `transform:scaleY(${goal});transition-duration:${left.toFixed(3)}s`);
      }
    },
  };
}

function toggle(word, isOn, flip, kind = "") {
  const button = h("button", { type: "button", class: `toggle ${kind}`, role: "switch" }, h("i"), h("span", { "data-word": word }, t(word)));
  button.addEventListener("click", () => flip(button.getAttribute("aria-checked") !== "true"));
  return { box: button, update: (world) => put(button, "aria-checked", isOn(world)) };
}

function surroundings(site) {
  const has = (which) => site.supplies.includes(which);
  const parts = [
    site.fire ? toggle("fire", (w) => w.fire, (on) => act("fire", { on }), "danger") : null,
    has("mains") ? toggle("mains", (w) => w.mains, (on) => act("mains", { on })) : null,
    has("battery") ? toggle("battery", (w) => w.battery, (on) => act("battery", { on })) : null,
    has("tamper") ? toggle("tamper", (w) => w.tamper, (on) => act("tamper", { on }), "danger") : null,
  ].filter(Boolean);
  const step = (text, step_s) => h("button", { type: "button", class: "quiet", onclick: () => act("clock", { step_s }) }, text);
  const clock = h("div", { class: "clock" }, h("span", { "data-word": "clock" }, t("clock")), step("−1 h", -3600), step("−1 min", -60), step("+1 min", 60), step("+1 h", 3600));
  return { parts, clock };
}

/** Builds the desk into `root`. Returns {update(world)}. */
export function desk(root, site) {
  const panics = site.buttons.map(panicButton);
  const lamps = ["sent", "received", "coming", "fault", "siren"].map(lamp);
  const keys = site.keys.map(keySwitch);
  const lanes = site.lanes.map(laneControls);
  const around = surroundings(site);
  root.append(
    card("panic", "panicHint", h("div", { class: "panics" }, panics.map((part) => part.box))),
    card("lamps", null, h("div", { class: "lenses" }, lamps.map((part) => part.box))),
    card("lanes", "holdToRun", h("div", { class: "lanes" }, lanes.map((part) => part.box))),
    card("keys", null, h("div", { class: "keyrow" }, keys.map((part) => part.box))),
    card("surroundings", null, h("div", { class: "toggles" }, around.parts.map((part) => part.box)), around.clock),
  );
  const parts = [...panics, ...lamps, ...keys, ...lanes, ...around.parts];
  return { update: (world) => parts.forEach((part) => part.update(world)) };
}
