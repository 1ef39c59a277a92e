"""Results as a table, and as a chart."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from zerodce_rt.atomic import finished_file
from zerodce_rt.bench.clip import ClipResult
from zerodce_rt.bench.load import BUSY, SPREAD
from zerodce_rt.bench.stages import FrameResult
from zerodce_rt.errors import ZeroDCEError

HEADER = (
    f"{'size':<10}{'format':<14}{'model':<8}{'backend':<10}"
    f"{'thumb':>8}{'estimate':>9}{'control':>9}{'denoise':>9}{'apply':>8}{'whole':>9}"
    f"{'p25-p75':>16}{'p95':>8}{'cpu':>8}"
    f"{'fps':>7}{'GFLOP/s':>9}{'GB/s':>6}{'copy':>7}{'gamma':>7}{'published':>11}{'ratio':>8}"
    f"{'from-to':>14}"
)
LEGEND = (
    "Median milliseconds per frame; p25-p75 (quartiles of the turns), p95 and cpu (CPU time of all "
    "threads) are of the whole. GFLOP/s: of the network. GB/s: of the curve.\n"
    "For comparison: copy, gamma (a look-up table) and published (the Zero-DCE++ design in "
    "PyTorch); ratio is published / whole, from-to the same with the quartiles of both.\n"
    "A GPU has several frames in flight, so its fps are higher than those of one whole frame after "
    "another."
)
REAL_TIME = (30, 60)
"""Frame rates of common video, drawn as lines in the charts."""


def row(result: FrameResult) -> str:
    """A line of the table under ``HEADER``."""
    whole = result.stages["whole"]
    thumbnail, estimate, control, denoise, apply = (
        result.stages[name].median_ms if name in result.stages else None
        for name in ("thumbnail", "estimate", "control", "denoise", "apply")
    )
    low, high = result.times_published_range
    return (
        f"{result.size:<10}{result.format:<14}{result.model:<8}{result.backend:<10}"
        f"{_cell(thumbnail, 8, 2)}{_cell(estimate, 9, 2)}{_cell(control, 9, 2)}"
        f"{_cell(denoise, 9, 2)}{_cell(apply, 8, 2)}"
        f"{whole.median_ms:>9.2f}{f'{whole.p25_ms:.2f}-{whole.p75_ms:.2f}':>16}"
        f"{whole.p95_ms:>8.2f}{whole.cpu_ms:>8.2f}{result.fps:>7.0f}"
        f"{_cell(result.estimate_gflops, 9, 1)}{_cell(result.apply_gbs, 6, 1)}"
        f"{result.baselines['pass-through'].median_ms:>7.2f}"
        f"{result.baselines['gamma'].median_ms:>7.2f}"
        f"{result.baselines['published'].median_ms:>11.1f}{result.times_published:>7.1f}x"
        f"{f'{low:.1f}-{high:.1f}':>14}"
    )


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def clip_table(result: ClipResult) -> str:
    """The table of a whole file, a line for each step."""
    lines = [
        f"{result.clip}: {result.width}x{result.height}, {result.frames} frames, backend "
        f"{result.backend}, H.264 veryfast",
        f"{'':<44}{'fps':>8}{'slowest':>9}{'cpu ms/frame':>15}",
    ]
    for text, step in (
        ("decode", result.decode),
        ("decode + enhance", result.enhance),
        ("encode", result.encode),
        ("decode + enhance + encode: the whole run", result.whole),
        ("plain transcoding", result.transcode),
    ):
        lines.append(f"{text:<44}{step.fps:>8.1f}{step.slowest_fps:>9.1f}{step.cpu_ms:>15.1f}")
    lines.append(f"the whole run has {result.share_of_transcode:.2f} of plain transcoding's speed")
    return "\n".join(lines)


def caution(results: Sequence[FrameResult | ClipResult]) -> str | None:
    """A line that says why figures are rough; None if they are not."""
    load = max((r.load for r in results if r.load is not None), default=0.0)
    spread = max((r.spread for r in results), default=0.0)
    reasons = []
    if load > BUSY:
        reasons.append(f"the machine was busy ({100 * load:.0f} % used by others)")
    if spread > SPREAD:
        reasons.append(f"times varied by {100 * spread:.0f} %")
    return f"{' and '.join(reasons)}: figures are rough" if reasons else None


def plot_frames(results: Iterable[FrameResult], path: Path, title: str) -> None:
    """Draw frames per second over frame size, with lines at the rates of common video."""
    results = sorted(results, key=lambda r: r.width * r.height)
    figure, axes = _figure(path)
    lines: dict[str, list[tuple[float, float]]] = {}
    ticks: dict[float, str] = {}
    published: dict[float, float] = {}
    for result in results:
        pixels = result.width * result.height / 1e6
        ticks[pixels] = f"{result.size}\n{result.width}x{result.height}"
        ours = f"{result.model}, {result.backend}, {result.format}"
        lines.setdefault(ours, []).append((pixels, result.fps))
        published[pixels] = 1000 / result.baselines["published"].median_ms
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), "o-", label=name)
    axes.plot(
        list(published), list(published.values()), "s--", color="grey",
        label="published Zero-DCE++ design, PyTorch",
    )  # fmt: skip
    for rate in REAL_TIME:
        axes.axhline(rate, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(f"{rate} fps", (1, rate), xycoords=("axes fraction", "data"), va="bottom",
                      ha="right", fontsize=8)  # fmt: skip
    axes.set(xscale="log", yscale="log", ylabel="frames a second, in memory", title=title)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def plot_clip(result: ClipResult, path: Path, title: str) -> None:
    """Draw frames per second of each step of enhancing a file."""
    figure, axes = _figure(path)
    steps = {
        "decode": result.decode, "decode + enhance": result.enhance,
        "encode": result.encode, "whole run": result.whole,
        "plain\ntranscoding": result.transcode,
    }  # fmt: skip
    bars = axes.barh(list(steps), [step.fps for step in steps.values()])
    axes.bar_label(bars, fmt="%.0f")
    axes.invert_yaxis()
    axes.set(xlabel="frames a second", title=f"{result.clip}\n{title}")
    for rate in REAL_TIME:
        axes.axvline(rate, color="black", linewidth=0.8, linestyle=":")
    _save(figure, path)


def check_plotting() -> None:
    """Make sure that charts can be drawn, before minutes of measuring.

    Raises:
        ZeroDCEError: matplotlib is missing.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ZeroDCEError("charts need matplotlib; pip install matplotlib") from error
    # It reports that it looks through the system's fonts, the first time.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def _figure(path: Path) -> tuple:
    check_plotting()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), dpi=120, layout="constrained")
    return figure, figure.subplots()


def _save(figure: object, path: Path) -> None:
    with finished_file(path) as partial:
        figure.savefig(partial)  # type: ignore[attr-defined]
