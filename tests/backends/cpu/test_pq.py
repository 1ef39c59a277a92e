"""PQ frames to what curves work in and back: the kernels against the reference, and exactness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.noise import blank, gap, pq_frame, random_frame, visible
from zerodce_rt.backends.cpu import create_applier
from zerodce_rt.curve import pq
from zerodce_rt.frame import FORMATS, Colour, plane_shapes

DEEP = [name for name, f in FORMATS.items() if f.bits in (10, 12) or name in ("rgb48le", "yuyv422")]
reference = create_applier("reference")


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("size", [(37, 23), (64, 48), (1, 1), (2, 3)])
def test_the_kernels_agree_with_the_reference(name: str, size: tuple[int, int]) -> None:
    frame = pq_frame(name, *size, peak_nits=600)
    applier = create_applier("cpu", threads=3)
    expected, got = reference.pq_to_gamma(frame), applier.pq_to_gamma(frame)
    assert got.colour == expected.colour
    # Of 65535; the tables for chroma are not interpolated.
    assert gap(expected, got) <= (1e-6 if got.format.bits == 32 else 130)
    brighter = replace(got, planes=tuple(p.copy() for p in got.planes))
    brighter.planes[0][:] = np.sqrt(brighter.planes[0] / 65535) * 65535
    expected, got = blank(frame), blank(frame)
    reference.gamma_to_pq(brighter, frame, expected)
    applier.gamma_to_pq(brighter, frame, got)
    assert gap(expected, got) <= 2 ** (frame.format.bits - 8) / 2


@pytest.mark.parametrize("name", ["yuv420p10le", "yuv422p12le", "p010le", "yuv444p10le"])
def test_there_and_back_is_exact(name: str) -> None:
    """In colours that exist: what is outside RGB has no place to go."""
    format = FORMATS[name]
    width, height, unit = 256, 16, 1 << format.dropped_bits
    colour = Colour("bt2020", transfer="pq")
    black, span, grey, _ = colour.levels(format.bits)
    frame = random_frame(name, width, height, colour)
    # Every code of luma, in rising order, so that neighbours are alike.
    codes = np.linspace(black, black + span, width * height).round().reshape(height, width)
    frame.planes[0][:, :width] = codes * unit
    rng = np.random.default_rng(0)
    for plane, (rows, samples) in zip(
        frame.planes[1:], plane_shapes(format, width, height)[1:], strict=True
    ):
        middle = codes[:: height // rows].mean(axis=1, keepdims=True)
        room = 0.2 * np.minimum(middle - black, black + span - middle)
        chroma = grey + (rng.random((rows, samples)) - 0.5) * room
        plane[:, :samples] = chroma.round() * unit
    applier, back = create_applier("cpu"), blank(frame)
    applier.gamma_to_pq(applier.pq_to_gamma(frame), frame, back)
    (luma, *chroma), (luma_back, *chroma_back) = visible(frame), visible(back)
    assert np.array_equal(luma, luma_back)
    for before, after in zip(chroma, chroma_back, strict=True):
        assert np.abs(before - after).max() <= 2
        assert np.abs(before - after).mean() < 0.2


def test_the_peak_is_that_of_the_source() -> None:
    """Frames made for results do not know it."""
    frame = pq_frame("yuv420p10le", 64, 48, peak_nits=400)
    applier, out = create_applier("cpu"), blank(frame)
    unknown = replace(out, colour=replace(out.colour, peak_nits=1000))
    applier.gamma_to_pq(applier.pq_to_gamma(frame), frame, unknown)
    applier.gamma_to_pq(applier.pq_to_gamma(frame), frame, out)
    assert gap(unknown, out) == 0


def test_samples_beyond_their_bits_are_white() -> None:
    frame = pq_frame("yuv420p10le", 16, 16)
    frame.planes[0][:] = 65535
    assert (visible(create_applier("cpu").pq_to_gamma(frame))[0] == 65535).all()


def test_what_is_above_the_peak_stays() -> None:
    frame = pq_frame("yuv420p10le", 64, 48, peak_nits=400)
    applier = create_applier("cpu")
    white = applier.pq_to_gamma(frame)
    for plane in white.planes[:1]:
        plane[:] = 65535
    out = blank(frame)
    applier.gamma_to_pq(white, frame, out)
    before, after = (pq.nits_of((v[0] - 64).clip(0, 876) / 876) for v in map(visible, (frame, out)))
    assert (before > 420).any()
    assert np.array_equal(after[before > 420], before[before > 420])
    assert after[before <= 400].max() <= 404


@pytest.mark.parametrize("nits", [400, 1000, 10_000])
def test_the_functions_are_inverse_and_rise(nits: float) -> None:
    codes = np.linspace(-1, 1, 4001)
    values = pq.to_gamma(codes, nits)
    assert (np.diff(values) > 0).all()
    np.testing.assert_allclose(pq.from_gamma(values, nits), codes, atol=1e-9)
    assert pq.to_gamma(pq.codes_of(np.array([nits])), nits) == pytest.approx(1)


def test_known_values() -> None:
    """ITU-R BT.2408, tables 1 and 3; BT.2100, table 4."""
    assert pq.codes_of(203) == pytest.approx(0.58, abs=0.005)
    assert pq.codes_of(1000) == pytest.approx(0.7518, abs=1e-4)
    assert pq.codes_of(pq.BRIGHTEST_NITS) == pytest.approx(1)
    assert pq.level_of(1.0, "hlg", 1000) == 1, "off stays off"
    assert pq.level_of(0.5, "gamma", 1000) == 0.5
    assert pq.level_of(0.999, "hlg", 1000) == pytest.approx(0.75, abs=0.01)
    assert pq.level_of(0.46, "hlg", 1000) == pytest.approx(0.38, abs=0.01), "a grey card"
