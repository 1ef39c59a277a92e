"""How messages are shown on the command line."""

from __future__ import annotations

import os
import re

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.streams import printable

# What libraries say that have no exception for it.
_OUT_OF_MEMORY = re.compile(
    "bad_alloc|failed to map segment|start new thread|cannot allocate memory|not enough memory"
    # OpenVINO's, for a thread that has no room for its stack.
    "|Exception from .*Resource temporarily unavailable",
    re.IGNORECASE | re.DOTALL,
)


def said_by(error: Exception) -> str:
    """What an exception says, for people."""
    if isinstance(error, ZeroDCEError):
        return str(error)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return f"out of memory ({str(error) or type(error).__name__}); close other programs"
    if isinstance(error, OSError) and error.strerror:  # its text has a number, too
        name = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return name + error.strerror
    if isinstance(error, (ValueError, OSError)):
        return str(error) or type(error).__name__
    return (
        f"unexpected {type(error).__name__}: {error}; run again with --debug and report what it "
        "shows"
    )


def in_one_line(text: str) -> str:
    """A message as it is printed."""
    return printable(as_options(" ".join(text.split())))


def as_options(text: str) -> str:
    """A message as the command line says it: settings in backquotes become options.

    >>> as_options("exists already; use `overwrite=True` to replace it")
    'exists already; use --overwrite to replace it'
    >>> as_options("try a smaller `working_size`, or `backend='openvino'`")
    'try a smaller --working-size, or --backend openvino'
    """

    def option(match: re.Match[str]) -> str:
        name, value = match[1].replace("_", "-"), (match[2] or "").strip("'\"")
        if value == "False":
            return f"--no-{name}"
        return f"--{name}" if value in ("", "True") else f"--{name} {value}"

    return re.sub(r"`(\w+)(?:=([^`]*))?`", option, text)
