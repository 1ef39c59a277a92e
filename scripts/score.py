"""Score weights on photographs with known references.

Photographs that were kept out of training are darkened by several stops in linear light, with
sensor noise; enhanced again; and compared with the originals. Identity and gamma 0.4 stand
beside, because a score means little without them.

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
from zerodce_rt.progress import progress_bar
from zerodce_rt.training.metrics import psnr, ssim
from zerodce_rt.training.photos import Degradation, find_photos, read_photo, to_image, to_tensor

Picture = NDArray[np.uint8]
# References whose own mean level is outside are no measure of a good exposure.
WELL_LIT = (80, 170)


def gamma(image: Picture) -> Picture:
    """Plain gamma 0.4, the simplest way to brighten."""
    return ((image / 255.0) ** 0.4 * 255).round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--hold-out", type=int, default=13, help="every n-th photograph")
    parser.add_argument("--stops", type=float, nargs="+", default=[-4, -5, -6, -7])
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="default: our own")
    parser.add_argument("--working-size", default="64")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path, help="dark / gamma 0.4 / enhanced / original")
    options = parser.parse_args()

    methods: dict[str, Callable[[Picture], Picture]] = {"identity": lambda x: x, "gamma 0.4": gamma}
    enhancers = [Enhancer(weights=w, working_size=options.working_size) for w in options.weights]
    names = [w.stem for w in options.weights]
    if not enhancers:
        names = ["plus", "dcenet"]
        enhancers = [Enhancer(model=n, working_size=options.working_size) for n in names]
    methods |= dict(zip(names, enhancers, strict=True))

    paths = find_photos(options.photos)[:: options.hold_out]
    references = [p for p in map(read_photo, paths) if p is not None]
    references = [p for p in references if WELL_LIT[0] <= p.mean() <= WELL_LIT[1]]
    print(f"{len(references)} held-out photographs, {options.stops} stops")
    scores: dict[str, dict[str, tuple[float, float, float]]] = {n: {} for n in methods}
    columns = []
    for stops in options.stops:
        darken = Degradation(probability=1, stops=(stops, stops), white_balance=0.03)
        totals: dict[str, list[tuple[float, float, float]]] = {n: [] for n in methods}
        generator = torch.Generator().manual_seed(1)
        for index, reference in enumerate(
            progress_bar(f"{stops:g} stops", unit="photo", items=references)
        ):
            original = to_tensor(reference)
            dark = to_image(darken(original[None], generator)[0])
            row = []
            for name, method in methods.items():
                result = method(dark)
                row.append(result)
                tensor = to_tensor(result)
                level = float(result.mean()) - float(reference.mean())
                totals[name].append((psnr(tensor, original), ssim(tensor, original), level))
            if index % (len(references) // 4) == 0:
                columns.append([*row, reference])
        for name, values in totals.items():
            mean = np.mean(values, axis=0)
            scores[name][f"{stops:g}"] = (float(mean[0]), float(mean[1]), float(mean[2]))

    print(f"{'':<16}" + "".join(f"{s:>+20g} stops" for s in options.stops) + f"{'all':>26}")
    for name, by_stops in scores.items():
        rows = [*by_stops.values(), tuple(np.mean(list(by_stops.values()), axis=0))]
        cells = [f"{p:6.2f} dB / {s:.3f} / {b:+5.0f}" for p, s, b in rows]
        print(f"{name:<16}" + "".join(f"{c:>26}" for c in cells))
    print("PSNR / SSIM / mean level minus the reference's, in 8-bit levels")
    if options.json:
        options.json.write_text(json.dumps(scores, indent=1) + "\n")
    if options.sheet:
        write_sheet(options.sheet, columns)


def write_sheet(path: Path, columns: list[list[Picture]], *, cell: int = 150) -> None:
    """One column a picture, one row a method, each cropped to a square."""

    def square(image: Picture) -> Picture:
        side = min(image.shape[:2])
        return cv2.resize(image[:side, :side], (cell, cell), interpolation=cv2.INTER_AREA).astype(
            np.uint8
        )

    sheet = np.hstack([np.vstack([square(i) for i in column]) for column in columns])
    cv2.imwrite(str(path), sheet[..., ::-1])


if __name__ == "__main__":
    main()
