"""Nothing that the program imports or runs opens a connection by itself, or reports its use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.no_network import SUPPORTED
from zerodce_rt.backends import BACKENDS

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="needs Linux's filter for system calls")
ROOT = Path(__file__).parents[2]

_IMPORTS = """
import importlib, pkgutil, sys, zerodce_rt
from importlib.util import find_spec
for module in pkgutil.walk_packages(zerodce_rt.__path__, "zerodce_rt."):
    needs_extra = module.name.startswith("zerodce_rt.studio.") and not find_spec("aiortc")
    if not needs_extra and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert "ray" not in sys.modules  # it starts threads, and is for one option only
for name in ("matplotlib.pyplot", "pyvirtualcam", "tensorrt_rtx", "torch_tensorrt", "triton"):
    if find_spec(name.partition(".")[0]):
        importlib.import_module(name)
"""
_RUN = """
import numpy as np
from zerodce_rt import Enhancer, ZeroDCEError
model = "plus" if {name!r} in ("cuda", "tensorrt", "tensorrt-rtx") else None
try:
    with Enhancer(backend={name!r}, model=model) as enhancer:
        print(enhancer(np.full((48, 64, 3), 20, np.uint8)).mean() > 20)
except ZeroDCEError as error:
    print(error)
"""
_COMMANDS = """
from zerodce_rt.cli import main
assert main(["doctor"]) == 0
assert main(["bench", "--sizes", "64x48", "--seconds", "0.1", "--plot", "chart.png"]) == 0
assert main(["demo", "--seconds", "0.2"]) == 0
assert main(["enhance", "zerodce-rt-demo/before_after.png", "-o", "bright.png"]) == 0
"""


def run(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process without network, with a home of its own."""
    home.mkdir(exist_ok=True)
    environment = os.environ | {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    # What was compiled before need not be compiled again.
    environment["XDG_CACHE_HOME"] = str(Path("~/.cache").expanduser())
    environment.pop("MPLCONFIGDIR", None)
    forbid = "from tests.support.no_network import forbid_network; forbid_network()\n"
    return subprocess.run(
        [sys.executable, "-c", forbid + code], cwd=home, env=environment,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def assert_nothing_was_reported(home: Path) -> None:
    # OpenVINO's package for that keeps the number of its user here.
    assert not (home / "intel").exists()


def test_a_connection_would_be_noticed(tmp_path: Path) -> None:
    done = run("import socket; socket.create_connection(('127.0.0.1', 9))", tmp_path)
    assert done.returncode == -signal.SIGSYS
    # Nor is a socket of the same machine one.
    assert run("import socket; socket.socket(socket.AF_UNIX)", tmp_path).returncode == 0


def test_importing_everything_opens_no_connection(tmp_path: Path) -> None:
    done = run(_IMPORTS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert_nothing_was_reported(tmp_path)


@pytest.mark.parametrize("name", BACKENDS)
def test_running_a_backend_opens_no_connection(name: str, tmp_path: Path) -> None:
    done = run(_RUN.format(name=name), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True" or f"backend {name} is not available" in done.stdout
    assert_nothing_was_reported(tmp_path)


def test_the_commands_open_no_connection_and_make_no_noise(tmp_path: Path) -> None:
    done = run(_COMMANDS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert_nothing_was_reported(tmp_path)
    assert "font" not in done.stderr  # matplotlib's cache of them
    assert "Traceback" not in done.stderr
