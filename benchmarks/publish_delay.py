"""Delay of a published stream, from camera to a receiver that has decoded it.

A stand-in for OpenCV's camera writes the time into its images, as in live_latency.py. The session
has a window on a virtual screen and publishes at the same time; another process receives the
stream, decodes it, and reads the time back. What is compared is how long images take to either.

    python benchmarks/publish_delay.py [--way rtsp|udp] [--sound] [--seconds 60]
                                       [--json FILE] [--plot FILE.png]

Linux, with Xvfb installed. Exit code 1 if the stream's p95 is more than 60 ms above the window's,
if it drifts by more than 20 ms from the first minute to the last, or if more than one image in a
hundred is missing.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import cv2  # before PyAV, see zerodce_rt/live/__init__.py
import numpy as np
from live_latency import (
    BITS,
    BLOCK,
    MeasuredWindow,
    Record,
    StampedCamera,
    delay_ms,
    read_stamp,
    virtual_screen,
)
from numpy.typing import NDArray

from zerodce_rt.bench import write_json
from zerodce_rt.bench.hardware import hardware
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live import microphone, session
from zerodce_rt.live.camera import CameraSettings
from zerodce_rt.live.feeds import open_feed

WARM_UP_SECONDS = 5.0
MOST_ABOVE_MS, MOST_DRIFT_MS, MOST_MISSING = 60.0, 20.0, 0.01
_MINUTE = 60.0
# A microphone in real time, by FFmpeg's device for filters.
BEEPS = "aevalsrc='0.4*sin(2000*PI*t)*lt(mod(t,1),0.04)':s=48000,asetnsamples=960,arealtime"
_OPTIONS = {"flags": "low_delay", "analyzeduration": "1000000", "probesize": "500000"}


def receive(url: str, path: Path, listen: bool) -> None:
    """Note when each image of a stream was decoded, its delay, and its time in the stream."""
    import av

    options = _OPTIONS | ({"rtsp_flags": "listen", "listen_timeout": "60"} if listen else {})
    with av.open(url, options=options, timeout=(60, 5)) as source, path.open("w") as out:
        source.streams.video[0].thread_type = "SLICE"
        try:
            for frame in source.decode(video=0):
                now = time.monotonic()
                rows = frame.to_ndarray(format="gray")
                middle = BLOCK // 2
                blocks = rows[-middle, middle : middle + BITS * BLOCK : BLOCK]
                seconds = float("nan") if frame.time is None else frame.time
                out.write(f"{now} {delay_ms(read_stamp(blocks), now)} {seconds}\n")
        except (av.FFmpegError, OSError):
            pass  # the sender has ended


@dataclass(frozen=True)
class Result:
    """One run; delays in milliseconds, from camera to screen and to the receiver's frames."""

    way: str
    sound: bool
    size: str
    fps: float
    seconds: float
    captured: int
    received: int
    window_p50_ms: float
    window_p95_ms: float
    stream_p50_ms: float
    stream_p95_ms: float
    stream_max_ms: float
    first_minute_p50_ms: float
    last_minute_p50_ms: float
    step_p95_error_ms: float

    @property
    def above_ms(self) -> float:
        """p95 of the stream above the window's."""
        return self.stream_p95_ms - self.window_p95_ms

    @property
    def drift_ms(self) -> float:
        return self.last_minute_p50_ms - self.first_minute_p50_ms


def measure(
    way: str, seconds: float, *, sound: bool
) -> tuple[Result, NDArray[np.float64], NDArray[np.float64]]:
    """One run; the result, and for the window and the stream, times and delays."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"{way}://127.0.0.1:{port}" + ("/yard" if way == "rtsp" else "")
    MeasuredWindow.record, MeasuredWindow.enhancing = Record(), True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "received"
        receiver = subprocess.Popen([sys.executable, __file__, "--receive", url, str(path)])
        time.sleep(2)
        settings = session.LiveSettings(
            publish=url, seconds=seconds + WARM_UP_SECONDS, microphone=BEEPS if sound else None
        )
        session.run_live(open_feed("0", camera=CameraSettings()), Enhancer.for_video(), settings)
        receiver.wait(60)
        stream = np.loadtxt(path).reshape(-1, 3)
    window = np.array([MeasuredWindow.record.seconds, MeasuredWindow.record.delays_ms]).T
    begin = window[0, 0] + WARM_UP_SECONDS
    window, stream = window[window[:, 0] >= begin], stream[stream[:, 0] >= begin]
    steps = 1000 * np.diff(stream[:, 2]) - 1000 / StampedCamera.rate
    first, last = (
        stream[stream[:, 0] < begin + _MINUTE],
        stream[stream[:, 0] > stream[-1, 0] - _MINUTE],
    )
    result = Result(
        way=way, sound=sound,
        size=f"{StampedCamera.width}x{StampedCamera.height}", fps=StampedCamera.rate,
        seconds=round(stream[-1, 0] - begin, 1), captured=len(window), received=len(stream),
        window_p50_ms=float(np.percentile(window[:, 1], 50)),
        window_p95_ms=float(np.percentile(window[:, 1], 95)),
        stream_p50_ms=float(np.percentile(stream[:, 1], 50)),
        stream_p95_ms=float(np.percentile(stream[:, 1], 95)),
        stream_max_ms=float(stream[:, 1].max()),
        first_minute_p50_ms=float(np.median(first[:, 1])),
        last_minute_p50_ms=float(np.median(last[:, 1])),
        step_p95_error_ms=float(np.nanpercentile(np.abs(steps), 95)),
    )  # fmt: skip
    return result, window, stream


def report(result: Result) -> None:
    way = result.way + ", with sound" * result.sound
    print(f"{way}, {result.size} at {result.fps:g} fps for {result.seconds:.0f} s: "
          f"{result.captured} in the window, {result.received} received")  # fmt: skip
    print(f"camera to window:    p50 {result.window_p50_ms:5.1f} ms   "
          f"p95 {result.window_p95_ms:5.1f} ms")  # fmt: skip
    print(f"camera to receiver:  p50 {result.stream_p50_ms:5.1f} ms   "
          f"p95 {result.stream_p95_ms:5.1f} ms   max {result.stream_max_ms:5.1f} ms")  # fmt: skip
    print(f"p95 above the window's: {result.above_ms:.1f} ms; first to last minute: "
          f"{result.drift_ms:+.1f} ms; steps between frames: p95 of the error "
          f"{result.step_p95_error_ms:.1f} ms")  # fmt: skip


def plot(
    result: Result, window: NDArray[np.float64], stream: NDArray[np.float64], path: Path
) -> None:
    """Draw both delays over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for rows, label in ((stream, f"received by {result.way}"), (window, "in the window")):
        axes.plot(rows[:, 0] - window[0, 0], rows[:, 1], ".", markersize=2, label=label)
    title = f"{result.size} at {result.fps:g} fps, {hardware()['processor']}"
    axes.set(xlabel="seconds", ylabel="ms from camera", ylim=(0, 200), title=title)
    axes.legend(markerscale=5, fontsize=8)
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--way", choices=["rtsp", "udp"], default="rtsp")
    parser.add_argument("--sound", action="store_true", help="a microphone's goes along")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument("--receive", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive is not None:
        receive(options.receive[0], Path(options.receive[1]), options.receive[0].startswith("rtsp"))
        return 0
    with ExitStack() as stack:
        MeasuredWindow.screen = stack.enter_context(virtual_screen())
        stack.enter_context(patch.object(cv2, "VideoCapture", StampedCamera))
        stack.enter_context(patch.object(session, "Window", MeasuredWindow))
        stack.enter_context(patch.dict(microphone._DEVICES, {"Linux": ("lavfi",)}))
        result, window, stream = measure(options.way, options.seconds, sound=options.sound)
    report(result)
    if options.json is not None:
        write_json(
            options.json, {"publish_delay": asdict(result)},
            program="python benchmarks/publish_delay.py",
        )  # fmt: skip
    if options.plot is not None:
        plot(result, window, stream, options.plot)
    missing = 1 - result.received / result.captured
    return int(
        result.above_ms > MOST_ABOVE_MS
        or abs(result.drift_ms) > MOST_DRIFT_MS
        or missing > MOST_MISSING
    )


if __name__ == "__main__":
    sys.exit(main())
