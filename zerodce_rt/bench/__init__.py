"""``zerodce-rt bench``: speed on this machine, stage by stage, compared with other methods."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from zerodce_rt.atomic import finished_file
from zerodce_rt.backends import BACKENDS, probed
from zerodce_rt.bench.hardware import hardware, peak_memory_mb, versions
from zerodce_rt.bench.stages import FrameResult, measure_frame
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS
from zerodce_rt.names import DEFAULT_WORKING_SIZE, FRAME_SIZES, MODELS


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What to measure: every combination of sizes, formats, models and backends.

    Attributes:
        sizes: keys of ``names.FRAME_SIZES``, or like ``"800x600"`` (width x height).
        formats: keys of ``frame.FORMATS``.
        models: names of ``names.MODELS``; empty: the default of each backend.
        backends: names of backends, ``"auto"``, or ``"all"``: those that work here.
        working_size: see ``WorkingSize.parse``.
        seconds: for each combination, warm-up not counted; above 0 and at most 3600.

    Raises:
        ValueError: an unknown name or a value outside its range.
    """

    sizes: Sequence[str] = ("480p", "720p", "1080p", "4K")
    formats: Sequence[str] = ("yuv420p",)
    models: Sequence[str] = ()
    backends: Sequence[str] = ("auto",)
    working_size: str = str(DEFAULT_WORKING_SIZE)
    seconds: float = 5.0

    def __post_init__(self) -> None:
        for size in self.sizes:
            parse_size(size)
        WorkingSize.parse(self.working_size)
        for kind, names, valid in (
            ("format", self.formats, list(FORMATS)),
            ("model", self.models, list(MODELS)),
            ("backend", self.backends, ["auto", "all", *BACKENDS]),
        ):
            for name in names:
                if name not in valid:
                    raise ValueError(f"unknown {kind} {name!r}; valid: {', '.join(valid)}")
        if not 0 < self.seconds <= 3600:
            raise ValueError(f"`seconds` must be above 0 and at most 3600, not {self.seconds:g}")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in pixels of a size such as ``"1080p"`` or ``"800x600"``.

    Raises:
        ValueError: for anything else.
    """
    if text in FRAME_SIZES:
        return FRAME_SIZES[text]
    width, _, height = text.partition("x")
    if width.isdecimal() and height.isdecimal() and 1 <= int(width) * int(height) <= 10**9:
        return int(width), int(height)
    raise ValueError(f"size must be one of {', '.join(FRAME_SIZES)} or like 800x600, not {text!r}")


def run_frames(settings: BenchSettings) -> Iterator[FrameResult]:
    """Measure the combinations, one after another.

    Raises:
        ZeroDCEError: a backend that is not available.
    """
    for model in settings.models or (None,):
        for backend in usable_backends(settings.backends):
            with Enhancer(
                model=model, backend=backend, working_size=settings.working_size
            ) as enhancer:
                for size, format in product(settings.sizes, settings.formats):
                    yield measure_frame(enhancer, size, parse_size(size), format, settings.seconds)


def usable_backends(names: Sequence[str]) -> list[str]:
    """Names of the backends to measure, with ``"all"`` replaced by those that work here.

    Raises:
        ZeroDCEError: ``"all"``, and none works.
    """
    if "all" not in names:
        return list(names)
    found = [backend.name for backend, answer in probed() if isinstance(answer, str)]
    if not found:
        raise ZeroDCEError("no backend is available; see 'zerodce-rt doctor'")
    return found


def write_json(path: Path, results: dict[str, Any], *, program: str = "zerodce-rt") -> None:
    """Write results, with the command, the hardware and the versions that they are of.

    Args:
        results: what ``json`` can write; its keys go to the top level.
        program: what was run, without the arguments, which are those of this process.
    """
    document = {
        "command": " ".join([program, *sys.argv[1:]]),
        "hardware": hardware(),
        "versions": versions(),
        **results,
        "peak_memory_mb": peak_memory_mb(),
    }
    with finished_file(path) as partial:
        partial.write_text(json.dumps(document, indent=1) + "\n")


QUICK = BenchSettings(sizes=("720p", "1080p"), seconds=3.0)
"""Two sizes, in less than half a minute."""
