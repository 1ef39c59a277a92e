"""Brighten the photographs that a torch DataLoader loads, in its worker processes.

python data_loader.py PHOTOS/ --workers 2
"""

from __future__ import annotations

import argparse
import sys
from functools import cached_property
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zerodce_rt import Enhancer


class BrightPhotos(Dataset[Tensor]):
    """The JPEG files of a folder, brightened: ``(3, 224, 224)`` uint8 RGB."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.jpg"))

    @cached_property
    def enhancer(self) -> Enhancer:
        # Made at the first photograph, since each worker process needs its own. One thread on
        # the CPU, because the workers share the cores.
        return Enhancer(backend="openvino", threads=1)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if photo is None:
            raise ValueError(f"{path}: cannot be read")
        dark = torch.from_numpy(cv2.resize(photo, (224, 224))).permute(2, 0, 1)
        return self.enhancer(dark)  # takes batches (N, 3, H, W) too; no gradient flows back


def main() -> None:
    parser = argparse.ArgumentParser(description="Brighten what a DataLoader loads.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    photos = BrightPhotos(options.folder)
    if not photos.paths:
        sys.exit(f"{options.folder}: no .jpg files in it")
    for batch in DataLoader(photos, batch_size=4, num_workers=options.workers):
        print(f"batch {tuple(batch.shape)}, mean level {batch.float().mean():.0f} of 255")


if __name__ == "__main__":
    main()
