"""The parser of the command line: each command's options come from its own module."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType
from typing import NoReturn

from zerodce_rt import __version__
from zerodce_rt.cli import bench, demo, doctor, engines, enhance, live, train
from zerodce_rt.errors import EXIT_USAGE

COMMANDS: dict[str, ModuleType] = {
    "live": live,
    "enhance": enhance,
    "demo": demo,
    "bench": bench,
    "train": train,
    "engines": engines,
    "doctor": doctor,
}
"""Modules by command. Each has a ``SUMMARY``, ``add_options(parser)``, and ``run(options)``, which
returns the exit code and imports what is heavy."""


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, as all errors are."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see '{self.prog} --help'", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; a command's ``run`` is in ``options.run``."""
    common = _Parser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="show warnings and errors only")
    common.add_argument("--debug", action="store_true", help="show details, and tracebacks")

    parser = _Parser(
        prog="zerodce-rt", description="Brighten dark video and pictures in real time."
    )
    parser.add_argument("--version", action="version", version=f"zerodce-rt {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = module.SUMMARY
        command = commands.add_parser(
            name, parents=[common], help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser
