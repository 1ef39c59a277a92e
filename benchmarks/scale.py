"""What segments cost, what several workers gain, and a model of many, checked against what is here.

Enhances one video in one piece, in segments by one worker, and in segments by two, in turns:

    python benchmarks/scale.py [VIDEO] [--rounds 3] [--json FILE] [--plot FILE]

Without VIDEO, 65 seconds of the demo's room are filmed first. Time is told as CPU time as well,
since a machine may be shared. The model: a worker starts, then there are as many rounds of segments
as it takes, then they are joined:

    seconds(N) = start + ceil(segments / N) * slowdown(N) * segment + join

``slowdown`` is 1 where each worker has cores of its own, as on several machines. On one machine one
worker already uses most of the cores, so ``slowdown(2)`` is measured: 2 would be no gain.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zerodce_rt.bench.hardware import hardware
from zerodce_rt.bench.load import LoadMeter
from zerodce_rt.demo.program import write_clip
from zerodce_rt.demo.scene import film
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.executors.processes import Processes
from zerodce_rt.units import SegmentUnit, Unit
from zerodce_rt.video.one_piece import enhance_in_one_piece
from zerodce_rt.video.plan import Plan, make_plan
from zerodce_rt.video.segment import enhance_segment, join_segments
from zerodce_rt.video.task import VideoTask

MOST_TIME, MOST_SIZE = 0.04, 0.02
"""What segments may cost, as shares of one piece."""

SECONDS, RATE = 65, 25
_WORKERS = (1, 2, 4, 8, 16, 32, 64)


class Measured:
    """Wall-clock and CPU seconds of each part, over all rounds."""

    def __init__(self) -> None:
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), _cpu_seconds()
        yield
        self.wall.setdefault(name, []).append(time.perf_counter() - wall)
        self.cpu.setdefault(name, []).append(_cpu_seconds() - cpu)

    def seconds(self, name: str, kind: str = "wall") -> float:
        """Median of all rounds."""
        return statistics.median(getattr(self, kind)[name])


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


class Scale:
    """Measures with one video, in a folder."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._folder = folder
        self.enhancer = Enhancer.for_video()
        self.one = VideoTask(source=source, output=folder / "one.mp4")
        self.task = VideoTask(source=source, output=folder / "many.mp4")
        plan = make_plan(self.task, self.enhancer.settings)
        if plan is None:
            sys.exit(f"{source}: is enhanced in one piece; a longer video is needed")
        self.plan: Plan = plan
        self.paths = [folder / f"{segment.index}.mp4" for segment in plan.segments]
        self.measured = Measured()

    def round(self) -> None:
        """Everything once."""
        measured = self.measured
        with measured.part("one piece"):
            enhance_in_one_piece(self.one, self.enhancer)
        with measured.part("plan"):
            make_plan(self.task, self.enhancer.settings)
        with measured.part("segments"):
            for segment, path in zip(self.plan.segments, self.paths, strict=True):
                enhance_segment(self.task, self.plan, segment, self.enhancer, path)
        with measured.part("join"):
            join_segments(self.task, self.plan, self.paths)
        for jobs in (1, 2):
            with measured.part(f"workers {jobs}"):
                self._by_processes(jobs)

    def _by_processes(self, jobs: int) -> None:
        units: list[Unit] = [
            SegmentUnit(self.task, self.plan, segment, path)
            for segment, path in zip(self.plan.segments, self.paths, strict=True)
        ]
        left = iter(units)
        executor = Processes(self.enhancer, jobs)
        try:
            for outcome in executor.run(lambda: next(left, None), lambda *_: None):
                if outcome.error is not None:
                    raise outcome.error
        finally:
            executor.close()


def model(seconds: Callable[[str], float], segments: int) -> dict[str, Any]:
    """The model's figures, and what it says of one and two workers here."""
    count = math.ceil
    segment = seconds("segments") / segments
    # What a worker of its own process takes more than one here.
    start = max(0.0, seconds("workers 1") - seconds("segments"))
    join = seconds("join")
    rounds = count(segments / 2)
    slowdown = max(1.0, (seconds("workers 2") - start) / (rounds * segment))
    return {
        "segment_seconds": segment, "start_seconds": start, "join_seconds": join,
        "slowdown_of_two_here": slowdown,
        "seconds_by_workers": {
            n: start + count(segments / n) * segment + join for n in _WORKERS if n <= segments
        },
    }  # fmt: skip


def summary(scale: Scale) -> dict[str, Any]:
    """All figures."""
    seconds, measured = scale.measured.seconds, scale.measured
    many = seconds("plan") + seconds("segments") + seconds("join")
    many_cpu = sum(measured.seconds(n, "cpu") for n in ("plan", "segments", "join"))
    sizes = [task.output.stat().st_size for task in (scale.one, scale.task)]
    return {
        "segments": len(scale.plan.segments),
        "frames": scale.plan.frames,
        "seconds": {name: seconds(name) for name in measured.wall},
        "cpu_seconds": {name: measured.seconds(name, "cpu") for name in measured.cpu},
        "overhead_time": many / seconds("one piece") - 1,
        "overhead_cpu_time": many_cpu / measured.seconds("one piece", "cpu") - 1,
        "overhead_size": sizes[1] / sizes[0] - 1,
        "two_workers_gain": seconds("workers 1") / seconds("workers 2"),
        "model": model(seconds, len(scale.plan.segments)),
    }


def show(result: dict[str, Any]) -> None:
    """Print the figures, and whether they are what they must be."""
    print(f"{result['frames']} frames in {result['segments']} segments")
    for name, seconds in result["seconds"].items():
        print(f"{name:>10}: {seconds:7.2f} s, CPU {result['cpu_seconds'][name]:7.2f} s")
    for name, key, most in (
        ("time", "overhead_time", MOST_TIME), ("CPU time", "overhead_cpu_time", MOST_TIME),
        ("size", "overhead_size", MOST_SIZE),
    ):  # fmt: skip
        met = "met" if result[key] < most else "MISSED"
        print(f"segments cost {result[key]:+.1%} {name} (must be below {most:.0%}): {met}")
    print(f"two workers here: {result['two_workers_gain']:.2f} times as fast as one")
    model = result["model"]
    print(
        f"model: {model['start_seconds']:.1f} s to start, {model['segment_seconds']:.1f} s a "
        f"segment, {model['join_seconds']:.1f} s to join"
    )
    for workers, seconds in model["seconds_by_workers"].items():
        print(f"  {workers:>2} workers with cores of their own: {seconds:6.1f} s")


def draw(result: dict[str, Any], path: Path) -> None:
    """A chart of seconds by workers."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    by_workers = result["model"]["seconds_by_workers"]
    axes.plot(list(by_workers), list(by_workers.values()), "o-", label="model: own cores for each")
    join = result["seconds"]["join"]
    here = [result["seconds"][f"workers {n}"] + join for n in (1, 2)]
    axes.plot([1, 2], here, "s", label="measured: sharing this machine")
    axes.axhline(result["seconds"]["one piece"], ls=":", color="grey", label="in one piece")
    axes.set(xlabel="workers", ylabel="seconds", ylim=(0, None),
             title=f"{result['frames']} frames in {result['segments']} segments")  # fmt: skip
    axes.legend()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = options.video
        if source is None:
            source = folder / "dark.mp4"
            write_clip(source, (dark for dark, _ in film(SECONDS * RATE)))
        scale, load = Scale(source, folder), LoadMeter()
        for _ in range(options.rounds):
            scale.round()
        result = summary(scale) | {"others_load": load.others(), "hardware": hardware()}
    show(result)
    if options.plot:
        draw(result, options.plot)
    if options.json:
        result["command"] = "python benchmarks/scale.py"
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
