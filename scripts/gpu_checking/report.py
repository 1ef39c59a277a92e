"""Figures, and what is written and printed of them. Needs no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from tests.support.worker_pool import Outcome
from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError

L2 = Literal["hot", "flushed", "exceeded", ""]


@dataclass(frozen=True)
class Figure:
    """One measurement, and its goals.

    Attributes:
        value: in ``unit``; times are medians.
        must, want: the value that is required, and a better one to aim for.
        larger: larger values are better.
        l2: whether the card's cache held what is read (``"hot"``), did not (``"flushed"``), or
            is too small for what is read and written in between (``"exceeded"``); empty where
            that does not matter.
    """

    what: str
    value: float
    unit: str
    must: float | None = None
    want: float | None = None
    larger: bool = False
    l2: L2 = ""

    @property
    def verdict(self) -> str:
        for name, bound in (("want", self.want), ("must", self.must)):
            if bound is not None and (self.value >= bound if self.larger else self.value <= bound):
                return f"{name} met"
        return "MISSED" if self.must is not None else ""

    @property
    def line(self) -> str:
        cache = f" (L2 {self.l2})" if self.l2 else ""
        return f"{self.what}: {self.value:.4g} {self.unit}{cache} {self.verdict}".rstrip()


@dataclass(frozen=True)
class Fact:
    """Something about the machine or a choice that was made on it."""

    what: str
    value: str


@dataclass
class Report:
    """All that is known so far; each addition is written to ``gpu_check.json``.

    Attributes:
        counts: of checks, by how they ended.
        remarks: what could not be measured, and what else there is to say.
    """

    folder: Path
    command: str
    facts: dict[str, str] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    finished: bool = False

    def add(self, value: object) -> None:
        """Take a figure or fact from a process."""
        if isinstance(value, Figure):
            # A job that is run again measures again.
            same = [f for f in self.figures if (f.what, f.l2) == (value.what, value.l2)]
            self.figures = [*(f for f in self.figures if f not in same), value]
            print(value.line, flush=True)
        elif isinstance(value, Fact):
            self.facts[value.what] = value.value
            print(f"{value.what}: {value.value}", flush=True)
        self.write()

    def remark(self, line: str) -> None:
        self.remarks.append(line)
        print(line, flush=True)
        self.write()

    def count(self, outcome: Outcome) -> None:
        """Take what became of a check. Written every few checks: there are hundreds."""
        self.counts[outcome.state] = self.counts.get(outcome.state, 0) + 1
        if outcome.state == "failed":
            self.failures.append(outcome.line)
            print(f"FAILED {outcome.line}", flush=True)
        elif outcome.state == "not run":
            self.not_run.append(outcome.line)
        elif outcome.blamed:
            self.remarks.append(
                f"{outcome.name}: passed in a fresh process; before, where an earlier check may "
                f"have been at fault: {outcome.blamed}"
            )
        if outcome.state != "passed" or outcome.blamed or sum(self.counts.values()) % 10 == 0:
            self.write()

    def write(self) -> None:
        content: dict[str, Any] = asdict(self) | {
            "figures": [asdict(f) | {"verdict": f.verdict} for f in self.figures],
        }
        del content["folder"]
        try:
            with finished_file(self.folder / "gpu_check.json") as partial:
                partial.write_text(json.dumps(content, indent=1) + "\n")
        except (OSError, ZeroDCEError) as error:  # what is printed is still worth the work
            print(f"not written: {error}", flush=True)

    def print_table(self) -> None:
        print(f"\n{'':<58}{'':>12}{'must':>8}{'want':>8}  {'L2':<9}")
        for f in self.figures:
            bounds = "".join(f"{'' if b is None else format(b, 'g'):>8}" for b in (f.must, f.want))
            line = f"{f.what:<58}{f.value:>8.5g} {f.unit:<3}{bounds}  {f.l2:<9} {f.verdict}"
            print(line.rstrip())
        for title, lines in (
            ("remarks", self.remarks), ("not run", self.not_run), ("FAILED", self.failures),
        ):  # fmt: skip
            if lines:
                print(f"\n{title}:", *lines, sep="\n  ")
        states = ", ".join(f"{n} {state}" for state, n in self.counts.items()) or "none"
        print(f"\nchecks: {states}", flush=True)


def draw(figures: Sequence[Figure], path: Path, title: str) -> None:
    """Draw the figures that have a required value as bars: twice as good is twice as long."""
    shown = [f for f in figures if f.must is not None]
    image = np.full((60 + 48 * len(shown), 1000, 3), 255, np.uint8)

    def write(text: str, place: tuple[int, int], scale: float) -> None:
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, text, place, font, scale, (0, 0, 0), 1, cv2.LINE_AA)

    write(title, (10, 28), 0.6)
    for row, figure in enumerate(shown):
        top = 56 + 48 * row
        assert figure.must is not None
        better = figure.value / figure.must if figure.larger else figure.must / figure.value
        length = int(min(1.0, better / 4) * 960)
        colour = (90, 170, 60) if figure.verdict != "MISSED" else (60, 60, 210)
        cv2.rectangle(image, (10, top + 20), (10 + length, top + 38), colour, -1)
        cv2.line(image, (250, top + 16), (250, top + 42), (0, 0, 0), 1)
        text = f"{figure.what}: {figure.value:.4g} {figure.unit} (must {figure.must:g})"
        write(text, (10, top + 12), 0.5)
    cv2.imwrite(str(path), image)
