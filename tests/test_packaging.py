"""What is published: an sdist and a wheel built from the tree, complete, and working elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from pathlib import Path

import cv2
import numpy as np
import pytest

import zerodce_rt

ROOT = Path(__file__).resolve().parents[1]
TREE = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "tests", "zerodce_rt")
EXTRAS = {"bench", "raw", "ray", "rtx", "storage", "studio", "tensorrt", "test", "vcam"}


def command(*arguments: str | Path, folder: Path, **environment: str | Path) -> str:
    """Run Python with these arguments in a folder; its standard output."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, encoding="utf-8",
        env=os.environ | {name: str(value) for name, value in environment.items()}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def source_files() -> list[str]:
    """Files of the tree to build: those in git, so that nothing else gets in.

    Where git has none of them, as in an unpacked archive, all files count.
    """
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", *TREE],
            cwd=ROOT, capture_output=True, encoding="utf-8", check=False,
        ).stdout  # fmt: skip
    except OSError:  # git is not installed
        listed = ""
    paths = [ROOT / name for name in listed.split("\0") if name]
    if not paths:
        paths = [p for top in TREE for p in (ROOT / top, *(ROOT / top).rglob("*"))]
    return sorted(
        p.relative_to(ROOT).as_posix()
        for p in paths
        if p.is_file() and "__pycache__" not in p.parts
    )


def isolation() -> list[str]:
    """Build with this environment's setuptools if it is new enough: quick, and no download.

    Fresh environments have an old one (Python 3.11 and before) or none: then ``build`` gets one.
    """
    try:
        major = int(version("setuptools").partition(".")[0])
    except PackageNotFoundError:
        major = 0
    return ["--no-isolation"] if major >= 77 else []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, which is built from the sdist."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in source_files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    command("-m", "build", *isolation(), "--outdir", out, tree, folder=out)
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed."""
    target = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    command(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel,
        folder=built,
    )  # fmt: skip
    return target


@pytest.fixture(scope="module")
def distribution(installed: Path) -> Distribution:
    (found,) = distributions(name="zerodce-rt", path=[str(installed)])
    return found


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = [n for n in wheel.namelist() if ".dist-info/" not in n]
    assert sorted(names) == [n for n in source_files() if n.startswith("zerodce_rt/")]
    weights = ("network/weights/plus.safetensors", "network/weights/README.md")
    for needed in ("py.typed", "studio/page/index.html", "studio/page/main.js", *weights):
        assert f"zerodce_rt/{needed}" in names


def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path) -> None:
    """Without the tests, of which setuptools would take only some."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {m.name.partition("/")[2] for m in sdist.getmembers() if m.isfile()}
    generated = {n for n in names if n in ("PKG-INFO", "setup.cfg") or ".egg-info/" in n}
    assert names - generated == {n for n in source_files() if not n.startswith("tests/")}


def test_the_metadata_is_complete(distribution: Distribution) -> None:
    metadata = distribution.metadata
    assert metadata["Name"] == "zerodce-rt"
    assert metadata["Version"] == zerodce_rt.__version__
    assert metadata["Summary"]
    assert metadata["Author"] == "The zerodce_rt developers"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert "Zero-DCE" in metadata["Keywords"].split(",")
    assert set(metadata["Requires-Python"].split(",")) == {">=3.10", "<3.14"}
    classifiers = metadata.get_all("Classifier") or []
    for minor in range(10, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in classifiers
    assert "Typing :: Typed" in classifiers
    topics = {c.partition(" :: ")[0] for c in classifiers}
    assert topics >= {
        "Development Status", "Environment", "Intended Audience", "Operating System", "Topic",
    }  # fmt: skip
    links = dict(u.split(", ") for u in metadata.get_all("Project-URL") or [])
    assert links.keys() == {"Homepage", "Source", "Documentation", "Issues", "Changelog"}
    assert set(metadata.get_all("Provides-Extra") or []) == EXTRAS
    assert metadata["Description-Content-Type"] == "text/markdown"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert str(metadata.json["description"]).strip() == readme.strip()


def test_the_command_is_installed(distribution: Distribution) -> None:
    (script,) = distribution.entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("zerodce-rt", "zerodce_rt.cli:console")


def test_it_works_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    """From a folder of its own: the tree that these tests belong to is not used."""

    def run(*arguments: str | Path) -> str:
        # Its own cache: a compiled kernel belongs to the file that it was compiled from.
        return command(
            *arguments, folder=tmp_path, PYTHONPATH=installed, NUMBA_CACHE_DIR=tmp_path / "cache"
        )

    home = run("-c", "import zerodce_rt; print(zerodce_rt.__file__)")
    assert Path(home.strip()) == installed / "zerodce_rt" / "__init__.py"
    assert zerodce_rt.__version__ in run("-m", "zerodce_rt", "--version")
    dark = np.random.default_rng(0).integers(5, 40, (48, 64, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "night.png"), dark)
    run("-m", "zerodce_rt", "enhance", "night.png", "-o", "bright.png")
    bright = cv2.imread(str(tmp_path / "bright.png"))
    assert bright is not None
    assert bright.shape == dark.shape
    assert bright.mean() > 1.5 * dark.mean()
