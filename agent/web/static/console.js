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

document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) setTimeout(() => (button.disabled = true), 0);
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

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
