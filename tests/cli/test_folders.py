"""``enhance`` with folders and several files: where outputs go, and how a run goes on."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import one_line, run
from tests.support.commands import finish, partial_files, start
from tests.support.media import write_video
from zerodce_rt.cli import enhance, finished
from zerodce_rt.cli.finished import RECORD_NAME, Entry, Record
from zerodce_rt.cli.report_csv import REPORT_NAME


def clip(path: Path, frames: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames=frames, size=(32, 32))
    return path


def picture(path: Path, code: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((32, 32, 3), code, np.uint8))
    return path


def level(path: Path) -> int:
    """Mean of a picture."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return int(pixels.mean())


def names(folder: Path) -> list[str]:
    """All files below a folder but the records and reports."""
    ours = RECORD_NAME, REPORT_NAME
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in ours)
    return sorted(p.relative_to(folder).as_posix() for p in files)


def tried(*arguments: object, capfd: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    """Exit code, the outputs that were printed, and standard error; nothing is brightened."""
    capfd.readouterr()
    code = run("enhance", *arguments, *([] if "--strength" in arguments else ["--strength", "0"]))
    shown = capfd.readouterr()
    return code, shown.out.splitlines(), shown.err


Capture = pytest.CaptureFixture[str]


# ---- where outputs go


@pytest.mark.parametrize(
    ("where", "named"),
    [
        (".", "."), (".", "./"), ("deep", ".."), ("..", "in"), ("..", "in/"), ("..", "in/deep/.."),
    ],
)  # fmt: skip
def test_a_folder_goes_beside_itself_however_it_is_named(
    where: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    picture(tmp_path / "in" / "deep" / "a.png")
    monkeypatch.chdir(tmp_path / "in" / where)
    code, printed, _ = tried(named, capfd=capfd)
    assert code == 0
    assert names(tmp_path / "in_enhanced") == ["deep/a.png"]
    assert [Path(p).resolve() for p in printed] == [tmp_path / "in_enhanced" / "deep" / "a.png"]


def test_a_linked_folder_goes_beside_the_link(tmp_path: Path, capfd: Capture) -> None:
    picture(tmp_path / "there" / "real" / "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "real", target_is_directory=True)
    assert tried(f"{tmp_path / 'link'}/", capfd=capfd)[0] == 0
    assert names(tmp_path / "link_enhanced") == ["a.png"]


def test_the_root_has_no_name(capfd: Capture) -> None:
    code, _, error = tried(Path("/").resolve(), capfd=capfd)
    assert code == 2
    assert "choose an --output" in one_line(error)


@pytest.mark.parametrize("output", ["new/deep/", "there"])
def test_one_file_goes_into_a_folder(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png")
    (tmp_path / "there").mkdir()
    assert tried("a.png", "-o", output, capfd=capfd)[:2] == (
        0, [os.path.join(output.rstrip("/"), "a_enhanced.png")],
    )  # fmt: skip
    assert names(tmp_path / output) == ["a_enhanced.png"]
    code, printed, error = tried("a.png", "-o", output, capfd=capfd)
    assert (code, printed) == (0, [])
    assert "finished before" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in", "-o", "x.mp4"], "the --output of a folder is a folder"),
        (["in", "-o", "taken.txt"], "the --output of a folder is a folder"),
        (["in/a.png", "in/b.png", "-o", "x.png"], "the --output of several inputs is a folder"),
        (["in", "-o", "in"], "is the input folder"),
        (["in", "other", "-o", "."], "is the input folder"),
        (["in/a.png", ""], "a path is empty"),
    ],
)
def test_outputs_of_the_wrong_kind_are_refused_before_work(
    arguments: list[str], says: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/b.png", "other/c.png"):
        picture(tmp_path / name)
    (tmp_path / "taken.txt").touch()
    before = names(tmp_path)
    code, _, error = tried(*arguments, capfd=capfd)
    assert code == 2
    assert says in one_line(error)
    assert names(tmp_path) == before


def test_several_inputs_go_beside_themselves_or_into_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "a.mp4")
    picture(tmp_path / "in" / "b.png")
    (tmp_path / "text.jpg").write_text("no picture")
    inputs = ["a.mp4", "missing.mp4", "text.jpg", "in", "./a.mp4"]
    code, printed, error = tried(*inputs, capfd=capfd)
    assert code == 1
    assert [Path(p).as_posix() for p in printed] == ["a_enhanced.mp4", "in_enhanced/b.png"]
    assert "missing.mp4: no such file" in error
    assert "[3/4] failed: text.jpg" in error
    assert "2 of 4 files enhanced; 2 failed" in error
    assert tried(*inputs, "-o", "new", capfd=capfd)[0] == 1
    assert names(tmp_path / "new") == ["a_enhanced.mp4", "in/b.png"]


def test_two_files_of_one_name_do_not_become_one(tmp_path: Path, capfd: Capture) -> None:
    sources = picture(tmp_path / "x" / "a.png"), picture(tmp_path / "y" / "a.png", 40)
    code, _, error = tried(*sources, "-o", tmp_path / "out", capfd=capfd)
    assert code == 1
    assert "would replace that of another file" in error
    assert level(tmp_path / "out" / "a_enhanced.png") == 20


def test_an_input_is_not_replaced_as_the_output_of_another(tmp_path: Path, capfd: Capture) -> None:
    source, other = picture(tmp_path / "x" / "a.png"), picture(tmp_path / "out" / "x" / "a.png", 40)
    code, _, error = tried(source.parent, other, "-o", tmp_path / "out", "--overwrite", capfd=capfd)
    assert code == 1
    assert "would replace an input" in error
    assert level(other) == 40


def test_options_of_videos_apply_to_the_videos_of_a_folder(tmp_path: Path, capfd: Capture) -> None:
    clip(tmp_path / "in" / "a.mp4", frames=6)
    picture(tmp_path / "in" / "b.png")
    options = ["--end", "0.1", "--crf", "30"]
    assert tried(tmp_path / "in", *options, capfd=capfd)[0] == 0
    code, _, error = tried(tmp_path / "in" / "b.png", *options, capfd=capfd)
    assert code == 2
    assert "b.png: is a picture; --crf is for videos" in one_line(error)
    code, _, error = tried(tmp_path / "in", "--crf", "60", "--overwrite", capfd=capfd)
    assert code == 2
    assert "between 0 and 51 for libx264" in one_line(error)


def test_patterns_are_expanded_where_the_shell_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.png"):
        picture(tmp_path / name)
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        expanded = enhance._expanded(["*.png", "no*.mp4"])
    assert expanded == ["a.png", "b.png", "no*.mp4"]


# ---- going on


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a clip and two pictures."""
    clip(tmp_path / "in" / "a.mp4")
    picture(tmp_path / "in" / "b.png")
    picture(tmp_path / "in" / "deep" / "c.png")
    return tmp_path / "in"


def made(printed: list[str]) -> list[str]:
    return [Path(p).name for p in printed]


def test_a_second_run_does_what_is_new_or_has_changed(folder: Path, capfd: Capture) -> None:
    assert made(tried(folder, capfd=capfd)[1]) == ["a.mp4", "b.png", "c.png"]
    code, printed, error = tried(folder, capfd=capfd)
    assert (code, printed) == (0, [])
    assert "0 of 3 files enhanced" in error
    assert "; 3 were finished before" in error
    picture(folder / "d.png")
    picture(folder / "b.png", 90)  # the input is another one now
    code, printed, error = tried(folder, capfd=capfd)
    assert (code, made(printed)) == (0, ["b.png", "d.png"])
    assert "2 of 4 files enhanced" in error
    assert "; 2 were finished before" in error
    assert level(folder.with_name("in_enhanced") / "b.png") == 90
    assert made(tried(folder, "--overwrite", capfd=capfd)[1]) == [
        "a.mp4", "b.png", "d.png", "c.png",
    ]  # fmt: skip


def test_other_settings_do_again_what_they_change(folder: Path, capfd: Capture) -> None:
    tried(folder, capfd=capfd)
    assert made(tried(folder, "--crf", "0", capfd=capfd)[1]) == ["a.mp4"]
    assert made(tried(folder, "--max-pixels", "1e6", capfd=capfd)[1]) == ["a.mp4"]
    assert made(tried(folder, "--max-pixels", "2e6", capfd=capfd)[1]) == []
    assert len(tried(folder, "--strength", "0.5", capfd=capfd)[1]) == 3


def test_what_is_not_ours_or_was_changed_is_never_replaced(folder: Path, capfd: Capture) -> None:
    out = folder.with_name("in_enhanced")
    picture(out / "b.png", 200)
    code, printed, error = tried(folder, capfd=capfd)
    assert (code, made(printed)) == (0, ["a.mp4", "c.png"])
    assert "1 existed already (--overwrite replaces them)" in error
    (out / "deep" / "c.png").write_text("retouched")
    code, printed, error = tried(folder, "--strength", "0.5", capfd=capfd)
    assert (code, made(printed)) == (0, ["a.mp4"])
    assert "2 existed already" in error
    assert (out / "deep" / "c.png").read_text() == "retouched"
    # An output that is older than its input cannot be one of it.
    os.utime(out / "b.png", (1, 1))
    code, printed, error = tried(folder, capfd=capfd)
    assert code == 1
    assert "b.png: exists already, is older than" in error
    assert "use --overwrite" in error
    assert level(out / "b.png") == 200
    assert len(tried(folder, "--overwrite", capfd=capfd)[1]) == 3
    assert level(out / "b.png") == 20


def test_the_result_of_another_folder_is_not_replaced(folder: Path, capfd: Capture) -> None:
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    picture(other / "b.png", 90)
    out = folder.with_name("out")
    tried(folder, "-o", out, capfd=capfd)
    code, printed, error = tried(other, "-o", out, capfd=capfd)
    assert (code, printed) == (1, [])
    assert "made from another file" in error
    assert level(out / "b.png") == 20


def test_what_is_finished_is_known_after_a_move(folder: Path, capfd: Capture) -> None:
    tried(folder, capfd=capfd)
    moved = folder.parent / "moved"
    moved.mkdir()
    for name in ("in", "in_enhanced"):
        (folder.parent / name).rename(moved / name)
    picture(moved / "in" / "b.png", 90)
    assert made(tried(moved / "in", capfd=capfd)[1]) == ["b.png"]


def test_other_weights_under_the_same_name_are_other_settings(
    folder: Path, tmp_path: Path, capfd: Capture
) -> None:
    ours = Path(finished.__file__).parents[1] / "network" / "weights" / "plus.safetensors"
    weights = tmp_path / "w.safetensors"
    shutil.copy(ours, weights)
    assert len(tried(folder, "--weights", weights, capfd=capfd)[1]) == 3
    assert len(tried(folder, "--weights", weights, capfd=capfd)[1]) == 0
    os.utime(weights, (1, 1))
    assert len(tried(folder, "--weights", weights, capfd=capfd)[1]) == 3


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_run_that_was_stopped_goes_on(how: str, tmp_path: Path, capfd: Capture) -> None:
    folder, out = tmp_path / "in", tmp_path / "in_enhanced"
    for name in "abc":
        clip(folder / f"{name}.mp4")
    options = {"crf": "40", "preset": "ultrafast"}
    write_video(folder / "d.mp4", frames=400, size=(320, 240), options=options)
    process = start("enhance", folder, "--preset", "placebo", "--strength", "0", "--quiet")
    deadline = time.monotonic() + 90
    while not (out / "c.mp4").exists() or not partial_files(out):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGINT)
    finish(process)
    assert names(out)[-3:] == ["a.mp4", "b.mp4", "c.mp4"]
    (folder / "d.mp4").unlink()
    clip(folder / "d.mp4")
    code, printed, error = tried(folder, "--preset", "placebo", capfd=capfd)
    assert (code, made(printed)) == (0, ["d.mp4"])
    assert "1 of 4 files enhanced" in error
    assert "; 3 were finished before" in error
    assert names(out) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


def test_two_runs_at_once_damage_nothing(tmp_path: Path, capfd: Capture) -> None:
    folder = tmp_path / "in"
    for index in range(20):
        picture(folder / f"{index:02}.png", 20 + index)
    processes = [start("enhance", folder, "--strength", "0", "--quiet") for _ in range(2)]
    for process in processes:
        finish(process)
    # What both have found missing at the same time may be reported by one of them.
    code, printed, _ = tried(folder, capfd=capfd)
    assert (code, printed) == (0, [])
    for index in range(20):
        assert level(tmp_path / "in_enhanced" / f"{index:02}.png") == 20 + index


# ---- the record


def damage(record: Path, how: str) -> None:
    text = record.read_bytes()
    record.unlink()
    if how == "folder":
        record.mkdir()
    elif how == "link":
        record.symlink_to(record.with_name("precious.txt"))
        record.with_name("precious.txt").write_text("precious")
    elif how == "pipe":
        os.mkfifo(record)
    elif how == "huge":
        with open(record, "wb") as file:
            file.truncate(100 << 20)
    elif how == "foreign":
        record.write_text('{"outputs": [[[1]]]}\n"text"\n7\nnull\n[]\n{"output": 1}\n')
    elif how == "deep":
        record.write_bytes(b"[" * 100_000 + b"\n")
    elif how == "cut":
        record.write_bytes(text[: len(text) // 2])
    elif how == "bytes":
        record.write_bytes(bytes(range(256)) * 9)


KINDS = ["folder", "link", "pipe", "huge", "foreign", "deep", "bytes"]


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
@pytest.mark.parametrize("how", [*KINDS, "cut", "missing"])
def test_whatever_the_record_is_work_goes_on_and_nothing_is_replaced(
    how: str, tmp_path: Path, capfd: Capture
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in "abcd":
        picture(folder / f"{name}.png")
    tried(folder, "-o", out, capfd=capfd)
    damage(out / RECORD_NAME, how)
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.png")}
    picture(folder / "e.png")
    code, printed, error = tried(folder, "-o", out, capfd=capfd)
    assert (code, made(printed)) == (0, ["e.png"])
    if how == "cut":
        assert "finished before" in error
    assert "existed already" in error
    assert ("another run will not know" in error) == (how in ("folder", "link", "pipe", "huge"))
    assert before == {n: (out / n).stat().st_mtime_ns for n in before}
    if how == "link":
        assert (out / "precious.txt").read_text() == "precious"


def test_a_record_is_shortened_and_keeps_the_last_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished, "_SPARE_LINES", 3)
    record = Record(tmp_path)
    for size in range(40):
        entry = Entry(f"{size % 2}.png", "../x", 1, 2, {"strength": "1"}, size, 4)
        record.add(entry)
        assert record.entries()[entry.output] == entry
    assert len((tmp_path / RECORD_NAME).read_text().split("\n{")) < 12
    assert {n: e.size for n, e in Record(tmp_path).entries().items()} == {"0.png": 38, "1.png": 39}


# ---- earlier results


def test_results_beside_their_sources_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for name in ("a.png", "a_enhanced.png", "a_enhanced_enhanced.png", "lone_enhanced.png"):
        picture(Path(name))
    code, printed, error = tried(".", capfd=capfd)
    assert (code, made(printed)) == (0, ["a.png", "lone_enhanced.png"])
    assert "earlier results, passed over: 2" in error
    # A shell makes such a list of *.png.
    assert made(tried("a.png", "a_enhanced.png", "-o", "../x", capfd=capfd)[1]) == [
        "a_enhanced.png"
    ]
    picture(Path("lone/x.png"))  # a folder is no source
    assert len(tried("lone", "lone_enhanced.png", "-o", "../z", capfd=capfd)[1]) == 2
    assert made(tried("a_enhanced.png", "-o", "../y/", capfd=capfd)[1]) == [
        "a_enhanced_enhanced.png"
    ]


def test_outputs_inside_the_input_folder_are_passed_over(folder: Path, capfd: Capture) -> None:
    assert len(tried(folder, "-o", folder / "one", capfd=capfd)[1]) == 3
    assert len(tried(folder, "-o", folder / "one", capfd=capfd)[1]) == 0
    picture(folder / "one" / "mine.png")
    code, printed, error = tried(folder, "-o", folder / "two", capfd=capfd)
    assert (code, made(printed)) == (0, ["a.mp4", "b.png", "c.png", "mine.png"])
    assert "earlier results, passed over: 3" in error
    code, _, error = tried(folder / "two", capfd=capfd)
    assert code == 1
    assert "no pictures or videos in it but earlier results" in one_line(error)


def test_an_output_folder_around_the_input_hides_nothing(folder: Path, capfd: Capture) -> None:
    assert len(tried(folder, "-o", folder.parent, capfd=capfd)[1]) == 3


def test_hidden_folders_are_passed_over(folder: Path, capfd: Capture) -> None:
    picture(folder / ".thumbnails" / "x.png")
    assert len(tried(folder, capfd=capfd)[1]) == 3


def rows_of(report: Path) -> list[dict[str, str]]:
    with report.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_report_tells_what_became_of_each_file(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    picture(folder / "a, b.png")
    clip(folder / "c.mp4", frames=4)
    (folder / "broken.jpg").write_text("no picture")
    assert run("enhance", folder, "-o", output) == 1
    found = {Path(row["input"]).name: row for row in rows_of(output / "report.csv")}
    assert {name: row["result"] for name, row in found.items()} == {
        "a, b.png": "enhanced", "c.mp4": "enhanced", "broken.jpg": "failed",
    }  # fmt: skip
    assert found["c.mp4"]["output"] == str(output / "c.mp4")
    assert (found["c.mp4"]["frames"], found["a, b.png"]["frames"]) == ("4", "")
    assert float(found["c.mp4"]["seconds"]) > 0
    assert "broken.jpg" in found["broken.jpg"]["error"]
    run("enhance", folder, "-o", output)
    results = [row["result"] for row in rows_of(output / "report.csv")]
    assert sorted(results) == ["failed", "finished before", "finished before"]


def test_a_report_replaces_nothing_but_a_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "in" / "a.png")
    mine = tmp_path / "out" / "report.csv"
    mine.parent.mkdir()
    mine.write_text("my,own,figures\n1,2,3\n")
    assert run("enhance", tmp_path / "in", "-o", tmp_path / "out") == 0
    assert mine.read_text() == "my,own,figures\n1,2,3\n"
    assert "is not a report of ours" in capfd.readouterr().err
