"""``zerodce-rt demo``: film a dark room, brighten it, show before and after."""

from __future__ import annotations

import argparse
from pathlib import Path

from zerodce_rt.errors import UsageError

SUMMARY = "render a dark clip, enhance it, and show before and after"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("zerodce-rt-demo"), metavar="FOLDER",
        help="where to put the results (default: zerodce-rt-demo)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="length of the clip (default: 4)"
    )


def run(options: argparse.Namespace) -> int:
    from zerodce_rt.demo import run_demo

    if not 0 < options.seconds <= 600:
        raise UsageError(f"--seconds must be between 0 and 600, not {options.seconds:g}")
    run_demo(options.output, seconds=options.seconds, progress=not options.quiet)
    return 0
