"""A file with one's own defaults: what it may hold, what wins, and what ``config`` shows of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import one_line, run
from zerodce_rt.cli import defaults
from zerodce_rt.cli.parser import build_parser, command_parsers

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the file of defaults."""
    path = tmp_path / "config.toml"
    monkeypatch.setattr(defaults, "config_path", lambda: path)

    def writer(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        return path

    return writer


def parsed(*arguments: str) -> dict[str, Any]:
    return vars(build_parser().parse_args(arguments))


def test_values_become_what_the_command_line_would_make_of_them(write: Write) -> None:
    write(
        "strength = 0.5\nquiet = true\n"
        '[enhance]\ncrf = 20\nstart = "1:30"\nhwaccel = false\nworking-size = 96\n'
        '[live]\nsize = "800x600"\nmirror = true\nstrength = 0.25\nrecord = "~/a.mkv"\n'
        '[bench]\nsizes = ["480p", "64x48"]\n'
    )
    enhance = parsed("enhance", "x.mp4")
    assert enhance["strength"] == 0.5
    assert enhance["quiet"] is True
    assert (enhance["crf"], enhance["start"], enhance["hwaccel"]) == (20.0, 90.0, False)
    assert enhance["working_size"] == "96"
    live = parsed("live")
    assert live["strength"] == 0.25, "a section wins over the top level"
    assert (live["size"], live["mirror"]) == ((800, 600), True)
    assert live["record"] == Path("~/a.mkv").expanduser()
    bench = parsed("bench")
    assert bench["sizes"] == ["480p", "64x48"]
    assert "strength" not in bench


def test_the_command_line_wins(write: Write) -> None:
    write("strength = 0.5\n[enhance]\ncrf = 20\n")
    options = parsed("enhance", "x.mp4", "--strength", "0.9", "--crf", "30")
    assert (options["strength"], options["crf"]) == (0.9, 30.0)


def test_defaults_of_videos_are_not_taken_for_what_was_asked_for(write: Write) -> None:
    write('[enhance]\ncrf = 20\ncodec = "h265"\nquality = 80\n')
    options = parsed("enhance", "x.jpg")
    assert options["of_videos"]["crf"] == options["crf"] == 20.0
    assert options["of_videos"]["codec"] == "h265"
    assert options["from_file"] == {"crf": 20.0, "codec": "h265", "quality": 80}


def test_without_a_file_nothing_changes(write: Write) -> None:
    options = parsed("enhance", "x.mp4")
    assert (options["strength"], options["quiet"], options["from_file"]) == (1.0, False, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("strenght = 1", r"unknown key 'strenght' at the top level; valid: .*strength"),
        ("crf = 1", r"unknown key 'crf' at the top level"),
        ("[enhance]\nmirror = true", r"unknown key 'mirror' in \[enhance\]; valid: .*strength"),
        ("[enhance]\ninputs = 'a'", r"unknown key 'inputs' in \[enhance\]"),
        ("[enhance]\nhelp = true", r"unknown key 'help'"),
        ("[enhanc]\ncrf = 1", r"unknown section \[enhanc\]; valid: .*enhance"),
        ("enhance = 1", r"enhance is a section; write \[enhance\]"),
        ("strength = 7", r"strength: must be between 0 and 1, not 7"),
        ("strength = true", r"strength: must be a text or a number, not true"),
        ("quiet = 'yes'", r'quiet: must be true or false, not "yes"'),
        ("model = 'huge'", r'model: must be one of light, plus, dcenet, not "huge"'),
        ("[enhance]\nquality = 1.5", r"\[enhance\] quality: must be a whole number, not 1.5"),
        ("[enhance]\ncrf = 'low'", r'\[enhance\] crf: must be a number, not "low"'),
        ("[enhance]\ncrf = [1]", r"\[enhance\] crf: must be a text or a number"),
        ("strength =", r"is not TOML \(Invalid value"),
    ],
)
def test_mistakes_are_one_line_with_file_key_and_what_is_valid(
    text: str, says: str, write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(text)
    for command in (["enhance", "missing.mp4"], ["config"]):
        assert run(*command) == 2
        line = one_line(capfd.readouterr().err)
        assert f"{path}: " in line
        assert re.search(says, line), line
    assert run("enhance", "--help") == 0, "help works in spite of them"


def test_lists_are_lists(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    write('[bench]\nsizes = "480p"')
    assert run("bench") == 2
    assert "[bench] sizes: must be a list like [...]" in one_line(capfd.readouterr().err)


def test_a_mistake_for_one_command_does_not_stop_another(write: Write) -> None:
    write("[live]\nview = 'upside down'")
    assert parsed("enhance", "x.mp4")["strength"] == 1.0


def test_a_file_of_another_coding_or_a_folder_is_said(
    write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write("")
    path.write_bytes(b"\xef\xbb\xbfstrength = 0.5\n")
    assert parsed("enhance", "x.mp4")["strength"] == 0.5, "the mark of Windows' editors"
    path.write_bytes(b"# \xff\xfe\n")
    assert run("enhance", "x.mp4") == 2
    assert "is not UTF-8 text" in one_line(capfd.readouterr().err)
    path.unlink()
    path.mkdir()
    assert run("enhance", "x.mp4") == 2
    assert "cannot be read" in one_line(capfd.readouterr().err)


def shown(out: str, command: str) -> dict[str, list[str]]:
    """The lines of a section: value and origin by option."""
    section = out.split(f"[{command}]\n")[1].split("\n\n")[0]
    return {words[0]: words[1:] for words in (line.split() for line in section.splitlines())}


def test_config_shows_every_option_and_where_its_value_is_from(
    write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write('strength = 0.5\n[enhance]\ncrf = 20\n[live]\nsize = "800x600"\n')
    assert run("config") == 0
    out = capfd.readouterr().out
    assert out.splitlines()[0] == str(path)
    enhance = shown(out, "enhance")
    assert enhance["strength"] == ["0.5", "file,", "top", "level"]
    assert enhance["crf"] == ["20", "file"]
    assert enhance["backend"] == ['"auto"', "default"]
    assert shown(out, "live")["size"] == ['"800x600"', "file"]
    for command, parser in command_parsers().items():
        assert set(shown(out, command)) == {name for name, _ in defaults.options_of(parser)}


def test_config_says_where_the_file_would_be(
    write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("config") == 0
    assert "config.toml (not there" in capfd.readouterr().out.splitlines()[0]


def test_what_config_shows_can_be_written_into_the_file(
    write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("config") == 0
    before = capfd.readouterr().out
    lines = []
    for line in before.splitlines()[1:]:
        if line.startswith("  ") and line.split()[1] != "-":
            line = f"{line.split()[0]} = {line[22:46]}"
        lines.append("" if line.startswith("  ") else line)
    write("\n".join(lines))
    assert run("config") == 0
    after = capfd.readouterr().out
    for command in command_parsers():
        old, new = shown(before, command), shown(after, command)
        assert {n: v[0] for n, v in old.items()} == {n: v[0] for n, v in new.items()}
        assert {v[1] for v in new.values() if v[0] != "-"} == {"file"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_the_file_is_in_the_user_s_folder_for_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert defaults.config_path() == tmp_path / "zerodce-rt" / "config.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert defaults.config_path() == tmp_path / ".config" / "zerodce-rt" / "config.toml"
