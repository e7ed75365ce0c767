// The ground: campus, wall, gatehouse, street. Drawn once; what moves is drawn by lane.js, door.js and actors.js.

import { HEIGHT, STREET_Y, WALL_Y } from "./layout.js";
import { put, s } from "./dom.js";

const ROAD = 124;  // width of a lane's asphalt
export const GAP = 158;  // opening in the wall for a lane

const tree = (x, y, r) => s("g", { class: "tree", transform: `translate(${x} ${y})` },
  s("ellipse", { cx: r * 0.3, cy: r * 0.35, rx: r, ry: r * 0.94, class: "shade" }),
  s("circle", { r, class: "leaf a" }), s("circle", { cx: -r * 0.22, cy: -r * 0.25, r: r * 0.68, class: "leaf b" }),
  s("circle", { cx: -r * 0.34, cy: -r * 0.38, r: r * 0.34, class: "leaf c" }));

function patterns() {
  return s("defs", {},
    s("pattern", { id: "paving", width: 26, height: 26, patternUnits: "userSpaceOnUse" },
      s("rect", { width: 26, height: 26, class: "paving" }),
      s("path", { d: "M0 .5H26M.5 0V26M13 13.5H26M13.5 13V26", class: "joint" })),
    s("pattern", { id: "brick", width: 22, height: 20, patternUnits: "userSpaceOnUse" },
      s("rect", { width: 22, height: 20, class: "brick" }),
      s("path", { d: "M0 10H22M5.5 0V10M16.5 10V20", class: "mortar" })),
    s("pattern", { id: "tiles", width: 14, height: 12, patternUnits: "userSpaceOnUse" },
      s("rect", { width: 14, height: 12, class: "roof" }),
      s("path", { d: "M0 12Q7 5 14 12M-7 6Q0 -1 7 6M7 6Q14 -1 21 6", class: "tileline" })),
    s("radialGradient", { id: "beaconGlow" }, s("stop", { offset: 0, "stop-color": "#ff4338", "stop-opacity": 0.85 }),
      s("stop", { offset: 1, "stop-color": "#ff4338", "stop-opacity": 0 })),
    s("linearGradient", { id: "alarmEdge", x1: 0, x2: 0, y1: 0, y2: 1 },
      s("stop", { offset: 0, "stop-color": "#e01e2b", "stop-opacity": 0.5 }),
      s("stop", { offset: 0.3, "stop-color": "#e01e2b", "stop-opacity": 0 }),
      s("stop", { offset: 0.75, "stop-color": "#e01e2b", "stop-opacity": 0 }),
      s("stop", { offset: 1, "stop-color": "#e01e2b", "stop-opacity": 0.5 })),
    s("linearGradient", { id: "postSide", x1: 0, x2: 1, y1: 0, y2: 0 },
      s("stop", { offset: 0, "stop-color": "#79838c" }), s("stop", { offset: 0.35, "stop-color": "#eef2f4" }),
      s("stop", { offset: 1, "stop-color": "#5b656e" })));
}

const fire = () => s("g", { class: "campusfire" }, s("ellipse", { cx: 44, cy: 22, rx: 84, ry: 48, class: "firelight" }),
  ...[[18, 34, 0.9], [44, 28, 1.3], [70, 36, 0.85]].map(([x, y, size], n) => s("g", { transform: `translate(${x} ${y}) scale(${size})` },
    s("g", { class: `flame f${n}` }, s("path", { d: "M0 14C-15 8 -12 -8 -4 -16C-4 -8 2 -8 2 -22C13 -12 17 4 0 14Z", class: "outer" }),
      s("path", { d: "M0 14C-8 9 -6 0 -1 -5C0 0 3 -1 3 -7C9 0 9 9 0 14Z", class: "inner" })))));

function campus(plan, word) {
  const { width } = plan;
  return s("g", {},
    s("rect", { width, height: WALL_Y, class: "lawn" }),
    s("path", { d: `M0 0H${width}V86Q${width * 0.72} 122 ${width * 0.5} 104T0 116Z`, class: "yard" }),
    s("g", { class: "track", transform: `translate(${width - 128} 42)` },
      s("rect", { x: -170, y: -84, width: 340, height: 132, rx: 66, class: "trackbed" }),
      s("rect", { x: -152, y: -66, width: 304, height: 96, rx: 48, class: "trackline" }),
      s("rect", { x: -130, y: -44, width: 260, height: 52, rx: 26, class: "field" })),
    s("g", { class: "school", transform: `translate(${plan.house.x - 106} 0)` },
      s("rect", { x: 8, y: -20, width: 250, height: 90, class: "shade" }),
      s("rect", { x: -5, y: -26, width: 260, height: 88, rx: 3, class: "eaves" }),
      s("rect", { x: 0, y: -26, width: 250, height: 82, fill: "url(#tiles)" }),
      s("path", { d: "M0 14H250", class: "ridge" }), fire(),
      s("rect", { x: 103, y: 56, width: 44, height: 20, class: "steps" }), s("path", { d: "M103 62H147M103 69H147", class: "steplines" })),
    s("path", { d: `M${plan.house.x + 19} 76V${WALL_Y - 80}`, class: "path" }),
    s("text", { x: plan.house.x + 19, y: 43, class: "place", "data-word": "campus" }, word));
}

function street(plan, word) {
  const { width } = plan;
  return s("g", {},
    s("rect", { y: WALL_Y, width, height: STREET_Y - WALL_Y, fill: "url(#paving)" }),
    s("rect", { y: STREET_Y, width, height: HEIGHT - STREET_Y, class: "asphalt" }),
    s("rect", { y: STREET_Y - 6, width, height: 7, class: "kerb" }),
    s("path", { d: `M0 ${HEIGHT - 16}H${width}`, class: "centreline" }),
    ...plan.doors.map(({ x }) => s("g", {}, ...[0, 1, 2, 3, 4].map((n) =>
      s("rect", { x: x - 41 + n * 18, y: STREET_Y + 10, width: 10, height: 88, class: "zebra" })))),
    s("text", { x: width - 22, y: STREET_Y + 34, class: "place street", "data-word": "street" }, word));
}

const road = (x) => s("g", {},
  s("path", {
    d: `M${x - ROAD / 2 - 26} ${STREET_Y + 2}Q${x - ROAD / 2} ${STREET_Y - 4} ${x - ROAD / 2} ${STREET_Y - 30}V0H${x + ROAD / 2}
        V${STREET_Y - 30}Q${x + ROAD / 2} ${STREET_Y - 4} ${x + ROAD / 2 + 26} ${STREET_Y + 2}Z`, class: "asphalt",
  }),
  s("path", { d: `M${x - ROAD / 2 + 5} 0V${STREET_Y - 24}M${x + ROAD / 2 - 5} 0V${STREET_Y - 24}`, class: "edgeline" }));

function wall(plan) {
  const openings = [
    ...plan.lanes.map(({ x }) => [x - GAP / 2, x + GAP / 2]),
    ...plan.doors.map(({ x }) => [x - 34, x + 34]),
    [plan.house.x - 112, plan.house.x + 112],
  ].sort((a, b) => a[0] - b[0]);
  const group = s("g", { class: "wall" });
  let from = 0;
  const piece = (a, b) => b - a > 2 && group.append(
    s("rect", { x: a + 4, y: WALL_Y - 3, width: b - a, height: 22, class: "shade" }),
    s("rect", { x: a, y: WALL_Y - 10, width: b - a, height: 20, fill: "url(#brick)" }),
    s("rect", { x: a, y: WALL_Y - 10, width: b - a, height: 20, class: "cap" }));
  for (const [a, b] of openings) {
    piece(from, a);
    from = b;
  }
  piece(from, plan.width);
  return group;
}

const pillar = (x) => s("g", { class: "pillar" },
  s("rect", { x: x - 11, y: WALL_Y - 11, width: 30, height: 30, class: "shade" }),
  s("rect", { x: x - 15, y: WALL_Y - 15, width: 30, height: 30, rx: 3, class: "stone" }),
  s("rect", { x: x - 9, y: WALL_Y - 9, width: 18, height: 18, rx: 2, class: "stonetop" }));

function house(x, word) {
  const beacon = s("g", { class: "beacon", transform: `translate(${x + 66} ${WALL_Y - 26})` },
    s("circle", { r: 70, class: "beaconglow", fill: "url(#beaconGlow)" }),
    s("g", { class: "rays" }, s("path", { d: "M0 0L-92 -26V26Z" }), s("path", { d: "M0 0L92 -26V26Z" })),
    s("circle", { r: 12, class: "beaconbase" }), s("circle", { r: 7.5, class: "beaconlamp" }));
  const lamps = ["sent", "received", "coming", "fault"].map((lamp, n) => [lamp,
    s("circle", { cx: x - 27 + n * 18, cy: WALL_Y + 17, r: 6, class: `roomlamp ${lamp}` })]);
  const group = s("g", {},
    s("rect", { x: x - 104, y: WALL_Y - 66, width: 226, height: 156, rx: 6, class: "shade" }),
    s("rect", { x: x - 112, y: WALL_Y - 78, width: 224, height: 156, rx: 5, class: "eaves" }),
    s("rect", { x: x - 104, y: WALL_Y - 70, width: 208, height: 104, rx: 3, fill: "url(#tiles)" }),
    s("path", { d: `M${x - 104} ${WALL_Y - 70}L${x - 56} ${WALL_Y - 18}H${x + 56}L${x + 104} ${WALL_Y - 70}M${x - 104} ${WALL_Y + 34}
        L${x - 56} ${WALL_Y - 18}M${x + 104} ${WALL_Y + 34}L${x + 56} ${WALL_Y - 18}`, class: "ridge" }),
    s("rect", { x: x - 104, y: WALL_Y + 37, width: 208, height: 35, rx: 3, class: "room" }),
    s("rect", { x: x - 8, y: WALL_Y + 41, width: 104, height: 27, rx: 3, class: "window" }),
    s("g", { class: "guard", transform: `translate(${x + 44} ${WALL_Y + 56})` },
      s("ellipse", { rx: 15, ry: 8, class: "uniform" }), s("circle", { r: 7, class: "hair" }),
      s("path", { d: "M-8 1A8 8 0 0 0 8 1L5 5H-5Z", class: "visor" })),
    s("rect", { x: x - 39, y: WALL_Y + 7, width: 78, height: 20, rx: 10, class: "lampbar" }), ...lamps.map(([, lamp]) => lamp),
    s("text", { x: x - 24, y: WALL_Y - 34, class: "housename", "data-word": "gatehouse" }, word),
    beacon);
  return { group, beacon, lamps };
}

/** Draws the ground into a new SVG. Returns {svg, layer(name), update(world)}. */
export function ground(plan, words) {
  const { width } = plan;
  const layers = Object.fromEntries(["under", "walkers", "posts", "cars", "over"].map((name) => [name, s("g", { class: name })]));
  const home = house(plan.house.x, words.gatehouse);
  const edge = s("rect", { width, height: HEIGHT, class: "alarmedge", fill: "url(#alarmEdge)" });
  const svg = s("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "gate" },
    patterns(), campus(plan, words.campus), street(plan, words.street),
    ...plan.lanes.map(({ x }) => road(x)), layers.under, wall(plan),
    ...plan.lanes.flatMap(({ x }) => [pillar(x - GAP / 2), pillar(x + GAP / 2)]),
    s("rect", { width, height: HEIGHT, class: "nightfall" }), layers.posts, layers.cars, layers.walkers, home.group, layers.over,
    ...plan.lanes.flatMap(({ x }) => [tree(x - 112, 138, 26), tree(x + 110, 66, 19)]),
    tree(plan.house.x - 52, 150, 30), tree(plan.house.x + 96, 136, 22), ...plan.doors.map(({ x }) => tree(x + 52, 168, 21)), edge);
  const update = (world) => {
    put(home.beacon, "class", world.siren ? "beacon on" : "beacon");
    for (const [lamp, circle] of home.lamps) put(circle, "class", `roomlamp ${lamp}${world.lamps[lamp] ? " on" : ""}`);
    const alarm = world.siren || world.lamps.sent || Object.values(world.buttons).some((button) => button.pressed);
    put(svg, "class", `gate${alarm ? " alarm" : ""}${world.fire ? " burning" : ""}${world.mains ? "" : " dark"}`);
  };
  return { svg, layers, update };
}
