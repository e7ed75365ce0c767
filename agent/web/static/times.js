// Ages and the clock. Two time bases: the box's own clock (data-since, data-wall) as told in every event, and between
// events this machine's stopwatch. The gate's base stands still while the box's control program is gone.

export class Times {
  constructor(told) {
    this.words = { seconds: told.seconds, minutes: told.minutes, hours: told.hours, days: told.days };
    this.offset = Number(told.offset);
    this.take({ mono: Number(told.mono), now: Number(told.now), frozen: told.frozen === "1" });
  }

  take(told) {
    this.told = told;
    this.at = performance.now();
  }

  // Monotonic milliseconds of the gate's present boot.
  mono() {
    return this.told.mono + (this.told.frozen ? 0 : performance.now() - this.at);
  }

  // The web role's wall clock at a reading of the stopwatch.
  boxAt(stopwatch) {
    return this.told.now + (stopwatch - this.at);
  }

  timeOfDay(wall) {
    return new Date(wall + this.offset * 60000).toISOString().slice(11, 19);
  }

  age(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const fill = (text, a, b) => text.replace("%s", a).replace("%t", b);
    if (s < 60) return fill(this.words.seconds, s);
    if (s < 3600) return fill(this.words.minutes, Math.floor(s / 60));
    if (s < 86400) return fill(this.words.hours, Math.floor(s / 3600), Math.floor((s % 3600) / 60));
    return fill(this.words.days, Math.floor(s / 86400), Math.floor((s % 86400) / 3600));
  }

  tick() {
    const mono = this.mono();
    const wall = this.boxAt(performance.now());
    for (const element of document.querySelectorAll("[data-since]")) {
      set(element, this.age((mono - Number(element.dataset.since)) / 1000));
    }
    for (const element of document.querySelectorAll("[data-wall]")) {
      set(element, this.age((wall - Number(element.dataset.wall)) / 1000));
    }
    set(document.getElementById("clock"), this.timeOfDay(wall));
  }
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
