"""How long one frame takes on the CPU, stage by stage, frames in memory in yuv420p.

The frame is 8-bit BT.709 noise, so that no stage is spared work. Beside it, in the same run,
OpenCV's BGR -> I420 conversion of the same frame: what a program pays that leaves YUV at all.

    python benchmarks/cpu_frames.py [--json benchmarks/results/cpu_frames.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from zerodce_rt import Enhancer
from zerodce_rt.appliers.cpu import usable_cores
from zerodce_rt.doctor import processor
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes

SIZES = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="plus")
    parser.add_argument("--working-size", default="64")
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    enhancer = Enhancer(model=options.model, working_size=options.working_size)
    print(f"{processor()}; {enhancer.estimator.name}, {options.model} at {options.working_size}")
    print(f"{'size':<8}{'thumbnail':>12}{'estimate':>12}{'apply':>12}{'whole':>12}{'p95':>10}"
          f"{'fps':>8}{'BGR->I420':>12}")  # fmt: skip
    results = {"processor": processor(), "cores": usable_cores(), "model": options.model,
               "working_size": options.working_size, "sizes": {}}  # fmt: skip
    for name, (width, height) in SIZES.items():
        source = noise(width, height)
        target = source.empty_like()
        thumbnail_size = enhancer.working_size.of(height, width)
        thumbnail = enhancer.applier.thumbnail(source, *thumbnail_size)
        maps = enhancer.curve_maps(source)
        bgr = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        applier = enhancer.applier
        stages: dict[str, Callable[[], object]] = {
            "thumbnail": partial(applier.thumbnail, source, *thumbnail_size),
            "estimate": partial(enhancer.estimator.estimate, thumbnail),
            "apply": partial(applier.apply, source, maps, target),
            "whole": partial(enhancer.enhance, source, target),
            "bgr_to_i420": partial(cv2.cvtColor, bgr, cv2.COLOR_BGR2YUV_I420),
        }
        times = timed(stages, options.runs)
        median = {stage: statistics.median(t) for stage, t in times.items()}
        p95 = float(np.percentile(times["whole"], 95))
        print(
            f"{name:<8}{median['thumbnail']:>9.2f} ms{median['estimate']:>9.2f} ms"
            f"{median['apply']:>9.2f} ms{median['whole']:>9.2f} ms{p95:>7.1f} ms"
            f"{1000 / median['whole']:>8.0f}{median['bgr_to_i420']:>9.2f} ms"
        )
        results["sizes"][name] = {f"{s}_ms": round(m, 3) for s, m in median.items()}
        results["sizes"][name]["whole_p95_ms"] = round(p95, 3)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def timed(stages: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each stage, in turn, so that a noisy moment hits them all alike."""
    for stage in stages.values():
        stage()
    times: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(runs):
        for name, stage in stages.items():
            started = time.perf_counter()
            stage()
            times[name].append((time.perf_counter() - started) * 1000)
    return times


def noise(width: int, height: int) -> Frame:
    rng = np.random.default_rng(0)
    format = FORMATS["yuv420p"]
    planes = tuple(rng.integers(16, 236, s, np.uint8) for s in plane_shapes(format, width, height))
    return Frame(format, planes, width, height, Colour("bt709"))


if __name__ == "__main__":
    main()
