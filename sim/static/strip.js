// The last events on the wire, newest on top, with the time since the one before.

import { h } from "./dom.js";
import { t } from "./words.js";

const KEPT = 40;
const SIGNS = { pin: "◆", frame: "≡", card: "▭", verb: "☞" };

/** Turns the wire's words into what is worth a line: who, what. */
function words(entry, names) {
  if (entry.kind === "pin") return [names.get(entry.gpio) ?? `gpio ${entry.gpio}`, entry.level ? "1" : "0"];
  if (entry.kind === "verb") return [t(`do_${entry.verb}`), entry.text];
  if (entry.kind === "card") return [entry.reader, entry.text];
  return [entry.bus, entry.text];
}

/** Builds the strip into `root`. Returns {add(entries)}. */
export function strip(root, names) {
  const list = root.querySelector("ol");
  const tips = h("ul", { class: "tips" }, ["tip1", "tip2", "tip3", "tip4", "tip5"].map((tip) => h("li", { "data-word": tip }, t(tip))));
  root.append(tips);
  let last = 0;
  const lights = new Map(); // who → what its lights were last; the box writes them every second, and nothing changes
  return {
    add(entries) {
      tips.remove();
      for (const entry of entries) {
        const [lane, lit] = (entry.kind === "frame" && entry.text.split(" write lights = ")) || [];
        if (lit && lights.get(lane) === lit) continue;
        if (lit) lights.set(lane, lit);
        const ms = last ? (entry.ns - last) / 1e6 : 0;
        last = Math.max(last, entry.ns);
        const [who, what] = words(entry, names);
        const gap = ms > 9999 || ms < 0 ? "" : `+${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
        list.prepend(h("li", { class: `k-${entry.kind} ${entry.dir}`, title: entry.hex ?? "" },
          h("i", {}, SIGNS[entry.kind]), h("time", {}, gap), h("b", {}, who), h("span", {}, what)));
      }
      while (list.children.length > KEPT) list.lastChild.remove();
    },
  };
}
