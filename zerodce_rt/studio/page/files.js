// Files: the list, any place of one before and after, and what is asked of the queue.

import { api, newest, picture, say, send } from "./api.js";
import { Jobs } from "./jobs.js";
import { Player } from "./player.js";
import { Stage, slider } from "./stage.js";

const $ = (id) => document.getElementById(id);

const stage = new Stage($("file-stage"), $("file-views"));
const strength = slider("file-strength", look);
const denoise = slider("file-denoise", look);
const images = { before: $("file-before"), after: $("file-after") };
const player = new Player($("play-before"), $("play-after"), $("play"), $("place"), showPlace);
const jobs = new Jobs($("jobs"), { play, changed: showPlayButton });
let files = [];
let chosen = null;
let mostBytes = Infinity;

$("choose").addEventListener("click", () => $("chooser").click());
$("chooser").addEventListener("change", () => {
  take($("chooser").files);
  $("chooser").value = "";
});
$("place").addEventListener("input", () => {
  showPlace();
  if (player.isOn) player.seek();
  else draw(true);
});
$("place").addEventListener("change", () => {
  if (!player.isOn) draw();
});
$("play").addEventListener("click", () => {
  if (player.isOn) player.toggle();
  else play(jobs.finished(chosen.id));
});
$("enhance").addEventListener("click", async () => {
  try {
    await jobs.add({ file: chosen.id, strength: strength.value, denoise: denoise.value });
  } catch (error) {
    say(error.message);
  }
});
$("open-folder").addEventListener("click", openFolder);
$("folder-search").addEventListener("input", filterFolder);

for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    $("file-stage").classList.toggle("target", name === "dragover");
    if (name === "dragover") location.hash = "#files";
    if (name === "drop") take(event.dataTransfer.files);
  });
}

export async function setUp(studio) {
  mostBytes = studio.max_upload_bytes;
  strength.value = studio.strength;
  denoise.value = studio.denoise;
  if (studio.folder) {
    $("open-folder").hidden = false;
    $("folder-title").textContent = studio.folder;
  }
  files = await api("GET", "files");
  list();
  if (files.length) choose(files[files.length - 1]);
  await jobs.refresh();
}

async function take(given) {
  for (const file of given) {
    if (file.size > mostBytes) {
      say(`${file.name}: is too large; at most ${(mostBytes / 1e9).toFixed(1)} GB can be sent`);
      continue;
    }
    const line = sending(file.name);
    try {
      const found = await send(file, (share) => { line.progress.value = share; });
      files.push(found);
      list();
      choose(found);
    } catch (error) {
      say(error.message);
      if (!chosen) notice(error.message, true);
    } finally {
      line.item.remove();
    }
  }
}

function sending(name) {
  const item = element("li", {}, element("div", { className: "sending" }));
  const progress = element("progress", { max: 1, value: 0, ariaLabel: `Sending ${name}` });
  item.firstChild.append(element("b", { textContent: name }), progress);
  $("file-list").append(item);
  return { item, progress };
}

function list() {
  $("file-list").replaceChildren(...files.map((file) => {
    const pick = element("button", { type: "button", className: "pick", ariaPressed: String(file === chosen) },
      element("b", { textContent: file.name }), element("small", { textContent: facts(file) }));
    pick.addEventListener("click", () => choose(file));
    const drop = element("button", { type: "button", className: "drop", textContent: "✕", ariaLabel: `Remove ${file.name}` });
    drop.addEventListener("click", () => remove(file));
    return element("li", {}, pick, drop);
  }));
}

function facts(file) {
  const size = `${file.width}x${file.height}`;
  if (file.kind === "picture") return size;
  const length = file.seconds === null ? "" : ` · ${clock(file.seconds)}`;
  return `${size}${file.fps ? ` · ${+file.fps.toFixed(2)} fps` : ""}${length}`;
}

async function remove(file) {
  try {
    await api("DELETE", `files/${file.id}`);
  } catch (error) {
    return say(error.message);
  }
  files = files.filter((other) => other !== file);
  if (file === chosen) choose(files[files.length - 1] ?? null);
  list();
}

function choose(file) {
  player.off();
  chosen = file;
  list();
  stage.empty = true;
  $("enhance").disabled = !file;
  $("transport").hidden = file?.kind !== "video" || !file.seconds;
  if (!file) return notice("Drop a video or a photo here");
  stage.setSize(file.width, file.height);
  $("place").max = file.seconds ?? 0;
  $("place").step = file.fps ? 1 / file.fps : 0.04;
  $("place").value = (file.seconds ?? 0) / 3;
  showPlace();
  showPlayButton();
  notice("Reading …");
  draw();
}

function look() {
  player.off();
  draw();
}

// While the place is moved, a key frame nearby will do; then comes the very frame.
const draw = newest(async (moving = false) => {
  const file = chosen;
  if (!file) return;
  $("file-busy").hidden = false;
  const at = `at=${$("place").value}${moving ? "&nearby" : ""}`;
  const wanted = [
    ["before", `files/${file.id}/before.jpg?${at}`],
    ["after", `files/${file.id}/after.jpg?${at}&strength=${strength.value}&denoise=${denoise.value}`],
  ];
  try {
    const blobs = await Promise.all(wanted.map(async ([, path]) => picture(path)));
    if (file !== chosen) return;
    await Promise.all(wanted.map(([side], number) => show(images[side], blobs[number])));
    stage.setSize(images.before.naturalWidth, images.before.naturalHeight);
    stage.empty = false;
    notice("");
  } catch (error) {
    if (file === chosen) {
      stage.empty = true;
      notice(error.message, true);
    }
  } finally {
    $("file-busy").hidden = true;
  }
});

async function show(image, blob) {
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  await image.decode();
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

function notice(text, isAlarm = false) {
  $("file-notice").textContent = text;
  $("file-notice").classList.toggle("alarm", isAlarm);
}

// Plays a file and what was made of it, both from the same place.
function play(job) {
  const file = files.find((one) => one.id === job?.file);
  if (!file) return say("The file itself is not in the list any more; the result can be downloaded.");
  if (file !== chosen) choose(file);
  if (file.kind === "video") player.on(`api/files/${file.id}/content`, `api/jobs/${job.id}/result`);
}

function showPlayButton() {
  $("play").disabled = !chosen || !jobs.finished(chosen.id);
  $("queue-title").hidden = jobs.isEmpty;
}

function showPlace() {
  const text = `${clock($("place").value, 1)} / ${clock($("place").max, 1)}`;
  $("place-value").textContent = text;
  $("place").setAttribute("aria-valuetext", text);
}

async function openFolder() {
  try {
    const paths = await api("GET", "folder");
    $("folder-list").replaceChildren(...paths.map((path) => {
      const button = element("button", { type: "button", textContent: path });
      button.addEventListener("click", () => takeFromFolder(path));
      return element("li", {}, button);
    }));
    if (!paths.length) $("folder-list").textContent = "There are no pictures or videos in it.";
    $("folder-search").value = "";
    $("folder").showModal();
  } catch (error) {
    say(error.message);
  }
}

function filterFolder() {
  const wanted = $("folder-search").value.toLowerCase();
  for (const item of $("folder-list").children) {
    item.hidden = !item.textContent.toLowerCase().includes(wanted);
  }
}

async function takeFromFolder(path) {
  $("folder").close();
  try {
    const found = await api("POST", "folder", { path });
    const known = files.find((file) => file.id === found.id);
    if (!known) files.push(found);
    choose(known ?? found);
  } catch (error) {
    say(error.message);
  }
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function clock(seconds, digits = 0) {
  const rest = (seconds % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${Math.floor(seconds / 60)}:${rest}`;
}
