"""Standard output and error that cannot be written: the work is done all the same."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import VideoMaker
from tests.support.commands import COMMAND
from tests.support.media import Probe
from zerodce_rt.progress import progress_bar
from zerodce_rt.streams import Lasting, printable

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=90, check=False
    )


@posix
@needs_full
@pytest.mark.parametrize(
    "redirection",
    ["2>/dev/full", ">/dev/full 2>&1", ">&-", "2>&-", "<&- >&- 2>&-", "2>&1 | head -c 1"],
)
def test_a_video_is_finished_whatever_becomes_of_the_streams(
    redirection: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    make_video(frames=20)
    line = f"{shlex.join(COMMAND)} enhance night.mp4 {redirection}; exit ${{PIPESTATUS[0]}}"
    assert shell(line, tmp_path).returncode == 0
    # Nor has anything that was printed got into the file.
    assert len(Probe(tmp_path / "night_enhanced.mp4").frames) == 20


@posix
@needs_full
def test_a_report_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    done = shell(f"{shlex.join(COMMAND)} engines list >/dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "zerodce-rt: standard output cannot be written (No space left on device)"
    )


@posix
def test_a_reader_that_has_enough_is_none(tmp_path: Path) -> None:
    line = f"{shlex.join(COMMAND)} doctor | head -1; exit ${{PIPESTATUS[0]}}"
    done = shell(line, tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith("zerodce-rt")


@needs_full
def test_a_progress_bar_outlives_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        with progress_bar("counting", unit="frame", total=3, show=True) as bar:
            for _ in range(3):
                bar.update()
                bar.refresh()
        assert bar.n == 3
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.close()


@needs_full
def test_a_lasting_stream_remembers_its_failure() -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 - closing it fails
    stream = Lasting(full)
    assert stream.write("text") == 4
    assert stream.failure is None
    stream.flush()
    assert stream.failure is not None
    with pytest.raises(OSError, match="No space left"):
        full.close()
    stream.write("closed")
    assert not stream.isatty()
    Lasting(None).write("never there")


def test_names_cannot_change_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("a\x1b]0;b\x07\nc", unit="frame", total=1, keep=True) as bar:
        bar.update()
    shown = capfd.readouterr().err
    assert "\x1b]" not in shown
    assert r"a\x1b]0;b\x07\nc" in shown
    # Spaces of other alphabets, and of the names of a screen recording, are no danger.
    assert printable("夜\u3000景 1.23\u202fPM.mov") == "夜\u3000景 1.23\u202fPM.mov"


def test_a_stream_of_an_old_code_page_goes_on() -> None:
    buffer = io.BytesIO()
    stream = Lasting(io.TextIOWrapper(buffer, encoding="ascii", write_through=True))
    for text in ("one\n", "zwölf ☃\n", "three\n"):
        stream.write(text)
    assert buffer.getvalue().decode() == "one\nzw\\xf6lf \\u2603\nthree\n"


def test_a_stream_that_some_program_made_up() -> None:
    class Stub:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    stub = Stub()
    stream = Lasting(stub)
    stream.write("there")
    stream.flush()
    assert not stream.isatty()
    assert stub.text == "there"
