"""Send live images to an output of your own: here one thumbnail a second, without a window.

python own_live_output.py 0 thumbnails/                    # camera 0, until Ctrl-C
python own_live_output.py rtsp://camera.local/s thumbnails/
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt import Enhancer, ZeroDCEError
from zerodce_rt.live import LiveSettings, open_feed, run_live


class Thumbnails:
    """Writes one small JPEG a second: 00000.jpg, 00001.jpg, ..."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.count, self.next_seconds = folder, 0, -math.inf

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Called for each image, ``(H, W, 3)`` BGR, with the time it was captured."""
        if seconds >= self.next_seconds:
            size = 160, 160 * image.shape[0] // image.shape[1]
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(self.folder / f"{self.count:05}.jpg"), small)
            self.count, self.next_seconds = self.count + 1, seconds + 1

    def close(self) -> None:
        print(f"{self.count} thumbnails in {self.folder}")


def main() -> None:
    parser = argparse.ArgumentParser(description="One brightened thumbnail a second.")
    parser.add_argument("source", help="camera number, stream, or video file")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    outputs = [Thumbnails(options.folder)]
    try:
        feed = open_feed(options.source)
        with Enhancer.for_video() as enhancer:
            run_live(feed, enhancer, LiveSettings(window=False), outputs=outputs)
    except ZeroDCEError as error:  # such as a camera that is not there
        sys.exit(str(error))


if __name__ == "__main__":
    main()
