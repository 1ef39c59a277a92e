"""What ``soak.py`` makes of its workers' samples: a verdict, and a chart. Needs matplotlib.

Memory is judged from about 40 minutes on: before, pools and allocators fill.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Caches and pools fill in the beginning: at least two minutes, but half of a short run.
WARM_UP_SHARE, WARM_UP_SECONDS = 0.1, 120.0
MEMORY_MB_PER_HOUR = 20.0
# In less time than this, pools and allocators come to rest, and the slope says little.
LEAST_SECONDS = 1800.0
DELAY_RATIO, DELAY_NOISE_MS = 1.5, 5.0


COLOURS = {"live": "tab:blue", "files": "tab:orange"}


@dataclass(frozen=True)
class Sample:
    """A worker at one moment.

    Attributes:
        seconds: since the worker began.
        resting: between two sessions or rounds, with nothing open and freed memory given back:
            comparable with its like.
        memory_mb: resident; where the system does not say, the peak.
        descriptors, tasks: open descriptors, and threads by the system's count; None where it
            does not say.
        threads: those that Python has started.
        delay_p50_ms, delay_p95_ms: from capture to output, since the last sample; None without
            an image.
        done: frames or files so far.
        restarts: of the sender so far.
    """

    seconds: float
    resting: bool
    memory_mb: float
    descriptors: int | None
    threads: int
    tasks: int | None
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    done: int
    restarts: int


@dataclass(frozen=True)
class Finding:
    """A line of the verdict."""

    worker: str
    what: str
    measured: str
    limit: str
    passed: bool


def warm_up_seconds(length_seconds: float) -> float:
    return min(max(WARM_UP_SHARE * length_seconds, WARM_UP_SECONDS), length_seconds / 2)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs (Theil and Sen): outliers do not move it."""
    x, y = np.array(points, float).T
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] > x[first]
    return float(np.median(((y[second] - y[first])[apart]) / ((x[second] - x[first])[apart])))


def quarters(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Medians over the first and the last quarter of the time; None if there is nothing in one."""
    if not points:
        return None
    begin, end = points[0][0], points[-1][0]
    first = [y for x, y in points if x <= begin + (end - begin) / 4]
    last = [y for x, y in points if x >= end - (end - begin) / 4]
    return (float(np.median(first)), float(np.median(last))) if len(points) > 1 else None


def column(samples: Sequence[Sample], name: str) -> list[tuple[float, float]]:
    """Times and values of a figure, where there is one."""
    pairs = ((s.seconds, getattr(s, name)) for s in samples)
    return [(x, y) for x, y in pairs if y is not None]


def judge_memory(worker: str, memory: Sequence[tuple[float, float]]) -> Finding:
    what = "memory at rest"
    length = memory[-1][0] - memory[0][0]
    per_hour = 3600 * slope(memory)
    measured = f"{per_hour:+.1f} MB/h, {per_hour * length / 3600:+.1f} MB in all"
    if length < LEAST_SECONDS:
        return Finding(worker, what, measured, "too short to be judged", passed=True)
    limit = f"{MEMORY_MB_PER_HOUR:g} MB/h"
    return Finding(worker, what, measured, limit, per_hour <= MEMORY_MB_PER_HOUR)


def judge(worker: str, samples: Sequence[Sample], length_seconds: float) -> list[Finding]:
    """What grew, after the warm-up."""
    warm = [s for s in samples if s.seconds >= warm_up_seconds(length_seconds)]
    resting = [s for s in warm if s.resting]
    findings = []
    if len(resting) > 2:
        findings.append(judge_memory(worker, column(resting, "memory_mb")))
    for name, shown in (("descriptors", "descriptors"), ("threads", "Python's threads"),
                        ("tasks", "the system's threads")):  # fmt: skip
        medians = quarters(column(resting, name))
        if medians is not None:
            measured = f"{medians[0]:g} to {medians[1]:g}"
            # A median may lie between two numbers: the sender's pipe is away for a second.
            grew = medians[1] >= medians[0] + 1
            findings.append(Finding(worker, shown, measured, "no growth", not grew))
    medians = quarters(column(warm, "delay_p95_ms"))
    if medians is not None:
        findings.append(Finding(
            worker, "delay, p95", f"{medians[0]:.1f} to {medians[1]:.1f} ms",
            f"{DELAY_RATIO:g} times, and {DELAY_NOISE_MS:g} ms",
            medians[1] <= DELAY_RATIO * medians[0] + DELAY_NOISE_MS,
        ))  # fmt: skip
    return findings


def print_table(findings: Sequence[Finding]) -> None:
    rows = [("", "", "slope, or first to last quarter", "may grow by", "")]
    rows += [
        (f.worker, f.what, f.measured, f.limit, "pass" if f.passed else "FAIL") for f in findings
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))


# ---- the chart


def minutes(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x / 60 for x, _ in points], [y for _, y in points]


def draw(path: Path, samples: dict[str, list[Sample]], length_seconds: float, title: str) -> None:
    """Four panels over time: memory, descriptors and threads, delay, work."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    ((memory, counts), (delay, done)) = figure.subplots(2, 2, sharex=True)
    figure.suptitle(title, fontsize=11)
    warm = warm_up_seconds(length_seconds)
    other = done.twinx() if len(samples) > 1 else done
    for worker, rows in samples.items():
        if rows:
            draw_memory(memory, worker, rows, warm)
            draw_counts(counts, worker, rows)
            draw_done(done if worker == "live" else other, worker, rows)
    draw_delay(delay, samples.get("live", []))
    memory.set(title="Resident memory", ylabel="MB", ylim=(0, None))
    counts.set(title="Descriptors and threads, at rest")
    # Room for the legend above the lines.
    counts.set_ylim(0, 1.5 * counts.get_ylim()[1])
    counts.yaxis.get_major_locator().set_params(integer=True)
    delay.set(title="Delay from capture to output", ylabel="ms", xlabel="minutes")
    done.set(title="Work done", xlabel="minutes")
    for axis in (memory, counts, delay, done):
        axis.axvspan(0, warm / 60, color="black", alpha=0.05, linewidth=0)
        axis.grid(visible=True, alpha=0.25)
        axis.set_xlim(0, length_seconds / 60)
        axis.spines[["top", "right"]].set_visible(False)
        labels = axis.get_legend_handles_labels()[1]
        if labels:
            place = "upper left" if axis is counts else "best"
            axis.legend(fontsize=8, loc=place, ncols=2 if len(labels) > 3 else 1)
    memory.annotate("warm-up", (0.4 * warm / 60, 0), xycoords=("data", "axes fraction"),
                    xytext=(0, 4), textcoords="offset points", fontsize=8, ha="center",
                    color="grey")  # fmt: skip
    figure.savefig(path)


def draw_memory(axis: Axes, worker: str, rows: Sequence[Sample], warm: float) -> None:
    x, y = minutes(column(rows, "memory_mb"))
    axis.plot(x, y, color=COLOURS[worker], linewidth=1, alpha=0.7)
    resting = [r for r in rows if r.resting]
    axis.plot(*minutes(column(resting, "memory_mb")), color=COLOURS[worker], marker="o",
              markersize=4, linewidth=0, markerfacecolor="white")  # fmt: skip
    fitted = column([r for r in resting if r.seconds >= warm], "memory_mb")
    label = worker
    if len(fitted) > 2:
        rate = slope(fitted)
        label += f": at rest {3600 * rate:+.1f} MB/h"
        middle = float(np.median([y - rate * x for x, y in fitted]))
        ends = [fitted[0][0], fitted[-1][0]]
        axis.plot([e / 60 for e in ends], [middle + rate * e for e in ends],
                  color=COLOURS[worker], linewidth=2.5, linestyle="--")  # fmt: skip
    axis.plot([], [], color=COLOURS[worker], label=label)


def draw_counts(axis: Axes, worker: str, rows: Sequence[Sample]) -> None:
    resting = [r for r in rows if r.resting]
    for name, marker, what in (("descriptors", "o", "descriptors"), ("tasks", "s", "threads"),
                               ("threads", "^", "Python's threads")):  # fmt: skip
        x, y = minutes(column(resting, name))
        if x:
            axis.plot(x, y, color=COLOURS[worker], marker=marker, markersize=4, linewidth=0.8,
                      label=f"{worker}: {what}", markerfacecolor="white")  # fmt: skip


def draw_delay(axis: Axes, rows: Sequence[Sample]) -> None:
    if not rows:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color="grey")
        axis.set_yticks([])
        return
    highest = 0.0
    for name, label, width in (("delay_p95_ms", "p95", 0.8), ("delay_p50_ms", "median", 1.6)):
        x, y = minutes(column(rows, name))
        highest = max([highest, *([float(np.percentile(y, 98))] if y else [])])
        axis.plot(x, y, color=COLOURS["live"], linewidth=width, label=label,
                  alpha=0.5 if name == "delay_p95_ms" else 1)  # fmt: skip
    # A single hitch must not press everything else flat.
    axis.set_ylim(0, 1.5 * highest or None)
    for before, after in itertools.pairwise(rows):
        if after.restarts > before.restarts:
            axis.axvline(after.seconds / 60, color="grey", linewidth=0.8, linestyle=":")
    axis.plot([], [], color="grey", linewidth=0.8, linestyle=":", label="sender started anew")


def draw_done(axis: Axes, worker: str, rows: Sequence[Sample]) -> None:
    x, y = minutes(column(rows, "done"))
    axis.plot(x, y, color=COLOURS[worker])
    axis.set_ylabel("frames, live" if worker == "live" else "files", color=COLOURS[worker])
    axis.tick_params(axis="y", colors=COLOURS[worker])
    axis.set_ylim(0, None)
