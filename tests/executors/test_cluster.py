"""``enhance --ray`` on a real Ray cluster of this machine: the same files, whatever is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
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
from zerodce_rt.cli.running import Run
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.executors import Outcome, cluster, ray_connection
from zerodce_rt.executors.cluster import Cluster
from zerodce_rt.files import enhance_video
from zerodce_rt.storage import copies
from zerodce_rt.storage.remote import of_this_machine
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


Capture = pytest.CaptureFixture[str]
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
    join_segments(task, units[0].unit.plan, [of_this_machine(unit.unit.path) for unit in units])
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


# ---- a storage is all that the machines share


@pytest.fixture
def bucket(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What is in ``dir://``; this process has a cache of its own, as every node has."""
    pytest.importorskip("fsspec")
    from fsspec.config import conf

    conf.update(nodes.storage)
    folders = {"storage": tmp_path / "cache", "storage-records": tmp_path / "records"}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setattr(copies, "cache_folder", lambda name: str(folders[name]))
    yield nodes.bucket
    del conf["dir"]
    shutil.rmtree(nodes.bucket)
    nodes.bucket.mkdir()


def copies_on(nodes: Nodes) -> list[str]:
    """Copies that are left on the nodes, but the locks that always stay."""
    found = (path for cache in nodes.caches for path in cache.rglob("storage/*/*"))
    return sorted(path.name for path in found if path.name[0] != ".")


def test_files_of_a_storage(nodes: Nodes, bucket: Path, tmp_path: Path, capfd: Capture) -> None:
    (bucket / "b" / "in").mkdir(parents=True)
    long = write_clip(bucket / "b" / "in" / "long.mp4", audio=1)
    write_clip(bucket / "b" / "in" / "short.mp4", frames=12)
    cv2.imwrite(str(bucket / "b" / "in" / "a.png"), np.full((32, 32, 3), 20, np.uint8))
    (bucket / "b" / "in" / "bad.mp4").write_text("no video")
    options = ("--crf", 0, "--ray", nodes.address)
    assert run("enhance", "dir://b/in", "-o", "dir://b/out", *options) == 1
    assert "failed: dir://b/in/bad.mp4: " in capfd.readouterr().err
    names = ["a.png", "long.mp4", "short.mp4"]
    assert_nothing_left(bucket / "b" / "out", "report.csv", *names)
    assert run("enhance", bucket / "b" / "in", "-o", tmp_path / "one", "--crf", 0) == 1
    for name in names[1:]:
        one, many = tmp_path / "one" / name, bucket / "b" / "out" / name
        assert frames_of(many) == frames_of(one), name
        assert Probe(many).packets == Probe(one).packets, name
    assert (bucket / "b" / "out" / "a.png").read_bytes() == (tmp_path / "one/a.png").read_bytes()
    # Only a machine that did not join the segments keeps its copy, for a later run.
    assert copies_on(nodes) in ([], [long.name])
    assert not list((tmp_path / "cache").rglob("*.mp4"))


def test_a_folder_of_all_for_what_comes_from_a_storage(
    nodes: Nodes, bucket: Path, tmp_path: Path
) -> None:
    (bucket / "b").mkdir()
    source = write_clip(bucket / "b" / "long.mp4", audio=1)
    for name, named, options in (
        ("one.mp4", source, []), ("many.mp4", "dir://b/long.mp4", ["--ray", nodes.address])
    ):  # fmt: skip
        assert run("enhance", named, "-o", tmp_path / name, "--crf", 0, *options) == 0
    assert frames_of(tmp_path / "many.mp4") == frames_of(tmp_path / "one.mp4")


def test_a_stopped_run_goes_on_in_a_storage(
    nodes: Nodes, bucket: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bucket / "b").mkdir()
    source = write_clip(bucket / "b" / "long.mp4", audio=1)
    command = ("enhance", "dir://b/long.mp4", "--crf", 0, "--ray", nodes.address)
    taken: list[Outcome] = []

    def take(self: Run, outcome: Outcome) -> None:
        taken.append(outcome)
        if len(taken) == 2:
            raise KeyboardInterrupt
        original(self, outcome)

    original = Run._take
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_take", take)
        assert run(*command) == 130
    kept = bucket / "b" / ".long_enhanced.mp4.segments"
    finished = sorted(path.name for path in kept.iterdir())
    assert "manifest.json" in finished
    assert 3 <= len(finished) <= 4
    capfd.readouterr()
    assert run(*command) == 0
    assert f"with {len(finished) - 1} of 4 segments finished" in capfd.readouterr().err
    assert_nothing_left(bucket / "b", "long.mp4", "long_enhanced.mp4")
    assert run("enhance", source, "-o", tmp_path / "one.mp4", "--crf", 0) == 0
    assert frames_of(bucket / "b" / "long_enhanced.mp4") == frames_of(tmp_path / "one.mp4")


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
