"""Whether a folder of pictures of many shapes takes longer than one of a single shape.

    python benchmarks/picture_shapes.py

Both kinds of pictures are enhanced in turns, in memory; the same number of pixels each.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from zerodce_rt import Enhancer

PIXELS = 64_000


def picture(rng: np.random.Generator, ratio: float) -> NDArray[np.uint8]:
    """A dark picture of ``PIXELS`` pixels with a ratio of width to height."""
    height = round((PIXELS / ratio) ** 0.5)
    return rng.integers(5, 40, (height, PIXELS // height, 3)).astype(np.uint8)


def milliseconds(enhancer: Enhancer, image: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    enhancer(image)
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200, help="of each kind (default: 200)")
    count: int = parser.parse_args().pictures
    rng = np.random.default_rng(0)
    enhancer = Enhancer()
    same = picture(rng, 1.5)
    milliseconds(enhancer, same)
    times: dict[str, list[float]] = {"one shape": [], "many shapes": []}
    for ratio in np.geomspace(1 / 3, 3, count):
        times["one shape"].append(milliseconds(enhancer, same))
        times["many shapes"].append(milliseconds(enhancer, picture(rng, float(ratio))))
    for name, all_of_it in times.items():
        print(
            f"{name:12} {np.mean(all_of_it):6.1f} ms a picture (mean), "
            f"{np.median(all_of_it):5.1f} (median), {max(all_of_it):5.1f} (longest)"
        )
    means = [float(np.mean(t)) for t in times.values()]
    print(f"many shapes take {means[1] / means[0]:.2f} times as long")


if __name__ == "__main__":
    main()
