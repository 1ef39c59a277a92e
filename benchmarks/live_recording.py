"""What recording takes from the live picture: images shown a second, without it and with it.

A stand-in for OpenCV's camera gives dark noise at a steady rate; everything after it is the real
program, with a window on the screen that ``DISPLAY`` names. In turns, it records and does not.

    xvfb-run python benchmarks/live_recording.py [--size 1920x1080] [--fps 30] [--turns 3]

Exit code 1 if less than 80 % of the images are shown while it records.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import cv2  # before PyAV, see zerodce_rt/live/__init__.py
import numpy as np
from noise_camera import NoiseCamera
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live import session
from zerodce_rt.live.camera import CameraSettings
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.viewer import Viewer

WARM_UP_SECONDS, TURN_SECONDS = 5.0, 8.0
LEAST_SHARE = 0.8


class MovingCamera(NoiseCamera):
    """A dark scene with noise, which moves."""

    width, height = 1920, 1080

    def scene(self, noise: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        ramp = np.linspace(10, 60, self.width, dtype=np.uint8)[None, :, None]
        return [np.roll(noise // 4, 7 * n, axis=0) + np.roll(ramp, 9 * n, 1) for n in range(4)]


class TurningViewer(Viewer):
    """A viewer that starts and stops a recording in turns, and counts the images."""

    turns = 3
    rates: ClassVar[tuple[list[float], list[float]]] = ([], [])
    _begun, _shown, _turn = 0.0, 0, -1

    def update(self, shot: Any) -> None:
        super().update(shot)
        now = time.monotonic()
        self._begun = self._begun or now
        turn = int((now - self._begun - WARM_UP_SECONDS) // TURN_SECONDS)
        if turn != self._turn:
            if self._turn >= 0:
                self.rates[self._turn % 2].append(self._shown / TURN_SECONDS)
            self._shown, self._turn = 0, turn
            if turn > 0:
                self.key_record("r")
            self._quit = turn >= 2 * self.turns
        self._shown += shot is not None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    MovingCamera.width, MovingCamera.height = map(int, options.size.split("x"))
    MovingCamera.rate, TurningViewer.turns = options.fps, options.turns
    camera = CameraSettings(width=MovingCamera.width, height=MovingCamera.height, rate=options.fps)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(cv2, "VideoCapture", MovingCamera),
        patch.object(session, "Viewer", TurningViewer),
    ):
        settings = session.LiveSettings(folder=Path(folder), rate=options.fps)
        session.run_live(open_feed("0", camera=camera), Enhancer.for_video(), settings)
    without, recording = (statistics.median(rates) for rates in TurningViewer.rates)
    share = recording / without
    print(f"{options.size} at {options.fps:g} fps on {os.cpu_count()} cores: {without:.1f} images "
          f"shown a second, {recording:.1f} while recording ({100 * share:.0f} %)")  # fmt: skip
    return 0 if share >= LEAST_SHARE else 1


if __name__ == "__main__":
    raise SystemExit(main())
