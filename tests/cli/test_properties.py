"""What holds for whatever is typed: options, spans and names of files."""

from __future__ import annotations

import argparse
import math
import string
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401 - the profile
from zerodce_rt.cli.messages import as_options
from zerodce_rt.cli.options import fraction, frame_size, number, seconds
from zerodce_rt.media.paths import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    default_output,
    is_picture,
    output_in_folder,
)
from zerodce_rt.media.reader import Span

# ---- options

typed = st.text() | st.text(alphabet="0123456789.:-+e_xX naif/", max_size=12)


@given(st.sampled_from([seconds, frame_size, number, fraction]), typed)
@example(seconds, "1:")
@example(seconds, "1e308:0")
@example(seconds, "1e307:1e308:0")
@example(seconds, "inf")
@example(number, "nan")
@example(frame_size, "²x1")
@example(frame_size, "1x²")
def test_options_are_read_or_refused(read: Callable[[str], Any], text: str) -> None:
    try:
        value = read(text)
    except argparse.ArgumentTypeError as error:
        assert str(error)  # noqa: PT017
    else:
        values = value if isinstance(value, tuple) else (value,)
        assert all(0 <= v < math.inf for v in values)
        assert read is not fraction or value <= 1


@given(st.integers(0, 99), st.integers(0, 59), st.floats(0, 59.999), st.integers(0, 10**9))
def test_options_are_read_as_they_are_written(h: int, m: int, s: float, n: int) -> None:
    assert seconds(f"{h}:{m:02}:{s!r}") == pytest.approx(3600 * h + 60 * m + s)
    assert seconds(f"{m}:{s!r}") == pytest.approx(60 * m + s)
    assert seconds(repr(s)) == number(repr(s)) == s
    assert frame_size(f"{n}x{h}") == frame_size(f"{n}X{h}") == (n, h)
    assert fraction(repr(s / 60)) == s / 60


words = st.text(alphabet=string.ascii_lowercase + "_", min_size=1, max_size=10)
prose = st.text(alphabet=st.characters(exclude_characters="`", exclude_categories=["Cs"]))


@given(prose, words, st.sampled_from(["", "=True", "=False", "='fast'", "=0.5"]), prose)
def test_settings_become_options_and_nothing_else_changes(
    before: str, name: str, value: str, after: str
) -> None:
    shown = as_options(f"{before}`{name}{value}`{after}")
    assert shown.startswith(before)
    assert shown.endswith(after)
    option = shown.removeprefix(before).removesuffix(after) if after else shown[len(before) :]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(
        f"--{name.replace('_', '-')}", dest="it", nargs="?", const="True", default=None
    )
    parser.add_argument(f"--no-{name.replace('_', '-')}", dest="it", action="store_const",
                        const="False")  # fmt: skip
    assert parser.parse_args(option.split()).it == (value[1:].strip("'") or "True")
    assert as_options(shown) == shown


# ---- spans

# Numbers that Python can compare and that no float can hold, too.
huge = st.sampled_from([10**400, -(10**400), Fraction(10**401, 3)])
numbers = st.floats() | st.integers() | st.fractions() | huge


@given(numbers, numbers)
@example(Fraction(1, 3), 10**400)
@example(10**400, Fraction(10**401, 3))
@example(10**5000, 0)  # more digits than Python prints
def test_a_span_is_refused_or_holds_some_time(
    start: float | Fraction, end: float | Fraction
) -> None:
    try:
        span = Span(start=start, end=end)  # type: ignore[arg-type]
    except ValueError:
        assert not 0 <= start < end
    else:
        assert 0 <= span.start < span.end


# ---- names of outputs

# Without dots inside: "clip.avi.mkv" is also what the output of "clip.avi" is called.
stems = st.text(alphabet="ab_-é夜 0", min_size=1, max_size=6)
suffixes = st.sampled_from(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES)).flatmap(
    lambda suffix: st.sampled_from([suffix, suffix.upper()])
)
media_names = st.builds(str.__add__, stems, suffixes)
folders = st.lists(stems, max_size=2).map(lambda parts: Path("in", *parts))


@given(folders, media_names)
def test_the_default_output_is_another_file_beside_the_input(folder: Path, name: str) -> None:
    source = folder / name
    output = default_output(source)
    assert output.parent == folder
    assert output.name.casefold() != name.casefold()
    assert output.stem.startswith(source.stem)
    assert is_picture(output) == is_picture(source)
    assert output.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES
    again = default_output(output)
    assert again.suffix == output.suffix  # what was written is kept from then on
    assert again != output


# Few stems and folders, so that there are names which differ in their suffix alone.
crowd = st.builds(
    lambda folder, stem, suffix: Path("in", folder, stem + suffix),
    st.sampled_from(["", "a"]), st.sampled_from(["a", "b"]), suffixes,
)  # fmt: skip


@given(st.sets(crowd, min_size=2, max_size=12))
def test_outputs_of_a_folder_do_not_collide(sources: set[Path]) -> None:
    out = Path("out")
    outputs = [output_in_folder(source, Path("in"), out) for source in sources]
    assert len(set(outputs)) == len(sources)
    for source, output in zip(sources, outputs, strict=True):
        assert output.relative_to(out).parent == source.relative_to("in").parent
        assert output.suffix == default_output(source).suffix
