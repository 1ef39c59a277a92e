"""The command line: ``zerodce-rt live | enhance | demo | bench | train | engines | doctor``.

Each command has a module with its options and what it does; only the one that runs brings its
heavy modules, so that ``--help`` is immediate.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from zerodce_rt.cli.options import as_options
from zerodce_rt.cli.parser import build_parser
from zerodce_rt.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE, UsageError, ZeroDCEError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 on success, 1 on failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    options = build_parser().parse_args(arguments)
    level = logging.DEBUG if options.debug else logging.WARNING if options.quiet else logging.INFO
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("zerodce_rt").setLevel(level)
    # A polite kill cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code: int = options.run(options)
        return code
    except KeyboardInterrupt:
        print("stopped; nothing was left half-written", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except (ZeroDCEError, ValueError, OSError, MemoryError) as error:
        if options.debug:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"zerodce-rt: {as_options(text)}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILURE
    except Exception as error:
        if options.debug:
            raise
        print(
            f"zerodce-rt: unexpected {type(error).__name__}: {' '.join(str(error).split())}; "
            "run again with --debug and report what it shows",
            file=sys.stderr,
        )
        return EXIT_FAILURE


class _Formatter(logging.Formatter):
    """Log lines name options as the command line does."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return as_options(super().formatMessage(record))


def console() -> NoReturn:
    """The installed command: ``main``, and the end of the process.

    Unloading Numba and OpenVINO takes a third of a second, and there is nothing left to do.
    """
    try:
        code = main()
    except SystemExit as stop:  # argparse
        code = int(stop.code or 0)
    for stream in (sys.stdout, sys.stderr):
        # The reading end of the pipe may be closed.
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
