// Brings a part of the page to new HTML by changing only what differs, so that animations run on, a selection stays and
// a screen reader is told of the change alone. The HTML comes from our own server, which has escaped it.

export function morph(part, html) {
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  children(part, wanted.content);
}

function children(have, want) {
  const news = Array.from(want.childNodes);
  news.forEach((node, index) => {
    const old = have.childNodes[index];
    if (!old) have.appendChild(node);
    else if (old.nodeName !== node.nodeName) have.replaceChild(node, old);
    else if (node.nodeType === Node.ELEMENT_NODE) element(old, node);
    else if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
  });
  while (have.childNodes.length > news.length) have.removeChild(have.lastChild);
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
