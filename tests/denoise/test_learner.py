"""What the noise of a video is taken for, by luma code."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from zerodce_rt.denoise.learner import NoiseLearner, block_middles
from zerodce_rt.denoise.noise import hinges
from zerodce_rt.denoise.reference import block_statistics
from zerodce_rt.denoise.rules import KNOTS, LEAST_VARIANCE

SHAPE = 256, 384


def steps() -> NDArray[np.float64]:
    """Areas of different codes, from 18 to 96."""
    codes = np.repeat(np.linspace(18, 96, 12), SHAPE[1] // 12)
    return np.tile(codes, (SHAPE[0], 1))


def frames(
    sigma: NDArray[np.float64] | float, count: int, *, seed: int = 0, repeated: float = 0.0
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Luma and chroma; of the latter, sigma is 1.

    Args:
        repeated: share of the rows, at the top, that each frame repeats.
    """
    rng = np.random.default_rng(seed)
    made: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for _ in range(count):
        luma = (steps() + sigma * rng.normal(size=SHAPE)).round()
        if made:
            rows = int(repeated * SHAPE[0])
            luma[:rows] = made[0][0][:rows]
        made.append((luma, 128 + rng.normal(size=(2, SHAPE[0] // 2, SHAPE[1] // 2))))
    return made


def learned(video: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> NoiseLearner:
    learner = NoiseLearner(block_statistics, block_statistics, 16.0)
    before = video[0]
    for frame in video:
        learner.look(frame, before, block_middles(steps(), *frame[1].shape[1:]))
        before = frame
    return learner


def test_noise_that_grows_with_the_light() -> None:
    sigma = 1 + (steps() - 16) / 40
    noise = learned(frames(sigma, 24)).noise(1.0)
    truth = (1 + KNOTS / 40) ** 2 + 1 / 12
    dark = KNOTS <= 54  # above, it is filtered less and less
    np.testing.assert_allclose(noise.variances[dark][1:], truth[dark][1:], rtol=0.35)
    assert noise.chroma_share == pytest.approx(np.median(1 / truth[:6]), rel=0.5)


def test_the_first_frame_is_guessed_and_strength_multiplies_the_variance() -> None:
    learner = learned(frames(2.0, 1))
    full, half = learner.noise(1.0), learner.noise(0.5)
    assert 2 < full.variances[2] < 5
    np.testing.assert_allclose(half.variances[:5], full.variances[:5] / 2)
    assert full.sigma == pytest.approx(np.sqrt(full.variances[2]), rel=0.2)


def test_rows_that_an_encoder_repeats_do_not_look_clean() -> None:
    noise = learned(frames(2.0, 24, repeated=0.7)).noise(1.0)
    assert 2.5 < noise.variances[2] < 6


def test_video_without_noise_has_next_to_none() -> None:
    assert learned(frames(0.0, 24)).noise(1.0).variances.max() == LEAST_VARIANCE


def test_codes_that_only_moving_things_have_are_not_taken_for_noisy() -> None:
    video = frames(1.5, 24)
    for index, (luma, _) in enumerate(video):
        left = 12 * index
        rng = np.random.default_rng(index)
        luma[100:140, left : left + 60] = 110 + 25 * rng.normal(size=(40, 60)).round()
    noise = learned(video).noise(1.0)
    assert noise.variances.max() < 12


def test_what_is_bright_is_left_alone() -> None:
    assert learned(frames(3.0, 12)).noise(1.0).variances[-1] < 3


def test_hinges_are_the_function_through_the_knots() -> None:
    values = np.array([4.0, 3.0, 5.0, 5.5, 6.0, 2.0, 1.0, 0.5])
    h = hinges(values)
    for code, value in zip(KNOTS, values, strict=True):
        at = h[0] + np.sum(h[1:] * np.maximum(0, code - KNOTS[:-1]))
        assert at == pytest.approx(value, abs=1e-4)


def picture(sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Waves of three widths, as in fabric and foliage, and noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    waves = sum(8 * np.sin((x + 0.7 * y) / width) for width in (3, 5, 11))
    noise = np.random.default_rng(0)
    luma = 50 + waves + sigma * noise.normal(size=SHAPE)
    chroma = 128 + waves[::2, ::2] / 2 + sigma / 3 * noise.normal(size=(2, *waves[::2, ::2].shape))
    return luma, chroma


def test_the_noise_of_a_picture_is_told_from_its_texture() -> None:
    found = []
    for sigma in (0.2, 3.0):
        learner = NoiseLearner(block_statistics, block_statistics, 16.0)
        learner.look_once(picture(sigma), (1.0, 1.0))
        found.append(learner.noise(1.0))
    clean, noisy = found
    assert clean.variances[4] < 1.5  # of a variance of 96
    assert 5 < noisy.variances[4] < 14
    assert 0.05 < noisy.chroma_share < 0.3  # of 1 / 9
