"""What ``enhance`` says while it works: to people, or to programs (``--json``).

For people, standard output gets the path of each output, so that a script can go on with them;
all the rest goes to standard error.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from zerodce_rt.cli.finished import State
from zerodce_rt.cli.jobs import Job, Plan
from zerodce_rt.cli.messages import in_one_line, said_by
from zerodce_rt.media.paths import PIPE
from zerodce_rt.progress import Update, frame_progress
from zerodce_rt.streams import Lasting, printable

log = logging.getLogger(__name__)

# Between two events of progress.
_INTERVAL_SECONDS = 1.0


@dataclass
class Counts:
    """How many files came to what.

    Attributes:
        left: outputs that were there already, and are not known to be ours.
    """

    enhanced: int = 0
    finished_before: int = 0
    left: int = 0
    failed: int = 0


class TextReport:
    """For people; a context manager, which closes what is shown.

    Attributes:
        shows: whether progress is shown.

    Args:
        backend: that enhances.
        together: several workers are busy at once.
        quiet: warnings and errors only; standard output stays empty.
    """

    def __init__(self, plan: Plan, *, backend: str, together: bool, quiet: bool) -> None:
        self._plan, self._quiet, self._backend = plan, quiet, backend
        self.shows = not quiet
        self._together = together
        self._positions = {
            job: "" if plan.alone else f"[{number}/{len(plan.jobs)}] "
            for number, job in enumerate(plan.jobs, start=1)
        }
        self._bar = ExitStack()
        self._update: Update | None = None
        self._numbers: dict[Job, tuple[int, int]] = {}
        self._doing: dict[str, str] = {}
        self._ended = 0

    def __enter__(self) -> TextReport:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def begin(self, job: Job) -> None:
        pass  # the bar shows it

    def progress(self, job: Job, done: int, expected: int | None, worker: str, doing: str) -> None:
        """Show how far a job is.

        Args:
            done, expected: frames.
            worker: who does it.
            doing: what that is.
        """
        if self._update is None:
            title = f"{self._positions[job]}{job.source.name}"
            if self._together and not self._plan.alone:
                title = f"{len(self._plan.jobs)} files"
            bar = frame_progress(f"{title} [{self._backend}]", show=not self._quiet)
            self._update = self._bar.enter_context(bar)
        if not self._together:
            self._update(done, expected)
            return
        self._numbers[job] = done, expected or done
        self._doing[worker] = doing
        done, expected = (sum(numbers) for numbers in zip(*self._numbers.values(), strict=True))
        notes = [f"{who}: {what}" for who, what in sorted(self._doing.items())]
        if not self._plan.alone:
            notes.insert(0, f"{self._ended} files done")
        self._update(done, expected, ", ".join(notes))

    def _end(self) -> None:
        self._ended += 1
        if not self._together:
            self._bar.close()
            self._update = None

    def done(self, job: Job, frames: int | None, seconds: float) -> None:
        self._end()
        if not self._quiet and job.output != PIPE:  # which the video itself has taken
            print_path(str(job.output))

    def skipped(self, job: Job, state: State) -> None:
        text = "%s%s: exists already, and is left as it is"
        if state is State.FINISHED:
            text = "%s%s: was finished before; `overwrite=True` does it again"
        if state is State.THERE or self._plan.alone:  # the others are counted in the end
            log.info(text, self._positions[job], job.output)

    def failed(self, job: Job, error: Exception) -> None:
        self._end()
        if not self._plan.alone:  # otherwise it is the error of the command
            log.error("%sfailed: %s", self._positions[job], said_by(error))

    def summary(self, counts: Counts) -> None:
        if self._plan.alone:
            return
        if count := self._plan.passed_over:
            log.info("earlier results, passed over: %d", count)
        text = f"{counts.enhanced} of {len(self._plan.jobs)} files enhanced"
        if self._plan.folder is not None:
            text += f" to {self._plan.folder}"
        if counts.finished_before:
            text += f"; {counts.finished_before} were finished before"
        if counts.left:
            text += f"; {counts.left} existed already (`overwrite=True` replaces them)"
        if counts.failed:
            text += f"; {counts.failed} failed"
        log.log(logging.WARNING if counts.failed or counts.left else logging.INFO, "%s", text)


class JsonReport:
    """For programs: an object in each line of standard output, and nothing else there."""

    def __init__(self, plan: Plan, *, backend: str, together: bool, quiet: bool) -> None:
        self._plan, self._together = plan, together
        self.shows = False
        self._times: dict[Job, tuple[float, float, int]] = {}

    def __enter__(self) -> JsonReport:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, job: Job) -> None:
        _print_event("start", job)

    def progress(self, job: Job, done: int, expected: int | None, worker: str, doing: str) -> None:
        now = time.monotonic()
        begun, last, first = self._times.get(job, (now, 0.0, done))
        if last and now - last < _INTERVAL_SECONDS:
            return
        self._times[job] = begun, now, first
        # From the first frame on, before which the decoder and the network get ready.
        rate = (done - first) / (now - begun) if done > first else None
        left = max(0, expected - done) / rate if expected and rate else None
        workers = {"worker": worker, "doing": doing} if self._together else {}
        _print_event(
            "progress", job, frames=done, total=expected,
            fps=_rounded(rate), eta_seconds=_rounded(left), **workers,
        )  # fmt: skip

    def done(self, job: Job, frames: int | None, seconds: float) -> None:
        _print_event("done", job, frames=frames, seconds=_rounded(seconds))

    def skipped(self, job: Job, state: State) -> None:
        reason = "finished before" if state is State.FINISHED else "exists already"
        _print_event("skipped", job, reason=reason)

    def failed(self, job: Job, error: Exception) -> None:
        _print_event("failed", job, error=in_one_line(said_by(error)))

    def summary(self, counts: Counts) -> None:
        _print_line({"event": "summary", **asdict(counts), "passed_over": self._plan.passed_over})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _print_event(event: str, job: Job, **values: object) -> None:
    output = None if job.output is None else str(job.output)
    _print_line({"event": event, "input": str(job.source), "output": output, **values})


def _print_line(values: dict[str, Any]) -> None:
    # In ASCII: what is not UTF-8 in a file's name is kept as well.
    print(json.dumps(values), flush=True)


def print_path(path: str) -> None:
    """Print where an output is."""
    print(printable(path) if sys.stdout.isatty() else path, flush=True)
    if isinstance(sys.stdout, Lasting) and sys.stdout.failure is not None:
        sys.stdout = Lasting(None)  # the output is there; that nobody reads its name is no failure
