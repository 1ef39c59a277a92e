"""``--jobs``: several processes give what one gives, whatever happens to them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.conftest import assert_nothing_left, run
from tests.support.commands import command, finish, start
from tests.support.media import Probe, write_video
from zerodce_rt.cli.running import Share
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import DeviceError, ZeroDCEError
from zerodce_rt.executors import Outcome
from zerodce_rt.executors.processes import Processes
from zerodce_rt.units import Unit
from zerodce_rt.video import plan as planning

KILLS = 20 if os.environ.get("ZERODCE_RT_THOROUGH") else 1


def write_clip(path: Path, seconds: float, *, audio: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_video(
        path, frames=round(10 * seconds), size=(64, 48), time_base=Fraction(1, 10), noise=3.0,
        options={"crf": "6", "g": "15", "x264-params": "scenecut=0"}, audio=audio,
    )  # fmt: skip
    return path


def frames_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [f.to_ndarray().tobytes() for f in container.decode(video=0)]


# ---- units of all kinds


@dataclass(frozen=True)
class Stub:
    """Returns what it is told, once it has left a mark."""

    folder: Path
    title: str
    what: str = "work"

    @property
    def output(self) -> Path | None:
        return None

    def run(self, enhancer: Enhancer, progress: Callable[[int, int | None], None]) -> int:
        marks = len(list(self.folder.glob(f"{self.title}-*")))
        (self.folder / f"{self.title}-{marks}").write_text(str(os.getpid()))
        progress(1, 2)
        if self.what == "die" or (self.what == "die once" and marks == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "fail":
            raise DeviceError("the card is on fire")
        if self.what == "fail strangely":
            raise Strange(1, 2)
        if self.what == "say":
            logging.getLogger("zerodce_rt.test").warning("%s is unusual", "this")
        return 7


class Strange(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("strange")


def outcomes(*stubs: Stub, jobs: int = 2) -> tuple[list[Outcome], list[tuple[str, str, int]]]:
    """What becomes of units, and what was seen of them."""
    seen: list[tuple[str, str, int]] = []

    def note(unit: Unit, worker: str, done: int, expected: int | None) -> None:
        assert expected == 2
        seen.append((unit.title, worker, done))

    left: Iterator[Unit] = iter(stubs)
    executor = Processes(Enhancer(), jobs)
    try:
        return list(executor.run(lambda: next(left, None), note)), seen
    finally:
        executor.close()
        executor.close()


def test_units_are_shared_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stubs = [Stub(tmp_path, str(n), "say") for n in range(5)]
    done, seen = outcomes(*stubs)
    assert {id(o.unit) for o in done} == {id(s) for s in stubs}
    assert [o.frames for o in done] == [7] * 5
    assert {worker for _, worker, _ in seen} <= {"1", "2"}
    assert sorted(title for title, _, _ in seen) == ["0", "1", "2", "3", "4"]
    assert caplog.messages.count("this is unusual") == 1, "once, whoever says it"
    pids = {int(mark.read_text()) for mark in tmp_path.iterdir()}
    assert os.getpid() not in pids
    assert not multiprocessing.active_children()


def test_a_failure_is_that_of_its_unit(tmp_path: Path) -> None:
    kinds = ("fail", "work", "fail strangely", "work")
    done, _ = outcomes(*(Stub(tmp_path, str(n), kind) for n, kind in enumerate(kinds)))
    errors = {o.unit.title: o.error for o in done}
    assert isinstance(errors["0"], DeviceError)
    assert str(errors["0"]) == "the card is on fire"
    assert str(errors["2"]) == "Strange: strange"
    assert (errors["1"], errors["3"]) == (None, None)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_worker_that_dies_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinds = ("die once", "die", "work", "work")
    done, _ = outcomes(*(Stub(tmp_path, str(n), kind) for n, kind in enumerate(kinds)))
    by_title = {o.unit.title: o for o in done}
    assert [by_title[n].frames for n in "023"] == [7, 7, 7]
    error = by_title["1"].error
    assert isinstance(error, ZeroDCEError)
    assert "ended unexpectedly 3 times" in str(error)
    assert "fewer `jobs`" in str(error)
    assert len(list(tmp_path.glob("1-*"))) == 3
    assert caplog.text.count("once more") == 3


# ---- the command


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SEGMENT_SECONDS", 4)
    monkeypatch.setattr(planning, "SHORTEST_SECONDS", 2)


@pytest.mark.usefixtures("short_segments")
def test_many_files_come_out_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    write_clip(folder / "long.mp4", 10, audio=1)
    write_clip(folder / "short.mp4", 1)
    (folder / "broken.mp4").write_text("no video")
    for jobs in (1, 2):
        assert run("enhance", folder, "-o", tmp_path / f"{jobs}", "--crf", 0, "--jobs", jobs) == 1
        shown = capfd.readouterr()
        assert "2 of 3 files enhanced" in shown.err
        assert "broken.mp4" in shown.err
    assert sorted(shown.out.splitlines()) == [
        str(tmp_path / "2" / f"{n}.mp4") for n in ("long", "short")
    ]
    for name in ("long.mp4", "short.mp4"):
        one, two = tmp_path / "1" / name, tmp_path / "2" / name
        assert frames_of(one) == frames_of(two)
        assert Probe(one).packets == Probe(two).packets
    assert_nothing_left(tmp_path / "2", ".zerodce-rt.jsonl", "long.mp4", "report.csv", "short.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.usefixtures("short_segments")
def test_a_worker_killed_in_a_segment(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", 16)
    whole, output = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    assert run("enhance", source, "-o", whole, "--crf", 0, "--quiet") == 0
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            if list(tmp_path.glob(".out.mp4.segments/*.mp4")):
                killed.append(multiprocessing.active_children()[0].pid or 0)
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.01)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    arguments = "enhance", source, "-o", output, "--crf", 0, "--preset", "veryslow", "--jobs", 2
    assert run(*arguments) == 0
    assert killed
    assert frames_of(output) == frames_of(whole)
    assert_nothing_left(tmp_path, "in.mp4", "out.mp4", "whole.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_runs_killed_at_random_moments_go_on(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", 75)
    whole, output = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    assert command("enhance", source, "-o", whole, "--crf", 0, "--quiet")[0] == 0
    expected = frames_of(whole)
    segments = tmp_path / ".out.mp4.segments"
    arguments = "enhance", source, "-o", output, "--crf", 0, "--jobs", 2
    rng = random.Random(5)
    for _ in range(KILLS):
        process = start(*arguments)
        time.sleep(rng.uniform(0.5, 8))
        process.kill()
        finish(process)
        time.sleep(0.3)  # the workers notice
        whole_ones = {p: p.stat().st_mtime_ns for p in segments.glob("0*.mp4")}
        if output.exists():
            assert frames_of(output) == expected
            output.unlink()
        code, error = command(*arguments)
        assert code == 0, error
        if whole_ones:
            assert f"{len(whole_ones)} of 4 segments finished" in error
        assert frames_of(output) == expected
        assert_nothing_left(tmp_path, "in.mp4", "out.mp4", "whole.mp4")
        output.unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", 75)
    process = start("enhance", source, "-o", tmp_path / "out.mp4", "--jobs", 2)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.mp4.segments/0*.mp4")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, error = finish(process)
    assert code == 130
    assert "segments are finished, and kept for the next run" in error
    assert "Traceback" not in error
    assert not list(tmp_path.glob(".out.mp4.segments/.*"))


@pytest.mark.usefixtures("short_segments")
def test_parts_of_an_array_job(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    write_clip(folder / "long.mp4", 16)
    write_clip(folder / "short.mp4", 1)
    assert run("enhance", folder, "-o", tmp_path / "whole", "--crf", 0) == 0
    arguments = "enhance", folder, "-o", output, "--crf", 0
    capfd.readouterr()
    for part in (2, 3):
        assert run(*arguments, "--segment", f"{part}/3") == 0
        last = f"part {part} of 3 is done; --segment join makes the files when all are\n"
        assert capfd.readouterr().err == last
    assert run(*arguments, "--segment", "join") == 1
    error = capfd.readouterr().err
    assert "cannot be made yet, these are missing: long.mp4 1/4, long.mp4 4/4" in error
    assert run(*arguments, "--segment", "1/3") == 0
    assert run(*arguments, "--segment", "join") == 0
    for name in ("long.mp4", "short.mp4"):
        assert frames_of(output / name) == frames_of(tmp_path / "whole" / name)
    assert_nothing_left(output, ".zerodce-rt.jsonl", "long.mp4", "report.csv", "short.mp4")


def test_parts_that_begin_when_others_have_finished(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    names = [f"{number}.png" for number in range(7)]
    for name in names:
        cv2.imwrite(str(folder / name), np.full((16, 16, 3), 20, np.uint8))
    for part in ("1/3", "3/3", "2/3", "join"):
        assert run("enhance", folder, "-o", output, "--segment", part) == 0
    assert_nothing_left(output, ".zerodce-rt.jsonl", "report.csv", *names)


def test_parts_of_a_single_file_that_is_finished(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = write_clip(tmp_path / "in.mp4", 1), tmp_path / "out.mp4"
    assert run("enhance", source, "-o", output, "--segment", "1/3") == 0
    made = output.read_bytes()
    for part in ("2/3", "join"):
        assert run("enhance", source, "-o", output, "--segment", part) == 0
        assert "exists already, and is left as it is" in capfd.readouterr().err
    assert output.read_bytes() == made


@pytest.mark.parametrize(
    ("jobs", "units", "most"), [(1, 100, 3), (10, 4, 2), (80, 1, 3), (9, 9, 3)]
)
def test_each_unit_is_of_one_part(jobs: int, units: int, most: int) -> None:
    parts = [Share(index, 40) for index in range(1, 41)]
    each = [(job, unit) for job in range(jobs) for unit in range(units)]
    owned = [sum(part.has(*unit) for unit in each) for part in parts]
    assert [sum(part.has(*unit) for part in parts) for unit in each] == [1] * len(each)
    assert max(owned) <= most


@pytest.mark.parametrize("value", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_a_part_that_makes_no_sense_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    assert run("enhance", tmp_path / "a.mp4", f"--segment={value}") == 2
    assert "must be such as 1/8, or 'join'" in capfd.readouterr().err


@pytest.mark.parametrize("value", ["0", "-2", "many", "1000"])
def test_jobs_that_make_no_sense_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    assert run("enhance", tmp_path / "a.mp4", f"--jobs={value}") == 2
    assert "must be 1 to 256" in capfd.readouterr().err
