"""Draw the README's before/after gallery.

Well-lit pictures are darkened as a camera in the dark would (linear light, sensor noise, 8
bits), then enhanced with our weights. The pictures come with scikit-image (astronaut: NASA,
public domain; coffee and chelsea: CC0); the room is the scene of ``zerodce-rt demo``.

    pip install scikit-image && python scripts/gallery.py docs/gallery.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from zerodce_rt import Enhancer
from zerodce_rt.demo.scene import film
from zerodce_rt.training.photos import Degradation, to_image, to_tensor

CELL = (360, 270)
GAP = 6
STOPS = -5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    options = parser.parse_args()

    enhancer = Enhancer()
    room, _ = next(iter(film(1, 960, 720, stops=STOPS)))
    columns = [(room, enhancer(room))]
    for seed, name in enumerate(("astronaut", "coffee", "chelsea")):
        dark = darkened(getattr(data, name)(), seed)
        columns.append((dark, enhancer(dark)))
    rows = [np.hstack([framed(column[row]) for column in columns]) for row in (0, 1)]
    sheet = np.vstack(rows)[:-GAP, :-GAP]
    ok, encoded = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not ok:
        raise SystemExit(f"{options.output}: could not be encoded")
    encoded.tofile(options.output)


def darkened(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    darken = Degradation(probability=1, stops=(STOPS, STOPS), white_balance=0.0)
    dark = darken(to_tensor(image)[None], torch.Generator().manual_seed(seed))[0]
    return to_image(dark)


def framed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
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
