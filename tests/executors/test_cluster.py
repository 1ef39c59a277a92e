"""``enhance --ray`` on a real Ray cluster of this machine: the same files, whatever is lost."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.conftest import assert_nothing_left, one_line, run
from tests.executors.conftest import Nodes
from tests.executors.units import (
    Elsewhere,
    FallsBack,
    Number,
    OnGoodCard,
    Poison,
    Says,
    Slowly,
    Wrong,
)
from tests.support.commands import command, finish, partial_files, start
from tests.support.media import Probe
from tests.video.test_segments import LOSSLESS, frames_of, planned, write_clip
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.executors import Outcome, cluster, ray_connection
from zerodce_rt.executors.cluster import Cluster
from zerodce_rt.files import enhance_video
from zerodce_rt.units import PictureUnit, SegmentUnit, Unit, VideoUnit, once_more
from zerodce_rt.video import plan as planning
from zerodce_rt.video.segment import join_segments
from zerodce_rt.video.task import VideoTask

THOROUGH = bool(os.environ.get("ZERODCE_RT_THOROUGH"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Ray's clusters are of Linux")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short segments, looked at often; only this process makes plans."""
    monkeypatch.setattr(planning, "SEGMENT_SECONDS", 4)
    monkeypatch.setattr(planning, "SHORTEST_SECONDS", 2)
    monkeypatch.setattr(cluster, "_INTERVAL_SECONDS", 0.05)


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.for_video()


Watch = Callable[[Cluster, Unit, str], None]


def outcomes(
    enhancer: Enhancer, nodes: Nodes, units: Sequence[Unit], watch: Watch | None = None
) -> list[Outcome]:
    """Do units.

    Args:
        watch: called with the cluster, a unit under way and its worker's number.
    """
    executor = Cluster(enhancer, nodes.address)
    left = deque(units)

    def seen(unit: Unit, number: str, *_: object) -> None:
        if watch is not None:
            watch(executor, unit, number)

    try:
        return list(executor.run(lambda: left.popleft() if left else None, seen))
    finally:
        executor.close()
        executor.close()


def worker_of(executor: Cluster, number: str) -> tuple[int, str]:
    """A worker's process and node."""
    (hello,) = (w.hello for w in executor._workers if str(w.number) == number)
    assert hello is not None
    return hello.process, hello.node


# ---- the same files


@pytest.mark.skipif(not THOROUGH, reason="takes long; others have a long one")
def test_several_files_and_a_long_one(nodes: Nodes, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        write_clip(folder / f"{number}.mp4", frames=12 + number, audio=1)
    write_clip(folder / "long.mp4", audio=1)
    for output, options in (("one", []), ("many", ["--ray", nodes.address])):
        assert run("enhance", folder, "-o", tmp_path / output, "--crf", 0, *options) == 0
    names = [*(f"{number}.mp4" for number in range(5)), "long.mp4"]
    for name in names:
        one, many = tmp_path / "one" / name, tmp_path / "many" / name
        assert frames_of(many) == frames_of(one), name
        assert Probe(many).packets == Probe(one).packets, name
    assert_nothing_left(tmp_path / "many", ".zerodce-rt.jsonl", "report.csv", *names)


def slow_segments(folder: Path, enhancer: Enhancer) -> tuple[VideoTask, list[Slowly]]:
    source = write_clip(folder / "in.mp4", audio=1)
    task = VideoTask(source=source, output=folder / "many.mp4", encoder=LOSSLESS)
    plan = planned(task, enhancer)
    (folder / "segments").mkdir()
    paths = [folder / "segments" / f"{segment.index}.mp4" for segment in plan.segments]
    segments = zip(plan.segments, paths, strict=True)
    return task, [Slowly(SegmentUnit(task, plan, segment, path)) for segment, path in segments]


def assert_whole(task: VideoTask, units: Sequence[Slowly], done: Sequence[Outcome]) -> None:
    """All segments are done, and make the file that one worker makes."""
    assert [outcome.error for outcome in done] == [None] * len(units)
    assert {id(outcome.unit) for outcome in done} == {id(unit) for unit in units}
    join_segments(task, units[0].unit.plan, [unit.unit.path for unit in units])
    whole = task.output.with_name("whole.mp4")
    enhance_video(task.source, whole, encoder=LOSSLESS)
    assert frames_of(task.output) == frames_of(whole)
    assert Probe(task.output).packets == Probe(whole).packets


def test_the_worker_of_each_segment_is_killed_once(
    nodes: Nodes, tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    task, units = slow_segments(tmp_path, enhancer)
    killed: list[int] = []

    def watch(executor: Cluster, unit: Unit, number: str) -> None:
        assert isinstance(unit, Slowly)
        index = unit.unit.segment.index
        if index not in killed:
            killed.append(index)
            os.kill(worker_of(executor, number)[0], signal.SIGKILL)

    done = outcomes(enhancer, nodes, units, watch)
    assert sorted(killed) == [0, 1, 2, 3]
    assert len(re.findall("its worker on .* was lost", caplog.text)) == 4
    assert_whole(task, units, done)
    # What was killed has left something, which was deleted.
    assert not partial_files(tmp_path / "segments")


@pytest.mark.parametrize("comes_back", [False, *([True] if THOROUGH else [])])
def test_a_node_is_lost(
    nodes: Nodes, tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture,
    comes_back: bool,
) -> None:  # fmt: skip
    task, units = slow_segments(tmp_path, enhancer)
    taken: list[str] = []

    def watch(executor: Cluster, unit: Unit, number: str) -> None:
        if not taken:
            taken.append(worker_of(executor, number)[1])
            nodes.take_away(taken[0])
            if comes_back:
                nodes.fill()

    done = outcomes(enhancer, nodes, units, watch)
    nodes.fill()
    assert len(taken) == 1
    assert "once more" in caplog.text
    assert_whole(task, units, done)


@pytest.mark.skipif(not THOROUGH, reason="takes long, and an address of the machine")
def test_a_ray_of_our_own(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=12)
    for name, options in (("one.mp4", []), ("many.mp4", ["--ray"])):
        # A process that has been connected to two clusters confuses Ray.
        code, error = command("enhance", source, "-o", tmp_path / name, "--crf", 0, *options)
        assert (code, error) == (0, "")
    assert frames_of(tmp_path / "many.mp4") == frames_of(tmp_path / "one.mp4")


# ---- what fails


def test_a_unit_that_ends_its_workers_does_not_go_on_for_ever(
    nodes: Nodes, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_MOST_ATTEMPTS", 2)
    done = outcomes(enhancer, nodes, [Number(0), Poison(1), Wrong(2), Number(3)])
    assert len(done) == 4
    found = {outcome.unit.title: outcome for outcome in done}
    assert [found[f"number {n}"].frames for n in (0, 3)] == [0, 3]
    assert "number 1: its worker was lost 2 times" in str(found["number 1"].error)
    assert isinstance(found["number 2"].error, ValueError)


def test_a_unit_whose_card_is_lost_gets_another_worker(
    nodes: Nodes, tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    notes = tmp_path / "notes"
    (done,) = outcomes(enhancer, nodes, [OnGoodCard(5, notes)])
    assert (done.frames, done.error) == (5, None)
    assert len(set(notes.read_text().split())) == 2
    assert "the card is lost" in caplog.text


@pytest.mark.skipif(not THOROUGH, reason="takes long; as one whose card is lost")
def test_a_worker_that_fell_back_to_its_cpu_is_replaced(
    nodes: Nodes, tmp_path: Path, enhancer: Enhancer
) -> None:
    notes = tmp_path / "notes"
    done = outcomes(enhancer, nodes, [FallsBack(n, notes) for n in range(3)])
    assert sorted(outcome.frames or 0 for outcome in done) == [0, 1, 2]
    assert len(set(notes.read_text().split())) == 3


def test_what_workers_have_to_say_is_shown_once(
    nodes: Nodes, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(outcomes(enhancer, nodes, [Says(n) for n in range(4)])) == 4
    assert caplog.text.count("said by each") == 1


def test_a_folder_that_is_not_shared_is_told(
    nodes: Nodes, tmp_path: Path, enhancer: Enhancer
) -> None:
    (done,) = outcomes(enhancer, nodes, [Elsewhere(1, tmp_path / "out.png")])
    assert "must share the folders" in str(done.error)


def test_what_is_done_again_may_be_there(tmp_path: Path, enhancer: Enhancer) -> None:
    source, output = write_clip(tmp_path / "in.mp4", frames=3), tmp_path / "out.mp4"
    unit = VideoUnit(VideoTask(source=source, output=output))
    picture = PictureUnit(tmp_path / "in.png", tmp_path / "out.png", {"quality": 90})
    assert unit.run(enhancer, lambda *_: None) == 3
    assert once_more(unit).run(enhancer, lambda *_: None) == 3
    again = once_more(picture)
    assert isinstance(again, PictureUnit)
    assert again.options == {"quality": 90, "overwrite": True}


def test_no_room_is_told(nodes: Nodes, enhancer: Enhancer) -> None:
    with pytest.raises(ZeroDCEError, match="no room for a worker, which needs 1 CPU and 1 GPU"):
        Cluster(enhancer, nodes.address, gpus=1.0)


def test_workers_that_cannot_start_are_told(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, enhancer: Enhancer
) -> None:
    monkeypatch.setattr(cluster, "_MOST_ATTEMPTS", 2)
    monkeypatch.setattr(Enhancer, "recipe", lambda *_, **__: _Broken())
    with pytest.raises(ZeroDCEError, match="no worker can be started in the Ray cluster: no model"):
        outcomes(enhancer, nodes, [Number(0)])


class _Broken:
    def __call__(self) -> Enhancer:
        raise ZeroDCEError("no model")


@pytest.mark.parametrize("sent", [signal.SIGINT, *([signal.SIGTERM] if THOROUGH else [])])
def test_a_run_that_is_stopped_leaves_nothing(nodes: Nodes, tmp_path: Path, sent: int) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=250, size=(320, 240), noise=0.0)
    process = start(
        "enhance", source, "-o", tmp_path / "out.mp4", "--ray", nodes.address,
        start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not partial_files(tmp_path):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, sent)
    code, error = finish(process)
    assert (code, one_line(error)) == (130, "stopped; nothing was left half-written")
    assert_nothing_left(tmp_path, "in.mp4")


# ---- no cluster


Capture = pytest.CaptureFixture[str]


def test_an_address_where_nothing_is(tmp_path: Path, capfd: Capture) -> None:
    pytest.importorskip("ray")
    source = write_clip(tmp_path / "in.mp4", frames=3)
    assert run("enhance", source, "--ray", "127.0.0.1:1") == 1
    said = one_line(capfd.readouterr().err)
    assert "no Ray cluster can be joined at 127.0.0.1:1 (Connection refused)" in said


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400 Bad Request\r\n"])
def test_an_address_where_something_else_is(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_connection, "_ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(reply)
                time.sleep(1)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(ZeroDCEError, match="no Ray cluster can be joined"):
            ray_connection.connect(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--ray", "night.mp4"], "must be HOST:PORT or 'auto', not 'night.mp4'"),
        (["--gpus-per-job", "1"], "--gpus-per-job is for the workers of --ray"),
        (["-o", "-", "--ray"], "can neither read nor write this one's pipes"),
    ],
)
def test_wrong_usage(options: list[str], says: str, tmp_path: Path, capfd: Capture) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=3)
    assert run("enhance", source, *options) == 2
    assert says in one_line(capfd.readouterr().err)


def test_ray_is_not_installed(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    source = write_clip(tmp_path / "in.mp4", frames=3)
    assert run("enhance", source, "--ray") == 1
    assert "pip install 'zerodce-rt[ray]'" in one_line(capfd.readouterr().err)
