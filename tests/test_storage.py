"""Inputs and outputs in storages that fsspec knows: here one in memory, made to fail."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filelock import FileLock, Timeout
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from tests.conftest import VideoMaker, one_line, run
from tests.support.media import Probe
from zerodce_rt import progress
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.files import enhance_picture, enhance_video
from zerodce_rt.storage import copies, ends, transfer
from zerodce_rt.storage.copies import Held, fetched, key_of, local_name
from zerodce_rt.storage.errors import naming_storage
from zerodce_rt.storage.remote import Remote, expanded, opened, place
from zerodce_rt.video import plan as planning
from zerodce_rt.video.segment import enhance_segment

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


class Storage:
    """What is in memory, and the cache folder for its copies."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._fs = MemoryFileSystem()

    def put(self, name: str, data: bytes) -> None:
        self._fs.pipe_file(name, data)

    def get(self, name: str) -> bytes:
        return bytes(self._fs.cat_file(name))

    @property
    def names(self) -> list[str]:
        return sorted(self._fs.store)

    @property
    def copies(self) -> list[str]:
        """Files in the cache, but the lock that always stays."""
        files = (p for p in (self.cache / "storage").rglob("*") if p.is_file())
        return sorted(p.name for p in files if p.name != ".lock")


@pytest.fixture(autouse=True)
def storage(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Patch) -> Storage:
    cache = tmp_path_factory.mktemp("cache")

    def folder(name: str) -> str:
        (cache / name).mkdir(exist_ok=True)
        return str(cache / name)

    monkeypatch.setattr(copies, "cache_folder", folder)
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    return Storage(cache)


def picture(code: int = 20) -> bytes:
    return cv2.imencode(".png", np.full((32, 32, 3), code, np.uint8))[1].tobytes()


def level(data: bytes) -> int:
    """Mean of a picture."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return int(pixels.mean())


def tried(*arguments: object, capfd: Capture) -> tuple[int, list[str], str]:
    """Exit code, the outputs that were printed, and standard error; nothing is brightened."""
    capfd.readouterr()
    code = run("enhance", *arguments, "--strength", "0")
    shown = capfd.readouterr()
    return code, shown.out.splitlines(), shown.err


@pytest.fixture
def no_fetching(monkeypatch: Patch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr(MemoryFileSystem, "get_file", refuse)


# ---- where inputs come from, and outputs go


@pytest.mark.parametrize("source_away", [True, False])
@pytest.mark.parametrize("output_away", [True, False])
def test_one_video(
    source_away: bool, output_away: bool, make_video: VideoMaker, tmp_path: Path,
    storage: Storage, capfd: Capture,
) -> None:  # fmt: skip
    source = make_video(frames=3, size=(32, 32))
    storage.put("/b/night.mp4", source.read_bytes())
    output = "memory://b/out/bright.mp4" if output_away else str(tmp_path / "bright.mp4")
    named = "memory://b/night.mp4" if source_away else str(source)
    code, printed, error = tried(named, "-o", output, capfd=capfd)
    assert (code, printed) == (0, [output]), error
    found = tmp_path / "found.mp4"
    found.write_bytes(
        storage.get("/b/out/bright.mp4") if output_away else Path(output).read_bytes()
    )
    assert len(Probe(found).frames) == 3
    assert storage.copies == []
    assert storage.names == ["/b/night.mp4", *(["/b/out/bright.mp4"] if output_away else [])]


def test_the_default_output_is_beside_the_input(storage: Storage, capfd: Capture) -> None:
    storage.put("/b/a.png", picture())
    assert tried("memory://b/a.png", capfd=capfd)[:2] == (0, ["memory://b/a_enhanced.png"])
    assert storage.names == ["/b/a.png", "/b/a_enhanced.png"]


def test_a_folder_keeps_its_shape(storage: Storage, capfd: Capture) -> None:
    for name in ("a.png", "deep/b.png", ".hidden/c.png", "text.txt", "deep/../../x.png"):
        storage.put(f"/b/in/{name}", picture())
    code, printed, _ = tried("memory://b/in/", "-o", "memory://b/out", capfd=capfd)
    assert (code, printed) == (0, ["memory://b/out/a.png", "memory://b/out/deep/b.png"])
    results = ["/b/out/a.png", "/b/out/deep/b.png", "/b/out/report.csv"]
    assert [n for n in storage.names if "/out/" in n] == results
    assert storage.copies == []


def test_a_report_is_beside_the_outputs(
    storage: Storage, capfd: Capture, monkeypatch: Patch
) -> None:
    # As files of S3 are.
    monkeypatch.setattr(MemoryFile, "readline", AbstractBufferedFile.readline)
    storage.put("/b/in/a.png", picture())
    storage.put("/b/in/bad.png", b"no picture")
    for result in ("enhanced", "finished before"):  # the second replaces that of the first
        assert tried("memory://b/in/", "-o", "memory://b/out", capfd=capfd)[0] == 1
        header, *rows = storage.get("/b/out/report.csv").decode().splitlines()
        assert header == "input,output,result,frames,seconds,error"
        assert [row.split(",")[2] for row in rows] == [result, "failed"]
    storage.put("/b/out/report.csv", b"mine")
    _, _, error = tried("memory://b/in/", "-o", "memory://b/out", capfd=capfd)
    assert "memory://b/out/report.csv: is not a report of ours" in error
    assert storage.get("/b/out/report.csv") == b"mine"


def test_a_folder_without_an_output_goes_beside_itself(storage: Storage, capfd: Capture) -> None:
    storage.put("/b/in/a.png", picture())
    assert tried("memory://b/in", capfd=capfd)[:2] == (0, ["memory://b/in_enhanced/a.png"])
    assert tried("memory://b", capfd=capfd)[0] == 2  # a bucket has nothing beside itself


def test_several_inputs_of_both_kinds(storage: Storage, tmp_path: Path, capfd: Capture) -> None:
    storage.put("/b/a.png", picture())
    (tmp_path / "c.png").write_bytes(picture())
    code, printed, error = tried(
        "memory://b/a.png", "memory://b/no.png", tmp_path / "c.png", "-o", "memory://out/",
        capfd=capfd,
    )  # fmt: skip
    assert (code, printed) == (1, ["memory://out/a_enhanced.png", "memory://out/c_enhanced.png"])
    assert "failed: memory://b/no.png: no such file or folder" in error


def test_a_pattern_means_files(storage: Storage, tmp_path: Path, capfd: Capture) -> None:
    for name in ("a.png", "b.png", "b.txt"):
        storage.put(f"/b/{name}", picture())
    output = tmp_path / "out"
    code, printed, _ = tried("memory://b/*.png", "-o", output, capfd=capfd)
    assert code == 0
    assert printed == [str(output / "a_enhanced.png"), str(output / "b_enhanced.png")]
    assert expanded("memory://b/[ab].png") == ["memory://b/a.png", "memory://b/b.png"]
    assert "no such file" in one_line(tried("memory://b/*.mp4", capfd=capfd)[2])
    storage.put("/b/[ab].png", picture())  # this is the name of one now
    assert expanded("memory://b/[ab].png") == ["memory://b/[ab].png"]


def test_a_file_url_is_a_path(tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    assert place(f"file://{tmp_path}/a.png") == tmp_path / "a.png"
    assert expanded(f"file://{tmp_path}/*.png") == [str(tmp_path / "a.png")]
    code, printed, _ = tried(f"file://{tmp_path}/a.png", capfd=capfd)
    assert (code, printed) == (0, [str(tmp_path / "a_enhanced.png")])


def test_a_video_goes_to_standard_output(
    make_video: VideoMaker, storage: Storage, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    storage.put("/b/night.mp4", make_video(frames=3, size=(32, 32)).read_bytes())
    assert run("enhance", "memory://b/night.mp4", "-o", "-", "--quiet") == 0
    assert capfdbinary.readouterr().out.startswith(b"YUV4MPEG2 W32 H32")
    assert storage.copies == []


def test_several_processes(storage: Storage, capfd: Capture) -> None:
    storage.put("/b/in/a.png", picture())
    storage.put("/b/in/b.png", picture())
    code, printed, error = tried("memory://b/in", "--jobs", "2", capfd=capfd)
    assert (code, len(printed)) == (0, 2), error
    results = [f"/b/in_enhanced/{name}" for name in ("a.png", "b.png", "report.csv")]
    assert storage.names[-3:] == results
    assert storage.copies == []


def test_from_python(make_video: VideoMaker, storage: Storage) -> None:
    storage.put("/b/night.mp4", make_video(frames=3, size=(32, 32)).read_bytes())
    storage.put("/b/a.png", picture())
    result = enhance_video("memory://b/night.mp4", "memory://b/bright.mp4", strength=0)
    assert (result.output, result.frames) == ("memory://b/bright.mp4", 3)
    enhance_picture("memory://b/a.png", "memory://b/bright.png", strength=0)
    assert level(storage.get("/b/bright.png")) == 20
    with pytest.raises(ZeroDCEError, match=r"memory://b/bright\.png: exists already"):
        enhance_picture("memory://b/a.png", "memory://b/bright.png", strength=0)
    storage.put("/b/odd.png", b"no picture")
    with pytest.raises(ZeroDCEError, match=r"^memory://b/odd\.png: "):
        enhance_picture("memory://b/odd.png", "memory://b/out.png", strength=0)
    assert storage.copies == []


# ---- what is there already


def test_an_existing_output_is_kept(storage: Storage, capfd: Capture, no_fetching: None) -> None:
    storage.put("/b/a.png", picture())
    storage.put("/b/out.png", b"mine")
    code, _, error = tried("memory://b/a.png", "-o", "memory://b/out.png", capfd=capfd)
    assert (code, storage.get("/b/out.png")) == (1, b"mine")
    assert "memory://b/out.png: exists already; use --overwrite" in one_line(error)


def test_a_local_output_is_looked_for_before_anything_is_fetched(
    storage: Storage, tmp_path: Path, capfd: Capture, no_fetching: None
) -> None:
    storage.put("/b/a.png", picture())
    (tmp_path / "out.png").write_bytes(b"mine")
    for name, reason in [("out.png", "exists already"), ("no/out.png", "no such folder")]:
        code, _, error = tried("memory://b/a.png", "-o", tmp_path / name, capfd=capfd)
        assert code == 1
        assert reason in one_line(error)


def test_overwrite_replaces(storage: Storage, capfd: Capture) -> None:
    storage.put("/b/a.png", picture(20))
    storage.put("/b/out.png", b"mine")
    code, *_ = tried("memory://b/a.png", "-o", "memory://b/out.png", "--overwrite", capfd=capfd)
    assert (code, level(storage.get("/b/out.png"))) == (0, 20)
    code, _, error = tried("memory://b/a.png", "-o", "memory://b/a.png", "--overwrite", capfd=capfd)
    assert code == 1
    assert "is the input itself" in one_line(error)


@pytest.mark.parametrize("away", [True, False])
def test_a_second_run_goes_on(
    away: bool, storage: Storage, tmp_path: Path, capfd: Capture, monkeypatch: Patch
) -> None:
    storage.put("/b/in/a.png", picture(20))
    storage.put("/b/in/b.png", picture(20))
    output = "memory://b/out" if away else str(tmp_path / "out")
    assert tried("memory://b/in", "-o", output, capfd=capfd)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "get_file", None)  # nothing is fetched for it
        code, printed, error = tried("memory://b/in", "-o", output, capfd=capfd)
    assert (code, printed) == (0, [])
    assert "2 were finished before" in error
    time.sleep(0.01)
    storage.put("/b/in/b.png", picture(40))
    code, printed, _ = tried("memory://b/in", "-o", output, capfd=capfd)
    assert (code, printed) == (0, [f"{output}/b.png"])
    now = storage.get("/b/out/b.png") if away else (tmp_path / "out" / "b.png").read_bytes()
    assert level(now) == 40


def test_an_output_that_is_not_ours_is_left(storage: Storage, capfd: Capture) -> None:
    storage.put("/b/in/a.png", picture())
    time.sleep(0.01)
    storage.put("/b/out/a.png", b"mine")
    code, printed, error = tried("memory://b/in", "-o", "memory://b/out", capfd=capfd)
    assert (code, printed, storage.get("/b/out/a.png")) == (0, [], b"mine")
    assert "exists already, and is left as it is" in error


# ---- what goes wrong


@pytest.mark.parametrize(
    ("url", "code", "reason"),
    [
        ("https://user:secret@host/a.mp4", 2, "https://host/a.mp4: is on the web"),
        ("udp://host:1", 2, "udp://host:1: is a stream, which has no end"),
        ("nosuch://b/a.mp4", 2, "nosuch://b/a.mp4: no kind of storage"),
        ("zip://a.mp4::https://host/a.zip", 2, "no kind of storage"),
        ("s3://b/a.mp4", 1, "s3:// needs another package; pip install 'zerodce-rt[storage]'"),
        ("memory://b/a.mp4", 1, "memory://b/a.mp4: no such file or folder"),
        ("memory://b/frame_%04d.png", 1, "numbered pictures must be in a folder of this machine"),
    ],
)
def test_what_is_refused(
    url: str, code: int, reason: str, capfd: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # it may be installed
    found, _, error = tried(url, "-o", "out.mp4", capfd=capfd)
    assert found == code
    assert reason in one_line(error)
    assert "secret" not in error


def test_outputs_that_are_refused(storage: Storage, capfd: Capture, no_fetching: None) -> None:
    storage.put("/b/a.png", picture())
    storage.put("/b/folder/b.png", picture())
    for output, reason in [
        ("memory://b/out.xyz", "unknown kind of output"),
        ("memory://b/f_%04d.png", "numbered pictures"),
        ("rtmp://b/out.png", "is a stream"),
    ]:
        code, _, error = tried("memory://b/a.png", "-o", output, capfd=capfd)
        assert code != 0
        assert reason in one_line(error)
    with pytest.raises(ZeroDCEError, match="is a folder"):
        ends.check_ends(Path("a.png"), Remote("memory://b/folder"), [""], overwrite=True)


def test_a_missing_bucket_is_found_first(
    storage: Storage, capfd: Capture, monkeypatch: Patch, no_fetching: None
) -> None:
    monkeypatch.setattr(ends, "_WITH_BUCKETS", {"memory"})
    storage.put("/b/a.png", picture())
    code, _, error = tried("memory://b/a.png", "-o", "memory://nosuch/a.png", capfd=capfd)
    assert code == 1
    assert "memory://nosuch: no such bucket" in one_line(error)

    def deny(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(MemoryFileSystem, "info", deny)
    assert ends._has_bucket(Remote("memory://secret"))


def test_options_of_this_machine_only(storage: Storage, capfd: Capture) -> None:
    storage.put("/b/a.png", picture())
    code, _, error = tried("memory://b/a.png", "--preview", capfd=capfd)
    assert (code, "a file of this machine" in one_line(error)) == (2, True)


def test_a_damaged_input_is_named_as_it_was(storage: Storage, capfd: Capture) -> None:
    storage.put("/b/a.png", b"no picture")
    code, _, error = tried("memory://b/a.png", "-o", "memory://b/out.png", capfd=capfd)
    assert code == 1
    assert "zerodce-rt: memory://b/a.png: " in one_line(error)
    assert (storage.copies, storage.names) == ([], ["/b/a.png"])


def half(fs: MemoryFileSystem, name: str, lpath: str) -> None:
    """Begin an upload."""
    data = Path(lpath).read_bytes()
    fs.pipe_file(name, data[: len(data) // 2])


def test_a_failed_upload_leaves_nothing_and_loses_nothing(
    storage: Storage, capfd: Capture, monkeypatch: Patch
) -> None:
    def fail(fs: MemoryFileSystem, lpath: str, rpath: str, **_: object) -> None:
        half(fs, rpath, lpath)
        raise OSError("the line was cut")

    monkeypatch.setattr(MemoryFileSystem, "put_file", fail)
    storage.put("/b/a.png", picture(20))
    code, printed, error = tried("memory://b/a.png", "-o", "memory://b/out.png", capfd=capfd)
    assert (code, printed, storage.names) == (1, [], ["/b/a.png"])
    start = "memory://b/out.png: cannot be written (the line was cut); for a week, the result is"
    assert start in one_line(error)
    kept = Path(one_line(error).rpartition(" ")[2])
    assert level(kept.read_bytes()) == 20
    assert storage.copies == ["out.png"]


def test_an_upload_that_lost_a_part_is_an_error(
    storage: Storage, capfd: Capture, monkeypatch: Patch
) -> None:
    def lose(fs: MemoryFileSystem, lpath: str, rpath: str, **_: object) -> None:
        half(fs, rpath, lpath)

    monkeypatch.setattr(MemoryFileSystem, "put_file", lose)
    storage.put("/b/a.png", picture())
    code, _, error = tried("memory://b/a.png", "-o", "memory://b/out.png", capfd=capfd)
    assert code == 1
    assert "a part of it was lost" in one_line(error)
    assert storage.names == ["/b/a.png"]


@pytest.mark.parametrize("method", ["get_file", "put_file"])
def test_ctrl_c_leaves_nothing(
    method: str, storage: Storage, capfd: Capture, monkeypatch: Patch
) -> None:
    def stop(fs: MemoryFileSystem, first: str, second: str, **_: object) -> None:
        if method == "put_file":
            half(fs, second, first)
        else:
            Path(second).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(MemoryFileSystem, method, stop)
    storage.put("/b/a.png", picture())
    code, _, error = tried("memory://b/a.png", "-o", "memory://b/out.png", capfd=capfd)
    assert (code, one_line(error)) == (130, "stopped; nothing was left half-written")
    assert (storage.names, storage.copies) == (["/b/a.png"], [])


def test_a_download_that_breaks_off(storage: Storage, capfd: Capture, monkeypatch: Patch) -> None:
    def short(fs: object, rpath: str, lpath: str, **_: object) -> None:
        Path(lpath).write_bytes(b"half")

    storage.put("/b/a.png", picture())
    monkeypatch.setattr(MemoryFileSystem, "get_file", short)
    code, _, error = tried("memory://b/a.png", capfd=capfd)
    assert (code, storage.copies) == (1, [])
    assert "was changed while it was fetched" in one_line(error)


def test_a_full_disk_is_found_before_the_download(
    storage: Storage, capfd: Capture, monkeypatch: Patch, no_fetching: None
) -> None:
    storage.put("/b/a.png", picture())
    full = shutil.disk_usage("/")._replace(free=1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    code, _, error = tried("memory://b/a.png", capfd=capfd)
    assert code == 1
    assert "a copy takes 0.0 GB" in one_line(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError("Access Denied"), "cannot be read (no permission: Access Denied)"),
        (FileNotFoundError("bucket"), "no such bucket, folder or file"),
        (ImportError("Install paramiko"), "sftp:// needs another package (Install paramiko)"),
        (RuntimeError("me:secret@host\nno"), "cannot be read (me:***@host no)"),
        (RuntimeError("at sftp://me:secret@host/a"), "cannot be read (at sftp://host/a)"),
    ],
)
def test_errors_of_a_storage(error: Exception, reason: str) -> None:
    with pytest.raises(ZeroDCEError) as caught, naming_storage("sftp://me:secret@host/a"):
        raise error
    assert str(caught.value) == f"sftp://host/a: {reason}"


def test_a_package_that_logs_its_errors(
    storage: Storage, capfd: Capture, monkeypatch: Patch
) -> None:
    def fail(*_: object, **__: object) -> None:
        logging.getLogger("gcsfs.retry").error("out of retries")
        raise OSError("no route")

    monkeypatch.setattr(MemoryFileSystem, "info", fail)
    assert "(no route)" in one_line(tried("memory://b/a.png", capfd=capfd)[2])


# ---- copies


def test_a_copy_is_used_again_until_the_file_changes(storage: Storage, monkeypatch: Patch) -> None:
    storage.put("/b/a.png", b"first")
    remote = Remote("memory://b/a.png")
    first, second = Held(*key_of(remote)), Held(*key_of(remote))
    path = fetched(remote, first)
    assert path.stat().st_mtime_ns == remote.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "get_file", None)
        assert fetched(remote, second) == path
    time.sleep(0.01)
    storage.put("/b/a.png", b"other")
    third = Held(*key_of(remote))
    assert fetched(remote, third).read_bytes() == b"other"
    first.release()
    assert path.read_bytes() == b"first"  # somebody still uses it
    second.release()
    assert not path.parent.exists()
    third.release(keep=True)
    assert storage.copies == [".fetching", "a.png"]


def test_what_nobody_uses_is_deleted_after_a_week(storage: Storage) -> None:
    used, kept, old = Held("used"), Held("kept"), Held("old")
    kept.release(keep=True)
    old.release(keep=True)
    (used.folder / ".used-dead").touch()  # of a process that was killed
    for held in (used, old):
        os.utime(held.folder, (0, 0))
    Held("another").release()
    assert used.folder.exists()
    assert kept.folder.exists()
    assert not old.folder.exists()
    used.release()
    assert not used.folder.exists()


def test_one_fetches_and_the_other_waits(
    storage: Storage, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    storage.put("/b/a.png", b"data")
    held = Held("a")
    said: list[str] = []

    class Waiting(FileLock):  # type: ignore[misc, valid-type, unused-ignore]
        def acquire(self, *arguments: Any, **options: Any) -> Any:
            if self.lock_file.endswith(".fetching") and not said:
                said.append("busy")
                raise Timeout(self.lock_file)
            return super().acquire(*arguments, **options)

    monkeypatch.setattr(copies, "FileLock", Waiting)
    with caplog.at_level(logging.INFO):
        assert fetched(Remote("memory://b/a.png"), held).read_bytes() == b"data"
    assert "another run fetches it" in caplog.text


def test_without_a_cache_folder(storage: Storage, capfd: Capture, monkeypatch: Patch) -> None:
    storage.put("/b/a.png", picture())
    monkeypatch.setattr(copies, "cache_folder", lambda _: "")
    code, _, error = tried("memory://b/a.png", capfd=capfd)
    assert code == 1
    assert "need a cache folder" in one_line(error)


# ---- long videos


@pytest.fixture
def long_video(make_video: VideoMaker, monkeypatch: Patch, storage: Storage) -> None:
    """One of four segments, in the storage."""
    monkeypatch.setattr(planning, "SEGMENT_SECONDS", 4)
    monkeypatch.setattr(planning, "SHORTEST_SECONDS", 2)
    path = make_video(
        frames=160, size=(32, 32), time_base=Fraction(1, 10), options={"crf": "40", "g": "20"}
    )
    storage.put("/b/night.mp4", path.read_bytes())


def test_a_stopped_run_goes_on_with_copy_and_segments(
    long_video: None, storage: Storage, capfd: Capture, monkeypatch: Patch
) -> None:
    done: list[int] = []

    def two(task: Any, plan: Any, segment: Any, *rest: Any) -> int:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(segment.index)
        return enhance_segment(task, plan, segment, *rest)

    arguments = "memory://b/night.mp4", "-o", "memory://b/out.mp4"
    with monkeypatch.context() as patch:
        patch.setattr("zerodce_rt.units.enhance_segment", two)
        code, _, error = tried(*arguments, capfd=capfd)
    assert code == 130
    assert "2 of 4 segments are finished" in error
    assert storage.names == ["/b/night.mp4"]
    assert {"night.mp4", "00000.mp4", "00001.mp4"} <= set(storage.copies)
    monkeypatch.setattr(MemoryFileSystem, "get_file", None)
    code, printed, error = tried(*arguments, capfd=capfd)
    assert (code, printed) == (0, ["memory://b/out.mp4"]), error
    assert "with 2 of 4 segments finished" in error
    assert storage.copies == []


def test_after_a_failed_upload_nothing_is_enhanced_again(
    long_video: None, storage: Storage, capfd: Capture, monkeypatch: Patch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the line was cut")

    arguments = "memory://b/night.mp4", "-o", "memory://b/out.mp4"
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", fail)
        assert tried(*arguments, capfd=capfd)[0] == 1
    monkeypatch.setattr("zerodce_rt.units.enhance_segment", None)
    code, printed, error = tried(*arguments, capfd=capfd)
    assert (code, printed) == (0, ["memory://b/out.mp4"]), error
    assert storage.copies == []


def test_parts_of_a_remote_video(
    long_video: None, storage: Storage, tmp_path: Path, capfd: Capture
) -> None:
    output = tmp_path / "out.mp4"
    arguments = "memory://b/night.mp4", "-o", output, "--segment"
    for part in ("1/2", "2/2"):
        code, _, error = tried(*arguments, part, capfd=capfd)
        assert code == 0, error
        assert "night.mp4" in storage.copies  # the other parts use it
    assert tried(*arguments, "join", capfd=capfd)[:2] == (0, [str(output)])
    assert len(Probe(output).frames) == 160
    assert storage.copies == []


def test_parts_meet_in_the_storage(long_video: None, storage: Storage, capfd: Capture) -> None:
    storage.put("/b/a.png", picture())
    inputs = "memory://b/night.mp4", "memory://b/a.png"
    arguments = *inputs, "-o", "memory://b/out/", "--segment"
    first, second = "memory://b/out/night_enhanced.mp4", "memory://b/out/a_enhanced.png"
    folder = "/b/out/.night_enhanced.mp4.segments"
    assert tried(*arguments, "1/2", capfd=capfd)[0] == 0
    found = [f"{folder}/{name}" for name in ("00000.mp4", "00002.mp4", "manifest.json")]
    assert [name for name in storage.names if name.startswith(folder)] == found
    code, printed, error = tried(*arguments, "join", capfd=capfd)
    assert (code, printed) == (1, [])
    assert "these are missing: night.mp4 2/4, night.mp4 4/4" in error
    assert tried(*arguments, "2/2", capfd=capfd)[:2] == (0, [second])
    assert tried(*arguments, "join", capfd=capfd)[:2] == (0, [first])
    results = ["/b/out/a_enhanced.png", "/b/out/night_enhanced.mp4", "/b/out/report.csv"]
    assert [name for name in storage.names if name.startswith("/b/out/")] == results
    assert storage.copies == []


# ---- names and times


def test_names() -> None:
    remote = place("S3://bucket/in/Night One.mp4/")
    assert isinstance(remote, Remote)
    assert remote.url == "s3://bucket/in/Night One.mp4"
    assert (remote.name, remote.stem, remote.suffix) == ("Night One.mp4", "Night One", ".mp4")
    assert [str(p) for p in remote.parents] == ["s3://bucket/in", "s3://bucket"]
    assert str(remote.parent / Path("a") / "b") == "s3://bucket/in/a/b"
    assert remote.parent / Path() == remote.parent
    bucket = Remote("s3://bucket")
    assert (bucket.name, bucket.parent, bucket.parents) == ("", bucket, [])
    assert local_name(Remote("s3://b/" + "x" * 300 + "?é.mp4")) == "x" * 60 + ".mp4"
    assert repr(Remote("sftp://me:secret@host/a")) == "Remote('sftp://host/a')"
    assert place("C:/night.mp4") == Path("C:/night.mp4")
    with pytest.raises(UsageError, match="rtsp://host/1: is a stream"):
        place("rtsp://me@host/1")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"LastModified": datetime(2024, 1, 1, tzinfo=timezone.utc)}, 1704067200 * 10**9),
        ({"last_modified": datetime(2024, 1, 1)}, 1704067200 * 10**9),
        ({"updated": "2024-01-01T00:00:00.5+00:00"}, 17040672005 * 10**8),
        ({"mtime": 1704067200.25}, 170406720025 * 10**7),
        ({"updated": "yesterday"}, 0),
        ({}, 0),
    ],
)
def test_times(found: dict[str, Any], expected: int) -> None:
    remote = Remote("s3://b/a", found | {"size": 1, "type": "file"})
    assert remote.stat().st_mtime_ns == expected


def test_an_etag_tells_versions_apart() -> None:
    facts = {"size": 1, "type": "file", "LastModified": 0}
    first, other = (Remote("s3://b/a", facts | {"ETag": tag}) for tag in "12")
    assert first.version() != other.version()


def test_storages_that_write_whole_files_get_the_final_name(
    storage: Storage, tmp_path: Path, monkeypatch: Patch
) -> None:
    (tmp_path / "a").write_bytes(b"data")
    monkeypatch.setattr(transfer, "_WHOLE_BY_ITSELF", {"memory"})
    monkeypatch.setattr(transfer, "_put_and_move", None)
    transfer.upload(tmp_path / "a", Remote("memory://b/a"))
    assert opened("memory://b/a")[0].cat_file("/b/a") == b"data"


def test_a_long_transfer_is_reported(monkeypatch: Patch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(progress, "_LOG_INTERVAL", 0.0)
    with caplog.at_level(logging.INFO), progress.byte_progress("fetching a", 4_000_000) as update:
        time.sleep(0.01)
        update(2_000_000)
    assert "fetching a: 2.00MB of 4.00MB" in caplog.text
