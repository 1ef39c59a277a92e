"""Media for the tests, made on the spot, and the command line in this process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.media import write_video
from zerodce_rt.backends.cuda.driver import nvidia_driver_present
from zerodce_rt.cli import main

# The tests' own processes must not fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nor may a developer's own defaults change what is tested.
_NO_DEFAULTS = TemporaryDirectory(prefix="zerodce-config-")
os.environ["XDG_CONFIG_HOME"] = _NO_DEFAULTS.name
if not nvidia_driver_present():
    # Triton reads it once, when the first test imports it (see support/agreement.py).
    os.environ["TRITON_INTERPRET"] = "1"

VideoMaker = Callable[..., Path]


@pytest.fixture
def make_video(tmp_path: Path) -> VideoMaker:
    """A maker of small clips; see ``write_video`` for what can be asked for."""

    def make(name: str = "night.mp4", **options: Any) -> Path:
        path = tmp_path / name
        write_video(path, **options)
        return path

    return make


def assert_nothing_left(folder: Path, *expected: str) -> None:
    """The folder holds exactly these names: no partial file stayed behind."""
    assert sorted(p.name for p in folder.iterdir()) == sorted(expected)


def run(*arguments: object) -> int:
    """Run the command line in this process; usage errors of argparse count as exit codes."""
    handlers = logging.getLogger().handlers
    before = list(handlers)
    try:
        return main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        handlers[:] = before  # its own would go on writing to what is standard error now


def one_line(text: str) -> str:
    """The error that was printed, which must be one line and no traceback."""
    lines = [line for line in text.strip().splitlines() if line]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def pipeline_threads() -> list[str]:
    """Threads of a pipeline or a recording that still run; an applier's idle ones do not count."""
    names = ("zerodce-read", "zerodce-work", "zerodce-write", "zerodce-record")
    return [t.name for t in threading.enumerate() if t.name in names]


def require_gpu() -> None:
    """Skip the test without a card; fail if ``ZERODCE_RT_REQUIRE_GPU`` says there must be one."""
    import torch

    if not torch.cuda.is_available():
        reason = "needs an NVIDIA GPU"
        if os.environ.get("ZERODCE_RT_REQUIRE_GPU"):
            pytest.fail(reason)
        pytest.skip(reason)
