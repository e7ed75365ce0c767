// What the console does beyond the status page: it sounds and flashes the title on an alarm, keeps an open form from being
// tapped twice, and prints the muster list. It works without all of this.

const body = document.body;
const sound = document.getElementById("sound");
let audio = null;
let flashing = false;

function alarmed() {
  return document.querySelector(".banner.alarm") !== null;
}

function unlock() {
  const Audio = window.AudioContext || window.webkitAudioContext;
  if (!Audio) return;
  audio = audio || new Audio();
  audio.resume().then(tell);
}

function tell() {
  if (sound) sound.hidden = audio !== null && audio.state === "running";
}

function beep() {
  if (!audio || audio.state !== "running") return;
  const start = audio.currentTime;
  for (const [offset, pitch] of [[0, 880], [0.25, 660], [0.5, 880]]) {
    const tone = audio.createOscillator();
    const level = audio.createGain();
    tone.frequency.value = pitch;
    level.gain.setValueAtTime(0.25, start + offset);
    level.gain.setValueAtTime(0, start + offset + 0.2);
    tone.connect(level);
    level.connect(audio.destination);
    tone.start(start + offset);
    tone.stop(start + offset + 0.22);
  }
}

function watch() {
  const lost = document.getElementById("offline");
  const loud = alarmed() || (lost !== null && !lost.hidden);
  if (alarmed()) {
    beep();
    flashing = !flashing;
    const plain = document.title.replace(/^(🔴|⚠) ?/, "").replace(body.dataset.alarm + " · ", "");
    document.title = flashing ? "🔴 " + body.dataset.alarm + " · " + plain : "⚠ " + body.dataset.alarm + " · " + plain;
  } else if (loud) {
    beep();
  }
}

// A picture of a hazard: made smaller here, sent as it is; the box seals it.
const LONGEST_PX = 1280;

function shrunk(bitmap) {
  const scale = Math.min(1, LONGEST_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
}

document.addEventListener("change", (event) => {
  const field = event.target;
  if (!field.dataset.photo || !field.files.length) return;
  createImageBitmap(field.files[0])
    .then(shrunk)
    .then((blob) => fetch("/guard/photo/" + field.dataset.photo, {
      method: "POST", body: blob, headers: { "content-type": "image/jpeg", "x-csrf": field.dataset.csrf },
    }))
    .then((answer) => {
      if (answer.ok) location.reload();
      else failed(field);
    })
    .catch(() => failed(field)); // no picture at all, or no box
});

function failed(field) {
  field.value = ""; // the same picture may be tried again
  field.parentElement.classList.add("danger");
  field.parentElement.firstChild.nodeValue = field.dataset.failed;
}

document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) setTimeout(() => (button.disabled = true), 0);
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

const wrong = document.querySelector("[aria-invalid='true']");
if (wrong) window.addEventListener("load", () => setTimeout(() => wrong.focus(), 0)); // after the page went to its place

const told = document.querySelector("main > .flash.ok");
if (told) setTimeout(() => told.remove(), 8000); // what went wrong stays until the next page

const print = document.getElementById("print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}
if (sound) {
  sound.hidden = false;
  sound.addEventListener("click", unlock);
  document.addEventListener("pointerdown", unlock, { once: true });
  document.addEventListener("keydown", unlock, { once: true });
  setInterval(tell, 1000);
  setInterval(watch, 2000);
}
