"""The film of the demo: a room with and without light, and a camera that moves."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from zerodce_rt.demo.scene import film

Clip = list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]

FRAMES, WIDTH, HEIGHT, STOPS = 121, 64, 36, -3.0


@pytest.fixture(scope="module")
def clip() -> Clip:
    return list(film(FRAMES, WIDTH, HEIGHT, stops=STOPS))


def linear(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linear light of codes with gamma 1/2.2."""
    return (codes / 255) ** 2.2


def test_frames_have_the_requested_size(clip: Clip) -> None:
    assert len(clip) == FRAMES
    for pair in clip:
        for frame in pair:
            assert frame.shape == (HEIGHT, WIDTH, 3)
            assert frame.dtype == np.uint8


def test_a_film_is_the_same_every_time_and_frames_do_not_depend_on_its_length(clip: Clip) -> None:
    again = list(film(3, WIDTH, HEIGHT, stops=STOPS))
    assert len(again) == 3
    np.testing.assert_array_equal(np.array(again), np.array(clip[:3]))


def test_dark_frames_are_darker_by_the_stops(clip: Clip) -> None:
    for dark, well_lit in islice(clip, 0, None, 20):
        # Neither clipped at white nor so dark that noise is clipped at black.
        usable = (well_lit < 255) & (linear(well_lit) > 0.02)
        assert usable.mean() > 0.5
        ratio = linear(dark)[usable].mean() / linear(well_lit)[usable].mean()
        assert np.log2(ratio) == pytest.approx(STOPS, abs=0.03)


def test_only_dark_frames_are_noisy(clip: Clip) -> None:
    # The camera starts slowly: the first frames hardly differ in anything but noise.
    first, second = clip[:2]
    dark, well_lit = (
        np.abs(linear(a) - linear(b)).mean() / linear(a).mean()
        for a, b in zip(first, second, strict=True)
    )
    assert dark > 2 * well_lit


def test_the_camera_pans(clip: Clip) -> None:
    # The upper half, where there is no ball; the camera pans to the right at first.
    first, last = (clip[i][1][: HEIGHT // 2].astype(float) for i in (0, FRAMES - 1))
    errors = [np.abs(first[:, s:] - last[:, : WIDTH - s]).mean() for s in range(12)]
    shift = int(np.argmin(errors))
    assert 4 <= shift <= 8
    # It pans a little downwards as well, so that the frames do not match exactly.
    assert errors[shift] < 0.75 * errors[0]


def test_the_picture_is_not_blank(clip: Clip) -> None:
    for dark, well_lit in clip[:: FRAMES - 1]:
        assert well_lit.std() > 30
        assert dark.std() > 5
        # Colours: the channels differ, and there are many.
        assert np.ptp(well_lit.astype(int), axis=2).mean() > 10
        assert len(np.unique(well_lit.reshape(-1, 3), axis=0)) > 500
        assert 40 < well_lit.mean() < 200
