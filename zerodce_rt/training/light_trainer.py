"""Training of the light network: photographs under synthetic light, the photograph as the truth."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from zerodce_rt.curve import light
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import PACKED_MATRIX, luma_weights
from zerodce_rt.names import DEFAULT_WORKING_SIZE, LIGHT_LOSSES
from zerodce_rt.network.light_model import LightNet, limited
from zerodce_rt.training.distributed import ALONE, Batch, Processes
from zerodce_rt.training.folder import Photographs
from zerodce_rt.training.light_scores import SCORES, mean_scores, samples_of
from zerodce_rt.training.relight import Relit, relit_batch
from zerodce_rt.training.settings import LightTrainingSettings
from zerodce_rt.training.trainer import Trainer, arrays, initialise, write_rows

CLEAN = 0.5
"""Share of samples in which the network sees no noise; and, independently, of those whose curve is
applied to what has none. Before the curve, noise may have been removed or not."""

SHEET_PHOTOS = 4  # for each kind of light
_SMALLEST_RATE = 0.01  # of the highest learning rate
_YOUNG_STEPS = 20  # in so many steps, the mean of the weights reaches back to half of them
_PICTURES = 16  # enhanced at once for scores


class LightTrainer(Trainer):
    """Trains ``light``.

    Attributes:
        average: the network with running means of the weights, which are better than those of any
            one step. Scores, sheets and the weights that are written are its.
    """

    losses = LIGHT_LOSSES
    scores = SCORES
    short_side = 184

    def __init__(
        self, settings: LightTrainingSettings, device: str, processes: Processes = ALONE
    ) -> None:
        super().__init__(settings, device, processes)
        self.settings: LightTrainingSettings = settings
        torch.manual_seed(settings.seed)
        self.model: LightNet = LightNet()
        initialise(self.model)
        self.model.to(device)
        self.average = copy.deepcopy(self.model)
        self._raw = processes.wrapped(_Raw(self.model))
        self.kept["average"] = self.average
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate)
        self._samples: dict[str, list[Relit]] | None = None

    def _rate(self, step: int) -> float:
        """The learning rate of a step, as a share of the highest one."""
        warm = min(1, (step + 2) / self.settings.warm_up)
        cosine = (1 + math.cos(math.pi * step / self.settings.steps)) / 2
        return warm * (cosine + _SMALLEST_RATE)

    def weights(self) -> dict[str, NDArray[np.float16]]:
        """Running means, in float16: they are half as large, and maps are the same to 0.001."""
        return {name: w.astype(np.float16) for name, w in arrays(self.average).items()}

    def draw(self, photos: Photographs, step: int) -> Batch:
        """What the network sees, what its curve is applied to, and the truth: ``(N, H, W, 3)``."""
        rng = np.random.default_rng((self.settings.seed % 2**64, step))
        samples = relit_batch(rng, photos.training, photos.shares, self.settings.batch_size)

        def either() -> NDArray[np.uint8]:
            without = rng.random(len(samples)) < CLEAN
            return np.stack(
                [s.clean if c else s.noisy for s, c in zip(samples, without, strict=True)]
            )

        return either(), either(), np.stack([s.truth for s in samples])

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        shown, given, truth = (self._tensor(pictures) for pictures in batch)
        seen = thumbnails(shown)
        raw = self._raw(seen)
        maps = limited(raw)
        enhanced = enhance(given, maps)
        return self.settings.loss.terms(
            enhanced=enhanced, truth=truth, raw=raw, maps=maps, seen=seen
        )

    def train_step(self, photos: Photographs) -> None:
        super().train_step(photos)
        kept = min(self.settings.averaging, self.step / (self.step + _YOUNG_STEPS))
        with torch.no_grad():
            for mean, weight in zip(
                self.average.parameters(), self.model.parameters(), strict=True
            ):
                mean.lerp_(weight, 1 - kept)

    def score(self, photos: Photographs) -> dict[str, float]:
        """PSNR in dB on held-out photographs by kind of light; empty if there are none."""
        if not photos.held_out:
            return {}
        results = {
            kind: torch.cat([
                self._enhanced(samples[i : i + _PICTURES])
                for i in range(0, len(samples), _PICTURES)
            ])
            for kind, samples in self._scored(photos).items()
        }  # fmt: skip
        return mean_scores(self._scored(photos), results)

    def write_sheet(self, path: Path, photos: Photographs) -> None:
        """Write a picture of results: a row for each kind of light, of up to four photographs.

        Each photograph is there three times: as it is given, enhanced, and as it should be. They
        are held-out ones, if there are any.
        """
        rows = []
        for samples in self._scored(photos).values():
            shown = samples[:: max(1, len(samples) // SHEET_PHOTOS)][:SHEET_PHOTOS]
            pictures = (
                self._tensor([s.clean for s in shown]),
                self._enhanced(shown),
                self._tensor([s.truth for s in shown]),
            )
            rows.append([p for sample in zip(*pictures, strict=True) for p in sample])
        write_rows(path, rows)

    def _scored(self, photos: Photographs) -> dict[str, list[Relit]]:
        if self._samples is None:
            self._samples = samples_of(photos.held_out or photos.training)
        return self._samples

    @torch.no_grad()
    def _enhanced(self, samples: Sequence[Relit]) -> Tensor:
        """What the averaged network, which sees the noise, makes of samples without it."""
        maps = self.average(thumbnails(self._tensor([s.noisy for s in samples])))
        return enhance(self._tensor([s.clean for s in samples]), maps).cpu()

    def _tensor(self, pictures: Sequence[NDArray[Any]] | NDArray[Any]) -> Tensor:
        """From ``(H, W, 3)`` each, uint8 or in [0, 1], to ``(N, 3, H, W)`` in [0, 1]."""
        array = np.stack(list(pictures))
        tensor = torch.from_numpy(array).to(self.device).permute(0, 3, 1, 2).float()
        return tensor / 255 if array.dtype == np.uint8 else tensor


class _Raw(nn.Module):
    """The network as trained, with maps before their limits.

    DistributedDataParallel averages the gradients of calls of the module, not of its methods.
    """

    def __init__(self, network: LightNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.raw(image)


def thumbnails(images: Tensor) -> Tensor:
    """What the network sees of pictures at the default working size."""
    size = WorkingSize(long_side=DEFAULT_WORKING_SIZE).of(*images.shape[2:])
    return F.interpolate(images, size, mode="area")


def enhance(images: Tensor, maps: Tensor) -> Tensor:
    """Apply light maps of any size to pictures ``(N, 3, H, W)`` in [0, 1]."""
    maps = F.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False)
    return light.enhance_rgb(images, maps, light.KNOTS, luma_weights(PACKED_MATRIX))
