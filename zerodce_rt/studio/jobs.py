"""The queue of files to enhance: one after another, each with progress, to be stopped and resumed.

A video that was stopped goes on with the segments that are missing (see ``video.workspace``);
a short one, of a single segment, begins anew.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_picture, enhance_video
from zerodce_rt.live.captures import new_path
from zerodce_rt.media.paths import default_output
from zerodce_rt.studio.library import MediaFile
from zerodce_rt.studio.settings import Look
from zerodce_rt.video.workspace import remove_segments

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "stopped", "done", "failed"]

_MOST_JOBS = 500
# How long the work may take to end with the program.
_END_SECONDS = 5.0


class _Stop(Exception):
    """Raised inside a run that is to end."""


@dataclass
class Job:
    """One file to enhance.

    Attributes:
        output: the new file, once ``state`` is ``"done"``.
        frames, expected: done so far, and in all; None if the file does not say.
        seconds_left: estimated from the rate so far; None before there is one.
        error: why it failed.
    """

    file: MediaFile
    look: Look
    output: Path
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "waiting"
    frames: int = 0
    expected: int | None = None
    seconds_left: float | None = None
    fps: float | None = None
    error: str = ""


class Jobs:
    """Works through a queue in a thread of its own; may be used by several threads.

    Args:
        make_enhancer: makes one for video, when the first job begins.
        folder: for the outputs.
    """

    def __init__(self, make_enhancer: Callable[[], Enhancer], folder: Path) -> None:
        self._make_enhancer, self._folder = make_enhancer, folder
        self._jobs: dict[str, Job] = {}
        self._active: Job | None = None
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="zerodce-jobs", daemon=True)
        self._thread.start()

    def all(self) -> list[Job]:
        """In the order in which they came."""
        with self._changed:
            return list(self._jobs.values())

    def get(self, id: str) -> Job:
        """A job.

        Raises:
            ZeroDCEError: if there is none of that id.
        """
        with self._changed:
            if id not in self._jobs:
                raise ZeroDCEError("this job is not in the list any more")
            return self._jobs[id]

    def add(self, file: MediaFile, look: Look) -> Job:
        """Put a file at the end of the queue.

        Raises:
            ZeroDCEError: if the queue is full.
        """
        with self._changed:
            if len(self._jobs) >= _MOST_JOBS:
                raise ZeroDCEError("the queue is full; remove some of its jobs")
            wanted = default_output(Path(file.name))
            taken = {job.output for job in self._jobs.values()}
            job = Job(file, look, new_path(self._folder, wanted.stem, wanted.suffix, taken))
            self._jobs[job.id] = job
            self._changed.notify_all()
        return job

    def stop(self, id: str) -> None:
        """Stop a job that waits or runs; what is finished of a video is kept for ``resume``."""
        job = self.get(id)
        with self._changed:
            if job.state in ("waiting", "running"):
                job.state = "stopped"

    def resume(self, id: str) -> None:
        """Let a job that was stopped, or failed, wait for its turn again."""
        job = self.get(id)
        with self._changed:
            if job.state in ("stopped", "failed"):
                job.state, job.error, job.seconds_left = "waiting", "", None
                self._changed.notify_all()

    def remove(self, id: str) -> None:
        """Take a job from the list, with its output."""
        job = self.get(id)
        with self._changed:
            self._jobs.pop(id)
            job.state = "stopped"
            if job is self._active:  # which the thread cleans up after
                return
        _delete(job)

    def close(self) -> None:
        """End what runs."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        enhancer: Enhancer | None = None
        while (job := self._next()) is not None:
            try:
                enhancer = enhancer or self._make_enhancer()
                self._enhance(job, enhancer)
                self._ended(job, "done")
            except _Stop:
                log.info("%s: stopped", job.file.name)
                self._ended(job)
            except Exception as error:  # whatever is wrong with one, the others are done
                known = isinstance(error, ZeroDCEError | OSError | ValueError)
                log.error("%s: %s", job.file.name, error, exc_info=not known)
                text = str(error).replace(str(job.file.path), job.file.name)
                job.error = text.replace(str(job.output), job.output.name)
                self._ended(job, "failed")
        if enhancer is not None:
            enhancer.close()

    def _next(self) -> Job | None:
        """The first job that waits, which runs from now on; None at the end."""
        with self._changed:
            while not self._ending:
                for job in self._jobs.values():
                    if job.state == "waiting":
                        job.state, job.frames, job.expected = "running", 0, None
                        self._active = job
                        return job
                self._changed.wait()
        return None

    def _ended(self, job: Job, state: State | None = None) -> None:
        """Note what became of a job; None: what somebody has set already."""
        with self._changed:
            removed = job.id not in self._jobs
            job.state, job.seconds_left = state or job.state, None
            self._active = None
        if removed:
            _delete(job)

    def _enhance(self, job: Job, enhancer: Enhancer) -> None:
        enhancer.strength, enhancer.denoise = job.look.strength, job.look.denoise
        if job.file.kind == "picture":
            enhance_picture(job.file.path, job.output, enhancer=enhancer)
            return
        begun = time.monotonic()
        first: int | None = None

        def progress(done: int, expected: int | None) -> None:
            nonlocal first
            if self._ending or job.state != "running":
                raise _Stop
            first = done if first is None else first  # those of finished segments cost nothing
            job.frames, job.expected = done, expected
            if done > first:
                job.fps = (done - first) / (time.monotonic() - begun)
                if expected:
                    job.seconds_left = max(0, expected - done) / job.fps

        result = enhance_video(job.file.path, job.output, enhancer=enhancer, progress=progress)
        job.frames = job.expected = result.frames


def _delete(job: Job) -> None:
    """Delete what there is of a job's output."""
    job.output.unlink(missing_ok=True)
    remove_segments(job.output)
