"""Delay of the studio's live picture, from the browser's camera to the browser's screen.

Headless Chromium plays a dark clip as its camera, whose frames have their number written in
black and white. The page notes when the camera captured each, and when the picture that came
back is due on its screen: WebRTC to the program, enhancing, and WebRTC back, on one machine. Only
the camera itself and the screen itself are left out.

    python benchmarks/studio_latency.py [--seconds 30] [--json FILE]

Needs Chromium, and the extras ``studio`` and ``test``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.media import dark_scene
from tests.support.studio import chromium, studio, write_camera
from zerodce_rt.bench import write_json

SIZE = 1280, 720
BITS, BLOCK = 7, 32
FRAMES = 90
WARM_UP_SECONDS = 5
# A number comes again after three seconds, which no picture takes.
_LONGEST_MS = 2000

_WATCH = """
const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await original(wanted);
  const video = Object.assign(document.createElement("video"), { muted: true, srcObject: stream });
  video.play();
  watch(video, "captured", (now, about) => about.captureTime ?? now, () => 0);
  return stream;
};
window.seen = { captured: [], shown: [] };
function watch(video, name, timeOf, leftOf) {
  const look = async (now, about) => {
    video.requestVideoFrameCallback(look);
    // Only the rows with the number are copied: a canvas would convert the whole picture.
    const frame = new VideoFrame(video);
    const rect = { x: leftOf(video), y: video.videoHeight - %(block)d,
                   width: %(bits)d * %(block)d, height: %(block)d };
    const luma = new Uint8Array(frame.allocationSize({ rect }));
    await frame.copyTo(luma, { rect });
    const packed = frame.format.startsWith("RGB") || frame.format.startsWith("BGR") ? 4 : 1;
    frame.close();
    let number = 0;
    for (let bit = 0; bit < %(bits)d; bit += 1) {
      const at = (rect.width * %(block)d / 2 + (bit + 0.5) * %(block)d) * packed;
      number |= (luma[at] > 127) << bit;
    }
    window.seen[name].push([number, timeOf(now, about)]);
  };
  video.requestVideoFrameCallback(look);
}
addEventListener("DOMContentLoaded", () => {
  // The enhanced half, where both are sent.
  watch(document.querySelector("#live-after"), "shown", (now, about) => about.expectedDisplayTime,
        (video) => (video.videoWidth > 2000 ? video.videoWidth / 2 : 0));
});
""" % {"bits": BITS, "block": BLOCK}  # noqa: UP031 - the braces are the script's


@dataclass(frozen=True)
class Result:
    """Delays in milliseconds, from capture to the screen, of one view.

    Attributes:
        fps: of the pictures that were shown.
        said_ms: the delay that the page itself estimates, which leaves out the screen.
    """

    def __str__(self) -> str:
        return (
            f"{self.view:<9} {self.fps:4.1f} fps   p50 {self.p50_ms:5.1f} ms   "
            f"p95 {self.p95_ms:5.1f} ms   max {self.max_ms:5.1f} ms   "
            f"(the page says {self.said_ms:.0f} ms)"
        )

    view: str
    pictures: int
    fps: float
    p50_ms: float
    p95_ms: float
    max_ms: float
    said_ms: float


def numbered(number: int) -> Any:
    """A dark picture with its number in the last rows, ``(H, W, 3)`` uint8 RGB."""
    width, height = SIZE
    noise = np.random.default_rng(number).normal(0, 2, (height, width, 1))
    picture = np.clip(dark_scene(number, width, height) + noise, 0, 255).astype(np.uint8)
    bits = number >> np.arange(BITS) & 1
    picture[-BLOCK:, : BITS * BLOCK] = np.repeat(bits * 255, BLOCK).astype(np.uint8)[:, None]
    return picture


def delays_ms(seen: dict[str, list[list[float]]]) -> list[float]:
    """Of each picture that was shown, since the same number was captured last before."""
    captured: dict[int, list[float]] = {}
    for number, at in seen["captured"]:
        captured.setdefault(int(number), []).append(at)
    delays = []
    for number, at in seen["shown"]:
        before = [at - begun for begun in captured.get(int(number), []) if begun < at]
        if before and min(before) < _LONGEST_MS:
            delays.append(min(before))
    return delays


def measure(page: Any, view: str, seconds: float) -> Result:
    page.check(f"#live-views [value={view}]", force=True)
    page.wait_for_timeout(1000 * WARM_UP_SECONDS)
    page.evaluate("window.seen.captured.length = window.seen.shown.length = 0")
    page.wait_for_timeout(1000 * seconds)
    delays = delays_ms(page.evaluate("window.seen"))
    p50, p95 = np.percentile(delays, [50, 95])
    return Result(
        view=view, pictures=len(delays), fps=len(delays) / seconds, p50_ms=float(p50),
        p95_ms=float(p95), max_ms=max(delays),
        said_ms=float(page.text_content("#figure-delay").split()[0]),
    )  # fmt: skip


def main() -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder, studio() as address:
        camera = Path(folder, "camera.y4m")
        write_camera(camera, [numbered(n) for n in range(FRAMES)])
        flag = f"--use-file-for-fake-video-capture={camera}"
        with sync_playwright() as playwright, chromium(playwright, flag) as browser:
            page = browser.new_context(permissions=["camera"]).new_page()
            page.add_init_script(_WATCH)
            page.goto(address)
            page.wait_for_selector("html[data-ready]", state="attached")
            page.click("#live-start")
            page.wait_for_timeout(1000 * WARM_UP_SECONDS)
            for view in ("split", "enhanced"):
                results.append(measure(page, view, options.seconds))
                print(results[-1])
    if options.json is not None:
        document = {"size": f"{SIZE[0]}x{SIZE[1]}", "seconds": options.seconds,
                    "views": [asdict(result) for result in results]}  # fmt: skip
        write_json(
            options.json, {"studio": document}, program="python benchmarks/studio_latency.py"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
