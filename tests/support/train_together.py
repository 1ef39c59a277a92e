"""A small training that can be started by ``torchrun``: its losses are noted, and it may fail.

torchrun --nproc-per-node 2 train_together.py MODEL PHOTOS FILE.safetensors FAILING
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from zerodce_rt.cli.messages import said_by
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.training.distributed import Processes, launched
from zerodce_rt.training.run import train
from zerodce_rt.training.settings import AnySettings, LightTrainingSettings, TrainingSettings

SETTINGS: dict[str, AnySettings] = {
    "plus": TrainingSettings(steps=6, batch_size=4, size=32),
    "light": LightTrainingSettings(steps=6, batch_size=4),
}
SAVED = 4  # steps after which there is something to resume from
NOBODY = -1


def train_and_note(
    model: str, photos: Path, output: Path, *, failing: int = NOBODY, resume: bool = False
) -> None:
    """Train, and let the main process write the losses of every step to ``<stem>.json``.

    Args:
        failing: the process that fails in the step after that which is saved.
    """
    original = Processes.mean
    noted: list[list[float]] = []

    def mean(self: Processes, values: Tensor) -> Tensor:
        if self.rank == failing and len(noted) == SAVED:
            raise ZeroDCEError("this process fails")
        means = original(self, values)
        noted.append(means.tolist())
        return means

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Processes, "mean", mean)
            train(
                photos, output, SETTINGS[model],
                resume=resume, sheet_every=SAVED, progress=False,
            )  # fmt: skip
    finally:
        if launched().is_main:
            output.with_suffix(".json").write_text(json.dumps(noted))


if __name__ == "__main__":
    torch.set_num_threads(1)
    model, photos, output, failing = sys.argv[1:]
    try:
        train_and_note(model, Path(photos), Path(output), failing=int(failing))
    except ZeroDCEError as error:
        sys.exit(said_by(error))
