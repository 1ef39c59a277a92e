"""Training the light network in miniature: it learns, is scored, is reproducible, and resumes."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file
from torch import Tensor

from tests.training.conftest import made_up_photo
from zerodce_rt import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import LIGHT_LOSSES
from zerodce_rt.network.checkpoint import BUNDLED, load_weights
from zerodce_rt.network.light_model import LightNet
from zerodce_rt.training.folder import Photographs
from zerodce_rt.training.light_losses import LightLossWeights
from zerodce_rt.training.light_scores import SCORES, mean_scores, samples_of
from zerodce_rt.training.light_trainer import LightTrainer, enhance, thumbnails
from zerodce_rt.training.relight import KINDS
from zerodce_rt.training.run import train
from zerodce_rt.training.settings import LightTrainingSettings


def tiny(**changes: Any) -> LightTrainingSettings:
    return LightTrainingSettings(**({"steps": 3, "batch_size": 2} | changes))


def run(photos: Path, output: Path, settings: LightTrainingSettings, **options: Any) -> None:
    train(photos, output, settings, **({"progress": False} | options))


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def in_memory(count: int = 6) -> Photographs:
    return Photographs([made_up_photo(i) for i in range(count)], np.full(count, 1 / count))


class InterruptError(Exception):
    pass


def run_until(
    step: int, photos: Path, output: Path, settings: LightTrainingSettings, **options: Any
) -> None:
    """Train until an exception in the middle of a step."""
    original, calls = LightLossWeights.terms, 0

    def terms(self: LightLossWeights, **pictures: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == step:
            raise InterruptError
        return original(self, **pictures)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LightLossWeights, "terms", terms)
        with pytest.raises(InterruptError):
            run(photos, output, settings, **options)


def test_a_run_writes_everything(tmp_path: Path, photos: Path) -> None:
    output = tmp_path / "new" / "tiny.safetensors"
    run(photos, output, tiny())
    assert sorted(p.name for p in output.parent.iterdir()) == [
        "tiny.csv", "tiny.png", "tiny.safetensors",
    ]  # fmt: skip
    checkpoint = load_weights(output)
    assert checkpoint.model == "light"
    assert checkpoint.parameters == 472_589
    assert {w.dtype for w in load_file(output).values()} == {np.dtype(np.float16)}
    with safe_open(output, "numpy") as file:
        metadata = file.metadata()
    assert metadata["photos"] == "8"
    assert "'steps': 3" in metadata["settings"]
    (row,) = rows(output.with_suffix(".csv"))
    assert list(row) == ["step", "loss", *LIGHT_LOSSES, "learning_rate"]
    parts = sum(float(row[n]) for n in LIGHT_LOSSES)
    assert float(row["loss"]) == pytest.approx(parts, abs=1e-4)


def test_the_weights_enhance(tmp_path: Path, photos: Path) -> None:
    run(photos, tmp_path / "x.safetensors", tiny(steps=1))
    image = made_up_photo(0) // 8
    enhancer = Enhancer(weights=tmp_path / "x.safetensors", backend="torch")
    assert enhancer(image).shape == image.shape


def test_the_sheet_shows_given_enhanced_and_truth_for_each_light(
    tmp_path: Path, photos: Path
) -> None:
    run(photos, tmp_path / "x.safetensors", tiny(), hold_out=2)
    sheet = cv2.imread(str(tmp_path / "x.png"))
    assert sheet is not None
    assert sheet.shape == (len(KINDS) * 128, 4 * 3 * 128, 3)
    webcam = sheet[-128:].reshape(128, 4, 3, 128, 3)
    given, truth = webcam[:, :, 0].mean(), webcam[:, :, 2].mean()
    assert given < 0.6 * truth


def test_the_loss_goes_down_and_so_does_the_distance_to_the_truth() -> None:
    photos, trainer = in_memory(), LightTrainer(tiny(steps=40, batch_size=4, warm_up=5), "cpu")
    samples = samples_of(photos.training)

    def scores() -> dict[str, float]:
        results = {kind: trainer._enhanced(relit) for kind, relit in samples.items()}
        return mean_scores(samples, results)

    before = scores()
    trainer.train_step(photos)
    first = trainer.averages["loss"]
    while trainer.step < 40:
        trainer.train_step(photos)
    assert trainer.averages["loss"] < 0.9 * first
    after = scores()
    assert after["psnr_even"] > before["psnr_even"] + 1
    assert trainer.score(photos) == {}, "nothing is held out"


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, photos: Path) -> None:
    for name, seed in (("one", -1), ("again", -1), ("other", 2)):
        run(photos, tmp_path / f"{name}.safetensors", tiny(seed=seed))
    one, again, other = (
        load_file(tmp_path / f"{n}.safetensors") for n in ("one", "again", "other")
    )
    assert all((one[n] == again[n]).all() for n in one)
    assert any((one[n] != other[n]).any() for n in one)


def test_resuming_gives_the_same_weights_to_the_bit(tmp_path: Path, photos: Path) -> None:
    settings = tiny(steps=5)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    run(photos, whole, settings, sheet_every=2, hold_out=4)
    run_until(4, photos, parts, settings, sheet_every=2, hold_out=4)
    assert not parts.exists()
    run(photos, parts, settings, sheet_every=2, hold_out=4, resume=True)
    expected, resumed = load_file(whole), load_file(parts)
    assert [n for n in expected if (expected[n] != resumed[n]).any()] == []
    assert whole.with_suffix(".csv").read_text() == parts.with_suffix(".csv").read_text()
    assert not (tmp_path / "parts.resume.pt").exists()


def test_resuming_with_other_settings_is_refused(tmp_path: Path, photos: Path) -> None:
    output = tmp_path / "x.safetensors"
    run_until(3, photos, output, tiny(), sheet_every=2)
    with pytest.raises(ZeroDCEError, match="another run"):
        run(photos, output, replace(tiny(), averaging=0.9), resume=True)


def test_a_run_can_start_from_weights(tmp_path: Path, photos: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run(photos, first, tiny())
    # So small a learning rate changes none of the 16 bits of the weights that are written.
    run(photos, second, tiny(learning_rate=1e-9, seed=1), start_from=first)
    begun, ended = load_file(first), load_file(second)
    assert [n for n in begun if (begun[n] != ended[n]).any()] == []
    with safe_open(second, "np") as file:
        assert file.metadata()["start_from"] == "first.safetensors"


def test_the_first_weights_must_be_of_the_same_network(tmp_path: Path, photos: Path) -> None:
    output = tmp_path / "x.safetensors"
    with pytest.raises(ZeroDCEError, match="weights of model 'plus', not 'light'"):
        run(photos, output, tiny(), start_from=BUNDLED / "plus.safetensors")
    with pytest.raises(ZeroDCEError, match="no such weights file"):
        run(photos, output, tiny(), start_from=tmp_path / "none.safetensors")
    assert not output.with_suffix(".csv").exists()


def test_held_out_photographs_are_scored(tmp_path: Path, photos: Path) -> None:
    run(photos, tmp_path / "x.safetensors", tiny(steps=5), hold_out=4, sheet_every=2)
    table = rows(tmp_path / "x.csv")
    assert [r["step"] for r in table] == ["2", "4", "5"]
    for row in table:
        assert all(3 < float(row[name]) <= 50 for name in SCORES)
    assert table[0]["psnr_keep"] != table[-1]["psnr_keep"]


def test_held_out_photographs_are_not_trained_on(tmp_path: Path, photos: Path) -> None:
    run(photos, tmp_path / "part.safetensors", tiny(steps=1), hold_out=4)
    for name in ("0.png", "4.png"):
        (photos / name).unlink()
    run(photos, tmp_path / "rest.safetensors", tiny(steps=1))
    part, rest = (load_file(tmp_path / f"{n}.safetensors") for n in ("part", "rest"))
    assert all((part[n] == rest[n]).all() for n in part)


def test_scores_by_hand() -> None:
    samples = samples_of([made_up_photo(0)])
    truth = {k: torch.from_numpy(s[0].truth).permute(2, 0, 1)[None] for k, s in samples.items()}
    best = mean_scores(samples, truth)
    assert best == dict.fromkeys(best, 50.0)
    assert set(best) <= set(SCORES)
    # A tenth off everywhere: 20 dB.
    off = mean_scores(samples, {kind: t + 0.1 for kind, t in truth.items()})
    assert off == pytest.approx(dict.fromkeys(best, 20.0), abs=1e-3)


def test_scores_are_of_the_same_pictures_in_every_run() -> None:
    photos = [made_up_photo(i) for i in range(100)]
    one, again = samples_of(photos[:3]), samples_of(photos[:3])
    for kind in KINDS:
        np.testing.assert_array_equal(one[kind][2].noisy, again[kind][2].noisy)
    assert not np.array_equal(one["even"][0].noisy, one["mixed"][0].noisy)


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    trainer = LightTrainer(tiny(steps=1000, warm_up=100), "cpu")
    rates = [trainer._rate(step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.02, rel=0.02)
    assert max(rates) == pytest.approx(1, abs=0.02)
    assert rates.index(max(rates)) == 98
    assert rates[-1] == pytest.approx(0.01)


def test_the_written_weights_are_means_of_those_of_the_steps() -> None:
    photos, trainer = in_memory(), LightTrainer(tiny(steps=2, averaging=0.0), "cpu")
    trainer.train_step(photos)
    # Without averaging, they are the last ones, in float16.
    last = trainer.model.state_dict()
    for name, weight in trainer.weights().items():
        np.testing.assert_array_equal(weight, last[name].numpy().astype(np.float16))
    trainer = LightTrainer(tiny(steps=2), "cpu")
    first = {n: t.clone() for n, t in trainer.model.state_dict().items()}
    trainer.train_step(photos)
    # In the first step, the old mean keeps 1 / 21.
    for name, mean in trainer.average.state_dict().items():
        expected = first[name] / 21 + trainer.model.state_dict()[name] * 20 / 21
        torch.testing.assert_close(mean, expected, atol=1e-6, rtol=1e-4)


def test_an_exploding_curve_leaves_finite_weights() -> None:
    # Such curves leave [0, 1] between dark and bright, and the powers of that are huge.
    trainer = LightTrainer(tiny(steps=3), "cpu")
    with torch.no_grad():
        bias = trainer.model.get_parameter("head.bias")
        bias.copy_(torch.tensor([1.0, 1, 1, -1, 0]) * 3)
    for _ in range(3):
        trainer.train_step(in_memory())
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())


def test_a_diverging_run_says_so(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(ZeroDCEError, match=r"diverged at step \d+.*`learning_rate`"):
        run(photos, tmp_path / "x.safetensors", tiny(steps=50, learning_rate=1e30, warm_up=1))
    assert not (tmp_path / "x.safetensors").exists()


def test_the_curve_is_applied_as_the_enhancer_does() -> None:
    images = torch.rand(2, 3, 54, 96)
    assert thumbnails(images).shape == (2, 3, 36, 64)
    assert thumbnails(images[..., :40, :48]).shape == (2, 3, 40, 48), "small ones stay"
    assert thumbnails(images[..., :40, :50]).shape == (2, 3, 40, 48), "multiples of four"
    maps = LightNet()(thumbnails(images)) * 0
    torch.testing.assert_close(enhance(images, maps), images)


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        ("steps", 0), ("batch_size", 0), ("warm_up", 0),
        ("learning_rate", 0.0), ("learning_rate", math.nan), ("weight_decay", -1e-4),
        ("gradient_clip", 0.0), ("averaging", 1.0), ("averaging", -0.1), ("averaging", math.nan),
        ("seed", 2**64),
    ],
)  # fmt: skip
def test_settings_are_validated(setting: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"`{setting}` must be .*not {bad!r}"):
        tiny(**{setting: bad})
