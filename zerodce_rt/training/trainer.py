"""Zero-reference training of the two networks."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zerodce_rt.atomic import finished_file
from zerodce_rt.curve.maps import iterate
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import save_weights
from zerodce_rt.network.model import MODELS, CurveNet
from zerodce_rt.progress import progress_bar
from zerodce_rt.training import losses
from zerodce_rt.training.photos import (
    Degradation,
    batch_at,
    find_photos,
    read_photo,
    seeded,
    to_image,
    to_tensor,
)

log = logging.getLogger(__name__)

SHEET_PHOTOS = 8
RESUME_SUFFIX = ".resume.pt"
LOG_EVERY = 20
LOG_COLUMNS = (
    "step", "loss", "spatial", "exposure", "colour", "smoothness", "agreement", "learning_rate",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Factors of the losses, and whether the papers or their program rule.

    Attributes:
        published_form: exposure squared, colour constancy in root form and spatial differences
            with their sign, as the published program has them, instead of the papers' formulas.
    """

    spatial: float = 1.0
    exposure: float = 10.0
    colour: float = 0.5
    smoothness: float = 30000.0
    agreement: float = 40.0
    exposure_target: float = 0.6
    published_form: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.exposure_target < 1:
            raise ValueError(f"exposure_target must be in (0, 1), not {self.exposure_target}")

    def terms(self, original: Tensor, enhanced: Tensor, maps: Tensor) -> dict[str, Tensor]:
        """The weighted losses by name; their sum is what training minimises."""
        form = self.published_form
        return {
            "spatial": self.spatial * losses.spatial_consistency(enhanced, original, signed=form),
            "exposure": self.exposure
            * losses.exposure(enhanced, target=self.exposure_target, squared=form),
            "colour": self.colour * losses.colour_constancy(enhanced, root=form),
            "smoothness": self.smoothness * losses.illumination_smoothness(maps),
            "agreement": self.agreement * losses.channel_agreement(maps),
        }


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Everything that decides a training run besides the photographs."""

    model: str = "plus"
    steps: int = 5000
    batch_size: int = 8
    size: int = 112
    learning_rate: float = 2e-3
    one_cycle: bool = True
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    published_init: bool = False
    seed: int = 0
    loss: LossWeights = field(default_factory=LossWeights)
    degradation: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model must be one of {', '.join(MODELS)}, not {self.model!r}")
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError("steps and batch_size must be at least 1")
        if self.size < 32:
            raise ValueError(f"size must be at least 32 px, not {self.size}")


def published_settings(model: str = "plus", **changes: Any) -> TrainingSettings:
    """The settings of the published programs: Adam 1e-4, no schedule, N(0, 0.02) init.

    They train on a set of many exposures and darken nothing themselves.
    """
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, not {model!r}")
    # Their sums run over four neighbours, and over both directions and all channels of the maps,
    # where ours are means.
    smoothness = (200.0 if model == "dcenet" else 1600.0) * 2 * MODELS[model].map_channels
    defaults: dict[str, Any] = {
        "model": model,
        "size": 256,
        "learning_rate": 1e-4,
        "one_cycle": False,
        "weight_decay": 1e-4,
        "gradient_clip": 0.1,
        "published_init": True,
        "loss": LossWeights(spatial=4.0, colour=5.0, smoothness=smoothness, agreement=0.0),
        "degradation": Degradation(probability=0.0),
    }
    return TrainingSettings(**(defaults | changes))


def initialise(model: CurveNet, *, published: bool) -> None:
    """Draw the weights: N(0, 0.02) as published, or Kaiming with a quiet last layer."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if published:
                nn.init.normal_(module.weight, 0.0, 0.02)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    if not published:
        last = [m for m in model.e_conv7.modules() if isinstance(m, nn.Conv2d)][-1]
        nn.init.normal_(last.weight, 0.0, 0.01)


class Trainer:
    """A network with its optimiser: one step at a time, and all that a later run needs.

    Attributes:
        step: steps done so far.
        averages: running means of the loss and its terms.
    """

    def __init__(self, settings: TrainingSettings, device: str) -> None:
        self.settings, self.device = settings, device
        torch.manual_seed(settings.seed)
        self.model = MODELS[settings.model]()
        initialise(self.model, published=settings.published_init)
        self.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule: torch.optim.lr_scheduler.LRScheduler
        if settings.one_cycle:
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                self.optimizer, settings.learning_rate, total_steps=settings.steps + 1
            )
        else:
            self.schedule = torch.optim.lr_scheduler.ConstantLR(self.optimizer, 1.0, 0)
        self.step = 0
        self.averages: dict[str, float] = {}

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def train_step(self, photos: Sequence[NDArray[np.uint8]]) -> None:
        """One batch, forwards and backwards.

        Raises:
            ZeroDCEError: if the loss is not finite any more.
        """
        settings = self.settings
        generator = seeded(settings.seed, self.step, "batch")
        batch = batch_at(
            photos, self.step, batch_size=settings.batch_size, size=settings.size,
            generator=generator, seed=settings.seed,
        )  # fmt: skip
        batch = settings.degradation(batch, generator)
        batch = batch.to(self.device, memory_format=torch.channels_last)
        maps = self.model(batch)
        terms = settings.loss.terms(batch, iterate(batch, maps), maps)
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        values = {"loss": loss.item()} | {k: v.item() for k, v in terms.items()}
        if not math.isfinite(values["loss"]):
            raise ZeroDCEError(
                f"training diverged at step {self.step} (loss {values['loss']}); "
                f"lower the learning rate (now {settings.learning_rate:g})"
            )
        self.averages = {k: self.averages.get(k, v) * 0.98 + v * 0.02 for k, v in values.items()}

    def save_state(self, path: Path, photos: int) -> None:
        """Write what ``load_state`` needs; the file is complete or not there."""
        state = {
            "settings": str(asdict(self.settings)),
            "photos": photos,
            "step": self.step,
            "averages": self.averages,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        with finished_file(path) as partial:
            torch.save(state, partial)

    def load_state(self, path: Path, photos: int) -> None:
        """Go on where ``save_state`` was called.

        Raises:
            ZeroDCEError: no such file, a damaged one, or one of other settings or photographs.
        """
        if not path.exists():
            raise ZeroDCEError(f"{path}: nothing to resume there; start without --resume")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            told = state["settings"], state["photos"]
        except Exception as error:  # torch raises whatever its several readers raise
            raise ZeroDCEError(f"{path}: is damaged; start again without --resume") from error
        if told != (str(asdict(self.settings)), photos):
            raise ZeroDCEError(
                f"{path}: is of another run; resume with its options ({told[0]}) and its "
                f"{told[1]} photographs (here are {photos})"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.averages = state["step"], state["averages"]


def train(
    photos: Path,
    output: Path,
    settings: TrainingSettings,
    *,
    device: str = "cpu",
    resume: bool = False,
    hold_out: int = 0,
    sheet_every: int = 500,
    progress: bool = True,
) -> None:
    """Train a network and write its weights.

    Beside ``output`` stand ``<stem>.csv`` (the losses), ``<stem>.png`` (before/after pictures)
    and, until training is done, ``<stem>.resume.pt``.

    Args:
        photos: folder of photographs, walked recursively.
        output: the weights to write, ``.safetensors``.
        device: a torch device, e.g. ``"cpu"`` or ``"cuda"``.
        resume: go on from ``<stem>.resume.pt``.
        hold_out: leave out every n-th photograph (sorted by name); 0 uses all.
        sheet_every: steps between two sheets and two resume points.

    Raises:
        ZeroDCEError: no photographs, nothing to resume, or a diverged run.
        ValueError: hold_out of 1 or less than 0, or sheet_every of less than 1.
    """
    check_options(hold_out, sheet_every)
    paths = find_photos(photos)
    if hold_out:
        paths = [p for i, p in enumerate(paths) if i % hold_out]
    trainer = Trainer(settings, device)
    output.parent.mkdir(parents=True, exist_ok=True)
    state_path = output.with_name(output.stem + RESUME_SUFFIX)
    if resume:
        trainer.load_state(state_path, len(paths))
    images = _load(paths, short_side=round(settings.size * 1.4), progress=progress)
    sheet = images[:: max(1, len(images) // SHEET_PHOTOS)][:SHEET_PHOTOS]
    log_path = output.with_suffix(".csv")
    if resume:
        _forget_rows(log_path, after=trainer.step)
    with (
        open(log_path, "a" if resume else "w", newline="") as log_file,
        progress_bar(
            f"training {settings.model}", unit="step", total=settings.steps,
            initial=trainer.step, show=progress, keep=True,
        ) as bar,
    ):  # fmt: skip
        writer = csv.DictWriter(log_file, LOG_COLUMNS)
        if not resume:
            writer.writeheader()
        while trainer.step < settings.steps:
            trainer.train_step(images)
            bar.update()
            step, last = trainer.step, trainer.step == settings.steps
            if step % LOG_EVERY == 0 or last:
                rounded = {k: f"{v:.5f}" for k, v in trainer.averages.items()}
                rate = f"{trainer.learning_rate:.3g}"
                writer.writerow({"step": step, "learning_rate": rate} | rounded)
                log_file.flush()
                bar.set_postfix(loss=rounded["loss"], refresh=False)
            if step % sheet_every == 0 or last:
                write_sheet(output.with_suffix(".png"), trainer.model, sheet, device=device)
                trainer.save_state(state_path, len(paths))
    weights = {
        n: t.detach().cpu().contiguous().numpy() for n, t in trainer.model.state_dict().items()
    }
    save_weights(
        output, weights, metadata={"settings": str(asdict(settings)), "photos": str(len(paths))}
    )
    state_path.unlink(missing_ok=True)


def check_options(hold_out: int, sheet_every: int) -> None:
    """Raise ValueError for values that ``train`` would not take."""
    if hold_out < 0 or hold_out == 1:
        raise ValueError(f"hold_out must be 0 or at least 2, not {hold_out}")
    if sheet_every < 1:
        raise ValueError(f"sheet_every must be at least 1, not {sheet_every}")


def _forget_rows(log_path: Path, *, after: int) -> None:
    """Drop what was logged after the resume point: those steps are done again."""
    header, *rows = log_path.read_text().splitlines(keepends=True)
    log_path.write_text("".join([header, *(r for r in rows if int(r.split(",")[0]) <= after)]))


def _load(paths: Sequence[Path], *, short_side: int, progress: bool) -> list[NDArray[np.uint8]]:
    images = []
    for path in progress_bar("reading photos", unit="photo", items=paths, show=progress):
        image = read_photo(path, short_side=short_side)
        if image is None:
            log.warning("%s: not a readable picture, left out", path)
        else:
            images.append(image)
    if not images:
        raise ZeroDCEError(f"none of the {len(paths)} photographs could be read")
    return images


@torch.no_grad()
def write_sheet(
    path: Path, model: CurveNet, photos: Sequence[NDArray[np.uint8]], *, device: str
) -> None:
    """A picture of rows: 4 stops darker / enhanced / as it was, one column a photograph."""
    side = min(min(p.shape[:2]) for p in photos)
    originals = torch.stack([to_tensor(p[:side, :side]) for p in photos])
    darken = Degradation(probability=1.0, stops=(-4.0, -4.0), white_balance=0.0)
    dark = darken(originals, torch.Generator().manual_seed(0)).to(device)
    bright = iterate(dark, model(dark)).clamp(0, 1)
    rows = [torch.cat(list(t.cpu()), dim=2) for t in (dark, bright, originals)]
    ok, encoded = cv2.imencode(".png", to_image(torch.cat(rows, dim=1))[..., ::-1])
    if ok:
        encoded.tofile(path)
