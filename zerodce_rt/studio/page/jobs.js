// The queue: one line for each file, with progress, and what can be done with it.

import { api, say } from "./api.js";

const LOOK_MS = 500;

export class Jobs {
  #list;
  #play;
  #changed;
  #jobs = [];
  #lines = new Map();
  #timer = 0;

  constructor(list, { play, changed }) {
    this.#list = list;
    this.#play = play;
    this.#changed = changed;
  }

  get isEmpty() {
    return this.#jobs.length === 0;
  }

  // The newest job of a file that is done.
  finished(file) {
    return this.#jobs.findLast((job) => job.file === file && job.state === "done");
  }

  async add(wanted) {
    await api("POST", "jobs", wanted);
    await this.refresh();
  }

  async refresh() {
    clearTimeout(this.#timer);
    this.#jobs = await api("GET", "jobs");
    this.#draw();
    this.#changed();
    if (this.#jobs.some((job) => job.state === "waiting" || job.state === "running")) {
      this.#timer = setTimeout(() => this.refresh().catch(() => this.#again()), LOOK_MS);
    }
  }

  #again() {
    this.#timer = setTimeout(() => this.refresh().catch(() => this.#again()), 4 * LOOK_MS);
  }

  // Lines stay where they are, so that the focus does.
  #draw() {
    const ids = new Set(this.#jobs.map((job) => job.id));
    for (const [id, line] of this.#lines) {
      if (!ids.has(id)) {
        line.item.remove();
        this.#lines.delete(id);
      }
    }
    for (const job of this.#jobs) {
      if (!this.#lines.has(job.id)) this.#lines.set(job.id, this.#line(job));
      this.#show(this.#lines.get(job.id), job);
    }
  }

  #line(job) {
    const item = document.createElement("li");
    const name = Object.assign(document.createElement("b"), { textContent: job.name });
    const progress = Object.assign(document.createElement("progress"), { max: 1 });
    progress.setAttribute("aria-label", `Progress of ${job.name}`);
    const state = document.createElement("small");
    const row = Object.assign(document.createElement("div"), { className: "row" });
    const button = (text, action) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      made.setAttribute("aria-label", `${text} ${job.name}`);
      made.addEventListener("click", action);
      return made;
    };
    const download = Object.assign(document.createElement("a"), {
      className: "button", textContent: "Download", href: `api/jobs/${job.id}/result?download`, download: job.name,
    });
    const buttons = {
      download,
      play: button("Play", () => this.#play(this.#jobs.find((one) => one.id === job.id))),
      stop: button("Stop", () => this.#ask("POST", `jobs/${job.id}/stop`)),
      resume: button("Resume", () => this.#ask("POST", `jobs/${job.id}/resume`)),
      remove: button("Remove", () => this.#ask("DELETE", `jobs/${job.id}`)),
    };
    row.append(...Object.values(buttons));
    item.append(name, progress, state, row);
    this.#list.append(item);
    return { item, progress, state, buttons };
  }

  #show({ item, progress, state, buttons }, job) {
    const busy = job.state === "waiting" || job.state === "running";
    item.dataset.state = job.state;
    progress.hidden = !busy && job.state !== "stopped";
    if (job.expected) progress.value = job.frames / job.expected;
    else progress.removeAttribute("value");
    if (job.state === "waiting" || job.state === "stopped") progress.value = job.expected ? job.frames / job.expected : 0;
    state.textContent = described(job);
    buttons.download.hidden = job.state !== "done";
    buttons.play.hidden = job.state !== "done" || job.kind !== "video";
    buttons.stop.hidden = !busy;
    buttons.resume.hidden = job.state !== "stopped" && job.state !== "failed";
    buttons.resume.textContent = job.state === "failed" ? "Try again" : "Resume";
  }

  async #ask(method, path) {
    try {
      await api(method, path);
      await this.refresh();
    } catch (error) {
      say(error.message);
    }
  }
}

function described(job) {
  if (job.state === "waiting") return "Waiting for its turn";
  if (job.state === "done") return "Done";
  if (job.state === "failed") return job.error;
  const share = job.expected ? `${Math.floor(100 * job.frames / job.expected)} %` : `${job.frames} frames`;
  if (job.state === "stopped") return `Stopped at ${share}`;
  const rate = job.fps ? ` · ${job.fps.toFixed(0)} frames/s` : "";
  const left = job.seconds_left === null ? "" : ` · ${duration(job.seconds_left)} left`;
  return job.kind === "picture" ? "Working …" : `${share}${left}${rate}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
