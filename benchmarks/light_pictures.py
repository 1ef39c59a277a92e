"""The chart and the contact sheets of ``light_quality.py``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from light_inputs import Picture, Place
from quality_pictures import labelled

from zerodce_rt.atomic import finished_file

COLUMNS = ["given", "gamma 0.4", "plus", "light", "truth"]
MOST_ROWS = 4
# Height of a picture and of an enlarged detail on a sheet, and how much the latter is enlarged.
HEIGHT, DETAIL, ENLARGED = 176, 210, 3
GAP = 4
JPEG_QUALITY = 76
COLOURS = {
    "identity": "0.75", "gamma 0.4": "0.55", "CLAHE": "C4", "dcenet": "C2", "plus": "C0",
    "light": "C1", "light, denoised": "C3",
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A row of a contact sheet.

    Attributes:
        pictures: by name; those of ``COLUMNS`` are shown.
        details: places to enlarge; empty: where ``light`` is farthest from the truth, or from
            what is given where there is none.
    """

    pictures: dict[str, Picture]
    details: Sequence[Place] = ()


def plot(scores: dict[str, dict[str, tuple[float, float]]], path: Path, title: str) -> None:
    """Draw the PSNR of each method for each input, of the whole picture and of its lit part.

    Args:
        scores: of each method, for each input, PSNR of the whole and of the lit part in dB; NaN
            for none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), dpi=120, layout="constrained")
    for axes, part, what in zip(figure.subplots(2), (0, 1), ("whole", "lit part"), strict=True):
        inputs = [
            name for name in dict.fromkeys(i for own in scores.values() for i in own)
            if any(not math.isnan(own[name][part]) for own in scores.values() if name in own)
        ]  # fmt: skip
        width = 0.8 / len(scores)
        for index, (method, own) in enumerate(scores.items()):
            places = np.arange(len(inputs)) - 0.4 + (index + 0.5) * width
            heights = [own[name][part] for name in inputs]
            axes.bar(places, heights, width, label=method, color=COLOURS.get(method))
        axes.set_xticks(np.arange(len(inputs)), inputs)
        axes.set(ylabel=f"PSNR, {what}, dB")
        axes.grid(axis="y", alpha=0.3)
    figure.axes[0].set_title(title, fontsize=10)
    figure.axes[0].legend(fontsize=8, ncols=4, loc="upper left")
    figure.axes[0].margins(y=0.3)
    with finished_file(path) as partial:
        figure.savefig(partial)


def sheets(folder: Path, name: str, rows: Sequence[Shown]) -> None:
    """Write ``NAME.jpg``, the pictures side by side, and ``NAME_details.jpg``, enlarged parts."""
    folder.mkdir(parents=True, exist_ok=True)
    whole, details = [], []
    for row in rows:
        shown = {n: row.pictures[n] for n in COLUMNS if n in row.pictures}
        whole.append([labelled(scaled(p, HEIGHT), n) for n, p in shown.items()])
        for place in row.details or [worst_place(row.pictures)]:
            details.append([labelled(detail(p, place), n) for n, p in shown.items()])
    write(folder / f"{name}.jpg", whole)
    write(folder / f"{name}_details.jpg", details)


def worst_place(pictures: dict[str, Picture]) -> Place:
    """Where ``light`` is farthest from the truth, or from what is given."""
    target = pictures.get("truth", pictures["given"]).astype(np.float32)
    error = np.abs(pictures["light"] - target).mean(axis=2)
    side = DETAIL // ENLARGED
    error = cv2.blur(error, (side, side), borderType=cv2.BORDER_CONSTANT)
    y, x = np.unravel_index(int(error.argmax()), error.shape)
    return float(x / error.shape[1]), float(y / error.shape[0])


def detail(picture: Picture, place: Place) -> Picture:
    """A square part about a place, enlarged."""
    side = min(DETAIL // ENLARGED, *picture.shape[:2])
    x, y = (
        int(np.clip(share * length - side / 2, 0, length - side))
        for share, length in zip(place, (picture.shape[1], picture.shape[0]), strict=True)
    )
    part = picture[y : y + side, x : x + side]
    return cv2.resize(part, (DETAIL, DETAIL), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def scaled(picture: Picture, height: int) -> Picture:
    size = round(picture.shape[1] * height / picture.shape[0]), height
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def write(path: Path, rows: Sequence[Sequence[Picture]]) -> None:
    """Write pictures ``(H, W, 3)`` in RGB, of one height in each row, as one JPEG."""
    lines = [np.hstack([np.pad(p, ((0, GAP), (0, GAP), (0, 0))) for p in row]) for row in rows]
    width = max(line.shape[1] for line in lines)
    lines = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0))) for line in lines]
    with finished_file(path) as partial:
        cv2.imwrite(str(partial), np.vstack(lines)[..., ::-1], (1, JPEG_QUALITY))
