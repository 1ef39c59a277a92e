"""The command line, ``zerodce-rt``: live, enhance, studio, demo, bench, train and others.

Each command has a module with its options and what it does; only the one that runs brings its
heavy modules, so that ``--help`` is immediate.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from zerodce_rt.cli.messages import as_options, in_one_line, said_by
from zerodce_rt.cli.parser import build_parser
from zerodce_rt.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE, UsageError
from zerodce_rt.streams import Lasting, make_lasting, printable


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
    _clean_up_when_told_to_stop()
    try:
        code: int = options.run(options)
        return code
    except KeyboardInterrupt:
        print("stopped; nothing was left half-written", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if options.debug:
            raise
        _complain(said_by(error))
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILURE


def _complain(text: str) -> None:
    print(f"zerodce-rt: {in_one_line(text)}", file=sys.stderr)


def _clean_up_when_told_to_stop() -> None:
    """Let a polite kill and a closed terminal clean up, as Ctrl-C does.

    Both may send several signals; those that follow must not disturb the cleaning.
    """
    wanted = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    # ``nohup`` has a hang-up ignored.
    signals = [s for s in wanted if s is not None and signal.getsignal(s) != signal.SIG_IGN]

    def stop(*_: object) -> NoReturn:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, stop)


class _Formatter(logging.Formatter):
    """Log lines name options as the command line does, and cannot change the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return printable(as_options(super().formatMessage(record)))


def console() -> NoReturn:
    """The installed command: ``main``, and the end of the process.

    Unloading Numba and OpenVINO takes a third of a second, and there is nothing left to do.
    """
    make_lasting()
    try:
        code = main()
    except SystemExit as stop:  # argparse
        code = int(stop.code or 0)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if code == 0 and isinstance(sys.stdout, Lasting) and sys.stdout.failure is not None:
        _complain(f"standard output cannot be written ({sys.stdout.failure.strerror})")
        code = EXIT_FAILURE
    os._exit(code)
