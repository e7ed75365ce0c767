// Small helpers: elements, requests, the popover and the toast.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element: h("button", {class: "x", onclick: f}, "text", child…). */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** An SVG group that works as a button, for pointer and keyboard. */
export function pressable(attributes, act, ...children) {
  const group = s("g", { ...attributes, role: "button", tabindex: "0", class: `act ${attributes.class ?? ""}` }, ...children);
  group.addEventListener("click", (event) => act(event));
  group.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      act(event);
    }
  });
  return group;
}

/** Text or attribute is only touched when it differs, so that a repaint costs nothing at rest. */
export function put(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Run a verb of the simulator. A refusal is shown, never swallowed. */
export async function act(verb, body = {}) {
  try {
    const answer = await fetch(verb, { method: "POST", body: JSON.stringify(body) });
    const told = await answer.json();
    if (!told.ok) toast(told.valid?.length ? `${told.error} (${told.valid.join(", ")})` : told.error);
    return told;
  } catch (error) {
    toast(String(error));
    return { ok: false };
  }
}

let toastTimer = 0;
export function toast(text) {
  const box = document.getElementById("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (box.hidden = true), 4200);
}

/** Show choices next to where the pointer (or the focused thing) is. */
export function popover(event, title, ...content) {
  const box = document.getElementById("popover");
  const at = event.currentTarget?.getBoundingClientRect?.() ?? { left: 0, top: 0, width: 0, height: 0 };
  box.replaceChildren(h("h3", {}, title), ...content);
  box.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = box;
  const left = Math.min(Math.max(8, at.left + at.width / 2 - width / 2), innerWidth - width - 8);
  const below = at.top + at.height + 8;
  box.style.left = `${left + scrollX}px`;
  box.style.top = `${(below + height < innerHeight ? below : Math.max(8, at.top - height - 8)) + scrollY}px`;
  box.querySelector("button")?.focus({ preventScroll: true });
}

export function closePopover() {
  document.getElementById("popover").hidden = true;
}

document.addEventListener("pointerdown", (event) => {
  if (!event.target.closest("#popover")) closePopover();
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closePopover();
});

/** A choice in a popover: does its thing and closes it. */
export const choice = (text, action, kind = "") =>
  h("button", { type: "button", class: kind, onclick: () => { closePopover(); action(); } }, text);

/** A button that is held down: `down` when pressed, `up` when let go, also by keyboard or when the pointer strays. */
export function holdable(element, down, up) {
  let held = false;
  const press = (event) => {
    if (held || (event.button !== undefined && event.button !== 0)) return;
    held = true;
    element.classList.add("held");
    if (event.pointerId !== undefined) element.setPointerCapture(event.pointerId);
    down();
  };
  const release = () => {
    if (!held) return;
    held = false;
    element.classList.remove("held");
    up();
  };
  element.addEventListener("pointerdown", press);
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) element.addEventListener(end, release);
  element.addEventListener("keydown", (event) => {
    if ((event.key === " " || event.key === "Enter") && !event.repeat) { event.preventDefault(); press({}); }
  });
  element.addEventListener("keyup", (event) => { if (event.key === " " || event.key === "Enter") release(); });
  element.addEventListener("blur", release);
  return element;
}
