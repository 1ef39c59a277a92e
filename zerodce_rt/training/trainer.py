"""A network in training: what the ways to train one have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.network.checkpoint import load_weights
from zerodce_rt.training.distributed import ALONE, Batch, Dealer, Processes
from zerodce_rt.training.folder import Photographs
from zerodce_rt.training.photos import to_image
from zerodce_rt.training.settings import AnySettings


class Trainer(ABC):
    """A network in training: takes one step at a time, and can be saved and restored in between.

    Attributes:
        losses: names of the terms of the loss.
        scores: names of what ``score`` returns.
        short_side: of photographs in pixels; more would be wasted.
        processes: those that train it together.
        model: the network.
        optimiser, schedule: of its weights, and of the learning rate.
        kept: copies of the network that a resumed run needs, too, by name.
        step: steps done so far.
        averages: running means of ``"loss"`` and its terms.
    """

    losses: ClassVar[tuple[str, ...]]
    scores: ClassVar[tuple[str, ...]] = ()
    short_side: int
    model: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler

    def __init__(self, settings: AnySettings, device: str, processes: Processes = ALONE) -> None:
        self.settings, self.device, self.processes = settings, device, processes
        self._dealer = Dealer(processes)
        self.kept: dict[str, nn.Module] = {}
        self.step = 0
        self.averages: dict[str, float] = {}

    @abstractmethod
    def draw(self, photos: Photographs, step: int) -> Batch:
        """The batch of a step, which depends on photographs, seed and step alone."""

    @abstractmethod
    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss: means over the samples of a batch, or of a share of it."""

    @abstractmethod
    def weights(self) -> Mapping[str, NDArray[np.floating[Any]]]:
        """The weights so far, for ``save_weights``."""

    @abstractmethod
    def write_sheet(self, path: Path, photos: Photographs) -> None:
        """Write a picture of results."""

    def score(self, photos: Photographs) -> dict[str, float]:
        """Scores on held-out photographs; none unless a subclass has some."""
        return {}

    def start_from(self, weights: Path) -> None:
        """Take the network's first weights from a file.

        Raises:
            ZeroDCEError: a file that cannot be read, or weights of another model.
        """
        found = self.processes.from_main(lambda: load_weights(weights))
        model = self.settings.model
        if found.model != model:
            raise ZeroDCEError(
                f"{weights}: holds weights of model {found.model!r}, not {model!r}; "
                "start from others, or train that model"
            )
        state = {name: torch.from_numpy(array) for name, array in found.weights.items()}
        for network in (self.model, *self.kept.values()):
            network.load_state_dict(state)

    def log_row(self) -> dict[str, str]:
        """The state of the run as a row of the log."""
        learning_rate = self.optimiser.param_groups[0]["lr"]
        averages = {name: f"{value:.5f}" for name, value in self.averages.items()}
        return {"step": str(self.step), **averages, "learning_rate": f"{learning_rate:.3g}"}

    def train_step(self, photos: Photographs) -> None:
        """Train on the next batch of the photographs.

        Raises:
            ZeroDCEError: the loss is not finite.
        """
        terms = self.terms(self._dealer.share(self.step, lambda step: self.draw(photos, step)))
        loss = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        means = self.processes.mean(torch.stack([loss, *terms.values()]).detach()).tolist()
        values = dict(zip(["loss", *terms], means, strict=True))
        if not math.isfinite(values["loss"]):
            raise ZeroDCEError(
                f"training diverged at step {self.step} (loss {values['loss']}); "
                f"use a lower `learning_rate` (now {self.settings.learning_rate:g})"
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
            **{name: part.state_dict() for name, part in self._parts().items()},
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
        state = self.processes.from_main(lambda: _read_state(path))
        try:
            saved = state["settings"], state["photos"]
            same_run = saved == (str(asdict(self.settings)), photos)
            if same_run:
                for name, part in self._parts().items():
                    part.load_state_dict(state[name])
                self.step, self.averages = state["step"], state["averages"]
        except Exception as error:  # damaged files raise errors of many kinds
            raise _damaged(path) from error
        if not same_run:
            raise ZeroDCEError(
                f"{path}: saved by another run; resume with its settings ({saved[0]}) and its "
                f"{saved[1]} photographs (found {photos})"
            )

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimiser": self.optimiser, "schedule": self.schedule}
        return parts | self.kept


def _read_state(path: Path) -> Any:
    if not path.exists():
        raise ZeroDCEError(f"{path}: no such file, nothing to resume; start without `resume`")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise errors of many kinds
        raise _damaged(path) from error


def _damaged(path: Path) -> ZeroDCEError:
    return ZeroDCEError(f"{path}: damaged; start again without `resume`")


def initialise(model: nn.Module, *, published: bool = False) -> None:
    """Draw a network's first weights, from PyTorch's global generator.

    Args:
        published: N(0, 0.02), as the published programs do. Otherwise Kaiming's normal
            distribution with small weights in the last layer, so that the first maps are near the
            middle of their range.
    """
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    for convolution in convolutions:
        if published:
            nn.init.normal_(convolution.weight, 0.0, 0.02)
        else:
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
    if not published:
        nn.init.normal_(convolutions[-1].weight, 0.0, 0.01)


def arrays(model: nn.Module) -> dict[str, NDArray[np.float32]]:
    """The weights of a network by name."""
    state = model.state_dict()
    return {name: t.detach().cpu().contiguous().numpy() for name, t in state.items()}


def write_rows(path: Path, rows: Sequence[Sequence[Tensor]]) -> None:
    """Write a picture of pictures.

    Args:
        path: a .png; an existing one is replaced.
        rows: from top to bottom; in each, from left to right, ``(3, H, W)`` RGB in [0, 1], all of
            one size.
    """
    sheet = torch.cat([torch.cat([p.cpu() for p in row], dim=2) for row in rows], dim=1)
    _, data = cv2.imencode(".png", to_image(sheet)[..., ::-1])
    with finished_file(path) as partial:
        partial.write_bytes(data.tobytes())
