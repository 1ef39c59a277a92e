"""What ``enhance`` prints for programs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_folders import clip, picture
from tests.conftest import run
from tests.support.commands import COMMAND
from zerodce_rt import progress
from zerodce_rt.cli import reports

Capture = pytest.CaptureFixture[str]


def events(capfd: Capture, *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the events that were printed, and standard error."""
    capfd.readouterr()
    code = run("enhance", *arguments, "--strength", "0", "--json")
    shown = capfd.readouterr()
    return code, [json.loads(line) for line in shown.out.splitlines()], shown.err


def test_a_video_reports_its_progress(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_INTERVAL_SECONDS", 0)
    source, output = clip(tmp_path / "a.mp4", frames=5), str(tmp_path / "a_enhanced.mp4")
    code, found, error = events(capfd, source)
    assert (code, error) == (0, "")
    kinds = [e.pop("event") for e in found]
    assert kinds == ["start", *["progress"] * 5, "done", "summary"]
    assert all((e["input"], e["output"]) == (str(source), output) for e in found[:-1])
    assert [e["frames"] for e in found[1:6]] == [1, 2, 3, 4, 5]
    assert found[1]["fps"] is None
    assert found[3]["total"] == 5
    assert found[3]["fps"] > 0
    assert found[3]["eta_seconds"] == pytest.approx(2 / found[3]["fps"], rel=0.1, abs=0.002)
    assert found[6]["frames"] == 5
    assert found[6]["seconds"] > 0
    assert found[7] == {
        "enhanced": 1, "finished_before": 0, "left": 0, "failed": 0, "passed_over": 0,
    }  # fmt: skip


def test_progress_comes_about_once_a_second(tmp_path: Path, capfd: Capture) -> None:
    _, found, _ = events(capfd, clip(tmp_path / "a.mp4", frames=20))
    assert next(e["frames"] for e in found if e["event"] == "progress") == 1
    assert len(found) < 20


def test_a_folder_reports_what_became_of_each_file(tmp_path: Path, capfd: Capture) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "a_enhanced.png", "b.png", "nicht-\u00fc\n.png"):
        picture(folder / name)
    (folder / "broken.jpg").write_text("no picture")
    picture(tmp_path / "in_enhanced" / "b.png")
    code, found, error = events(capfd, folder)
    assert (code, error) == (1, "")
    came_to = {Path(e["input"]).name: e["event"] for e in found if "input" in e}
    assert came_to == {
        "a.png": "done", "b.png": "skipped", "broken.jpg": "failed", "nicht-\u00fc\n.png": "done",
    }  # fmt: skip
    assert [e["reason"] for e in found if e["event"] == "skipped"] == ["exists already"]
    (failed,) = (e for e in found if e["event"] == "failed")
    assert "broken.jpg" in failed["error"]
    assert found[-1] == {
        "event": "summary",
        "enhanced": 2, "finished_before": 0, "left": 1, "failed": 1, "passed_over": 1,
    }  # fmt: skip
    code, found, _ = events(capfd, folder)
    assert code == 1
    assert [e["reason"] for e in found if e["event"] == "skipped"] == [
        "finished before", "exists already", "finished before",
    ]  # fmt: skip


def test_a_single_failure_is_an_event_and_an_error(tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    code, found, error = events(capfd, tmp_path / "a.mp4")
    assert code == 1
    assert [e["event"] for e in found] == ["start", "failed", "summary"]
    assert error == f"zerodce-rt: {found[1]['error']}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="names are bytes elsewhere")
def test_a_name_that_is_not_utf_8_is_kept(tmp_path: Path, capfd: Capture) -> None:
    source = tmp_path / "bad-\udcff.png"
    try:
        picture(tmp_path / "a.png").rename(source)
    except OSError:
        pytest.skip("this file system wants UTF-8")
    _, found, _ = events(capfd, source)
    assert found[0]["input"] == str(source)
    assert Path(found[0]["output"]).exists()


# ---- for people


def test_outputs_are_listed_on_standard_output(tmp_path: Path, capfd: Capture) -> None:
    for name in ("a.mp4", "b.mp4"):
        clip(tmp_path / "in" / name)
    assert run("enhance", tmp_path / "in", "--strength", "0") == 0
    shown = capfd.readouterr()
    out = tmp_path / "in_enhanced"
    assert shown.out == f"{out / 'a.mp4'}\n{out / 'b.mp4'}\n"
    # Neither a bar nor what is left of one.
    assert shown.err == f"2 of 2 files enhanced to {out}\n"
    assert run("enhance", tmp_path / "in", "--strength", "0", "--overwrite", "--quiet") == 0
    assert capfd.readouterr() == ("", "")


def test_a_long_run_without_a_terminal_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr("zerodce_rt.progress.time.monotonic", lambda: now)
    with (
        caplog.at_level(logging.INFO, logger="zerodce_rt"),
        progress.frame_progress("night.mp4") as update,
    ):
        for frames in range(1, 62):
            now += 1
            update(frames, 120)
        now += 30
        update(70, None)
    assert caplog.messages == [
        "night.mp4: 30 of 120 frames, 1 frame/s, 01:30 left",
        "night.mp4: 60 of 120 frames, 1 frame/s, 01:00 left",
        "night.mp4: 70 frames, 0.769 frame/s",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_events_that_cannot_be_written_are_a_failure(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    for option, code in (("--json", 1), ("--debug", 0)):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*COMMAND, "enhance", source, "--strength", "0", "--overwrite", option],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == code
        assert ("standard output cannot be written" in done.stderr) == bool(code)
        assert (tmp_path / "a_enhanced.png").exists()
