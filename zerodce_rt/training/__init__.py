"""Training the networks on photographs alone. Needs PyTorch.

    from zerodce_rt.training import LightTrainingSettings, train

    train("photos/", "my.safetensors", LightTrainingSettings(steps=20_000), hold_out=13)

The networks of the papers have settings and losses of their own:

    settings = TrainingSettings(steps=2000, loss=LossWeights(exposure_target=0.5))
    train("photos/", "my.safetensors", settings)

``Enhancer(weights="my.safetensors")`` then uses the weights.
"""

from zerodce_rt.training.light_losses import LightLossWeights
from zerodce_rt.training.losses import LossWeights
from zerodce_rt.training.photos import Degradation
from zerodce_rt.training.run import train
from zerodce_rt.training.settings import (
    LightTrainingSettings,
    TrainingSettings,
    published_settings,
)

__all__ = [
    "Degradation",
    "LightLossWeights",
    "LightTrainingSettings",
    "LossWeights",
    "TrainingSettings",
    "published_settings",
    "train",
]
