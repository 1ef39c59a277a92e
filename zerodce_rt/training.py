"""Zero-reference training of the two networks."""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zerodce_rt import losses
from zerodce_rt.checkpoint import save_weights
from zerodce_rt.curve import iterate
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.model import MODELS, CurveNet
from zerodce_rt.photos import Degradation, batches, find_photos, read_photo, to_tensor
from zerodce_rt.progress import progress_bar

log = logging.getLogger(__name__)

SHEET_PHOTOS = 8
RESUME_SUFFIX = ".resume.pt"


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Factors of the losses, and the two points where paper and program differ.

    Attributes:
        published_form: exposure squared and colour constancy in root form, as the published
            program has them, instead of the papers' formulas.
    """

    spatial: float = 1.0
    exposure: float = 10.0
    colour: float = 5.0
    smoothness: float = 1600.0
    agreement: float = 0.0
    exposure_target: float = 0.6
    published_form: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.exposure_target < 1:
            raise ValueError(f"exposure_target must be in (0, 1), not {self.exposure_target}")

    def terms(self, original: Tensor, enhanced: Tensor, maps: Tensor) -> dict[str, Tensor]:
        """The weighted losses by name; their sum is what training minimises."""
        form = self.published_form
        return {
            "spatial": self.spatial * losses.spatial_consistency(enhanced, original),
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
    steps: int = 6000
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
    """The settings of the published programs (Adam 1e-4, no schedule, N(0, 0.02) init)."""
    smoothness = 200.0 if model == "dcenet" else 1600.0
    # The published total variation divides by pixels only and doubles the result.
    channels = MODELS[model].map_channels if model in MODELS else 3
    defaults: dict[str, Any] = {
        "model": model,
        "size": 256,
        "learning_rate": 1e-4,
        "one_cycle": False,
        "weight_decay": 1e-4,
        "gradient_clip": 0.1,
        "published_init": True,
        "loss": LossWeights(smoothness=smoothness * 2 * channels),
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
    """
    paths = find_photos(photos)
    if hold_out:
        paths = [p for i, p in enumerate(paths) if i % hold_out]
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    model = MODELS[settings.model]()
    initialise(model, published=settings.published_init)
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = (
        torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=settings.steps + 1
        )
        if settings.one_cycle
        else torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    )
    state_path = output.with_name(output.stem + RESUME_SUFFIX)
    output.parent.mkdir(parents=True, exist_ok=True)
    first_step = 0
    if resume:
        first_step = _restore(state_path, settings, model, optimizer, schedule, generator)

    images = _load(paths, short_side=round(settings.size * 1.4), progress=progress)
    sheet = images[:: max(1, len(images) // SHEET_PHOTOS)][:SHEET_PHOTOS]
    source = batches(
        images, batch_size=settings.batch_size, size=settings.size, generator=generator
    )
    log_path = output.with_suffix(".csv")
    terms_logged = ["spatial", "exposure", "colour", "smoothness", "agreement"]
    columns = ["step", "loss", *terms_logged, "learning_rate"]
    averages: dict[str, float] = {}
    with (
        open(log_path, "a" if resume else "w", newline="") as log_file,
        progress_bar(
            f"training {settings.model}",
            unit="step",
            total=settings.steps,
            initial=first_step,
            show=progress,
            keep=True,
        ) as bar,
    ):
        writer = csv.DictWriter(log_file, columns)
        if not resume:
            writer.writeheader()
        for step in range(first_step + 1, settings.steps + 1):
            batch = settings.degradation(next(source), generator)
            batch = batch.to(device, memory_format=torch.channels_last)
            maps = model(batch)
            terms = settings.loss.terms(batch, iterate(batch, maps), maps)
            loss = torch.stack(list(terms.values())).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
            optimizer.step()
            schedule.step()

            values = {"loss": loss.item()} | {k: v.item() for k, v in terms.items()}
            if not math.isfinite(values["loss"]):
                raise ZeroDCEError(
                    f"training diverged at step {step} (loss {values['loss']}); "
                    f"lower the learning rate (now {settings.learning_rate:g})"
                )
            averages = {k: averages.get(k, v) * 0.98 + v * 0.02 for k, v in values.items()}
            bar.update()
            if step % 20 == 0 or step == settings.steps:
                rate = optimizer.param_groups[0]["lr"]
                rounded = {k: f"{v:.5f}" for k, v in averages.items()}
                writer.writerow({"step": step, "learning_rate": f"{rate:.3g}"} | rounded)
                bar.set_postfix(loss=rounded["loss"], refresh=False)
            if step % sheet_every == 0 or step == settings.steps:
                log_file.flush()
                write_sheet(output.with_suffix(".png"), model, sheet, device=device)
                _store(state_path, settings, model, optimizer, schedule, generator, step)
    save_weights(
        output,
        {name: t.detach().cpu().contiguous().numpy() for name, t in model.state_dict().items()},
        metadata={"settings": str(asdict(settings)), "photos": str(len(paths))},
    )
    state_path.unlink(missing_ok=True)


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


def _store(
    path: Path,
    settings: TrainingSettings,
    model: CurveNet,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
    step: int,
) -> None:
    partial = path.with_name(path.name + ".part")
    state = {
        "settings": str(asdict(settings)),
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "generator": generator.get_state(),
        "time": time.time(),
    }
    torch.save(state, partial)
    partial.replace(path)


def _restore(
    path: Path,
    settings: TrainingSettings,
    model: CurveNet,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
) -> int:
    if not path.exists():
        raise ZeroDCEError(f"{path}: nothing to resume there; start without --resume")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["settings"] != str(asdict(settings)):
        raise ZeroDCEError(
            f"{path}: was trained with other settings; resume with the same options. "
            f"They were {state['settings']}"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    generator.set_state(state["generator"])
    return int(state["step"])


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
    sheet = (torch.cat(rows, dim=1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    ok, encoded = cv2.imencode(".png", sheet[..., ::-1])
    if ok:
        encoded.tofile(path)
