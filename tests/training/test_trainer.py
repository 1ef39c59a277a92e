"""Training in miniature: it learns, is reproducible, and resumes exactly."""

from __future__ import annotations

import csv
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor, nn

from zerodce_rt.curve.maps import iterate
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import LOSSES
from zerodce_rt.network.checkpoint import load_weights
from zerodce_rt.network.model import MODELS
from zerodce_rt.training.losses import LossWeights, illumination_smoothness
from zerodce_rt.training.photos import Degradation, batch_at, find_photos, read_photo, to_tensor
from zerodce_rt.training.run import train
from zerodce_rt.training.settings import TrainingSettings, published_settings
from zerodce_rt.training.trainer import initialise

EASY = Degradation(probability=1.0, stops=(-3.0, -3.0), white_balance=0.0)


def tiny(**changes: Any) -> TrainingSettings:
    defaults: dict[str, Any] = {"steps": 3, "batch_size": 2, "size": 32, "degradation": EASY}
    return TrainingSettings(**(defaults | changes))


def run(photos: Path, output: Path, settings: TrainingSettings, **options: Any) -> None:
    train(photos, output, settings, **({"progress": False} | options))


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def loss_of(weights: dict[str, NDArray[np.float32]], photos: Path) -> float:
    """The sum of the losses over all photographs, darkened by three stops."""
    model = MODELS["plus"]()
    model.load_state_dict({n: torch.from_numpy(w) for n, w in weights.items()})
    images = [read_photo(p) for p in find_photos(photos)]
    bright = torch.stack([to_tensor(i) for i in images if i is not None])
    dark = EASY(bright, torch.Generator().manual_seed(7))
    with torch.no_grad():
        maps = model(dark)
        terms = LossWeights().terms(dark, iterate(dark, maps), maps)
    return sum(float(t) for t in terms.values())


class InterruptError(Exception):
    pass


def run_until(
    step: int, photos: Path, output: Path, settings: TrainingSettings, every: int
) -> None:
    """Train until an exception in the middle of a step."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(InterruptError):
            run(photos, output, settings, sheet_every=every)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    original = LossWeights.terms
    calls = 0

    def terms(self: LossWeights, *images: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == step:
            raise InterruptError
        return original(self, *images)

    monkeypatch.setattr(LossWeights, "terms", terms)


@pytest.mark.parametrize("model", ["plus", "dcenet"])
def test_three_steps_write_everything(tmp_path: Path, photos: Path, model: str) -> None:
    output = tmp_path / "runs" / "new" / "tiny.safetensors"
    run(photos, output, tiny(model=model))
    names = sorted(p.name for p in output.parent.iterdir())
    assert names == ["tiny.csv", "tiny.png", "tiny.safetensors"]
    assert load_weights(output).model == model
    table = rows(output.with_suffix(".csv"))
    assert list(table[0]) == ["step", "loss", *LOSSES, "learning_rate"]
    assert [r["step"] for r in table] == ["3"]
    parts = sum(float(table[0][n]) for n in LOSSES)
    assert float(table[0]["loss"]) == pytest.approx(parts, abs=1e-4)


def test_the_sheet_shows_dark_above_enhanced_above_original(tmp_path: Path, photos: Path) -> None:
    run(photos, tmp_path / "tiny.safetensors", tiny())
    sheet = cv2.imread(str(tmp_path / "tiny.png"))
    assert sheet is not None
    side = sheet.shape[0] // 3
    assert sheet.shape == (3 * side, 8 * side, 3)
    dark, _, original = (sheet[i * side : (i + 1) * side].mean() for i in range(3))
    # Four stops: 2 ** (-4 / 2.2) = 0.28 of the level.
    assert dark == pytest.approx(0.28 * original, rel=0.1)


def test_the_loss_goes_down(tmp_path: Path, photos: Path) -> None:
    output = tmp_path / "sixty.safetensors"
    torch.manual_seed(0)
    fresh = MODELS["plus"]()
    initialise(fresh, published=False)
    run(photos, output, tiny(steps=60))
    before = loss_of({n: t.numpy() for n, t in fresh.state_dict().items()}, photos)
    after = loss_of(load_weights(output).weights, photos)
    assert after < 0.6 * before
    table = rows(output.with_suffix(".csv"))
    assert [r["step"] for r in table] == ["20", "40", "60"]
    assert float(table[-1]["loss"]) < float(table[0]["loss"])


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, photos: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        run(photos, tmp_path / f"{name}.safetensors", tiny(seed=seed))
    one, again, other = (
        load_file(tmp_path / f"{n}.safetensors") for n in ("one", "again", "other")
    )
    assert all((one[n] == again[n]).all() for n in one)
    assert any((one[n] != other[n]).any() for n in one)


@pytest.mark.parametrize("one_cycle", [True, False])
@pytest.mark.parametrize("sheet_every", [4, 3])
def test_resuming_gives_the_same_weights_to_the_bit(
    tmp_path: Path,
    photos: Path,
    sheet_every: int,
    one_cycle: bool,
) -> None:
    # Eight photographs in batches of two: a pass takes four steps, and step 3 lies within it.
    settings = tiny(steps=10, one_cycle=one_cycle)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    run(photos, whole, settings, sheet_every=sheet_every)
    run_until(6, photos, parts, settings, sheet_every)
    assert not parts.exists()
    assert (tmp_path / "parts.resume.pt").exists()
    run(photos, parts, settings, sheet_every=sheet_every, resume=True)
    expected, resumed = load_file(whole), load_file(parts)
    different = [n for n in expected if (expected[n] != resumed[n]).any()]
    assert different == []
    assert not (tmp_path / "parts.resume.pt").exists()


def test_the_log_of_a_resumed_run_has_every_step_once(tmp_path: Path, photos: Path) -> None:
    # Stopped in step 45, resumed from step 30: step 40 is trained, and logged, twice.
    output, settings = tmp_path / "log.safetensors", tiny(steps=60)
    run_until(45, photos, output, settings, 30)
    run(photos, output, settings, sheet_every=30, resume=True)
    assert [r["step"] for r in rows(tmp_path / "log.csv")] == ["20", "40", "60"]


def test_resuming_with_other_settings_is_refused(tmp_path: Path, photos: Path) -> None:
    output, settings = tmp_path / "x.safetensors", tiny(steps=6)
    run_until(4, photos, output, settings, 2)
    with pytest.raises(ZeroDCEError, match="another run") as error:
        run(photos, output, replace(settings, learning_rate=0.1), resume=True)
    assert len(str(error.value).splitlines()) == 1
    assert "0.002" in str(error.value), "the old settings should be named"


def test_resuming_with_other_photos_or_a_damaged_file_is_refused(
    tmp_path: Path, photos: Path
) -> None:
    output, settings = tmp_path / "x.safetensors", tiny(steps=6)
    run_until(4, photos, output, settings, 2)
    with pytest.raises(ZeroDCEError, match="8 photographs"):
        run(photos, output, settings, resume=True, hold_out=4)
    (tmp_path / "x.resume.pt").write_bytes(b"nonsense")
    with pytest.raises(ZeroDCEError, match="damaged"):
        run(photos, output, settings, resume=True)


def test_nothing_to_resume(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(ZeroDCEError, match="nothing to resume") as error:
        run(photos, tmp_path / "x.safetensors", tiny(), resume=True)
    assert str(tmp_path / "x.resume.pt") in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_diverging_run_says_so(tmp_path: Path, photos: Path) -> None:
    settings = tiny(steps=50, learning_rate=1e30, one_cycle=False)
    with pytest.raises(ZeroDCEError, match=r"diverged at step \d+.*`learning_rate`") as error:
        run(photos, tmp_path / "x.safetensors", settings)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("content", [b"not a picture", b""])
def test_an_unreadable_photo_is_left_out(
    tmp_path: Path, photos: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (photos / "broken.jpg").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        run(photos, tmp_path / "x.safetensors", tiny(steps=1))
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert str(photos / "broken.jpg") in caplog.text
    assert (tmp_path / "x.safetensors").exists()


def test_no_readable_photo_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    with pytest.raises(ZeroDCEError, match="none of the 1 photographs"):
        run(tmp_path, tmp_path / "x.safetensors", tiny())


def test_the_error_for_an_empty_folder_lists_the_suffixes(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    with pytest.raises(ZeroDCEError, match=r"no photographs.*\.jpg") as error:
        run(tmp_path / "empty", tmp_path / "x.safetensors", tiny())
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ZeroDCEError, match="no such folder"):
        run(tmp_path / "nowhere", tmp_path / "x.safetensors", tiny())


def test_photos_are_found_in_every_folder_and_any_case(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("z.JPG", "b/a.png", "b/deep/c.WebP", "b/readme.md"):
        (tmp_path / name).touch()
    found = [p.relative_to(tmp_path).as_posix() for p in find_photos(tmp_path)]
    assert found == ["b/a.png", "b/deep/c.WebP", "z.JPG"]


def test_held_out_photos_are_not_seen(tmp_path: Path, photos: Path) -> None:
    # Every fourth of eight is left out: the first and the fifth.
    run(photos, tmp_path / "part.safetensors", tiny(), hold_out=4)
    for name in ("0.png", "4.png"):
        (photos / name).unlink()
    run(photos, tmp_path / "rest.safetensors", tiny())
    part, rest = (load_file(tmp_path / f"{n}.safetensors") for n in ("part", "rest"))
    assert all((part[n] == rest[n]).all() for n in part)


def test_photos_are_reduced_and_returned_as_rgb(tmp_path: Path) -> None:
    path = tmp_path / "\u00fcml\u00e4ut.png"
    blue = np.zeros((40, 80, 3), np.uint8)
    blue[..., 0] = 200
    ok, encoded = cv2.imencode(".png", blue)
    assert ok
    path.write_bytes(encoded.tobytes())
    photo = read_photo(path, short_side=10)
    assert photo is not None
    assert photo.shape == (10, 20, 3)
    assert (photo == [0, 0, 200]).all()
    larger = read_photo(path, short_side=100)
    assert larger is not None
    assert larger.shape == (40, 80, 3)


def test_batches_are_squares_and_contain_each_photo_once_a_pass() -> None:
    shades = [np.full((50, 70, 3), 10 * i, np.uint8) for i in range(6)]
    seen: list[float] = []
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        batch = batch_at(shades, step, batch_size=4, size=24, generator=generator, seed=7)
        assert batch.shape == (4, 3, 24, 24)
        seen += (batch.mean(dim=(1, 2, 3)) * 255).round().tolist()
    assert sorted(seen[:6]) == sorted(seen[6:]) == [0, 10, 20, 30, 40, 50]
    assert seen[:6] != seen[6:]


# Settings


def test_published_settings() -> None:
    settings = published_settings("dcenet")
    assert settings.model == "dcenet"
    assert settings.learning_rate == 1e-4
    assert settings.weight_decay == 1e-4
    assert settings.gradient_clip == 0.1
    assert settings.batch_size == 8
    assert settings.published_init
    assert not settings.one_cycle
    assert settings.loss.published_form
    assert (settings.loss.exposure, settings.loss.colour) == (10, 5)
    assert settings.loss.agreement == 0, "not in the papers"
    assert settings.degradation.probability == 0, "nor is darkening"
    assert settings.loss.exposure_target == 0.6
    assert published_settings("plus", steps=7, batch_size=3).steps == 7


@pytest.mark.parametrize(("model", "factor"), [("dcenet", 200), ("plus", 1600)])
def test_published_smoothness_weighs_like_the_program(model: str, factor: float) -> None:
    # The program: factor x 2 (sum of squares / ((H - 1) W) + sum of squares / (H (W - 1))) / N.
    maps = torch.rand(2, MODELS[model].map_channels, 6, 9, dtype=torch.float64)
    vertical = (maps[:, :, 1:] - maps[:, :, :-1]).pow(2).sum() / (5 * 9)
    horizontal = (maps[..., 1:] - maps[..., :-1]).pow(2).sum() / (6 * 8)
    expected = factor * 2 * (vertical + horizontal) / 2
    weight = published_settings(model).loss.smoothness
    assert float(weight * illumination_smoothness(maps)) == pytest.approx(float(expected))


def test_training_starts_from_the_published_distribution(tmp_path: Path, photos: Path) -> None:
    for model in MODELS.values():
        network = model()
        initialise(network, published=True)
        weights = torch.cat(
            [m.weight.detach().flatten() for m in network.modules() if isinstance(m, nn.Conv2d)]
        )
        assert float(weights.std()) == pytest.approx(0.02, rel=0.03)
        assert float(weights.mean()) == pytest.approx(0, abs=0.001)
    # One step, too small to matter: the weights written are those that were drawn.
    settings = tiny(steps=1, learning_rate=1e-12, published_init=True, one_cycle=False)
    run(photos, tmp_path / "x.safetensors", settings)
    kernels = [w.ravel() for n, w in load_weights(tmp_path / "x.safetensors").weights.items()
               if n.endswith("weight")]  # fmt: skip
    assert np.concatenate(kernels).std() == pytest.approx(0.02, rel=0.03)


def test_our_first_maps_are_near_zero() -> None:
    for model in MODELS.values():
        network = model()
        initialise(network, published=False)
        maps = network(torch.rand(1, 3, 32, 32)).detach()
        assert 0 < float(maps.std()) < 0.1


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        ("model", "big"), ("steps", 0), ("batch_size", 0), ("size", 31),
        ("learning_rate", 0.0), ("learning_rate", -1e-3), ("learning_rate", math.inf),
        ("learning_rate", math.nan),
        ("weight_decay", -1e-4), ("weight_decay", math.nan), ("weight_decay", math.inf),
        ("gradient_clip", 0.0), ("gradient_clip", -1.0), ("gradient_clip", math.nan),
        ("seed", 2**64), ("seed", -(2**63) - 1),
    ],
)  # fmt: skip
def test_settings_are_validated(setting: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"`{setting}` must be .*not {bad!r}"):
        TrainingSettings(**{setting: bad})


def test_a_published_model_is_validated() -> None:
    with pytest.raises(ValueError, match=r"`model` must be one of dcenet, plus, not 'big'"):
        published_settings("big")
    with pytest.raises(ValueError, match="not 'light'; its settings are `LightTrainingSettings`"):
        TrainingSettings(model="light")


def test_extreme_settings_train(tmp_path: Path, photos: Path) -> None:
    settings = tiny(steps=1, gradient_clip=math.inf, seed=2**64 - 1)
    run(photos, tmp_path / "x.safetensors", settings)
    assert load_weights(tmp_path / "x.safetensors").model == "plus"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hold_out": 1}, "`hold_out` must be 0, or 2 or more, not 1"),
        ({"hold_out": -2}, "`hold_out` must be 0, or 2 or more, not -2"),
        ({"sheet_every": 0}, "`sheet_every` must be at least 1, not 0"),
    ],
)
def test_options_are_validated(
    tmp_path: Path, photos: Path, options: dict[str, int], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        run(photos, tmp_path / "x.safetensors", tiny(), **options)
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize("name", ["x.pth", "x.csv", "x"])
def test_weights_are_safetensors_by_name(tmp_path: Path, photos: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: .*must end in \.safetensors"):
        run(photos, tmp_path / name, tiny())
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_cannot_be_used(tmp_path: Path, photos: Path, device: str) -> None:
    with pytest.raises(ZeroDCEError, match=f"device '{device}' cannot be used") as error:
        run(photos, tmp_path / "x.safetensors", tiny(), device=device)
    assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.glob("x*"))


def test_one_photo_cannot_be_held_out(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    with pytest.raises(ZeroDCEError, match="one photograph, which `hold_out` leaves out"):
        run(tmp_path / "photos", tmp_path / "x.safetensors", tiny(), hold_out=2)


# Degradation


def pictures(n: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (n, 3, 16, 16), generator=generator) / 255


def quiet(stops: float, probability: float = 1.0) -> Degradation:
    return Degradation(
        probability=probability, stops=(stops, stops), white_balance=0, shot_noise=0, read_noise=0
    )


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("stops", [-5.0, -1.0, 0.0, 0.7])
def test_exposure_changes_in_linear_light(stops: float) -> None:
    images = pictures()
    expected = (images.double() ** 2.2 * 2**stops).clamp(0, 1) ** (1 / 2.2)
    result = quiet(stops)(images, seeded())
    assert float((result - expected).abs().max()) <= 0.5 / 255 + 1e-5


def test_the_result_is_quantised_to_8_bits() -> None:
    codes = Degradation()(pictures(), seeded()) * 255
    assert float((codes - codes.round()).abs().max()) < 1e-4
    assert codes.min() >= 0
    assert codes.max() <= 255


def test_probability_0_changes_nothing_and_1_everything() -> None:
    images = pictures(32)
    assert torch.equal(quiet(-3, probability=0)(images, seeded()), images)
    changed = (quiet(-3, probability=1)(images, seeded()) != images).flatten(1).any(dim=1)
    assert changed.all()


def test_probability_is_the_share_of_changed_pictures() -> None:
    images = pictures(1).expand(2000, -1, -1, -1)[..., :2, :2]
    changed = (quiet(-3, probability=0.3)(images, seeded()) != images).flatten(1).any(dim=1)
    # Standard deviation of the share: sqrt(.3 x .7 / 2000) = .01.
    assert float(changed.float().mean()) == pytest.approx(0.3, abs=0.04)


def test_degradation_depends_on_the_generator_alone() -> None:
    images, degradation = pictures(), Degradation()
    assert torch.equal(degradation(images, seeded(1)), degradation(images, seeded(1)))
    assert not torch.equal(degradation(images, seeded(1)), degradation(images, seeded(2)))
    generator = seeded(1)
    first = degradation(images, generator)
    assert not torch.equal(first, degradation(images, generator))


def test_stops_cover_their_range() -> None:
    grey = torch.full((500, 3, 2, 2), 0.5)
    degradation = replace(quiet(0), stops=(-2.0, 1.0))
    stops = torch.log2((degradation(grey, seeded()).mean(dim=(1, 2, 3)) / 0.5).pow(2.2))
    assert float(stops.min()) == pytest.approx(-2, abs=0.1)
    assert float(stops.max()) == pytest.approx(1, abs=0.1)
    assert float(stops.mean()) == pytest.approx(-0.5, abs=0.15)


def test_white_balance_and_noise_have_the_stated_spread() -> None:
    grey = torch.full((50, 3, 16, 16), 0.5)
    tinted = replace(quiet(0), white_balance=0.08)(grey, seeded())
    gains = (tinted.mean(dim=(2, 3)) / 0.5).pow(2.2)
    assert float(gains.std()) == pytest.approx(0.08, rel=0.2)
    assert float(tinted.var(dim=(2, 3)).max()) < 1e-10
    noisy = replace(quiet(-4), read_noise=0.01)(grey, seeded())
    assert float(noisy.var(dim=(2, 3)).mean()) > 1e-4


@pytest.mark.parametrize(
    "bad",
    [
        {"probability": 1.1}, {"probability": -0.1}, {"probability": math.nan},
        {"stops": (1.0, -1.0)}, {"stops": (math.nan, 0.0)}, {"stops": (-math.inf, 0.0)},
        {"white_balance": -0.1}, {"white_balance": math.nan},
        {"shot_noise": -1e-4}, {"shot_noise": math.inf}, {"read_noise": -1e-4},
    ],
)  # fmt: skip
def test_degradation_is_validated(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}` must be"):
        Degradation(**bad)
