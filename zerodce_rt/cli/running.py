"""A run of ``enhance``: its jobs become units of work, and what became of these, of the jobs."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from zerodce_rt.cli.finished import Records, Settings, State
from zerodce_rt.cli.jobs import Job, Plan
from zerodce_rt.cli.messages import in_one_line, said_by
from zerodce_rt.cli.report_csv import Row
from zerodce_rt.cli.reports import Counts, JsonReport, TextReport
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.storage.ends import LocalEnds, check_ends

if TYPE_CHECKING:
    from zerodce_rt.executors import Executor, Outcome
    from zerodce_rt.storage.remote import Place
    from zerodce_rt.units import Unit
    from zerodce_rt.video.workspace import Workspace

log = logging.getLogger(__name__)

# Multiples of it fall evenly between 0 and 1, however many there are.
_GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Share:
    """The part of a run's units that one of several runs does; none of them joins segments.

    Attributes:
        index: 1 to ``count``; None is the last step, which joins what the others have done.
        count: how many runs share the units.
    """

    index: int | None
    count: int = 1

    def has(self, job: int, unit: int) -> bool:
        """Whether a unit is one of this part.

        That must not depend on what is finished: other parts may begin earlier or later. So it is
        not known how many units other jobs have, and each job begins at a part of its own.

        Args:
            job: its number among all of the run.
            unit: its number among all of the job.
        """
        first = int(job * _GOLDEN_RATIO % 1 * self.count)
        return self.index is not None and (first + unit) % self.count == self.index - 1


@dataclass
class Pieces:
    """What a job consists of.

    Attributes:
        units: to do, by their number among all of the job, also of those that are done.
        frames: of the video, if they are known beforehand.
        done: of these, what earlier runs have done.
        join: the last step, after all units.
        space: where segments wait for it.
    """

    units: dict[int, Unit]
    frames: int | None = None
    done: int = 0
    join: Unit | None = None
    space: Workspace | None = None


class Work(Protocol):
    """The options of a run.

    Attributes:
        elsewhere: several machines do it, which carry files from and to storages by themselves.
    """

    @property
    def elsewhere(self) -> bool: ...

    def settings_for(self, job: Job) -> Settings:
        """The options that change what becomes of a file, as text."""
        ...

    def pieces(self, job: Job, ends: LocalEnds, *, overwrite: bool, shared: bool) -> Pieces:
        """The units of a job.

        Args:
            ends: its files on this machine.
            shared: other runs do some of them.
        """
        ...


@dataclass
class _UnderWay:
    """A job that has begun.

    Attributes:
        ends: its files on this machine.
        remember: notes that its output is finished.
        left: units that have not ended.
        frames: done, by unit.
        expected: in all.
    """

    job: Job
    pieces: Pieces
    ends: LocalEnds
    remember: Callable[[], None] | None
    begun: float
    left: int
    expected: int | None
    frames: dict[int, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Frames, with those of earlier runs."""
        return self.pieces.done + sum(self.frames.values())


class Run:
    """Does all jobs of a plan; ``counts``, ``rows`` and ``failure`` tell what became of them.

    Args:
        overwrite: replace existing outputs.
        share: the part that is to be done; default: all.
        debug: log where errors come from.
    """

    def __init__(
        self, plan: Plan, work: Work, records: Records, report: TextReport | JsonReport,
        *, overwrite: bool, share: Share | None = None, debug: bool = False,
    ) -> None:  # fmt: skip
        self._plan, self._work, self._records, self._report = plan, work, records, report
        self._overwrite, self._share, self._debug = overwrite, share, debug
        self._jobs: Iterator[Job] = iter(plan.jobs)
        self._ready: deque[Unit] = deque()
        self._owners: dict[int, _UnderWay] = {}  # of units, by their id
        self._under_way: dict[Job, _UnderWay] = {}
        self._failed: set[Job] = set()
        self._ends: dict[Job, LocalEnds] = {}
        self._numbers = {job: number for number, job in enumerate(plan.jobs)}
        self.counts = Counts()
        self.rows: list[Row] = []
        self.failure: Exception | None = None

    def run(self, executor: Executor) -> None:
        """Do all jobs."""
        try:
            for outcome in executor.run(self._next, self._seen):
                self._take(outcome)
        finally:
            executor.close()
            if self._share is None:
                self._leave()
            for job in list(self._ends):
                self._let_go(job)

    def _leave(self) -> None:
        """Say what is kept of jobs that are not finished."""
        for owner in self._under_way.values():
            if owner.pieces.space is not None:
                owner.pieces.space.leave()

    def _let_go(self, job: Job, *, finished: bool = False) -> None:
        """Delete the copies of a job's files, unless another run goes on with them."""
        owner = self._under_way.get(job)
        space = owner.pieces.space if owner is not None else None
        begun = space is not None and (self._work.elsewhere or space.folder.exists())
        ends = self._ends.pop(job, None)
        if ends is not None:
            ends.release(keep=not finished and (begun or self._share is not None))

    def _next(self) -> Unit | None:
        while not self._ready:
            job = next(self._jobs, None)
            if job is None:
                return None
            try:
                self._begin(job)
            except Exception as error:  # whatever is wrong with one file, the others are done
                ends = self._ends.get(job)
                self._fail(job, ends.by_name(error) if ends is not None else error)
        return self._ready.popleft()

    def _begin(self, job: Job) -> None:
        """Find the units of a job, unless it has been done."""
        if job.output is None:
            assert job.problem is not None
            raise job.problem
        settings = self._work.settings_for(job)
        state = self._found(job, job.output, settings)
        if state is State.FINISHED or state is State.THERE:
            self.counts.finished_before += state is State.FINISHED
            self.counts.left += state is State.THERE
            self._report.skipped(job, state)
            self._note(job, "finished before" if state is State.FINISHED else "exists already")
            return
        overwrite = self._overwrite or state is State.OUTDATED
        self._report.begin(job)
        begun = time.monotonic()
        if job.in_folder and isinstance(job.output, Path):
            job.output.parent.mkdir(parents=True, exist_ok=True)
        check_ends(job.source, job.output, job.suffixes, overwrite=overwrite)
        remember = None
        if job.in_folder and job.source.is_file():  # not so numbered pictures
            remember = self._records.begin(job.source, job.output, settings)
        ends = self._ends[job] = LocalEnds(
            job.source, job.output, elsewhere=self._work.elsewhere, show=self._report.shows
        )
        pieces = self._work.pieces(
            job, ends, overwrite=overwrite or ends.output_is_away, shared=self._share is not None
        )
        units = self._wanted(job, pieces)
        owner = _UnderWay(job, pieces, ends, remember, begun, len(units), pieces.frames)
        self._under_way[job] = owner
        for unit in units:
            self._owners[id(unit)] = owner
        self._ready.extend(units)

    def _found(self, job: Job, output: Place, settings: Settings) -> State:
        """What is to be done about a job, by what is there of it."""
        if self._overwrite:
            return State.FREE
        if job.in_folder:
            state = self._records.state(job.source, output, settings)
        else:
            state = State.THERE if output.is_file() else State.FREE
        # The output of a single file that is there is an error, unless another part has made it.
        refused = state is State.THERE and self._plan.alone and self._share is None
        return State.FREE if refused else state

    def _wanted(self, job: Job, pieces: Pieces) -> list[Unit]:
        """The units that this run does."""
        share = self._share
        last = [pieces.join] if pieces.join is not None else []
        if share is None:
            return [*pieces.units.values()] or last
        if share.index is not None:
            at = self._numbers[job]
            return [unit for number, unit in pieces.units.items() if share.has(at, number)]
        if pieces.units:
            missing = ", ".join(unit.title for unit in pieces.units.values())
            raise ZeroDCEError(f"{job.output}: cannot be made yet, these are missing: {missing}")
        return last

    def _seen(self, unit: Unit, worker: str, frames: int, expected: int | None) -> None:
        owner = self._owners[id(unit)]
        if unit is owner.pieces.join:
            return
        owner.frames[id(unit)] = frames
        if owner.pieces.frames is None:
            owner.expected = expected
        self._report.progress(owner.job, owner.done, owner.expected, worker, unit.title)

    def _take(self, outcome: Outcome) -> None:
        """What a unit's end means for its job."""
        owner = self._owners[id(outcome.unit)]
        job, pieces = owner.job, owner.pieces
        owner.left -= 1
        if job in self._failed:
            return
        if outcome.error is not None:
            self._ready = deque(u for u in self._ready if self._owners[id(u)] is not owner)
            self._fail(job, owner.ends.by_name(outcome.error))
            return
        if outcome.frames is not None and outcome.unit is not pieces.join:
            owner.frames[id(outcome.unit)] = outcome.frames
        if owner.left:
            return
        joined = outcome.unit is pieces.join
        if pieces.join is not None and not joined:
            if self._share is None:
                self._owners[id(pieces.join)] = owner
                owner.left = 1
                self._ready.appendleft(pieces.join)
            return
        try:
            owner.ends.finish()
        except ZeroDCEError as error:
            self._fail(job, error)
            return
        if pieces.space is not None:
            pieces.space.remove()
        if owner.remember is not None:
            owner.remember()
        self._let_go(job, finished=True)
        del self._under_way[job]
        self.counts.enhanced += 1
        is_video = outcome.frames is not None
        frames = owner.done if is_video else None
        seconds = time.monotonic() - owner.begun
        self._report.done(job, frames, seconds)
        self._note(job, "enhanced", frames, round(seconds, 3))

    def _fail(self, job: Job, error: Exception) -> None:
        self.counts.failed += 1
        self._failed.add(job)
        owner = self._under_way.get(job)
        if owner is None or owner.pieces.space is None:
            self._let_go(job)  # otherwise at the end, when it is known what is left of it
        self.failure = error
        self._report.failed(job, error)
        self._note(job, "failed", error=in_one_line(said_by(error)))
        if self._debug and not self._plan.alone:
            log.error("%s", job.source, exc_info=error)

    def _note(
        self, job: Job, result: str, frames: int | None = None, seconds: float | None = None,
        error: str = "",
    ) -> None:  # fmt: skip
        output = "" if job.output is None else str(job.output)
        self.rows.append(Row(str(job.source), output, result, frames, seconds, error))
