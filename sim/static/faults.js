// The faults menu: pick a device, a kind and its numbers; what lies on the gate is listed and healed one by one.

import { act, h, put } from "./dom.js";
import { className, deviceName, kindDoes, kindName } from "./faultwords.js";
import { t } from "./words.js";

const classOf = (device) => (device.startsWith("gpio:") ? "gpio_wire" : device.split(":")[0]);

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

function chooser(site, catalogue) {
  const name = deviceName(site);
  const device = h("select", { "aria-label": t("device") });
  const kind = h("select", { "aria-label": t("kind") });
  const params = h("div", { class: "params" });
  const does = h("p", { class: "does" });
  const kinds = () => catalogue.kinds.filter((entry) => entry.on.includes(classOf(device.value)));
  const showParams = () => {
    const entry = kinds().find((one) => one.kind === kind.value);
    does.textContent = entry ? kindDoes(entry.kind, entry.does) : "";
    params.replaceChildren(...Object.entries(entry?.params ?? {}).map(([key, spec]) => h("label", {}, key, spec.words
      ? h("select", { name: key }, spec.words.map((word) => h("option", {}, word)))
      : h("input", { name: key, type: "number", step: "any", min: spec.low, max: spec.high, value: spec.default }))));
  };
  const showKinds = () => {
    const before = kind.value;
    kind.replaceChildren(...kinds().map((entry) => h("option", { value: entry.kind }, kindName(entry.kind))));
    if (kinds().some((entry) => entry.kind === before)) kind.value = before;
    showParams();
  };
  const showDevices = () => {
    const before = device.value || catalogue.devices.find((id) => id.startsWith("lane:"));
    const groups = [...groupBy(catalogue.devices, classOf)];
    device.replaceChildren(...groups.map(([group, ids]) =>
      h("optgroup", { label: className(group) }, ids.map((id) => h("option", { value: id }, name(id))))));
    if (before) device.value = before;
    showKinds();
  };
  device.addEventListener("change", showKinds);
  kind.addEventListener("change", showParams);
  const body = () => {
    const told = { device: device.value, kind: kind.value };
    for (const input of params.querySelectorAll("input,select")) {
      told[input.name] = input.tagName === "INPUT" ? Number(input.value) : input.value;
    }
    return told;
  };
  return { parts: [device, kind, params, does], show: showDevices, body };
}

/** Builds the panel into `root` from GET /site and GET /faults. Returns {update(world)}. */
export function faultsPanel(root, site, catalogue) {
  const { parts, show, body } = chooser(site, catalogue);
  const list = h("ul", { class: "faultlist" });
  const heal = h("button", { type: "button", class: "quiet", onclick: () => act("heal") }, h("span", { "data-word": "healAll" }, t("healAll")));
  const lay = (event) => {
    event.preventDefault();
    act("fault", body());
  };
  root.append(h("section", { class: "panel", id: "faults" }, h("h2", {}, h("span", { "data-word": "faults" }, t("faults")), heal), list,
    h("form", { onsubmit: lay }, parts, h("button", { type: "submit", class: "primary" }, h("span", { "data-word": "lay" }, t("lay"))))));

  const line = (fault) => h("li", {}, h("b", {}, fault.device), h("span", {}, kindName(fault.kind)),
    h("button", { type: "button", "aria-label": t("heal"), title: t("heal"), onclick: () => act("heal", { device: fault.device, kind: fault.kind }) }, "×"));
  let shown = "", language = "";
  return {
    update(world) {
      if (language !== document.documentElement.lang) {
        language = document.documentElement.lang;
        show();
      }
      heal.disabled = world.faults.length === 0;
      const key = JSON.stringify([world.faults, world.breaches, language]);
      if (key === shown) return;
      shown = key;
      const breaches = world.breaches.slice(-3).map((breach) => h("li", { class: "breach" },
        h("b", {}, `${t("breach")} · ${breach.bollard}`), h("span", {}, t(breach.what))));
      list.replaceChildren(...breaches, ...world.faults.map(line));
      if (!list.children.length) list.append(h("li", { class: "none" }, t("noFaults")));
      put(list, "class", `faultlist${world.faults.length ? " some" : ""}`);
    },
  };
}
