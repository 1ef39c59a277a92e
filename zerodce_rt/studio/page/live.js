// The live picture: this device's camera, or a source of the machine that runs zerodce-rt.

import { api, newest, say } from "./api.js";
import { Stage, slider } from "./stage.js";

const BITS_PER_SECOND = 8_000_000;
const GATHERING_MS = 2000;
const FIGURES_MS = 500;

const $ = (id) => document.getElementById(id);

const CAMERA_ERRORS = {
  NotAllowedError: "The camera was not allowed. Allow it beside the address above, then press Start.",
  NotFoundError: "This device has no camera, or none that the browser sees.",
  NotReadableError: "The camera is used by another program.",
  OverconstrainedError: "The camera cannot do what was asked of it.",
};

const stage = new Stage($("live-stage"), $("live-views"));
const videos = [$("live-before"), $("live-after")];
const change = newest((values) => api("PATCH", "live", values));
const strength = slider("live-strength", changed);
const denoise = slider("live-denoise", changed);
let session = null; // what runs: { id, connection, camera, timer }
let last = {}; // figures of the connection when they were read last

stage.onView = changed;
$("live-start").addEventListener("click", () => (session ? stop() : start()));
$("live-snapshot").addEventListener("click", () => act("live/snapshot"));
$("live-record").addEventListener("click", async () => {
  const button = $("live-record");
  const recording = button.getAttribute("aria-pressed") === "true";
  await act(`live/recording/${recording ? "stop" : "start"}`);
});
$("live-after").addEventListener("resize", arrange);
// The page goes: let the camera of the other end go, too.
addEventListener("pagehide", () => {
  if (session?.id) fetch(`api/live/${session.id}`, { method: "DELETE", keepalive: true });
});

export function setUp(studio) {
  strength.value = studio.strength;
  denoise.value = studio.denoise;
  studio.sources.forEach((name, number) => {
    $("live-source").append(new Option(name, number));
  });
}

function changed() {
  if (session) change({ strength: strength.value, denoise: denoise.value, view: stage.view });
  arrange();
}

// The views of both come as one video of twice the width.
function arrange() {
  const { videoWidth: width, videoHeight: height } = $("live-after");
  const twice = Boolean(stage.ratio) && height > 0 && width / height > 1.5 * stage.ratio;
  $("live-stage").toggleAttribute("data-double", twice);
}

function notice(text, isAlarm = false) {
  $("live-notice").textContent = text;
  $("live-notice").classList.toggle("alarm", isAlarm);
}

async function start() {
  const source = $("live-source").value;
  $("live-start").disabled = true;
  notice("Starting …");
  const mine = { id: null, connection: null, camera: null, timer: 0 };
  try {
    if (source === "browser") mine.camera = await openCamera();
    session = mine;
    await connect(mine, source);
    mine.timer = setInterval(newest(() => figures(mine)), FIGURES_MS);
    $("live-start").textContent = "Stop";
    $("live-source").disabled = true;
    $("live-snapshot").disabled = $("live-record").disabled = false;
  } catch (error) {
    end(mine);
    notice(CAMERA_ERRORS[error.name] || error.message, true);
  }
  $("live-start").disabled = false;
}

async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers give cameras to https pages only, and to pages of this very machine. Start zerodce-rt with --certificate, or choose another source.");
  }
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
  });
}

async function connect(mine, source) {
  const connection = new RTCPeerConnection({ iceServers: [] });
  mine.connection = connection;
  const transceiver = mine.camera
    ? connection.addTransceiver(mine.camera.getVideoTracks()[0], {
      direction: "sendrecv",
      streams: [mine.camera],
      sendEncodings: [{ maxBitrate: BITS_PER_SECOND }],
    })
    : connection.addTransceiver("video", { direction: "recvonly" });
  if (mine.camera) {
    mine.camera.getVideoTracks()[0].addEventListener("ended", () => fail(mine, "The camera is gone."));
    await keepResolution(transceiver.sender);
  }
  transceiver.receiver.jitterBufferTarget = 0; // the newest picture, not the smoothest
  if ("playoutDelayHint" in transceiver.receiver) transceiver.receiver.playoutDelayHint = 0;
  connection.addEventListener("track", (event) => {
    const stream = new MediaStream([event.track]);
    for (const video of videos) {
      video.srcObject = stream;
      video.play().catch((error) => say(error.message));
    }
  });
  connection.addEventListener("connectionstatechange", () => {
    if (["failed", "closed"].includes(connection.connectionState)) lost(mine);
  });
  await connection.setLocalDescription(await connection.createOffer());
  await gathered(connection);
  if (!connection.localDescription.sdp.includes("a=candidate")) {
    throw new Error("Browsers make no such connection without a network. Switch Wi-Fi on or plug a cable in; the internet is not needed.");
  }
  const { answer, id } = await api("POST", "live", {
    offer: connection.localDescription.sdp,
    source,
    strength: strength.value,
    denoise: denoise.value,
    view: stage.view,
  });
  mine.id = id;
  await connection.setRemoteDescription({ type: "answer", sdp: answer });
}

// Says why the pictures have ended, if the other end knows.
async function lost(mine) {
  await figures(mine).catch(() => {});
  fail(mine, "The connection was lost.");
}

// Fewer pictures are better than small ones, if time or bandwidth are short.
async function keepResolution(sender) {
  const parameters = sender.getParameters();
  parameters.degradationPreference = "maintain-resolution";
  try {
    await sender.setParameters(parameters);
  } catch { /* a browser that does not know it */ }
}

function gathered(connection) {
  return new Promise((resolve) => {
    const look = () => {
      if (connection.iceGatheringState === "complete") resolve();
    };
    connection.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, GATHERING_MS);
    look();
  });
}

async function figures(mine) {
  if (session !== mine) return;
  const now = await api("GET", "live");
  if (session !== mine) return;
  if (now.id !== mine.id) return fail(mine, "Another page has taken over.");
  if (now.state === "off") return fail(mine, "The connection was lost.");
  if (now.state === "failed") return fail(mine, now.message);
  if (now.state === "ended") return fail(mine, "The picture has ended.");
  stage.setSize(now.width, now.height);
  arrange();
  const seen = now.width > 0 && $("live-after").videoWidth > 0;
  stage.empty = !seen;
  notice(now.message || (seen ? "" : "Waiting for the picture …"));
  const here = await pageDelay(mine.connection);
  $("figure-fps").textContent = `${now.fps.toFixed(0)} fps`;
  $("figure-delay").textContent = seen ? `${(now.delay_ms + here).toFixed(0)} ms` : "–";
  const reduced = denoise.value > 0 && now.effort < 3 ? ", less noise removal" : "";
  $("figure-backend").textContent = now.backend ? `${now.backend}${reduced}` : "–";
  $("figure-source").textContent = now.source || "–";
  $("figure-dropped").textContent = `${now.dropped} ${now.dropped === 1 ? "picture" : "pictures"}`;
  const recording = now.recording_seconds !== null;
  $("live-record").setAttribute("aria-pressed", recording);
  $("live-record").textContent = recording ? "Stop recording" : "Record";
  $("live-recording").hidden = !recording;
  if (recording) $("live-recording").textContent = `● ${clock(now.recording_seconds)}`;
}

// Milliseconds that a picture takes in this page: to be encoded, if it is of this device's camera,
// and then to wait and to be decoded.
async function pageDelay(connection) {
  let seconds = 0;
  const now = {};
  const mean = (report, total, count) => {
    now[total] = report[total];
    now[count] = report[count];
    const pictures = now[count] - (last[count] ?? 0);
    if (pictures > 0) seconds += (now[total] - (last[total] ?? 0)) / pictures;
  };
  for (const report of (await connection.getStats()).values()) {
    if (report.kind !== "video") continue;
    if (report.type === "inbound-rtp") {
      mean(report, "jitterBufferDelay", "jitterBufferEmittedCount");
      mean(report, "totalDecodeTime", "framesDecoded");
    } else if (report.type === "outbound-rtp") {
      mean(report, "totalEncodeTime", "framesEncoded");
      // The other end knows that a picture is whole when the next one begins.
      if (report.framesPerSecond) seconds += 1 / report.framesPerSecond;
    }
  }
  last = now;
  return 1000 * seconds;
}

async function act(path) {
  try {
    const { files = [] } = await api("POST", path);
    for (const name of files) {
      const link = Object.assign(document.createElement("a"), {
        href: `api/captures/${encodeURIComponent(name)}`, textContent: name, download: name,
      });
      const item = document.createElement("li");
      item.append(link);
      $("live-captures").prepend(item);
      $("live-taken").hidden = false;
    }
    if (files.length) say(`Saved ${files.join(" and ")}`);
  } catch (error) {
    say(error.message);
  }
}

function fail(mine, text) {
  if (session !== mine) return;
  end(mine);
  notice(text, true);
}

async function stop() {
  const mine = session;
  if ($("live-record").getAttribute("aria-pressed") === "true") await act("live/recording/stop");
  end(mine);
  notice("Choose a camera and press Start.");
  await api("DELETE", `live/${mine.id}`).catch((error) => say(error.message));
}

function end(mine) {
  clearInterval(mine.timer);
  mine.connection?.close();
  mine.camera?.getTracks().forEach((track) => track.stop());
  session = null;
  last = {};
  for (const video of videos) video.srcObject = null;
  stage.empty = true;
  $("live-start").textContent = "Start";
  $("live-source").disabled = false;
  $("live-snapshot").disabled = $("live-record").disabled = true;
  $("live-record").setAttribute("aria-pressed", "false");
  $("live-record").textContent = "Record";
  $("live-recording").hidden = true;
  for (const name of ["fps", "delay", "backend", "source", "dropped"]) $(`figure-${name}`).textContent = "–";
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
