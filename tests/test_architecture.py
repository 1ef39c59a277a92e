"""The import contracts in ``pyproject.toml``: they hold, and they fail when a rule is broken."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "zerodce_rt"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__", "weights")
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=ignored)
    return tmp_path


def lint(project: Path) -> tuple[int, str]:
    """Exit code and output of ``lint-imports``, which finds the package in its working folder."""
    program = Path(sysconfig.get_path("scripts"), "lint-imports")
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=project, capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def append(path: Path, code: str) -> None:
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{code}", encoding="utf-8")


def test_the_contracts_hold(project: Path) -> None:
    code, output = lint(project)
    assert code == 0, output
    assert "0 broken" in output


@pytest.mark.parametrize(
    ("file", "importer", "imported"),
    [
        ("errors.py", "errors", "cache"),
        ("frame.py", "frame", "curve"),
        ("pipeline.py", "pipeline", "progress"),
        ("curve/__init__.py", "curve", "cache"),
        ("curve/__init__.py", "curve", "network"),
        ("media/__init__.py", "media", "curve"),
        ("media/__init__.py", "media", "network"),
        ("media/__init__.py", "media", "backends"),
        ("network/__init__.py", "network", "media"),
        ("backends/__init__.py", "backends", "media"),
        ("backends/__init__.py", "backends", "inputs"),
        ("training/__init__.py", "training", "backends"),
        ("training/__init__.py", "training", "files"),
        ("inputs.py", "inputs", "enhancer"),
        ("enhancer.py", "enhancer", "files"),
        ("files.py", "files", "live"),
        ("live/__init__.py", "live", "bench"),
        ("bench/__init__.py", "bench", "demo"),
        ("demo/__init__.py", "demo", "live"),
        ("demo/__init__.py", "demo", "cli"),
        ("backends/interfaces.py", "backends.interfaces", "backends.cpu"),
        ("backends/cpu/__init__.py", "backends.cpu", "backends.cuda"),
        ("backends/cuda/__init__.py", "backends.cuda", "backends.tensorrt"),
    ],
)
def test_a_forbidden_import_fails(project: Path, file: str, importer: str, imported: str) -> None:
    append(
        project / PACKAGE / file,
        f"def late() -> None:\n    import {PACKAGE}.{imported}\n",
    )
    code, output = lint(project)
    assert code == 1, output
    assert f"{PACKAGE}.{importer} is not allowed to import {PACKAGE}.{imported}" in output


@pytest.mark.parametrize(
    "code",
    [
        f"from {PACKAGE} import Enhancer\n",  # which the package imports when it is used
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {PACKAGE}.enhancer\n",
    ],
)
def test_names_of_the_package_and_types_are_no_way_around(project: Path, code: str) -> None:
    append(project / PACKAGE / "media" / "__init__.py", code)
    result, output = lint(project)
    assert result == 1, output
    assert f"{PACKAGE}.media is not allowed to import {PACKAGE}.enhancer" in output


@pytest.mark.parametrize("name", ["stray.py", "stray/__init__.py", "backends/stray.py"])
def test_a_module_without_a_place_fails(project: Path, name: str) -> None:
    module = project / PACKAGE / name
    module.parent.mkdir(exist_ok=True)
    module.write_text("", encoding="utf-8")
    code, output = lint(project)
    assert code == 1
    assert "not listed as layers" in output
