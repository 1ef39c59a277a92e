"""Score weights on photographs, by how well a darkened photograph is restored.

Photographs that were left out of training are darkened by several stops in linear light, with
sensor noise. They are enhanced and compared with the originals: PSNR, SSIM and mean level. The
dark pictures themselves and plain gamma 0.4 are scored, too, for comparison.

    python scripts/score.py PHOTOS/ --hold-out 13 [--weights FILE ...] [--sheet FILE.png]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from zerodce_rt import Enhancer
from zerodce_rt.names import DEFAULT_MODEL, DEFAULT_WORKING_SIZE, MODELS
from zerodce_rt.progress import progress_bar
from zerodce_rt.training.metrics import psnr, ssim
from zerodce_rt.training.photos import Degradation, find_photos, read_photo, to_image, to_tensor

Picture = NDArray[np.uint8]
Methods = dict[str, Callable[[Picture], Picture]]
"""What makes a dark picture bright, by name."""

Score = tuple[float, float, float]
"""PSNR in dB, SSIM, and mean level minus the original's in 8-bit levels."""

# Mean levels of originals. A picture outside is no example of a good exposure.
WELL_LIT = (80, 170)
SHEET_COLUMNS = 4  # for each darkness


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument(
        "--hold-out", type=int, default=13, metavar="N", help="use every N-th photograph"
    )
    parser.add_argument(
        "--stops", type=float, nargs="+", default=[-4, -5, -6, -7], help="changes of exposure"
    )
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], metavar="FILE", help="default: our own"
    )
    parser.add_argument("--working-size", default=str(DEFAULT_WORKING_SIZE), metavar="SIZE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE.png", help="draw dark, gamma, enhanced, original"
    )
    options = parser.parse_args()

    methods = methods_to_score(options.weights, options.working_size)
    paths = find_photos(options.photos)[:: options.hold_out]
    photos = [p for p in map(read_photo, paths) if p is not None]
    originals = [p for p in photos if WELL_LIT[0] <= p.mean() <= WELL_LIT[1]]
    if not originals:
        raise SystemExit(f"{options.photos}: none of {len(paths)} photographs is well lit")
    print(f"{len(originals)} held-out photographs, {options.stops} stops")

    scores: dict[str, dict[str, Score]] = {name: {} for name in methods}
    columns: list[list[Picture]] = []
    for stops in options.stops:
        means, shown = score_at(stops, originals, methods)
        columns += shown
        for name, mean in means.items():
            scores[name][f"{stops:g}"] = mean

    print(f"{'':<16}" + "".join(f"{s:>+20g} stops" for s in options.stops) + f"{'all':>26}")
    for name, by_stops in scores.items():
        rows = [*by_stops.values(), tuple(np.mean(list(by_stops.values()), axis=0))]
        cells = [f"{p:6.2f} dB / {s:.3f} / {b:+5.0f}" for p, s, b in rows]
        print(f"{name:<16}" + "".join(f"{c:>26}" for c in cells))
    print("PSNR / SSIM / mean level minus the original's, in 8-bit levels")
    if options.json:
        options.json.write_text(json.dumps(scores, indent=1) + "\n")
    if options.sheet:
        write_sheet(options.sheet, columns)


def methods_to_score(weights: list[Path], working_size: str) -> Methods:
    """The dark picture itself, gamma, and enhancers with these weights or our own.

    Noise is left as it is, which would hide differences between weights.
    """
    methods: Methods = {"identity": lambda x: x, "gamma 0.4": gamma}
    for path in weights:
        methods[path.stem] = Enhancer(weights=path, working_size=working_size, denoise=0)
    for model in () if weights else MODELS:
        methods[model] = Enhancer(model=model, working_size=working_size, denoise=0)
    if not weights:
        methods[f"{DEFAULT_MODEL}, denoised"] = Enhancer(working_size=working_size, denoise=1)
    return methods


def gamma(image: Picture) -> Picture:
    """Plain gamma 0.4, the simplest way to brighten."""
    return ((image / 255.0) ** 0.4 * 255).round().astype(np.uint8)


def score_at(
    stops: float, originals: list[Picture], methods: Methods
) -> tuple[dict[str, Score], list[list[Picture]]]:
    """Mean scores of each method at one darkness, and some columns for the sheet."""
    darken = Degradation(probability=1, stops=(stops, stops), white_balance=0.03)
    generator = torch.Generator().manual_seed(1)
    scores: dict[str, list[Score]] = {name: [] for name in methods}
    columns = []
    every = max(1, len(originals) // SHEET_COLUMNS)
    items = progress_bar(f"{stops:g} stops", unit="photo", items=originals)
    for index, original in enumerate(items):
        target = to_tensor(original)
        dark = to_image(darken(target[None], generator)[0])
        results = {name: method(dark) for name, method in methods.items()}
        for name, result in results.items():
            tensor = to_tensor(result)
            level = float(result.mean()) - float(original.mean())
            scores[name].append((psnr(tensor, target), ssim(tensor, target), level))
        if index % every == 0:
            columns.append([*results.values(), original])
    means = {}
    for name, values in scores.items():
        mean = np.mean(values, axis=0)
        means[name] = (float(mean[0]), float(mean[1]), float(mean[2]))
    return means, columns


def write_sheet(path: Path, columns: list[list[Picture]], *, cell: int = 150) -> None:
    """Write a picture with a column for each photograph and a row for each method.

    Args:
        cell: side in pixels that photographs are cropped and reduced to.
    """

    def square(image: Picture) -> Picture:
        side = min(image.shape[:2])
        return cv2.resize(image[:side, :side], (cell, cell), interpolation=cv2.INTER_AREA).astype(
            np.uint8
        )

    sheet = np.hstack([np.vstack([square(i) for i in column]) for column in columns])
    cv2.imwrite(str(path), sheet[..., ::-1])


if __name__ == "__main__":
    main()
