// Requests to the program that served this page. Addresses are relative: they begin with its key.

export class Refused extends Error {}

export async function api(method, path, body) {
  const response = await reach(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return (await checked(response)).json();
}

export async function picture(path, signal) {
  return (await checked(await reach(path, { signal }))).blob();
}

async function reach(path, options) {
  try {
    const response = await fetch(`api/${path}`, options);
    lost(false);
    return response;
  } catch (error) {
    if (error.name !== "AbortError") lost(true);
    throw error.name === "AbortError" ? error : new Refused("zerodce-rt does not answer");
  }
}

async function checked(response) {
  if (response.ok) return response;
  const text = await response.text();
  let said = text;
  try {
    said = JSON.parse(text).error;
  } catch { /* it is plain text */ }
  throw new Refused(said || response.statusText);
}

// Sends a file; `progress` gets the share that is done. Only XMLHttpRequest tells that.
export function send(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `api/files?name=${encodeURIComponent(file.name)}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded / Math.max(1, event.total));
    request.onload = () => {
      if (request.status === 200) resolve(request.response);
      else reject(new Refused(request.response?.error || "the file was refused"));
    };
    request.onerror = () => reject(new Refused(`${file.name}: the connection was lost`));
    request.send(file);
  });
}

// What a person should know, without stopping what they do.
let timer = 0;
export function say(text) {
  const line = document.getElementById("messages");
  line.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => { line.textContent = ""; }, 6000);
}

function lost(isLost) {
  const banner = document.getElementById("banner");
  banner.hidden = !isLost;
  banner.textContent = isLost ? "zerodce-rt does not answer: it has ended, or the network is gone." : "";
}

// Runs `work` for the newest wish only: while one runs, a later one replaces those that wait.
export function newest(work) {
  let running = false;
  let wish = null;
  return async (...wanted) => {
    wish = wanted;
    if (running) return;
    running = true;
    while (wish) {
      const now = wish;
      wish = null;
      try {
        await work(...now);
      } catch (error) {
        say(error.message);
      }
    }
    running = false;
  };
}
