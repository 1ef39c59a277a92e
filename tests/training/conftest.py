"""Photographs to train on, made up, and one thread to train with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny pictures train faster on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made_up_photo(seed: int, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    """Soft patches of all colours, rather bright: ``(H, W, 3)``."""
    coarse = np.random.default_rng(seed).integers(30, 256, (4, 4, 3)).astype(np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return smooth.astype(np.uint8, copy=False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of eight."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(8):
        assert cv2.imwrite(str(folder / f"{seed}.png"), made_up_photo(seed))
    return folder
