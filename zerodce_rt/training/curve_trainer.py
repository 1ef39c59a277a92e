"""Training of the papers' networks, by losses without references."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zerodce_rt.curve.maps import iterate
from zerodce_rt.names import LOSSES
from zerodce_rt.network.checkpoint import Weights
from zerodce_rt.network.model import MODELS
from zerodce_rt.training.distributed import ALONE, Batch, Processes
from zerodce_rt.training.folder import Photographs
from zerodce_rt.training.photos import Degradation, batch_at, seeded, to_tensor
from zerodce_rt.training.settings import TrainingSettings
from zerodce_rt.training.trainer import Trainer, arrays, initialise, write_rows

SHEET_PHOTOS = 8


class CurveTrainer(Trainer):
    """Trains ``plus`` or ``dcenet`` on darkened photographs."""

    losses = LOSSES

    def __init__(
        self, settings: TrainingSettings, device: str, processes: Processes = ALONE
    ) -> None:
        super().__init__(settings, device, processes)
        self.settings: TrainingSettings = settings
        self.short_side = round(settings.size * 1.4)
        torch.manual_seed(settings.seed)
        self.model = MODELS[settings.model]()
        initialise(self.model, published=settings.published_init)
        self.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = processes.wrapped(self.model)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        if settings.one_cycle:
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                self.optimiser, settings.learning_rate, total_steps=settings.steps + 1
            )
        else:
            self.schedule = torch.optim.lr_scheduler.ConstantLR(self.optimiser, 1.0, 0)

    def weights(self) -> Weights:
        return arrays(self.model)

    def draw(self, photos: Photographs, step: int) -> Batch:
        settings = self.settings
        generator = seeded(settings.seed, step, "batch")
        images = batch_at(
            photos.training, step, batch_size=settings.batch_size, size=settings.size,
            generator=generator, seed=settings.seed,
        )  # fmt: skip
        return (settings.degradation(images, generator).numpy(),)

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        images = torch.from_numpy(batch[0]).to(self.device, memory_format=torch.channels_last)
        maps = self._network(images)
        return self.settings.loss.terms(images, iterate(images, maps), maps)

    @torch.no_grad()
    def write_sheet(self, path: Path, photos: Photographs) -> None:
        """Write a picture of results: one column for each photograph, cropped to a square.

        From top to bottom: darkened by 4 stops, enhanced, original.
        """
        shown = photos.training[:: max(1, len(photos.training) // SHEET_PHOTOS)][:SHEET_PHOTOS]
        side = min(min(p.shape[:2]) for p in shown)
        originals = torch.stack([to_tensor(p[:side, :side]) for p in shown])
        darken = Degradation(probability=1.0, stops=(-4.0, -4.0), white_balance=0.0)
        dark = darken(originals, torch.Generator().manual_seed(0)).to(self.device)
        bright = iterate(dark, self.model(dark)).clamp(0, 1)
        write_rows(path, [list(dark), list(bright), list(originals)])
