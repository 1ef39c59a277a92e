"""A file with the user's own defaults of options: TOML, a section for each command.

Top-level keys are for several commands: the options that every command has, and those of the model
for ``live``, ``enhance`` and ``studio``. A section's value wins over a top-level one, the command
line over both.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from zerodce_rt.cli.options import add_model_options
from zerodce_rt.errors import UsageError

MODEL_COMMANDS = ("live", "enhance", "studio")
"""Commands that top-level keys of the model's options are for."""

_NEVER = ("help", "list-cameras")


@dataclass(frozen=True)
class FileValue:
    """A default from the file.

    Attributes:
        value: as the command line would make it of its text.
        section: in which it is; ``""``: top level.
    """

    value: Any
    section: str


def config_path() -> Path:
    """Where the file is, if there is one: in the user's folder for settings."""
    from platformdirs import user_config_path

    # On Windows, the folder that follows the user from one computer to another.
    return Path(user_config_path("zerodce-rt", appauthor=False, roaming=True), "config.toml")


def read_file(path: Path) -> dict[str, Any]:
    """What a file holds; nothing if there is none.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors of Windows put a mark before it
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text; save it as such") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        found: dict[str, Any] = toml.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: is not TOML ({error})") from error
    return found


def defaults_for(
    command: str, parser: argparse.ArgumentParser, path: Path, content: Mapping[str, Any]
) -> dict[str, FileValue]:
    """The file's defaults for one command, by the names in its options' namespace.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        UsageError: an unknown key, or a value that the option does not take.
    """
    found = {}
    actions = dict(options_of(parser))
    general, for_models = _everywhere(parser), _of_the_model()
    for key, value in content.items():
        if isinstance(value, dict):
            continue
        if key not in general | for_models:
            valid = ", ".join(sorted(general | for_models))
            raise UsageError(f"{path}: unknown key {key!r} at the top level; valid: {valid}")
        if key in general or command in MODEL_COMMANDS:
            action = actions[key]
            found[action.dest] = FileValue(_value(f"{path}: {key}", action, value), "")
    for key, value in content.get(command, {}).items():
        if key not in actions:
            valid = ", ".join(sorted(actions))
            raise UsageError(f"{path}: unknown key {key!r} in [{command}]; valid: {valid}")
        action = actions[key]
        read = _value(f"{path}: [{command}] {key}", action, value)
        found[action.dest] = FileValue(read, command)
    return found


def check_sections(path: Path, content: Mapping[str, Any], commands: Mapping[str, Any]) -> None:
    """Refuse sections that are no commands.

    Raises:
        UsageError: there is one.
    """
    for name, value in content.items():
        if isinstance(value, dict) and name not in commands:
            raise UsageError(f"{path}: unknown section [{name}]; valid: {', '.join(commands)}")
        if name in commands and not isinstance(value, dict):
            raise UsageError(f"{path}: {name} is a section; write [{name}] on a line of its own")


def apply(
    command: str, parser: argparse.ArgumentParser, commands: Mapping[str, Any]
) -> dict[str, FileValue]:
    """Make the file's values the defaults of a command's parser.

    Args:
        commands: all that there are, by name.

    Returns:
        What came from the file.

    Raises:
        UsageError: as ``read_file`` and ``defaults_for``.
    """
    path = config_path()
    content = read_file(path)
    check_sections(path, content, commands)
    found = defaults_for(command, parser, path, content)
    values = {name: default.value for name, default in found.items()}
    parser.set_defaults(**values)
    # By these, ``enhance`` tells what was asked for on its command line.
    of_videos = parser.get_default("of_videos") or {}
    of_videos.update({name: values[name] for name in of_videos if name in values})
    parser.set_defaults(from_file=values)
    return found


def options_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """A command's options that the file may set, by their long names without dashes."""
    for action in parser._actions:
        if action.required:  # only the command line can give it
            continue
        for name in action.option_strings:
            if name.startswith("--") and name[2:] not in _NEVER:
                yield name[2:], action


def _everywhere(parser: argparse.ArgumentParser) -> set[str]:
    return {name for name, _ in options_of(parser)} & {"quiet", "debug"}


@cache
def _of_the_model() -> frozenset[str]:
    parser = argparse.ArgumentParser(add_help=False)
    add_model_options(parser)
    return frozenset(name for name, _ in options_of(parser))


def _value(where: str, action: argparse.Action, value: Any) -> Any:
    """What the command line would make of a value."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: must be true or false, not {shown(value)}")
        return value
    if action.nargs == "?" and isinstance(value, bool):
        return action.const if value else action.default
    if action.nargs in ("+", "*"):
        if not isinstance(value, list) or not value:
            raise UsageError(f"{where}: must be a list like [...], not {shown(value)}")
        return [_single(where, action, one) for one in value]
    return _single(where, action, value)


def _single(where: str, action: argparse.Action, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        kind = f"one of {', '.join(map(str, action.choices))}" if action.choices else (
            "a text or a number")  # fmt: skip
        raise UsageError(f"{where}: must be {kind}, not {shown(value)}")
    text = str(value)
    if text.startswith("~"):  # the shell does so on the command line
        text = os.path.expanduser(text)
    read: Any = text
    if callable(action.type):
        try:
            read = action.type(text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"{where}: {error}") from error
        except (ValueError, TypeError) as error:
            kinds: dict[Any, str] = {int: "a whole number", float: "a number"}
            kind = kinds.get(action.type, "another value")
            raise UsageError(f"{where}: must be {kind}, not {shown(value)}") from error
    if action.choices is not None and read not in action.choices:
        valid = ", ".join(map(str, action.choices))
        raise UsageError(f"{where}: must be one of {valid}, not {shown(value)}")
    return read


def shown(value: Any) -> str:
    """A value as it can be written in the file."""
    if value is None or value == math.inf:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):  # a size of frames
        return f'"{"x".join(map(str, value))}"'
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, int) else f'"{value}"'
