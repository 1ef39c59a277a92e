"""One case: a damaged file, something done with it, and a verdict."""

from __future__ import annotations

import gc
import os
import shutil
import time
import traceback
from pathlib import Path
from random import Random

from tests.conftest import pipeline_threads
from tests.fuzz import seeds
from tests.fuzz.actions import COMMAND_LINE, MODES, Action, Case, act
from tests.fuzz.mutations import mutated
from tests.fuzz.outcome import (
    DESCRIPTOR_LEFT,
    FILE_LEFT,
    INPUT_CHANGED,
    POOR_MESSAGE,
    REFUSED,
    RIGHT,
    THREAD_LEFT,
    UNEXPECTED,
    Fault,
    Outcome,
    complaint_about,
)
from tests.fuzz.stderr import captured_stderr
from zerodce_rt.errors import ZeroDCEError

_DESCRIPTORS = Path("/proc/self/fd")
_PACKAGE = "zerodce_rt"
# A longer exception's text tells no more.
_LONGEST_DETAIL = 400


def case_of(kind: str, number: int) -> Case:
    """The case of a number, which is the same each time.

    Args:
        kind: one of ``seeds.KINDS``.
        number: chooses the file, the damage to it, and what is done with it.
    """
    random = Random(f"{kind} {number}")
    seed, other = (seeds.seed(kind, random.randrange(seeds.count(kind))) for _ in range(2))
    data = mutated(seed.data, number, other.data)
    return Case(kind, number, seed.name, data, random.choice(MODES[kind]))


def run_case(kind: str, number: int, folder: Path) -> Outcome:
    """Run the case of a number in a folder for it alone."""
    return run(case_of(kind, number), folder)


def warm_up(kind: str, folder: Path) -> None:
    """Run whole files, so that what is loaded and opened only once does not count as left over."""
    names = {"video": ("full.mkv", "hevc10.mp4"), "picture": ("photo.jpg", "deep.png"),
             "weights": ("plus.pth",), "manifest": ("tensorrt.json", "hls.mp4")}  # fmt: skip
    for name in names[kind]:
        for mode in (MODES[kind][0], COMMAND_LINE):
            run(Case(kind, 0, name, seeds.named(kind, name).data, mode), folder)


def run(case: Case, folder: Path, action: Action = act) -> Outcome:
    """Run a case.

    Args:
        folder: for it alone; it is emptied first.
        action: what is done; default: what the case says.
    """
    shutil.rmtree(folder, ignore_errors=True)
    source, results = folder / "in" / case.name, folder / "out"
    source.parent.mkdir(parents=True)
    results.mkdir()
    source.write_bytes(case.data)
    before = _descriptors()
    started = time.perf_counter()
    with captured_stderr() as complained:
        verdict, detail, expected = _attempt(case, source, results, action)
    seconds = time.perf_counter() - started
    if verdict in (RIGHT, REFUSED):
        try:
            _look_around(case, source, results, expected, before)
            if "Traceback (most recent call last)" in complained():
                raise Fault(UNEXPECTED, f"on stderr: {complained().splitlines()[-1]}")
        except Fault as fault:
            verdict, detail = fault.verdict, f"{fault} ({verdict}: {detail})"
    detail = detail.replace(f"{folder}{os.sep}", "")
    return Outcome(case.kind, case.number, case.name, case.mode, verdict, detail, seconds)


def _attempt(case: Case, source: Path, results: Path, action: Action) -> tuple[str, str, set[str]]:
    """Verdict, detail, and the names of the files that must be there."""
    try:
        return RIGHT, "", action(case, source, results)
    except Fault as fault:
        return fault.verdict, str(fault), set()
    except ZeroDCEError as error:
        message = str(error)
        if complaint := complaint_about(message):
            return POOR_MESSAGE, f"{complaint}: {message[:_LONGEST_DETAIL]!a}", set()
        return REFUSED, message, set()
    # ValueError as well: all settings are within their ranges.
    except Exception as error:
        text = " ".join(str(error).split())[:_LONGEST_DETAIL]
        return UNEXPECTED, f"{type(error).__name__}: {text!a} at {_place_of(error)}", set()


def _place_of(error: BaseException) -> str:
    """File and line in the package where an error passed last."""
    places = traceback.extract_tb(error.__traceback__)
    inside = [p for p in places if _PACKAGE in Path(p.filename).parts]
    if not inside:
        return "an unknown place"
    parts = Path(inside[-1].filename).parts
    package = len(parts) - 1 - parts[::-1].index(_PACKAGE)
    return f"{Path(*parts[package:]).as_posix()}:{inside[-1].lineno}"


def _look_around(
    case: Case, source: Path, results: Path, expected: set[str], before: dict[str, str]
) -> None:
    """Raise ``Fault`` for whatever a case has left behind or changed."""
    if not source.is_file() or source.read_bytes() != case.data:
        raise Fault(INPUT_CHANGED, case.name)
    found = {p.name for p in results.iterdir()}
    if found != expected:
        raise Fault(FILE_LEFT, f"{sorted(found)} instead of {sorted(expected)}")
    if threads := pipeline_threads():
        raise Fault(THREAD_LEFT, ", ".join(threads))
    if len(_descriptors()) > len(before):
        gc.collect()  # exceptions may hold files in a circle for a while
        after = _descriptors()
        if len(after) > len(before):
            new = [target for number, target in after.items() if before.get(number) != target]
            raise Fault(DESCRIPTOR_LEFT, ", ".join(new))


def _descriptors() -> dict[str, str]:
    """Open files of this process by number; none where the system does not show them."""
    found: dict[str, str] = {}
    for number in os.listdir(_DESCRIPTORS) if _DESCRIPTORS.is_dir() else ():
        try:
            found[number] = os.readlink(_DESCRIPTORS / number)
        except OSError:  # that of the listing itself
            continue
    return found
