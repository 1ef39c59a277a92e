"""A network camera that sends dark video in real time. ``python -m tests.support.sender URL``

A process of its own, since PyAV holds the interpreter lock while it waits for a receiver.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np

RATE = 25
SIZE = 640, 360


class Sender:
    """Runs the camera inside a ``with`` block, and kills it at the end.

    Args:
        url: where to send. With tcp, the camera listens; with rtsp, the receiver must.
        frames: how many to send; default: until it is killed.
    """

    def __init__(self, url: str, *, frames: int | None = None) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tests.support.sender",
            url,
            *([str(frames)] * bool(frames)),
        ]

    def __enter__(self) -> Sender:
        self._process = subprocess.Popen(self._command)
        return self

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self.kill()


def send(url: str, frames: int | None) -> None:
    if url.startswith("tcp:"):
        url += "?listen=1&listen_timeout=20000"
    format, options = "mpegts", {}
    if url.startswith("rtsp:"):
        format, options = "rtsp", {"rtsp_transport": "tcp"}
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    scene = np.stack([x // 20, y // 10, (x + y) // 30], axis=-1).astype(np.uint8)
    with av.open(url, "w", format=format, options=options) as out:
        encoder = out.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
        )
        encoder.width, encoder.height, encoder.pix_fmt = *SIZE, "yuv420p"
        started = time.monotonic()
        for number in itertools.count() if frames is None else range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(scene, number, axis=1), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(encoder.encode(frame))
            time.sleep(max(0.0, started + number / RATE - time.monotonic()))


def main() -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            send(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
            return
        except ConnectionRefusedError:  # nobody receives yet
            time.sleep(0.1)


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # the receiver has gone
        main()
