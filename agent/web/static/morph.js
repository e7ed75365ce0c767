// Brings a part of the page to new HTML by changing only what differs, so that animations run on, a selection stays and
// a screen reader is told of the change alone. The HTML comes from our own server, which has escaped it.
//
// What stands for one person or one action has a data-key. It stays that person's or action's element however the list
// changes around it: a button that has the focus never becomes somebody else's.

export function morph(part, html) {
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  const focused = document.activeElement;
  children(part, wanted.content);
  if (focused !== document.activeElement && part.contains(focused)) focused.focus({ preventScroll: true }); // it was moved
}

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function children(have, want) {
  const news = Array.from(want.childNodes);
  const wanted = new Set(news.map(key));
  const kept = new Map();
  for (const child of Array.from(have.children)) {
    if (key(child) === null) continue;
    if (wanted.has(key(child))) kept.set(key(child), child);
    else have.removeChild(child);
  }
  let old = have.firstChild;
  for (const node of news) {
    const own = kept.get(key(node));
    if (own) old = found(have, own, old, node);
    else if (!old || key(old) !== null || key(node) !== null) have.insertBefore(node, old);
    else old = same(have, old, node);
  }
  while (old) old = dropped(have, old);
}

// The element that is there already, brought to its place; what is behind it.
function found(have, own, old, node) {
  while (old && old !== own && key(old) === null) old = dropped(have, old);
  if (old !== own) have.insertBefore(own, old);
  element(own, node);
  return own.nextSibling;
}

function same(have, old, node) {
  const next = old.nextSibling;
  if (old.nodeName !== node.nodeName) have.replaceChild(node, old);
  else if (node.nodeType === Node.ELEMENT_NODE) element(old, node);
  else if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
  return next;
}

function dropped(have, old) {
  const next = old.nextSibling;
  have.removeChild(old);
  return next;
}

function element(have, want) {
  for (const { name } of Array.from(have.attributes)) {
    if (!want.hasAttribute(name)) have.removeAttribute(name);
  }
  for (const { name, value } of Array.from(want.attributes)) {
    if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  }
  if (have.dataset && (have.dataset.since || have.dataset.wall)) return; // its text is an age and ticks here
  children(have, want);
}
