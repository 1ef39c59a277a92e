"""Draw the README's before/after picture, with the program itself.

Each clip is darkened as a camera in the dark would see it (linear light, sensor noise, 8 bits) and
encoded with H.264; ``enhance_video`` brightens it. Shown is one frame of what the encoder made
of either. The room is the scene of ``zerodce-rt demo``, which is dark by itself.

    python scripts/before_after.py docs/before_after.jpg CLIP [CLIP ...]

The README's clips: ``asl_gestures/book.mkv`` of intel-iot-devkit/sample-videos (CC BY 4.0) and
``test_videos/solidWhiteRight.mp4`` of udacity/CarND-LaneLines-P1 (MIT).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from zerodce_rt import enhance_video
from zerodce_rt.demo.scene import film
from zerodce_rt.training.photos import Degradation, to_image, to_tensor

CELL = (420, 280)
GAP = 6
STOPS = -4.0
FRAMES, SHOWN = 30, 24
ENCODER = {"crf": "20", "preset": "veryfast"}

Image = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("clips", type=Path, nargs="+")
    options = parser.parse_args()

    scenes = [darkened(clip) for clip in options.clips]
    scenes.append(dark for dark, _ in film(FRAMES, 960, 640))
    columns = [before_and_after(scene) for scene in scenes]
    rows = [np.hstack([framed(column[row]) for column in columns]) for row in (0, 1)]
    sheet = np.vstack(rows)[:-GAP, :-GAP]
    ok, encoded = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not ok:
        raise SystemExit(f"{options.output}: could not be encoded")
    encoded.tofile(options.output)


def frames_of(clip: Path) -> Iterator[Image]:
    with av.open(str(clip)) as container:
        for frame in islice(container.decode(video=0), FRAMES):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8)


def darkened(clip: Path) -> Iterator[Image]:
    """The first frames of a clip, four stops darker, each with noise of its own."""
    darken = Degradation(probability=1, stops=(STOPS, STOPS), white_balance=0.0)
    generator = torch.Generator().manual_seed(0)
    for frame in frames_of(clip):
        yield to_image(darken(to_tensor(frame)[None], generator)[0])


def before_and_after(scene: Iterable[Image]) -> tuple[Image, Image]:
    """One frame of a scene as a file holds it, and of the file that the program makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.mp4"), Path(folder, "after.mp4")
        with av.open(str(before), "w") as out:
            video = out.add_stream("libx264", rate=25, options=ENCODER)
            for number, image in enumerate(scene):
                if number == 0:
                    video.height, video.width = image.shape[:2]
                    video.pix_fmt = "yuv420p"
                out.mux(video.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            out.mux(video.encode(None))
        enhance_video(before, after)
        one, other = (next(islice(frames_of(clip), SHOWN, None)) for clip in (before, after))
        return one, other


def framed(image: Image) -> Image:
    """The middle of a picture in the shape of a cell, with a white gap right and below."""
    width, height = CELL
    scale = max(width / image.shape[1], height / image.shape[0])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    cell = np.full((height + GAP, width + GAP, 3), 255, np.uint8)
    cell[:height, :width] = resized[top : top + height, left : left + width]
    return cell


if __name__ == "__main__":
    main()
