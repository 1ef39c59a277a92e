// Two videos, before and after, that play as one.

import { say } from "./api.js";

// The muted one goes a little faster or slower to meet the other, whose sound is heard; from
// FAR_SECONDS on it jumps there, and the other waits for it.
const NEAR_SECONDS = 0.02;
const FAR_SECONDS = 0.3;

export class Player {
  #before;
  #after;
  #button;
  #place;
  #moved;
  #repaint = 0;
  isOn = false;

  constructor(before, after, button, place, moved) {
    this.#before = before;
    this.#after = after;
    this.#button = button;
    this.#place = place;
    this.#moved = moved;
    for (const name of ["play", "pause", "ended"]) after.addEventListener(name, () => this.#follow());
    after.addEventListener("timeupdate", () => {
      if (!this.isOn) return;
      place.value = after.currentTime;
      moved();
    });
    for (const video of [before, after]) {
      video.addEventListener("error", () => {
        if (!this.isOn) return;
        this.off();
        say("This browser cannot play this kind of video. Download the result, and play it elsewhere.");
      });
    }
  }

  async on(before, after) {
    this.isOn = true;
    this.#before.src = before;
    this.#after.src = after;
    this.#before.hidden = this.#after.hidden = false;
    this.seek();
    await this.toggle();
  }

  off() {
    if (!this.isOn) return;
    this.isOn = false;
    for (const video of [this.#before, this.#after]) {
      video.pause();
      video.hidden = true;
      video.removeAttribute("src");
      video.load();
    }
    this.#follow();
  }

  seek() {
    this.#before.currentTime = this.#after.currentTime = Number(this.#place.value);
  }

  async toggle() {
    if (!this.#after.paused) return this.#after.pause();
    if (this.#after.ended) {
      this.#place.value = 0;
      this.seek();
    }
    try {
      await Promise.all([this.#before.play(), this.#after.play()]);
    } catch (error) {
      if (this.isOn && error.name !== "AbortError" && error.name !== "NotSupportedError") say(error.message);
    }
    return undefined;
  }

  #follow() {
    const playing = this.#isPlaying;
    if (playing) this.#keepTogether();
    else this.#before.pause();
    this.#button.textContent = playing ? "❚❚" : "▶";
    this.#button.setAttribute("aria-label", playing ? "Pause" : "Play the result");
  }

  get #isPlaying() {
    return this.isOn && !this.#after.paused && !this.#after.ended;
  }

  // Once before each repaint.
  #keepTogether() {
    cancelAnimationFrame(this.#repaint);
    const before = this.#before;
    const after = this.#after;
    if (!this.#isPlaying) return;
    this.#repaint = requestAnimationFrame(() => this.#keepTogether());
    const ahead = before.currentTime - after.currentTime;
    if (before.paused && !before.ended) before.play().catch(() => {});
    const isFar = Math.abs(ahead) > FAR_SECONDS && !before.ended;
    if (isFar && !before.seeking && !after.seeking) before.currentTime = after.currentTime;
    before.playbackRate = Math.abs(ahead) < NEAR_SECONDS ? 1 : Math.min(2, Math.max(0.5, 1 - 2 * ahead));
    after.playbackRate = isFar || before.seeking ? 0 : 1;
  }
}
