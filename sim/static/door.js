// Doors with their locks, and card readers beside them.

import { act, choice, h, popover, pressable, put, s, toast } from "./dom.js";
import { WALL_Y } from "./layout.js";
import { t } from "./words.js";

const GROUP_COLOURS = { guard: "#1f6f8b", staff: "#3c7a57", pupil: "#d9822b", responder: "#c0262d", contractor: "#7a6a4f" };

async function open(door, body) {
  const told = await act("door", { door: door.id, open: true, ...body });
  if (told.ok && !told.moved) toast(`${door.name} · ${t("isLocked")}`);
}

function doorMenu(door, state, event) {
  const opening = state.open ? [choice(t("shut"), () => act("door", { door: door.id, open: false }))] : [
    choice(t("push"), () => open(door, { from: "inside", for_s: 3 })),
    choice(t("pull"), () => open(door, { from: "outside", for_s: 3 })),
    choice(t("force"), () => open(door, {}), "bad"),
  ];
  if (door.rex) opening.push(choice(t("rex"), () => act("rex", { door: door.id })));
  popover(event, `${door.name} · ${t(state.locked ? "locked" : "unlocked")}`, ...opening);
}

function padlock(x, y) {
  return s("g", { class: "padlock", transform: `translate(${x} ${y})` },
    s("circle", { r: 12, class: "disc" }), s("path", { d: "M-4 -1V-4.5A4 4 0 0 1 4 -4.5V-1", class: "shackle" }),
    s("rect", { x: -5.5, y: -1.5, width: 11, height: 8, rx: 1.6, class: "lockbody" }));
}

/** Draws a door of the wall, or of the gatehouse when `y` and `name` say so. Returns {update(world)}. */
export function drawDoor(layers, { door, x }, y = WALL_Y, half = 24) {
  const leaf = s("g", { class: "leaf" }, s("rect", { x: 0, y: -4.5, width: 2 * half, height: 9, rx: 3, class: "board" }),
    s("circle", { cx: 2 * half - 7, r: 2.6, class: "knob" }));
  const lock = padlock(x, y - 24);
  let state = null;
  const group = pressable({ class: "door", "aria-label": `${t("door")} ${door.name}` }, (event) => state && doorMenu(door, state, event),
    s("rect", { x: x - half - 10, y: y - 36, width: 2 * half + 20, height: 56, class: "hit" }),
    s("rect", { x: x - half - 9, y: y - 8, width: 9, height: 16, rx: 2, class: "frame" }),
    s("rect", { x: x + half, y: y - 8, width: 9, height: 16, rx: 2, class: "frame" }),
    s("g", { transform: `translate(${x - half} ${y})` }, leaf), lock,
    s("text", { x, y: y + 27, class: "doorname" }, door.name));
  layers.over.append(group);
  return {
    update(world) {
      state = world.doors[door.id];
      put(leaf, "class", `leaf${state.open ? " open" : ""}`);
      put(lock, "class", `padlock ${state.locked ? "locked" : "unlocked"}`);
    },
  };
}

function cardMenu(reader, site, plugged, event) {
  const cards = site.cards.map((card) => h("button", {
    type: "button", class: "card", style: `--tint:${GROUP_COLOURS[card.group] ?? "#56606a"}`,
    onclick: () => { act("swipe", { reader: reader.id, card: card.holder }); flash(reader.id); document.getElementById("popover").hidden = true; },
  }, h("b", {}, t(card.group)), h("small", {}, card.holder)));
  const stranger = h("button", {
    type: "button", class: "card", style: "--tint:#8a8f94",
    onclick: () => { act("swipe", { reader: reader.id, card: "FFEEDDCCBB" }); flash(reader.id); document.getElementById("popover").hidden = true; },
  }, h("b", {}, t("unknownCard")), h("small", {}, "FFEEDDCCBB"));
  const plug = plugged
    ? choice(t("unplug"), () => act("fault", { device: `reader:${reader.id}`, kind: "unplugged" }), "bad")
    : choice(t("plug"), () => act("heal", { device: `reader:${reader.id}` }));
  popover(event, `${t("cards")} · ${reader.name}`, h("div", { class: "cards" }, ...cards, stranger), plug);
}

const flashes = new Map();
function flash(id) {
  const group = flashes.get(id);
  group?.classList.remove("reads");
  void group?.getBoundingClientRect();
  group?.classList.add("reads");
}

/** Draws a card reader. Returns {update(world)}. */
export function drawReader(layers, site, reader, x, y) {
  let plugged = true;
  const group = pressable({ class: "reader", transform: `translate(${x} ${y})`, "aria-label": `${t("reader")} ${reader.name}` },
    (event) => cardMenu(reader, site, plugged, event),
    s("title", {}, reader.name), s("circle", { r: 20, class: "field" }), s("circle", { r: 20, class: "field late" }),
    s("rect", { x: -9, y: -12, width: 22, height: 30, rx: 4, class: "shade" }), s("rect", { x: -11, y: -15, width: 22, height: 30, rx: 4, class: "box" }),
    s("path", { d: "M-4 8A6 6 0 0 1 4 8M-6.5 4.5A9.5 9.5 0 0 1 6.5 4.5", class: "waves" }), s("circle", { cy: -8, r: 2.6, class: "readerled" }));
  flashes.set(reader.id, group);
  layers.over.append(group);
  return {
    update(world) {
      plugged = world.readers[reader.id].plugged;
      group.classList.toggle("unplugged", !plugged);
    },
  };
}
