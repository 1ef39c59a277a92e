"""Units for the tests, in a module that workers can import."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import DeviceError
from zerodce_rt.storage.remote import Place
from zerodce_rt.units import SegmentUnit
from zerodce_rt.video.one_piece import Progress


@dataclass(frozen=True)
class Slowly:
    """A segment that takes its time, so that something may happen in its middle."""

    unit: SegmentUnit

    @property
    def title(self) -> str:
        return self.unit.title

    @property
    def output(self) -> Place:
        return self.unit.output

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        def report(frames: int, expected: int | None) -> None:
            time.sleep(0.05)
            progress(frames, expected)

        return self.unit.run(enhancer, report)


@dataclass(frozen=True)
class Number:
    """Nothing but a number."""

    number: int

    @property
    def title(self) -> str:
        return f"number {self.number}"

    @property
    def output(self) -> Path | None:
        return None

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        return self.number


@dataclass(frozen=True)
class Poison(Number):
    """Ends its worker."""

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        os._exit(7)


@dataclass(frozen=True)
class Wrong(Number):
    """Fails."""

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        raise ValueError(f"{self.number} is wrong")


@dataclass(frozen=True)
class Elsewhere(Number):
    """Writes its file where this machine does not see it."""

    path: Path

    @property
    def output(self) -> Path:
        return self.path


@dataclass(frozen=True)
class Says(Number):
    """Logs a warning."""

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        logging.getLogger("zerodce_rt.media").warning("said by %s", "each")
        return self.number


@dataclass(frozen=True)
class FallsBack(Number):
    """Has its enhancer go on without its card, and writes down which processes did so."""

    notes: Path

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        with self.notes.open("a") as notes:
            print(os.getpid(), file=notes)
        enhancer._runner = cast("Any", SimpleNamespace(name="another"))
        return self.number


@dataclass(frozen=True)
class OnGoodCard(Number):
    """Fails on the first card that it is given, and writes down which processes had it."""

    notes: Path

    def run(self, enhancer: Enhancer, progress: Progress) -> int:
        with self.notes.open("a") as notes:
            print(os.getpid(), file=notes)
        if len(self.notes.read_text().split()) == 1:
            raise DeviceError("the card is lost")
        return self.number
