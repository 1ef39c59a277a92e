"""What ``scripts/gpu_check.py`` is to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.worker_pool import Job


@dataclass(frozen=True)
class Plan:
    """Figures and checks, and what is known beforehand.

    Attributes:
        missing: why nothing can be done here, if so.
        facts: of the machine.
        notes: lines to print and keep.
        figures, checks: make the jobs; the first is given the seconds for a measurement.
    """

    missing: str | None = None
    facts: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    figures: Callable[[float], list[Job]] = lambda seconds: []
    checks: Callable[[], list[Job]] = list
