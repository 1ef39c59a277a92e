"""Synthetic light: what each kind gives, and what it takes for the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.conftest import made_up_photo
from zerodce_rt.training.camera import encoded, shoot, signal
from zerodce_rt.training.lights import lamps, light_field, seated_person
from zerodce_rt.training.relight import (
    KINDS,
    SHARES,
    SIZES,
    Relit,
    relight,
    relit_batch,
)

PHOTO = made_up_photo(3, 60, 80)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def samples(kind: str, count: int = 40, photo: NDArray[np.uint8] = PHOTO) -> list[Relit]:
    return [relight(rng(seed), photo, kind) for seed in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_size_of_the_photograph(kind: str) -> None:
    for sample in samples(kind, 5):
        assert sample.noisy.shape == sample.clean.shape == sample.truth.shape == (60, 80, 3)
        assert sample.lit.shape == (60, 80)
        assert sample.noisy.dtype == sample.clean.dtype == np.uint8
        assert sample.truth.dtype == sample.lit.dtype == np.float32
        assert 0 <= sample.truth.min() <= sample.truth.max() <= 1
        assert 0 <= sample.lit.min() <= sample.lit.max() <= 1


@pytest.mark.parametrize("kind", ["keep", "webcam"])
def test_the_truth_is_the_photograph(kind: str) -> None:
    for sample in samples(kind, 5):
        np.testing.assert_array_equal(sample.truth, (PHOTO / 255).astype(np.float32))


def test_a_kept_photograph_is_the_photograph() -> None:
    assert max(np.abs(s.clean.astype(int) - PHOTO).max() for s in samples("keep")) <= 1


@pytest.mark.parametrize("kind", ["even", "mixed", "contrast", "night", "city", "webcam"])
def test_what_is_given_is_darker_than_the_truth(kind: str) -> None:
    given = [s.clean.mean() / 255 for s in samples(kind)]
    truth = [float(s.truth.mean()) for s in samples(kind)]
    assert np.mean(given) < np.mean(truth)


def test_whites_stay_white_where_all_else_is_in_deep_shadow() -> None:
    photo = np.full((60, 80, 3), 90, np.uint8)
    photo[10:20, 10:20] = 255
    for sample in samples("contrast", 10, photo):
        assert sample.clean[15, 15].tolist() == [255] * 3
        assert sample.clean[50, 50].max() < 60
        np.testing.assert_allclose(sample.truth, photo / 255, atol=1e-6)
    photo[20:] = 255  # dark things on white are not in the dark
    assert all(
        np.abs(s.clean.astype(int) - photo).max() <= 1 for s in samples("contrast", 10, photo)
    )


def test_a_town_at_night_stays_night() -> None:
    assert np.mean([s.truth.mean() for s in samples("city")]) < 0.3
    assert max(s.truth.max() for s in samples("city")) == 1, "lamps are white"


def test_in_a_town_at_night_streets_are_lifted_and_the_sky_is_not() -> None:
    lifts = [s.truth.mean(axis=(1, 2)) - s.clean.mean(axis=(1, 2)) / 255 for s in samples("city")]
    sky, street = np.mean([lift[:12].mean() for lift in lifts]), np.mean([x[-6:] for x in lifts])
    assert sky < 0.05
    assert street > 0.15


def test_light_before_a_webcam() -> None:
    # Half a stop down, and four and a half, in linear light: 0.85 and 0.24 of the level.
    grey = np.full((60, 80, 3), 200, np.uint8)
    ratios = []
    for sample in samples("webcam", 30, grey):
        level = sample.clean.mean(axis=2) / 200
        ratios.append((level[sample.lit > 0.99].mean(), level[sample.lit < 0.01].mean()))
    lit, dark = np.median(ratios, axis=0)
    assert lit == pytest.approx(2 ** (-0.5 / 2.2), abs=0.02)
    assert dark == pytest.approx(2 ** (-4.5 / 2.2), abs=0.02)


def test_the_truth_has_the_hue_of_the_light() -> None:
    # Of a grey photograph: whatever colour it has is that of the light, in linear values.
    grey = np.full((60, 80, 3), 180, np.uint8)
    tinted = 0
    for sample in samples("mixed", 250, grey):
        bright = (sample.clean.min(axis=2) > 60) & (sample.clean.max(axis=2) < 250)
        bright &= sample.truth.max(axis=2) < 0.98
        if bright.sum() < 50 or sample.clean.min() > 0:  # all of it lit: no black to check
            continue
        given, truth = sample.clean[bright] / 255, sample.truth[bright]
        of_light = np.median((given[:, 0] / given[:, 2]) ** 2.2)
        of_truth = np.median((truth[:, 0] / truth[:, 2]) ** 2.2)
        if abs(np.log2(of_light)) > 0.1:
            tinted += 1
            assert np.log2(of_light) * np.log2(of_truth) > 0
    assert tinted > 2


def test_where_8_bits_hold_no_signal_the_truth_is_black() -> None:
    def level(code: float) -> float:
        dark = np.full((20, 20, 3), (code / 255) ** 2.2, np.float32)
        return float(signal(dark)[10, 10])

    assert level(0) == level(1.5) == 0
    assert level(2.75) == pytest.approx(0.5, abs=1e-4)
    assert level(4) == pytest.approx(1, abs=1e-4)
    # Of a dark grey under little light, nothing is left.
    grey = np.full((60, 80, 3), 5, np.uint8)
    assert sum(s.clean.max() == s.truth.max() == 0 for s in samples("even", 60, grey)) > 0


def test_the_seed_decides() -> None:
    for kind in (*KINDS, None):
        one, again, other = (relight(rng(seed), PHOTO, kind) for seed in (1, 1, 2))
        for name in ("noisy", "clean", "truth", "lit"):
            np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(one.noisy, other.noisy)


def test_a_photograph_that_is_meant_to_be_dark_mostly_gets_lighter_but_for_its_blacks() -> None:
    night = np.full((60, 80, 3), 42, np.uint8)
    night[10:20, 10:20] = 255
    night[40:] = 2
    truths = [relight(rng(seed), night).truth for seed in range(100)]
    level, black = 42 / 255, 2 / 255
    lighter = [
        level**0.65 <= truth[30, 40, 0] <= level**0.4
        and black <= truth[50, 40, 0] <= 2 * black
        and truth.max() == 1
        for truth in truths
    ]
    # 70 %, and a few of the others.
    assert 0.6 < np.mean(lighter) < 0.95


def test_shares_are_whole() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert sum(SIZES.values()) == pytest.approx(1)


def test_a_batch_has_one_shape_and_draws_by_shares() -> None:
    photos = [made_up_photo(0, 30, 40), made_up_photo(1, 200, 100)]
    shapes = set()
    for seed in range(20):
        batch = relit_batch(rng(seed), photos, np.array([0.5, 0.5]), 3)
        (shape,) = {sample.clean.shape[:2] for sample in batch}
        shapes.add(shape)
    assert len(shapes) > 2
    assert shapes <= set(SIZES)
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    batch = relit_batch(rng(), [black, white], np.array([0.0, 1.0]), 30)
    assert np.median([s.truth.max() for s in batch]) > 0.9


def test_fields_of_light_are_between_0_and_1() -> None:
    luma = made_up_photo(0, 54, 96).mean(axis=2).astype(np.float32) / 255
    for seed in range(60):
        field = light_field(rng(seed), luma)
        assert field.shape == (54, 96)
        assert field.dtype == np.float32
        assert 0 <= field.min() <= field.max() <= 1
    person = seated_person(rng(), (54, 96))
    assert person.max() > 0.9
    assert person[0, 0] < 0.1
    assert lamps(rng(), (54, 96), 0).max() == 0
    assert lamps(rng(), (54, 96), 3).max() > 0.1


def test_a_camera_adds_noise_to_a_picture_only() -> None:
    linear = np.full((40, 40, 3), 0.2, np.float32)
    for seed in range(10):
        noisy, clean = shoot(rng(seed), linear)
        assert clean.std() == 0
        assert noisy.shape == clean.shape
        assert noisy.mean() == pytest.approx(clean.mean(), abs=1)
    assert encoded(np.array([-1, 0, 0.5, 1, 2], np.float32)).tolist() == pytest.approx(
        [0, 0, 0.5 ** (1 / 2.2), 1, 1]
    )


def test_what_a_camera_makes_black_holds_no_signal() -> None:
    dark = np.full((20, 20, 3), (15 / 255) ** 2.2, np.float32)
    assert signal(dark)[10, 10] == pytest.approx(1, abs=1e-4)
    assert signal(dark, black=15 / 255)[10, 10] == 0
