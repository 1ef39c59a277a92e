"""``zerodce-rt config``: the file with one's own defaults, every option's value, and its origin."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from zerodce_rt.cli import defaults

SUMMARY = "show the file with your own defaults, and the value of every option"


def add_options(parser: argparse.ArgumentParser) -> None:
    """None but those of every command."""


def run(options: argparse.Namespace) -> int:
    from zerodce_rt.cli.parser import command_parsers

    path = defaults.config_path()
    print(path if path.exists() else f"{path} (not there; every value is the program's own)")
    content = defaults.read_file(path)
    parsers = command_parsers()
    defaults.check_sections(path, content, parsers)
    lines: list[str] = []
    for command, parser in parsers.items():
        found = defaults.defaults_for(command, parser, path, content)
        lines += ["", f"[{command}]", *_lines(parser, found)]
    print("\n".join(lines))
    return 0


def _lines(
    parser: argparse.ArgumentParser, found: Mapping[str, defaults.FileValue]
) -> Iterator[str]:
    for name, action in defaults.options_of(parser):
        value, origin = action.default, "default"
        if action.dest in found:
            value = found[action.dest].value
            origin = "file" if found[action.dest].section else "file, top level"
        yield f"  {name:<20}{defaults.shown(value):<24}{origin}"
