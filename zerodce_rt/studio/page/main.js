// The parts of the page, and which of them is shown.

import { api, say } from "./api.js";
import * as files from "./files.js";
import * as live from "./live.js";

const ROOMS = ["live", "files"];

function show() {
  const wanted = ROOMS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "live";
  for (const name of ROOMS) {
    document.getElementById(`room-${name}`).hidden = name !== wanted;
    const tab = document.getElementById(`tab-${name}`);
    if (name === wanted) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
}

addEventListener("hashchange", show);
show();
try {
  const studio = await api("GET", "studio");
  document.body.toggleAttribute("data-temporary", !studio.keeps_results);
  live.setUp(studio);
  await files.setUp(studio);
} catch (error) {
  say(error.message);
}
document.documentElement.dataset.ready = "";
