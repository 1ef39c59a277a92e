"""The installed command in a process of its own, as people start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "zerodce_rt")


def with_hang_ups() -> None:
    """As ``preexec_fn``: what started the tests may have ignored hang-ups, as ``nohup`` does."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command; options are those of ``Popen``, and ``environment`` adds variables."""
    environment = os.environ | options.pop("environment", {})
    options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE} | options
    return subprocess.Popen([*COMMAND, *map(str, arguments)], text=True, env=environment, **options)


def finish(process: subprocess.Popen[str], *, seconds: float = 90) -> tuple[int, str]:
    """Exit code and standard error; a process that hangs is killed, and is an error."""
    try:
        _, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, error or ""


def command(*arguments: object, **options: Any) -> tuple[int, str]:
    """Run the command: exit code and standard error."""
    return finish(start(*arguments, **options))


def partial_files(folder: Path) -> list[Path]:
    """Outputs that have been begun and are not complete."""
    return [p for p in folder.rglob("*") if ".part" in p.name]
