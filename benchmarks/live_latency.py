"""Latency of the live picture, from camera to screen.

A stand-in for OpenCV's camera writes the time into its images; everything after it is the real
program, with a window on a virtual screen (Xvfb) of the benchmark's own. The time is read back
from the pixels of that screen. It is written in black and white, the two levels that the curve
does not change.

In turns, the enhancement is switched off, as with the space key; the difference is what the
enhancement adds.

    python benchmarks/live_latency.py [--size 1280x720] [--fps 30] [--seconds 60]
                                      [--json FILE] [--plot FILE.png]

Linux, with Xvfb installed. Exit code 1 if an image was dropped, or shown later than a frame
interval after its capture, or at 1280x720 and 30 fps if the latency's p50 or p95 misses its
target.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2  # before PyAV, see zerodce_rt/live/__init__.py
import numpy as np
from noise_camera import NoiseCamera
from numpy.typing import NDArray

from zerodce_rt.bench import write_json
from zerodce_rt.bench.hardware import hardware
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live import session
from zerodce_rt.live.camera import CameraSettings
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.viewer import Viewer
from zerodce_rt.live.window import Draw, Window

BITS, BLOCK = 32, 16
# Kernels, caches and the first estimates.
WARM_UP_SECONDS = 3.0
# With the enhancement, and without.
TURNS_SECONDS = (20.0, 5.0)
SCREEN = 2000, 1200
# Targets for two cores, with 1280x720 at 30 frames a second.
P50_MS, P95_MS = 13.0, 16.0


@dataclass
class Record:
    """For each image shown: when, its latency, and whether it was enhanced.

    Attributes:
        lost: number of images that did not appear on the screen.
        memory_mb: times, and the memory of the process then.
    """

    seconds: list[float] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    enhanced: list[bool] = field(default_factory=list)
    lost: int = 0
    memory_mb: list[tuple[float, float]] = field(default_factory=list)


def write_stamp(image: NDArray[np.uint8], seconds: float) -> None:
    """Write a time into an image's last rows, in white and black blocks."""
    value = int(seconds * 1e6) & (1 << BITS) - 1
    bits = value >> np.arange(BITS, dtype=np.uint64) & 1
    image[-BLOCK:, : BITS * BLOCK] = np.repeat(bits * 255, BLOCK).astype(np.uint8)[:, None]


def read_stamp(middles: NDArray[np.uint8]) -> int:
    """The time in microseconds, modulo 2^32, given a level of each block."""
    return int(((middles > 127).astype(np.uint64) << np.arange(BITS, dtype=np.uint64)).sum())


def delay_ms(stamp: int, now: float) -> float:
    """How long ago a stamp was written."""
    return (int(now * 1e6) - stamp & (1 << BITS) - 1) / 1000


class StampedCamera(NoiseCamera):
    """With the time in its pictures."""

    def grab(self) -> bool:
        super().grab()
        self._captured = time.monotonic()
        return True

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        _, image = super().retrieve()
        write_stamp(image, self._captured)
        return True, image


class Screen:
    """The pixels of a virtual screen, in memory (the XWD format that Xvfb -fbdir writes)."""

    def __init__(self, path: Path) -> None:
        header = np.fromfile(path, ">u4", 25)
        start = int(header[0]) + 12 * int(header[19])
        height, row = int(header[5]), int(header[12])
        whole = np.memmap(path, np.uint8, "r", offset=start, shape=(height, row))
        self.green = whole[:, 1::4]

    def stamp(self, left: float, top: float, width: float, height: float, size: int) -> int:
        """The stamp in the image that is shown there, ``size`` pixels wide before scaling."""
        scale = width / size
        x = left + (np.arange(BITS) + 0.5) * BLOCK * scale
        y = top + height - BLOCK / 2 * scale
        return read_stamp(self.green[int(y), x.astype(int)])


@contextmanager
def virtual_screen() -> Iterator[Screen]:
    """Run Xvfb on a free display, and use it in this process."""
    with tempfile.TemporaryDirectory() as folder:
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-fbdir", folder,
                   "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24"]  # fmt: skip
        try:
            server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        except FileNotFoundError:
            sys.exit("this benchmark needs Xvfb; sudo apt install xvfb")
        try:
            os.close(writing)
            with os.fdopen(reading) as answer:
                os.environ["DISPLAY"] = f":{answer.readline().strip()}"
            yield Screen(Path(folder) / "Xvfb_screen0")
        finally:
            server.terminate()
            server.wait()


class MeasuredWindow(Window):
    """A window that waits until each image is on the screen, and notes the latency."""

    screen: Screen
    record: Record
    enhancing: bool

    def show(self, image: NDArray[np.uint8], draw: Draw | None = None) -> None:
        super().show(image, draw)
        rows, columns = image.shape[:2]
        middle = BLOCK // 2
        expected = read_stamp(image[rows - middle, middle : middle + BITS * BLOCK : BLOCK, 1])
        if expected == 0:  # not an image of the camera
            return
        left, top, width, height = cv2.getWindowImageRect(self._title)
        until = time.monotonic() + 0.1
        # The X server draws in its own process.
        while self.screen.stamp(left, top, width, height, columns) != expected:
            if time.monotonic() > until:
                self.record.lost += 1
                return
            time.sleep(0.0002)
        now = time.monotonic()
        self.record.seconds.append(now)
        self.record.delays_ms.append(delay_ms(expected, now))
        self.record.enhanced.append(self.enhancing)


def memory_mb() -> float:
    """Memory of this process that is resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class MeasuredViewer(Viewer):
    """A viewer that switches the enhancement in turns, and notes the memory of the process."""

    begun = 0.0

    def update(self, shot: Any) -> None:
        super().update(shot)
        now = time.monotonic()
        self.begun = self.begun or now
        record = MeasuredWindow.record
        if not record.memory_mb or now - record.memory_mb[-1][0] >= 1:
            record.memory_mb.append((now, memory_mb()))
        on = (now - self.begun) % sum(TURNS_SECONDS) < TURNS_SECONDS[0]
        if on != self._brightener.enabled:
            self._brightener.enabled = on
        # The first images of a turn may still be those of the turn before.
        if shot is not None:
            MeasuredWindow.enhancing = shot.before is not shot.after


@dataclass(frozen=True)
class Result:
    """One run; latencies from camera to screen, in milliseconds, with and without enhancement."""

    size: str
    fps: float
    seconds: float
    shown: int
    dropped: int
    delay_p50_ms: float
    delay_p95_ms: float
    delay_max_ms: float
    off_p50_ms: float
    off_p95_ms: float
    older_than_interval: int
    first_minute_p50_ms: float
    last_minute_p50_ms: float
    memory_start_mb: float
    memory_end_mb: float
    cpu_share: float


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share)) if values else float("nan")


def run(seconds: float) -> tuple[Record, float]:
    """Run a session; its record, and its share of one CPU core."""
    MeasuredWindow.record, MeasuredWindow.enhancing = Record(), True
    feed = open_feed("0", camera=CameraSettings())
    began, cpu = time.monotonic(), time.process_time()
    session.run_live(
        feed, Enhancer.for_video(), session.LiveSettings(seconds=seconds + WARM_UP_SECONDS)
    )
    return MeasuredWindow.record, (time.process_time() - cpu) / (time.monotonic() - began)


def evaluate(record: Record, cpu_share: float) -> Result:
    camera = StampedCamera
    begin = record.seconds[0] + WARM_UP_SECONDS
    rows = [
        (at, delay, on)
        for at, delay, on in zip(record.seconds, record.delays_ms, record.enhanced, strict=True)
        if at >= begin
    ]
    delays = [delay for _, delay, on in rows if on]
    off = [delay for _, delay, on in rows if not on]
    length = rows[-1][0] - begin
    interval_ms = 1000 / camera.rate
    memory = [mb for at, mb in record.memory_mb if at >= begin]
    due = round(length * camera.rate)
    return Result(
        size=f"{camera.width}x{camera.height}", fps=camera.rate, seconds=round(length, 1),
        shown=len(rows), dropped=max(0, due - len(rows)),
        delay_p50_ms=percentile(delays, 50), delay_p95_ms=percentile(delays, 95),
        delay_max_ms=max(delays), off_p50_ms=percentile(off, 50), off_p95_ms=percentile(off, 95),
        # Counts the warm-up as well.
        older_than_interval=sum(delay > interval_ms for delay in record.delays_ms),
        first_minute_p50_ms=statistics.median(d for at, d, on in rows if on and at < begin + 60),
        last_minute_p50_ms=statistics.median(
            d for at, d, on in rows if on and at > rows[-1][0] - 60
        ),
        memory_start_mb=percentile(memory[:10], 50), memory_end_mb=percentile(memory[-10:], 50),
        cpu_share=cpu_share,
    )  # fmt: skip


def report(result: Result) -> None:
    print(f"{result.size} at {result.fps:g} fps for {result.seconds:.0f} s: {result.shown} shown, "
          f"{result.dropped} not ({100 * result.dropped / result.shown:.2f} %)")  # fmt: skip
    print(f"camera to screen, enhanced:    p50 {result.delay_p50_ms:5.1f} ms   "
          f"p95 {result.delay_p95_ms:5.1f} ms   max {result.delay_max_ms:5.1f} ms")  # fmt: skip
    print(f"camera to screen, as it is:    p50 {result.off_p50_ms:5.1f} ms   "
          f"p95 {result.off_p95_ms:5.1f} ms")  # fmt: skip
    print(f"older than a frame interval:   {result.older_than_interval} of {result.shown}")
    print(f"first and last minute:         p50 {result.first_minute_p50_ms:5.1f} and "
          f"{result.last_minute_p50_ms:.1f} ms")  # fmt: skip
    print(f"memory at begin and end:       {result.memory_start_mb:.0f} and "
          f"{result.memory_end_mb:.0f} MB; {100 * result.cpu_share:.0f} % of one core")  # fmt: skip


def plot(record: Record, result: Result, path: Path, title: str) -> None:
    """Draw every latency over time, and the memory below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    start = record.seconds[0]
    at = np.array(record.seconds) - start
    delays, on = np.array(record.delays_ms), np.array(record.enhanced)
    top.plot(at[on], delays[on], ".", markersize=2, label="enhanced")
    top.plot(at[~on], delays[~on], ".", markersize=2, color="grey", label="as it is")
    top.axhline(1000 / result.fps, color="black", linewidth=0.8, linestyle=":")
    top.annotate("one frame interval", (0, 1000 / result.fps), va="bottom", fontsize=8)
    top.set(ylabel="ms from camera to screen", ylim=(0, 60),
            title=f"{result.size} at {result.fps:g} fps, {title}")  # fmt: skip
    top.legend(markerscale=5, fontsize=8)
    bottom.plot([t - start for t, _ in record.memory_mb], [mb for _, mb in record.memory_mb])
    bottom.set(ylabel="MB", xlabel="seconds", ylim=(0, None))
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    options = parser.parse_args()
    StampedCamera.width, StampedCamera.height = (int(n) for n in options.size.split("x"))
    StampedCamera.rate = options.fps
    with ExitStack() as stack:
        MeasuredWindow.screen = stack.enter_context(virtual_screen())
        stack.enter_context(patch.object(cv2, "VideoCapture", StampedCamera))
        stack.enter_context(patch.object(session, "Window", MeasuredWindow))
        stack.enter_context(patch.object(session, "Viewer", MeasuredViewer))
        record, cpu_share = run(options.seconds)
    result = evaluate(record, cpu_share)
    report(result)
    if options.json is not None:
        write_json(
            options.json, {"live_latency": asdict(result)},
            program="python benchmarks/live_latency.py",
        )  # fmt: skip
    if options.plot is not None:
        plot(record, result, options.plot, hardware()["processor"])
    missed = record.lost + result.dropped + result.older_than_interval
    if (result.size, result.fps) == ("1280x720", 30):
        missed += result.delay_p50_ms >= P50_MS or result.delay_p95_ms >= P95_MS
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
