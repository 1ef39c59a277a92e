"""``zerodce-rt bench``: how fast it is here."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerodce_rt.cli.options import number
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.names import DEFAULT_MODEL, FRAME_SIZES, MODELS

if TYPE_CHECKING:
    from zerodce_rt.bench import BenchSettings

log = logging.getLogger(__name__)

SUMMARY = "measure how fast it is here, stage by stage"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quick", action="store_true", help="two sizes, 3 seconds each (less than half a minute)"
    )
    parser.add_argument(
        "--sizes", nargs="+", metavar="SIZE",
        help=f"{', '.join(FRAME_SIZES)}, or like 800x600 (default: 480p 720p 1080p 4K)",
    )  # fmt: skip
    parser.add_argument(
        "--formats", nargs="+", metavar="FORMAT",
        help="pixel formats as FFmpeg names them (default: yuv420p)",
    )  # fmt: skip
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        help=f"{', '.join(MODELS)} (default: {DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--backends", nargs="+", metavar="NAME",
        help="those that 'zerodce-rt doctor' lists, auto, or all (default: auto)",
    )  # fmt: skip
    parser.add_argument("--working-size", metavar="SIZE", help="as for enhance")
    parser.add_argument("--seconds", type=number, help="time for each combination (default: 5)")
    parser.add_argument(
        "--file", type=Path, metavar="CLIP",
        help="measure a whole run on a video file instead: decode, enhance, encode",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw a chart")


def run(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from zerodce_rt import bench as benchmark
    from zerodce_rt.bench import report
    from zerodce_rt.bench.hardware import peak_memory_mb

    names = ("sizes", "formats", "models", "backends", "working_size", "seconds")
    given = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
    try:
        settings = replace(benchmark.QUICK if options.quick else benchmark.BenchSettings(), **given)
        if options.file is not None and len({*settings.models}) > 1:
            raise ValueError("--file takes one model")
    except ValueError as error:
        raise UsageError(str(error)) from error
    for path in (options.json, options.plot):
        if path is not None and not path.parent.is_dir():
            raise ZeroDCEError(f"{path.parent}: no such folder")
    if options.plot is not None:
        if options.plot.suffix != ".png":
            raise UsageError(f"{options.plot}: the chart's name must end in .png")
        report.check_plotting()
    measure = _bench_file if options.file is not None else _bench_frames
    results = measure(options, settings)
    if (peak := peak_memory_mb()) is not None:
        print(f"peak memory of this process: {peak:.0f} MB")
    if options.json is not None:
        benchmark.write_json(options.json, results)
    return 0


def _bench_frames(options: argparse.Namespace, settings: BenchSettings) -> dict[str, Any]:
    from dataclasses import asdict

    from zerodce_rt.bench import report, run_frames

    processor = _show_machine()
    print(report.HEADER, flush=True)
    results = []
    for result in run_frames(settings):
        print(report.row(result), flush=True)
        results.append(result)
    print(report.LEGEND)
    _warn(report.caution(results))
    if options.plot is not None:
        report.plot_frames(results, options.plot, processor)
    return {"frames": [
        asdict(r) | {
            "fps": round(r.fps, 1), "times_published": round(r.times_published, 2),
            "times_published_range": [round(ratio, 2) for ratio in r.times_published_range],
            "spread": round(r.spread, 3),
        }
        for r in results
    ]}  # fmt: skip


def _bench_file(options: argparse.Namespace, settings: BenchSettings) -> dict[str, Any]:
    from dataclasses import asdict

    from zerodce_rt.bench import report
    from zerodce_rt.bench.clip import measure_clip
    from zerodce_rt.media.reader import VideoReader

    with VideoReader(options.file):
        pass  # a bad file is reported before anything else
    processor = _show_machine()
    result = measure_clip(
        options.file, model=next(iter(settings.models), None), backend=settings.backends[0],
        working_size=settings.working_size, progress=not options.quiet,
    )  # fmt: skip
    print(report.clip_table(result))
    _warn(report.caution([result]))
    if options.plot is not None:
        report.plot_clip(result, options.plot, processor)
    return {"file": asdict(result) | {
        "share_of_transcode": round(result.share_of_transcode, 4),
        "spread": round(result.spread, 3),
    }}  # fmt: skip


def _warn(caution: str | None) -> None:
    if caution is not None:
        log.warning("%s", caution)


def _show_machine() -> str:
    """Log what is measured on.

    Returns:
        The CPU's name.
    """
    from zerodce_rt.bench.hardware import hardware, versions

    machine = hardware()
    for key, value in machine.items():
        log.info("%s: %s", key, value)
    log.info("%s", ", ".join(f"{name} {version}" for name, version in versions().items()))
    return machine["processor"]
