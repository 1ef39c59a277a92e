"""``zerodce-rt doctor``: what is missing for what, and commands that fit the installation."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import pytest

import zerodce_rt
from tests.conftest import run
from zerodce_rt.cli import doctor
from zerodce_rt.cli.installation import Installation

GIT = "zerodce-rt @ git+https://example.org/z.git"
INDEX = "https://pypi.nvidia.com"


@pytest.mark.parametrize(
    ("kind", "extra", "package"),
    [
        (Installation("pip"), "pip install 'zerodce-rt[raw]'", "pip install av"),
        (Installation("uv"), "uv pip install 'zerodce-rt[raw]'", "uv pip install av"),
        (Installation("checkout", "/src/z"), "pip install -e '/src/z[raw]'", "pip install av"),
        (Installation("checkout", "/src/z", "uv"), "uv pip install -e '/src/z[raw]'",
         "uv pip install av"),
        (Installation("pipx"), "pipx inject zerodce-rt rawpy", "pipx inject zerodce-rt av"),
        (Installation("uv tool", GIT), f"uv tool install '{GIT}' --with rawpy",
         f"uv tool install '{GIT}' --with av"),
    ],
)  # fmt: skip
def test_commands_fit_the_installation(kind: Installation, extra: str, package: str) -> None:
    assert kind.fitting("pip install 'zerodce-rt[raw]'") == extra
    assert kind.fitting("without it; pip install av, or not") == f"without it; {package}, or not"
    assert kind.fitting("pip install --force-reinstall av") == "pip install --force-reinstall av"


def test_an_extra_of_several_packages_brings_them_all() -> None:
    extra = "zerodce-rt[studio]"
    assert Installation("pipx").command(extra) == "pipx inject zerodce-rt aiortc aiohttp"
    assert Installation("uv tool").command(extra) == (
        "uv tool install zerodce-rt --with aiortc --with aiohttp"
    )


def test_an_index_goes_where_the_installer_takes_it() -> None:
    hint = f"pip install 'torch-tensorrt==2.13.*' --extra-index-url {INDEX}, or another"
    assert Installation("pip").fitting(hint) == hint
    assert Installation("pipx").fitting(hint) == (
        f"pipx inject zerodce-rt 'torch-tensorrt==2.13.*' --pip-args='--extra-index-url {INDEX}', "
        "or another"
    )


def test_in_a_checkout_the_command_is_the_one_of_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Installation("checkout", str(Path.cwd()))
    assert here.command("zerodce-rt[vcam]") == "pip install -e '.[vcam]'"


class Distribution:
    def __init__(self, **files: str) -> None:
        self.files = files

    def read_text(self, name: str) -> str | None:
        return self.files.get(name.removesuffix(".json"))


NOTES: dict[str, Any] = {
    "pypi": None,
    "git": {"url": "https://example.org/z.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
    "wheel": {"url": "file:///tmp/z.whl", "archive_info": {}},
}


@pytest.mark.parametrize(
    ("note", "installer", "mark", "expected"),
    [
        ("pypi", "pip\n", "", Installation("pip")),
        ("pypi", "uv", "", Installation("uv")),
        ("git", "pip", "", Installation("pip", GIT)),
        ("wheel", "pip", "pipx_metadata.json",
         Installation("pipx", "zerodce-rt @ file:///tmp/z.whl")),
        ("git", "uv", "uv-receipt.toml", Installation("uv tool", GIT)),
    ],
)  # fmt: skip
def test_how_it_was_installed_is_found(
    note: str, installer: str, mark: str, expected: Installation,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    files = {"INSTALLER": installer}
    if NOTES[note] is not None:
        files["direct_url"] = json.dumps(NOTES[note])
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution(**files))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(zerodce_rt, "__file__", str(tmp_path / "lib" / "zerodce_rt" / "x.py"))
    if mark:
        (tmp_path / mark).touch()
    assert Installation.found() == expected


def test_a_checkout_is_found_wherever_it_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    found = Installation.found()
    assert (found.kind, Path(found.source)) == ("checkout", root)
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())
    assert Installation.found() == Installation("checkout", str(root), "pip")


def lines(out: str) -> dict[str, str]:
    """Lines by the name in them."""
    return {line[6:22].strip(): line for line in out.splitlines() if line.startswith("  ")}


def test_it_says_what_is_there_and_what_is_missing_for_what(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def without(name: str) -> Any:
        return None if name in ("rawpy", "pyvirtualcam") else find_spec(name)

    monkeypatch.setattr(doctor, "find_spec", without)
    monkeypatch.setitem(sys.modules, "pyvips", None)  # import fails
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    monkeypatch.setattr(Installation, "found", lambda: Installation("pip"))
    monkeypatch.setitem(doctor._CONTAINERS, ".xyz", "xyz")
    assert run("doctor") == 0
    out = capfd.readouterr().out
    assert "\ninstalled by pip\n" in out
    found = lines(out)
    assert "  no  pictures        pip install 'pyvips[binary]'" in out
    assert found["camera raw"].endswith("pip install 'zerodce-rt[raw]'")
    assert found["virtual camera"].endswith("pip install 'zerodce-rt[vcam]'")
    assert "opencv-python-headless" in found["window"]
    assert "libx264" in found["h264"]
    assert "opus aac" in found["sound"]
    assert found["writes"].endswith("; this FFmpeg lacks .xyz")
    assert {".mp4", ".mkv"} <= set(found["writes"].split())
    assert {"h264", "hevc", "vp9"} <= set(found["reads"].split())
