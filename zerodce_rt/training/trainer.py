"""Train a network on photographs alone, without reference pictures."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zerodce_rt.atomic import finished_file
from zerodce_rt.curve.maps import iterate
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import LOSSES
from zerodce_rt.network.checkpoint import Weights, save_weights
from zerodce_rt.network.model import MODELS, CurveNet
from zerodce_rt.progress import progress_bar
from zerodce_rt.training.photos import (
    Degradation,
    batch_at,
    find_photos,
    read_photo,
    seeded,
    to_image,
    to_tensor,
)
from zerodce_rt.training.settings import TrainingSettings

log = logging.getLogger(__name__)

SHEET_PHOTOS = 8
RESUME_SUFFIX = ".resume.pt"
LOG_EVERY = 20  # steps
LOG_COLUMNS = ("step", "loss", *LOSSES, "learning_rate")


def initialise(model: CurveNet, *, published: bool) -> None:
    """Draw a network's first weights, from PyTorch's global generator.

    Args:
        published: N(0, 0.02), as the published programs do. Otherwise Kaiming's normal
            distribution with small weights in the last layer, so that the first maps are near 0.
    """
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
    """A network in training: takes one step at a time, and can be saved and restored in between.

    Attributes:
        model: the network, on ``device``.
        step: steps done so far.
        averages: running means of ``"loss"`` and its terms.
    """

    def __init__(self, settings: TrainingSettings, device: str) -> None:
        self.settings, self.device = settings, device
        torch.manual_seed(settings.seed)
        self.model = MODELS[settings.model]()
        initialise(self.model, published=settings.published_init)
        self.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule: torch.optim.lr_scheduler.LRScheduler
        if settings.one_cycle:
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                self.optimiser, settings.learning_rate, total_steps=settings.steps + 1
            )
        else:
            self.schedule = torch.optim.lr_scheduler.ConstantLR(self.optimiser, 1.0, 0)
        self.step = 0
        self.averages: dict[str, float] = {}

    def weights(self) -> Weights:
        """The weights so far, for ``save_weights``."""
        state = self.model.state_dict()
        return {name: t.detach().cpu().contiguous().numpy() for name, t in state.items()}

    def log_row(self) -> dict[str, str]:
        """The state of the run as a row under ``LOG_COLUMNS``."""
        learning_rate = self.optimiser.param_groups[0]["lr"]
        averages = {name: f"{value:.5f}" for name, value in self.averages.items()}
        return {"step": str(self.step), **averages, "learning_rate": f"{learning_rate:.3g}"}

    def train_step(self, photos: Sequence[NDArray[np.uint8]]) -> None:
        """Train on the next batch of the photographs.

        Raises:
            ZeroDCEError: the loss is not finite.
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
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_clip)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        values = {"loss": loss.item()} | {k: v.item() for k, v in terms.items()}
        if not math.isfinite(values["loss"]):
            raise ZeroDCEError(
                f"training diverged at step {self.step} (loss {values['loss']}); "
                f"use a lower `learning_rate` (now {settings.learning_rate:g})"
            )
        self.averages = {k: self.averages.get(k, v) * 0.98 + v * 0.02 for k, v in values.items()}

    def save_state(self, path: Path, photos: int) -> None:
        """Write a file for ``load_state``.

        Args:
            photos: number of photographs in this run.
        """
        state = {
            "settings": str(asdict(self.settings)),
            "photos": photos,
            "step": self.step,
            "averages": self.averages,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        with finished_file(path) as partial:
            torch.save(state, partial)

    def load_state(self, path: Path, photos: int) -> None:
        """Continue where ``save_state`` was called.

        Args:
            photos: number of photographs, which must be that of the saved run.

        Raises:
            ZeroDCEError: no such file, a damaged one, or one of other settings or photographs.
        """
        if not path.exists():
            raise ZeroDCEError(f"{path}: no such file, nothing to resume; start without `resume`")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            saved = state["settings"], state["photos"]
            same_run = saved == (str(asdict(self.settings)), photos)
            if same_run:
                self.model.load_state_dict(state["model"])
                self.optimiser.load_state_dict(state["optimiser"])
                self.schedule.load_state_dict(state["schedule"])
                self.step, self.averages = state["step"], state["averages"]
        except Exception as error:  # damaged files raise errors of many kinds
            raise ZeroDCEError(f"{path}: damaged; start again without `resume`") from error
        if not same_run:
            raise ZeroDCEError(
                f"{path}: saved by another run; resume with its settings ({saved[0]}) and its "
                f"{saved[1]} photographs (found {photos})"
            )


def train(
    photos: Path | str,
    output: Path | str,
    settings: TrainingSettings,
    *,
    device: str = "cpu",
    resume: bool = False,
    hold_out: int = 0,
    sheet_every: int = 500,
    progress: bool = True,
) -> None:
    """Train a network on photographs and write its weights.

    Beside the weights appear ``<stem>.csv`` (running means of the losses) and ``<stem>.png`` (dark,
    enhanced and original pictures), and until training is done ``<stem>.resume.pt``. Existing
    files are replaced.

    Args:
        photos: folder of photographs; subfolders are searched, too.
        output: the weights to write; the name must end in ``.safetensors``.
        settings: such as ``TrainingSettings(steps=2000)`` or ``published_settings("dcenet")``.
        device: a PyTorch device, such as ``"cpu"`` or ``"cuda"``.
        resume: continue from ``<stem>.resume.pt``, with the settings and photographs of that run.
        hold_out: leave every n-th photograph (in the order of their paths) out, 2 or more, to
            score the weights with; 0 leaves none out.
        sheet_every: steps between updates of the picture and of the file to resume from, 1 or more.
        progress: show a progress bar.

    Raises:
        ZeroDCEError: no photographs to train on, a device that cannot be used, nothing to resume
            from, or a loss that is not finite.
        ValueError: another name of ``output``, ``hold_out`` or ``sheet_every`` out of range.
    """
    photos, output = Path(photos), Path(output)
    if output.suffix != ".safetensors":
        raise ValueError(f"{output}: the name of the weights must end in .safetensors")
    check_options(hold_out, sheet_every)
    _check_device(device)
    paths = _training_photos(photos, hold_out)
    trainer = Trainer(settings, device)
    output.parent.mkdir(parents=True, exist_ok=True)
    state_path = output.with_name(output.stem + RESUME_SUFFIX)
    if resume:
        trainer.load_state(state_path, len(paths))
    images = _load(paths, short_side=round(settings.size * 1.4), progress=progress)
    sheet = images[:: max(1, len(images) // SHEET_PHOTOS)][:SHEET_PHOTOS]
    log_path = output.with_suffix(".csv")
    if resume:
        _drop_rows(log_path, after=trainer.step)
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
            last = trainer.step == settings.steps
            if trainer.step % LOG_EVERY == 0 or last:
                row = trainer.log_row()
                writer.writerow(row)
                log_file.flush()
                bar.set_postfix(loss=row["loss"], refresh=False)
            if trainer.step % sheet_every == 0 or last:
                write_sheet(output.with_suffix(".png"), trainer.model, sheet, device=device)
                trainer.save_state(state_path, len(paths))
    metadata = {"settings": str(asdict(settings)), "photos": str(len(paths))}
    save_weights(output, trainer.weights(), metadata=metadata)
    state_path.unlink(missing_ok=True)


def check_options(hold_out: int, sheet_every: int) -> None:
    """Check options of ``train`` that are not part of its settings.

    Raises:
        ValueError: one of them is out of range.
    """
    if hold_out < 0 or hold_out == 1:
        raise ValueError(f"`hold_out` must be 0, or 2 or more, not {hold_out}")
    if sheet_every < 1:
        raise ValueError(f"`sheet_every` must be at least 1, not {sheet_every}")


def _training_photos(folder: Path, hold_out: int) -> list[Path]:
    paths = find_photos(folder)
    if hold_out:
        paths = [p for i, p in enumerate(paths) if i % hold_out]
    if not paths:
        raise ZeroDCEError(f"{folder}: has one photograph, which `hold_out` leaves out; add more")
    return paths


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter from builds without CUDA
        reason = str(error).splitlines()[0]
        raise ZeroDCEError(
            f"device {device!r} cannot be used ({reason}); use `device='cpu'`"
        ) from error


def _drop_rows(log_path: Path, *, after: int) -> None:
    """Remove what was logged after the step of the resume file: those steps are repeated."""
    header, *rows = log_path.read_text().splitlines(keepends=True)
    log_path.write_text("".join([header, *(r for r in rows if int(r.split(",")[0]) <= after)]))


def _load(paths: Sequence[Path], *, short_side: int, progress: bool) -> list[NDArray[np.uint8]]:
    images = []
    for path in progress_bar("reading photos", unit="photo", items=paths, show=progress):
        image = read_photo(path, short_side=short_side)
        if image is None:
            log.warning("%s: cannot be decoded; left out", path)
        else:
            images.append(image)
    if not images:
        raise ZeroDCEError(f"none of the {len(paths)} photographs can be decoded")
    return images


@torch.no_grad()
def write_sheet(
    path: Path, model: CurveNet, photos: Sequence[NDArray[np.uint8]], *, device: str
) -> None:
    """Write a picture of results: one column for each photograph, cropped to a square.

    From top to bottom: darkened by 4 stops, enhanced, original.
    """
    side = min(min(p.shape[:2]) for p in photos)
    originals = torch.stack([to_tensor(p[:side, :side]) for p in photos])
    darken = Degradation(probability=1.0, stops=(-4.0, -4.0), white_balance=0.0)
    dark = darken(originals, torch.Generator().manual_seed(0)).to(device)
    bright = iterate(dark, model(dark)).clamp(0, 1)
    rows = [torch.cat(list(t.cpu()), dim=2) for t in (dark, bright, originals)]
    _, encoded = cv2.imencode(".png", to_image(torch.cat(rows, dim=1))[..., ::-1])
    encoded.tofile(path)
