"""Jobs whose processes die, hang or go bad; each has its line, and the others run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.worker_pool import Job, NotRunError, Outcome, WorkerPool

POISON = ("CUDA error",)


def succeed() -> None:
    pass


def name_process(seconds: float = 0.0) -> Iterator[int]:
    yield os.getpid()
    time.sleep(seconds)


def disagree() -> None:
    raise AssertionError("differs by\n 3")


def leave() -> None:
    os._exit(3)


def abort() -> None:
    os.write(2, b"some words\nLLVM ERROR: cannot select\nmore words\n")
    os.abort()


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(600)


def lack() -> None:
    raise NotRunError("needs 30 GB")


def fail_on_the_card() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def fail_once(mark: Path) -> None:
    """As a job does whose process an earlier one has spoiled."""
    if not mark.exists():
        mark.touch()
        fail_on_the_card()


def values_and_death() -> Iterator[int]:
    yield 1
    yield 2
    os._exit(1)


def start_a_child_and_hang(note: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note.write_text(str(child.pid))
    hang()


def give_what_cannot_be_sent() -> Iterator[object]:
    yield lambda: None


def results(pool: WorkerPool, *jobs: Job, until: float | None = None) -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in pool.run(jobs, until=until)}


def test_each_job_has_its_line(tmp_path: Path) -> None:
    jobs = [
        Job("fine", succeed), Job("differs", disagree), Job("leaves", leave), Job("aborts", abort),
        Job("is killed", be_killed), Job("hangs", hang, limit_seconds=0.2), Job("lacks", lack),
        Job("unsendable", give_what_cannot_be_sent), Job("fine again", succeed),
    ]  # fmt: skip
    with WorkerPool(2, start_seconds=4, log=tmp_path / "log") as pool:
        found = results(pool, *jobs)
    assert set(found) == {job.name for job in jobs}
    assert found["fine"].state == found["fine again"].state == "passed"
    assert found["lacks"].state == "not run"
    assert found["lacks"].line == "lacks: needs 30 GB"
    failed = {name: o.reason for name, o in found.items() if o.state == "failed"}
    assert failed["differs"] == "AssertionError: differs by 3"
    assert failed["leaves"] == "its process died (exit code 3)"
    assert failed["aborts"] == "its process died (SIGABRT): LLVM ERROR: cannot select"
    assert failed["is killed"] == "its process died (SIGKILL)"
    assert failed["hangs"].startswith("takes longer than ")
    assert "ickl" in failed["unsendable"]
    assert len(failed) == 6
    assert "LLVM ERROR: cannot select\nmore words" in (tmp_path / "log").read_text()


def test_a_spoiled_process_is_replaced_and_the_job_runs_again(tmp_path: Path) -> None:
    seen: list[int] = []
    jobs = [
        Job("before", name_process), Job("once", partial(fail_once, tmp_path / "mark")),
        Job("always", fail_on_the_card), Job("after", name_process),
    ]  # fmt: skip
    with WorkerPool(1, poison=POISON) as pool:
        outcomes = list(pool.run(jobs, on_value=lambda name, value: seen.append(value)))
    assert [(o.name, o.state) for o in outcomes] == [
        ("before", "passed"), ("once", "passed"), ("always", "failed"), ("after", "passed"),
    ]  # fmt: skip
    told = "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert [o.blamed for o in outcomes] == ["", told, told, ""]
    assert outcomes[2].reason == told
    assert len(set(seen)) == 2


def test_a_process_is_used_again_unless_it_may_be_spoiled() -> None:
    def processes(pool: WorkerPool, between: Job) -> int:
        seen: set[int] = set()
        jobs = [Job("a", name_process), between, Job("b", name_process)]
        list(pool.run(jobs, on_value=lambda name, value: seen.add(value)))
        return len(seen)

    with WorkerPool(1) as pool:
        assert processes(pool, Job("differs", disagree)) == 1
        assert processes(pool, Job("spends", succeed, spends=True)) == 2
    with WorkerPool(1, keep_after_failure=False) as pool:
        assert processes(pool, Job("differs", disagree)) == 2


def test_values_before_a_death_are_not_lost() -> None:
    seen: list[tuple[str, int]] = []
    with WorkerPool(1) as pool:
        jobs = [Job("dies", values_and_death)]
        (outcome,) = pool.run(jobs, on_value=lambda name, value: seen.append((name, value)))
    assert seen == [("dies", 1), ("dies", 2)]
    assert outcome.state == "failed"


def test_what_does_not_fit_into_the_time_is_listed() -> None:
    jobs = [Job("fine", succeed), Job("hangs", hang), Job("waits", succeed)]
    with WorkerPool(1) as pool:
        found = results(pool, *jobs, until=time.monotonic() + 3)
    assert {name: o.state for name, o in found.items()} == {
        "fine": "passed", "hangs": "not run", "waits": "not run",
    }  # fmt: skip
    assert found["hangs"].reason == "the time was up while it ran"


def test_jobs_run_at_the_same_time() -> None:
    seen: set[int] = set()
    jobs = [Job(str(n), partial(name_process, 1.0)) for n in range(2)]
    with WorkerPool(2) as pool:
        list(pool.run(jobs, on_value=lambda name, value: seen.add(value)))
    assert len(seen) == 2


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are not shown here")
def test_what_a_killed_process_has_started_ends_as_well(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with WorkerPool(1, start_seconds=4) as pool:
        results(pool, Job("hangs", partial(start_a_child_and_hang, note), limit_seconds=0.2))
    stat = Path("/proc", note.read_text(), "stat")
    end = time.monotonic() + 5
    while stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < end, "still runs"
        time.sleep(0.05)
