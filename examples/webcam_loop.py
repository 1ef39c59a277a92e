"""Show a camera, brightened, in a window of OpenCV; Q quits.

python webcam_loop.py              # camera 0
python webcam_loop.py night.mp4    # a file, as fast as it can be read
"""

from __future__ import annotations

import argparse
import sys
import time

import cv2

from zerodce_rt import Enhancer


def main() -> None:
    parser = argparse.ArgumentParser(description="Show a camera, brightened; Q quits.")
    parser.add_argument("source", nargs="?", default="0", help="camera number or video file")
    parser.add_argument("--frames", type=int, help="stop after so many")
    options = parser.parse_args()
    source = int(options.source) if options.source.isdecimal() else options.source
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        sys.exit(f"{source}: no such camera or video")
    bright = None
    shown = 0
    with Enhancer.for_video() as enhancer:
        while shown != options.frames:
            captured, frame = capture.read()
            if not captured:
                break
            # The first call makes an array for the result, the others write to it again.
            bright = enhancer(frame, order="bgr", seconds=time.monotonic(), out=bright)
            cv2.imshow("Bright", bright)
            shown += 1
            if cv2.waitKey(1) == ord("q"):
                break
    capture.release()
    cv2.destroyAllWindows()
    print(f"{shown} frames shown")


if __name__ == "__main__":
    main()
