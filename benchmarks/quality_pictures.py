"""The chart and the contact sheets of ``quality.py``."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from quality_scores import Truth

from zerodce_rt.atomic import finished_file
from zerodce_rt.frame import FORMATS
from zerodce_rt.media.frames import convert

Picture = NDArray[np.uint8]

COLUMNS = ["dark", "none", "ours", "nlmeans"]
STRIPS = ["none", "ours"]
STRIP_FRAMES = 4
# Width of a picture on a sheet, and how much a cut-out is enlarged to get there.
CELL, ENLARGED = 480, 3


def plot(points: dict[str, tuple[float, float]], path: Path, title: str) -> None:
    """Draw quality over cost.

    Args:
        points: for each method, CPU milliseconds and the PSNR gained in dB.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name, (cost, gain) in points.items():
        if cost > 0:
            ours = name == "ours"
            axes.plot(cost, gain, "o", color="C1" if ours else "C0", markersize=8 if ours else 6)
            axes.annotate(name, (cost, gain), xytext=(6, 4), textcoords="offset points",
                          fontsize=9, weight="bold" if ours else "normal")  # fmt: skip
    if "none" in points:
        gain = points["none"][1]
        axes.axhline(gain, color="black", linewidth=0.8, linestyle=":")
        axes.annotate("enhanced without denoising", (1, gain), va="bottom", ha="right",
                      xycoords=("axes fraction", "data"), fontsize=8)  # fmt: skip
    axes.set(xscale="log", xlabel="CPU milliseconds of the filter for a 1080p frame",
             ylabel="PSNR gain over the published method, dB", title=title)  # fmt: skip
    axes.margins(0.12)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True, alpha=0.3)
    with finished_file(path) as partial:
        figure.savefig(partial)


def sheet(
    path: Path, pictures: Picture, results: dict[str, list[av.VideoFrame]], truth: Truth
) -> None:
    """Write one frame of several methods with cut-outs, and successive frames of two of them.

    Args:
        pictures: the well-lit clip, ``(N, H, W, 3)`` in RGB.
        results: the dark clip and the enhanced ones, by method; those of ``COLUMNS`` are shown.
    """
    at, moving, dark = places(truth)
    methods = [name for name in COLUMNS if name in results]
    whole = {"truth": pictures[at][..., ::-1]} | {name: bgr(results[name][at]) for name in methods}
    rows = [[labelled(fitted(p), name) for name, p in whole.items()]]
    rows += [[fitted(p[part]) for p in whole.values()] for part in (moving, dark)]
    for name in (name for name in STRIPS if name in results):
        frames = range(at - STRIP_FRAMES + 1, at + 1)
        strip = [fitted(bgr(results[name][index])[moving]) for index in frames]
        rows.append([labelled(p, f"{name}, frame {i}") for i, p in zip(frames, strip, strict=True)])
    columns = max(map(len, rows))
    for row in rows:
        row += [np.zeros_like(row[0])] * (columns - len(row))
    with finished_file(path) as partial:
        cv2.imwrite(str(partial), np.vstack([np.hstack(row) for row in rows]))


def places(truth: Truth) -> tuple[int, tuple[slice, slice], tuple[slice, slice]]:
    """A frame, the part of it that moves most, and a dark part that is still.

    The frame is the one that moves most, or the last of the strip about the change of scene.
    """
    shares = [m.mean() for m in truth.moving[STRIP_FRAMES - 2 :]]
    at = int(np.argmax(shares)) + STRIP_FRAMES - 1
    if len(truth.starts) > 1:
        at = truth.starts[1] + STRIP_FRAMES - 2
    rows, columns = truth.planes.luma.shape[1:]
    width = min(columns, CELL // ENLARGED)
    height = min(rows, width * rows // columns)
    moves = truth.moving[at - 1].astype(np.float32)
    level = truth.planes.luma[at].astype(np.float32) / 255
    still = truth.still[at - 1].astype(np.float32) - level

    def best(score: NDArray[np.float32]) -> tuple[slice, slice]:
        inside = cv2.boxFilter(score, -1, (width, height), anchor=(0, 0))
        inside = inside[: rows - height + 1, : columns - width + 1]
        y, x = np.unravel_index(int(inside.argmax()), inside.shape)
        return slice(int(y), int(y) + height), slice(int(x), int(x) + width)

    return at, best(moves), best(still)


def bgr(frame: av.VideoFrame) -> Picture:
    """The frame's picture, ``(H, W, 3)``."""
    return convert(frame, FORMATS["bgr24"]).to_ndarray().astype(np.uint8)


def fitted(picture: Picture) -> Picture:
    """Scaled to the width of a cell."""
    height = round(picture.shape[0] * CELL / picture.shape[1])
    larger = picture.shape[1] < CELL
    method = cv2.INTER_NEAREST if larger else cv2.INTER_AREA
    return cv2.resize(picture, (CELL, height), interpolation=method).astype(np.uint8)


def labelled(picture: Picture, text: str) -> Picture:
    """With a caption at the top left."""
    for colour, (x, y) in (((0, 0, 0), (9, 25)), ((255, 255, 255), (8, 24))):
        cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 2, cv2.LINE_AA)
    return picture
