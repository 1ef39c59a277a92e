"""The parser of the command line: each command's options come from its own module."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from zerodce_rt import __version__
from zerodce_rt.cli import (
    bench,
    config,
    defaults,
    demo,
    doctor,
    engines,
    enhance,
    live,
    studio,
    train,
)
from zerodce_rt.cli.messages import in_one_line
from zerodce_rt.errors import EXIT_USAGE, UsageError
from zerodce_rt.media.paths import is_picture, is_video

COMMANDS: dict[str, ModuleType] = {
    "live": live,
    "enhance": enhance,
    "studio": studio,
    "demo": demo,
    "bench": bench,
    "train": train,
    "engines": engines,
    "doctor": doctor,
    "config": config,
}
"""Modules by command. Each has a ``SUMMARY``, ``add_options(parser)``, and ``run(options)``, which
returns the exit code and imports what is heavy."""


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, as all errors are."""

    _given: Sequence[str] = ()
    command = ""
    """Whose options these are; its defaults may come from a file."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in ``argparse``; keeps what was given for ``error``."""
        self._given = list(sys.argv[1:] if args is None else args)
        # What tells of a mistake in the file must work in spite of it.
        if self.command not in ("", "config") and not {"-h", "--help"} & {*self._given}:
            try:
                defaults.apply(self.command, self, COMMANDS)
            except UsageError as error:
                self.error(str(error))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        name = next((a for a in self._given if _is_file_with_dash(a)), None)
        if name is not None:
            message = f"{name} is taken for an option; write ./{name}, or -- before the inputs"
        print(f"{self.prog}: {in_one_line(message)}; see '{self.prog} --help'", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def _is_file_with_dash(argument: str) -> bool:
    """Whether an argument that looks like an option is rather a file."""
    path = Path(argument)
    like_a_file = (is_picture(path) or is_video(path)) and "=" not in argument
    return argument.startswith("-") and (like_a_file or os.path.exists(path))


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
        command.command = name
        command.set_defaults(run=module.run)
    return parser


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (action,) = (
        a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)
    )  # fmt: skip
    return dict(action.choices)
