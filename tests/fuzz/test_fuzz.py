"""Damaged files: some hundred cases of ``scripts/fuzz.py``, and whether it would notice a fault."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.fuzz import outcome as verdicts
from tests.fuzz import seeds
from tests.fuzz.actions import MODES, Action, Case, judged
from tests.fuzz.cases import case_of, run
from tests.fuzz.mutations import MUTATIONS, mutated
from tests.fuzz.outcome import Fault, Outcome, complaint_about
from tests.fuzz.workers import Worker
from zerodce_rt import files
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media import reader

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 25
CASES = {"video": 250, "picture": 150, "weights": 75, "manifest": 75}
BLOCKS = [(kind, first) for kind, cases in CASES.items() for first in range(0, cases, BLOCK)]

TEXTS = (
    "hls.mp4", "concat.mp4", "concat.mkv", "dash.mp4", "session.mp4", "subtitles.mp4",
)  # fmt: skip


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(seeds.KINDS) as worker:
        yield worker


@pytest.mark.parametrize(("kind", "first"), BLOCKS)
def test_damaged_files(worker: Worker, kind: str, first: int) -> None:
    outcomes = [worker.run(kind, number) for number in range(first, first + BLOCK)]
    faults = [str(outcome) for outcome in outcomes if outcome.is_fault]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("kind", seeds.KINDS)
def test_whole_files_are_right(kind: str, tmp_path: Path) -> None:
    for index in range(seeds.count(kind)):
        seed = seeds.seed(kind, index)
        case = Case(kind, 0, seed.name, seed.data, MODES[kind][0])
        found = run(case, tmp_path / "case")
        if found.verdict == verdicts.REFUSED:
            assert seed.name in TEXTS, found
        else:
            assert found.verdict == verdicts.RIGHT, found


def test_a_number_always_does_the_same() -> None:
    for kind in seeds.KINDS:
        assert case_of(kind, 7) == case_of(kind, 7)
    assert len({case_of("video", number).data for number in range(50)}) > 45
    data = bytes(range(256)) * 8
    assert mutated(data, 3, data) == mutated(data, 3, data)


def test_every_mutation_copes_with_every_length() -> None:
    for data in (b"", b"x", b"xyz", bytes(10_000)):
        for mutation in MUTATIONS:
            for number in range(50):
                assert isinstance(mutation(data, Random(number)), bytes)
        for number in range(200):
            assert isinstance(mutated(data, number, b"other"), bytes)


def _right(case: Case, source: Path, results: Path) -> set[str]:
    (results / "bright.mp4").write_bytes(b"whole")
    return {"bright.mp4"}


def _refuses(message: str) -> Action:
    def action(case: Case, source: Path, results: Path) -> set[str]:
        raise ZeroDCEError(message)

    return action


def _raises(error: Exception) -> Action:
    def action(case: Case, source: Path, results: Path) -> set[str]:
        raise error

    return action


def _leaves_a_part(case: Case, source: Path, results: Path) -> set[str]:
    (results / ".bright.part.mp4").write_bytes(b"half")
    raise ZeroDCEError("night.mp4: damaged")


def _writes_nothing(case: Case, source: Path, results: Path) -> set[str]:
    return {"bright.mp4"}


def _changes_its_input(case: Case, source: Path, results: Path) -> set[str]:
    source.write_bytes(b"")
    return set()


def _leaves_a_thread(case: Case, source: Path, results: Path) -> set[str]:
    threading.Thread(target=time.sleep, args=(0.5,), name="zerodce-read", daemon=True).start()
    return set()


_opened: list[int] = []


def _leaves_a_descriptor(case: Case, source: Path, results: Path) -> set[str]:
    _opened.append(os.open(source, os.O_RDONLY))
    return set()


@pytest.mark.parametrize(
    ("action", "verdict"),
    [
        (_right, verdicts.RIGHT),
        (_refuses("night.mp4: damaged after 0.10 s"), verdicts.REFUSED),
        (_refuses("night.mp4: damaged\nafter 0.10 s"), verdicts.POOR_MESSAGE),
        (_refuses("night.mp4: '.bright.part.mp4' returned 22"), verdicts.POOR_MESSAGE),
        (_raises(IndexError("list index out of range")), verdicts.UNEXPECTED),
        (_raises(ValueError("negative dimensions")), verdicts.UNEXPECTED),
        (_raises(OSError(28, "No space left on device")), verdicts.UNEXPECTED),
        (_raises(MemoryError()), verdicts.UNEXPECTED),
        (_raises(Fault(verdicts.BROKEN, "0 frames")), verdicts.BROKEN),
        (_leaves_a_part, verdicts.FILE_LEFT),
        (_writes_nothing, verdicts.FILE_LEFT),
        (_changes_its_input, verdicts.INPUT_CHANGED),
        (_leaves_a_thread, verdicts.THREAD_LEFT),
        pytest.param(
            _leaves_a_descriptor, verdicts.DESCRIPTOR_LEFT,
            marks=pytest.mark.skipif(
                not Path("/proc/self/fd").is_dir(), reason="open files are not shown here"
            ),
        ),
    ],
)  # fmt: skip
def test_each_verdict(action: Action, verdict: str, tmp_path: Path) -> None:
    found = run(Case("video", 5, "night.mp4", b"some bytes", "plain"), tmp_path / "case", action)
    for number in _opened:
        os.close(number)
    _opened.clear()
    for thread in threading.enumerate():
        if thread.name == "zerodce-read":
            thread.join()
    assert found.verdict == verdict
    assert found.is_fault == (verdict not in (verdicts.RIGHT, verdicts.REFUSED))
    assert "--kind video --first 5 --cases 1" in str(found)


def test_an_output_that_is_cut_short_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enhance = files.enhance_video

    def cut_short(source: Path, output: Path, **settings: Any) -> files.VideoResult:
        done = enhance(source, output, **settings)
        output.write_bytes(output.read_bytes()[:300])
        return done

    monkeypatch.setattr(files, "enhance_video", cut_short)
    seed = seeds.named("video", "plain.mp4")
    found = run(Case("video", 0, seed.name, seed.data, "plain"), tmp_path / "case")
    assert found.verdict == verdicts.BROKEN


def test_an_error_is_placed_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(color_trc: int) -> None:
        raise AttributeError("no name")

    monkeypatch.setattr(reader, "transfer_of", fails)
    seed = seeds.named("video", "plain.mp4")
    found = run(Case("video", 0, seed.name, seed.data, "plain"), tmp_path / "case")
    assert found.verdict == verdicts.UNEXPECTED
    assert "AttributeError: 'no name' at zerodce_rt/media/reader.py:" in found.detail


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("night.mp4: damaged after 0.10 s", None),
        ("", "no message"),
        ("one\ntwo", "2 lines"),
        ("a tensor named \x1b[31m", r"control character '\x1b'"),
        ("a tag \udc80", r"control character '\udc80'"),
        ("x" * 1001, "1001 characters"),
        ("out.mkv: cannot be written (Invalid argument)", "blames the output"),
        ("'.zerodce-rt-01234567.part.mkv' returned 22", "names a temporary file"),
    ],
)
def test_messages(message: str, complaint: str | None) -> None:
    assert complaint_about(message) == complaint


@pytest.mark.parametrize(
    ("code", "stderr", "error"),
    [
        (0, "", None),
        (0, "in.jpg: JPEG has no transparency\n", None),
        (1, "zerodce-rt: in.jpg: damaged\n", "zerodce-rt: in.jpg: damaged"),
    ],
)
def test_what_a_command_may_print(code: int, stderr: str, error: str | None) -> None:
    assert judged(code, stderr, ["in.jpg"]) == error


@pytest.mark.parametrize(
    ("code", "stderr"),
    [
        (0, "zerodce-rt: in.jpg: damaged\n"),
        (1, ""),
        (1, "VIPS: read gave 2 warnings\nzerodce-rt: in.jpg: damaged\n"),
        (1, "zerodce-rt: in.jpg: damaged\nzerodce-rt: in.jpg: cannot be read\n"),
        (1, "zerodce-rt: unexpected IndexError: list index out of range\n"),
        (0, "Exception ignored in: <function x>\nTraceback (most recent call last):\n"),
        (3, "zerodce-rt: in.jpg: damaged\n"),
        (-11, ""),
    ],
)
def test_what_a_command_must_not_print(code: int, stderr: str) -> None:
    with pytest.raises(Fault) as fault:
        judged(code, stderr, ["in.jpg"])
    assert fault.value.verdict == verdicts.UNEXPECTED


def _troubled(kind: str, number: int, folder: Path) -> Outcome:
    """In a worker: each number is a trouble of its own."""
    if number == 1:
        time.sleep(60)
    if number == 2:
        os._exit(3)
    if number == 3:
        hoard = np.ones(1_000_000_000, np.uint8)
        time.sleep(60 + int(hoard[0]))
    return Outcome(kind, number, "plain.mp4", "plain", verdicts.RIGHT, "", 0.0)


def test_a_worker_that_is_lost_is_replaced() -> None:
    with Worker((), run=_troubled, limit_seconds=2.0) as worker:
        assert worker.run("video", 0).verdict == verdicts.RIGHT
        hang = worker.run("video", 1)
        assert hang.verdict == verdicts.HANG
        assert "_troubled" in hang.detail  # where it hangs
        crash = worker.run("video", 2)
        assert (crash.verdict, crash.detail) == (verdicts.CRASH, "exit code 3")
        assert worker.run("video", 0).verdict == verdicts.RIGHT


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is not shown here")
def test_a_worker_that_takes_too_much_memory_is_replaced() -> None:
    with Worker((), run=_troubled, limit_mb=1000) as worker:
        assert worker.run("video", 3).verdict == verdicts.MEMORY
        assert worker.run("video", 0).verdict == verdicts.RIGHT


def test_the_script(tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.json"
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "fuzz.py", "--kind", "picture", "--cases", "4",
         "--jobs", "2", "--json", outcomes, "--keep", tmp_path / "kept"],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 cases" in done.stdout
    assert outcomes.read_text().count('"verdict"') == 4
    assert len(list((tmp_path / "kept").iterdir())) == 4


def test_the_script_reports_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("fuzz_script", ROOT / "scripts" / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    fault = Outcome("video", 12, "plain.mp4", "span", verdicts.CRASH, "exit code -11", 0.1)
    right = Outcome("picture", 13, "deep.png", "plain", verdicts.RIGHT, "", 0.1)
    monkeypatch.setattr(script, "run_all", lambda cases, workers: iter([fault, right]))
    assert script.main(["--first", "12", "--cases", "2"]) == 1
    printed = capsys.readouterr().out
    assert "crash: exit code -11\n    plain.mp4, span: " + fault.repeat in printed
    assert [line.split() for line in printed.splitlines() if line.startswith("right")] == [
        ["right", "0", "1", "1"]
    ]
