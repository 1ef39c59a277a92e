"""Train weights on your own photographs, then brighten a picture with them.

python own_training.py PHOTOS/ dark.jpg --steps 2000

Writes own.safetensors (the weights), own.csv (the losses), own.png (darkened photographs, before
and after) and bright.png. Training darkens the photographs itself, so well-lit ones are welcome.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from zerodce_rt import Enhancer, enhance_picture
from zerodce_rt.training import Degradation, LossWeights, TrainingSettings, train


def main() -> None:
    parser = argparse.ArgumentParser(description="Train weights and use them.")
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument("picture", type=Path, help="a picture to try the weights on")
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()

    settings = TrainingSettings(
        steps=options.steps,
        # Darkened by 1 to 6 stops, with more noise than by default: for a cheap camera at night.
        degradation=Degradation(stops=(-6.0, -1.0), shot_noise=5e-4, read_noise=1e-3),
        # Below the default of 0.6, so that night still looks like night.
        loss=LossWeights(exposure_target=0.45),
    )
    weights = Path("own.safetensors")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train(options.photos, weights, settings, device=device)
    with Enhancer(weights=weights) as enhancer:
        enhance_picture(options.picture, "bright.png", enhancer=enhancer, overwrite=True)


if __name__ == "__main__":
    main()
