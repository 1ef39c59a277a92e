"""The documents are true: options, keys, links, examples, and the page of the API."""

from __future__ import annotations

import argparse
import doctest
import importlib
import inspect
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zerodce_rt
from tests.conftest import VideoMaker
from zerodce_rt.cli.parser import build_parser
from zerodce_rt.live.keys import KEYS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
# Where a command's options are explained.
HOMES = {
    "live": "live.md", "enhance": "files.md", "studio": "studio.md", "demo": "files.md",
    "bench": "measuring.md", "train": "training.md", "engines": "gpu.md",
    "doctor": "troubleshooting.md", "config": "config.md",
}  # fmt: skip


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (
        a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)
    )  # fmt: skip
    found: dict[str, argparse.ArgumentParser] = dict(action.choices)
    return found


def test_every_command_has_a_page() -> None:
    assert set(commands()) == set(HOMES)
    for command, page in HOMES.items():
        assert f"zerodce-rt {command}" in text_of(page), f"{command} is missing in {page}"


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        for option in action.option_strings:
            if option.startswith("--") and option != "--help":
                yield option


@pytest.mark.parametrize("command", HOMES)
def test_every_option_is_explained_on_its_page(command: str) -> None:
    page = text_of(HOMES[command])
    shared = {*options_of(commands()["doctor"])}  # --quiet and --debug: those of every command
    for option in options_of(commands()[command]):
        where = text_of("troubleshooting.md") if option in shared else page
        found = re.search(rf"`[^`]*{option}\b[^`]*`", where)
        assert found, f"{command} {option} is missing in {HOMES[command]}"


def test_no_document_speaks_of_an_option_that_there_is_not() -> None:
    known = {o for parser in commands().values() for o in options_of(parser)} | {"--help"}
    known |= {"--version"}
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            for spoken in re.findall(r"zerodce-rt \w+[^`#|]*", line):
                for option in re.findall(r"(?<=\s)--[a-z][a-z-]+", spoken):
                    assert option in known, f"{page.name}: {option}"


def test_every_key_of_the_live_window_is_explained() -> None:
    page = text_of("live.md")
    for key in KEYS:
        label = r"[ ,]*".join(map(re.escape, key.label.split()))
        row = rf"^\|.*(?<!\w){label}(?!\w).*\|"
        assert re.search(row, page, re.MULTILINE), f"{key.label} is missing in live.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, f"{page.name}: {target}"


def test_the_page_of_the_api_is_that_of_the_code() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "api_docs.py"))
    assert text_of("api.md") == script["page"](), "run python scripts/api_docs.py"
    names = " ".join(m.get("zerodce_rt", "") for m in script["SECTIONS"].values())
    listed = set(names.split())
    assert listed == set(zerodce_rt.__all__) - {"__version__"}


def test_everything_public_says_what_it_is() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "api_docs.py"))
    for modules in script["SECTIONS"].values():
        for module, names in modules.items():
            for name in names.split():
                thing = getattr(importlib.import_module(module), name)
                if not callable(thing):
                    continue
                for owner, member in [(name, thing), *_members(name, thing)]:
                    assert inspect.getdoc(member), f"{owner} has no docstring"
                _every_parameter_is_explained(name, thing)


def _members(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if inspect.isclass(thing):
        for key, member in vars(thing).items():
            function = getattr(member, "__func__", member)
            if not key.startswith("_") and (
                isinstance(member, property) or inspect.isfunction(function)
            ):
                yield f"{name}.{key}", member


def _every_parameter_is_explained(name: str, thing: Any) -> None:
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    if getattr(thing, "_is_protocol", False):
        return
    doc = inspect.getdoc(thing) or ""
    for parameter in inspect.signature(thing).parameters:
        found = re.search(rf"^ +(\w+, )*{parameter}(, \w+)*: ", doc, re.MULTILINE)
        assert found, f"{name}: {parameter} is not explained"


def modules_with_examples() -> Iterator[str]:
    for path in sorted((ROOT / "zerodce_rt").rglob("*.py")):
        if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__")


@pytest.mark.parametrize("module", list(modules_with_examples()))
def test_examples_in_docstrings_work(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_the_readme_s_lines_of_python_work(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video("night.mp4", frames=3)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    image = np.full((48, 64, 3), 20, np.uint8)
    names: dict[str, Any] = {"image": image, "clip": [image] * 3}
    exec(code, names)
    assert (tmp_path / "bright.mp4").exists()
    assert names["bright"].mean() > image.mean()
    assert len(names["frames"]) == 3
