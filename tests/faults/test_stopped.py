"""Signals and kills at any moment: inputs stay, nothing half-written has a final name."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import VideoMaker, assert_nothing_left, pipeline_threads
from tests.support.commands import command, finish, partial_files, start, with_hang_ups
from tests.support.media import Probe
from zerodce_rt import atomic, pipeline
from zerodce_rt.atomic import finished_file
from zerodce_rt.media.reader import VideoReader

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
# So slow that there is time to stop it.
SLOW = ("--preset", "veryslow", "--quiet")


def wait_for(folder: Path, what: str) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.glob(what)):
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_polite_signal_leaves_nothing(name: str, make_video: VideoMaker, tmp_path: Path) -> None:
    make_video(frames=500, size=(320, 240), options={"crf": "40", "preset": "ultrafast"})
    process = start("enhance", tmp_path / "night.mp4", *SLOW, preexec_fn=with_hang_ups)
    wait_for(tmp_path, ".*.part*")
    number = getattr(signal, name)
    process.send_signal(number)
    time.sleep(0.02)
    if name == "SIGHUP":
        process.send_signal(number)  # a closed terminal sends it twice
    code, error = finish(process)
    assert code == 130
    assert error == "stopped; nothing was left half-written\n"
    assert_nothing_left(tmp_path, "night.mp4")


def test_a_hang_up_that_is_ignored_stays_so(make_video: VideoMaker, tmp_path: Path) -> None:
    make_video(frames=200, size=(320, 240))

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start("enhance", tmp_path / "night.mp4", *SLOW, preexec_fn=ignore)
    wait_for(tmp_path, ".*.part*")
    process.send_signal(signal.SIGHUP)  # as nohup's
    assert finish(process)[0] == 0
    assert len(Probe(tmp_path / "night_enhanced.mp4").frames) == 200


def test_kills_at_random_moments(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(frames=300, size=(320, 240), options={"preset": "ultrafast"})
    before, output = source.read_bytes(), tmp_path / "out.mp4"
    random_ = random.Random(1)
    for _ in range(4):
        process = start("enhance", source, "-o", output, "--overwrite", *SLOW)
        wait_for(tmp_path, f".*-{process.pid}-*.part*")
        time.sleep(random_.uniform(0, 0.8))
        process.kill()
        finish(process)
        assert source.read_bytes() == before
        if output.exists():
            assert len(Probe(output).frames) == 300
        # The next run removes what an earlier one has left.
        assert len(partial_files(tmp_path)) <= 1
    code, _ = command("enhance", source, "-o", output, "--overwrite", "--end", "1", "--quiet")
    assert code == 0
    assert_nothing_left(tmp_path, "night.mp4", "out.mp4")


def test_orphans_are_removed_and_nothing_else(tmp_path: Path) -> None:
    gone = start("--version")
    finish(gone)
    here = atomic._machine()
    orphan = tmp_path / f".other.zerodce-{here}-{gone.pid}-012345.part.mkv"
    others = [
        f".night.zerodce-{here}-{os.getppid()}-012345.part.mp4",  # it runs
        f".night.zerodce-aaaaaa-{gone.pid}-012345.part.mp4",  # on another machine
        ".night.part.mp4",
        ".movie.2023.part.mkv",  # somebody else's
    ]
    for path in (orphan, *(tmp_path / name for name in others)):
        path.write_text("x")
    atomic.search_again()
    with finished_file(tmp_path / "new.txt") as partial:
        assert_nothing_left(tmp_path, partial.name, *others)
        atomic.search_again()
        # Another output of the same name, in another thread, is another file.
        with finished_file(tmp_path / "new.txt") as other:
            assert partial.exists()
            assert other != partial
            other.write_text("other")
        partial.write_text("whole")
    assert (tmp_path / "new.txt").read_text() == "whole"
    assert_nothing_left(tmp_path, "new.txt", *others)


@pytest.mark.skipif(sys.platform != "linux", reason="the state of processes is in /proc")
def test_an_ended_process_that_nobody_has_asked_for_does_not_run(tmp_path: Path) -> None:
    zombie = start("--version")
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    orphan = tmp_path / f".other.zerodce-{atomic._machine()}-{zombie.pid}-012345.part.mkv"
    orphan.write_text("x")
    atomic.search_again()
    with finished_file(tmp_path / "new.txt"):
        assert not orphan.exists()
    finish(zombie)


def test_a_source_that_stalls_does_not_keep_the_program(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pipeline, "_STALLED_SECONDS", 0.2)
    source, stalled, go_on = make_video(), threading.Event(), threading.Event()
    with VideoReader(source) as reader:
        decode = reader._decoded

        def stalling(begin: float, end: float):  # type: ignore[no-untyped-def]
            for number, item in enumerate(decode(begin, end)):
                if number == 3:
                    stalled.set()
                    go_on.wait(30)
                yield item

        monkeypatch.setattr(reader, "_decoded", stalling)

        def fail(_: object) -> None:
            assert stalled.wait(30)
            raise RuntimeError("the disk is full")

        started = time.monotonic()
        with pytest.raises(RuntimeError, match="the disk is full"):
            pipeline.run_in_order(reader, lambda item: item, fail)
        assert time.monotonic() - started < 10
    assert "does not answer" in caplog.text
    # It was not closed while it was read.
    assert reader.container.streams
    go_on.set()
    deadline = time.monotonic() + 10
    while pipeline_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not pipeline_threads()
    reader.container.close()
