"""Write docs/api.md from the docstrings; a test holds the page to the code.

python scripts/api_docs.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"

INTRODUCTION = """\
# The Python API

<!-- Made by scripts/api_docs.py from the docstrings. Do not edit: change the docstring. -->

Everything on this page may be relied on; whatever else there is in the package may change.
Importing `zerodce_rt` is light: torch, PyAV, OpenVINO and Numba are loaded when they are first
needed. Short programs that use all of this are in [examples/](../examples/).

Errors: `ValueError` and `TypeError` for arguments that are wrong; `ZeroDCEError` for everything
that the user can fix (files, devices, missing packages), with one line that says how.
"""

SECTIONS: dict[str, dict[str, str]] = {
    "Images and frames": {"zerodce_rt": "Enhancer"},
    "Files": {"zerodce_rt": "enhance_video enhance_picture VideoResult EncoderSettings Span"},
    "Planes, curves and settings": {
        "zerodce_rt": "Frame PixelFormat FORMATS Colour CurveMaps ControlSettings WorkingSize"
    },
    "Errors": {"zerodce_rt": "ZeroDCEError DeviceError"},
    "Live": {
        "zerodce_rt.live": "run_live open_feed Feed LiveSettings CameraSettings list_cameras "
        "FrameRateHold Output",
    },
    "Training": {
        "zerodce_rt.training": "train LightTrainingSettings LightLossWeights "
        "TrainingSettings LossWeights Degradation published_settings",
    },
}
"""Public names by module, in the order of the page."""

_PARTS = re.compile(r"(Args|Attributes|Returns|Raises|Yields):")


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, modules in SECTIONS.items():
        parts.append(f"## {title}\n")
        for module, names in modules.items():
            parts += [entry(module, name) for name in names.split()]
    return "\n".join(parts)


def entry(module: str, name: str) -> str:
    """One public name: how it is imported, how it is called, and its docstring."""
    thing = getattr(import_module(module), name)
    lines = [f"### {name}\n", "```python", f"from {module} import {name}"]
    if not callable(thing):
        keys = ", ".join(f"`{key}`" for key in thing)
        return "\n".join([*lines, "```", "", f"A dictionary by name, with the keys {keys}.\n"])
    if called := arguments(thing):
        lines += ["", f"{name}{called}"]
    lines += ["```", "", markdown(inspect.getdoc(thing) or "")]
    if inspect.isclass(thing) and not issubclass(thing, Exception):
        lines += ["", *members(thing)]
    return "\n".join(lines).rstrip() + "\n"


def arguments(thing: Any) -> str:
    """The parameters with their defaults, on a line each if they are many."""
    if inspect.isclass(thing) and (issubclass(thing, Exception) or inspect.isabstract(thing)):
        return ""
    if getattr(thing, "_is_protocol", False):
        return ""
    shown = []
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        shown.append(f"{stars}{parameter.name}{default(thing, parameter)}")
    text = ", ".join(shown)
    if len(text) > 80:
        return "(\n    " + ",\n    ".join(shown) + ",\n)"
    return f"({text})"


def default(thing: Any, parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value is parameter.empty:
        return ""
    if dataclasses.is_dataclass(thing):
        (field,) = (f for f in dataclasses.fields(thing) if f.name == parameter.name)
        if field.default_factory is not dataclasses.MISSING:
            return f"={getattr(field.default_factory, '__name__', '...')}()"
    return f"=Path({str(value)!r})" if isinstance(value, Path) else f"={value!r}"


def members(cls: type) -> Iterator[str]:
    """Public methods and properties that a class defines itself."""
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if name.startswith("_") and name != "__call__":
            continue
        if not (isinstance(member, property) or inspect.isfunction(function)):
            continue
        heading = cls.__name__.lower() if name == "__call__" else f"{cls.__name__}.{name}"
        if inspect.isfunction(function):
            one_line = " ".join(arguments(function).split())
            heading += one_line.replace("( ", "(").replace(", )", ")")
        yield f"#### `{heading}`\n"
        yield markdown(inspect.getdoc(member) or "") + "\n"


def markdown(doc: str) -> str:
    """A docstring as Markdown: parts in bold, arguments as lists, examples as code."""
    lines: list[str] = []
    code = part = False
    for line in doc.splitlines():
        if code and not line.strip():
            code = False
            lines.append("```")
        elif line.startswith(">>> ") and not code:
            code = True
            lines.append("```python")
        if code:
            lines.append(line)
            continue
        line = re.sub(r"``([^`]+)``", r"`\1`", line)
        if found := _PARTS.fullmatch(line):
            part = True
            lines += [f"**{found[1]}**", ""]
        elif part and line.startswith("    "):
            lines.append(item(line[4:]))
        else:
            lines.append(line)
    if code:
        lines.append("```")
    return "\n".join(lines).strip()


def item(line: str) -> str:
    """A line of a part: what begins an argument or an error begins a list's item."""
    found = re.match(r"([\w, .]+): (.*)", line)
    if found and not line.startswith(" "):
        names = ", ".join(f"`{name.strip()}`" for name in found[1].split(","))
        return f"- {names}: {found[2]}"
    return line[2:] if line.startswith("    ") else line


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
