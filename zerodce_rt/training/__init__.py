"""Training the networks on photographs alone. Needs PyTorch.

    from zerodce_rt.training import LossWeights, TrainingSettings, train

    settings = TrainingSettings(steps=2000, loss=LossWeights(exposure_target=0.5))
    train("photos/", "my.safetensors", settings)

``Enhancer(weights="my.safetensors")`` then uses the weights.
"""

from zerodce_rt.training.losses import LossWeights
from zerodce_rt.training.photos import Degradation
from zerodce_rt.training.settings import TrainingSettings, published_settings
from zerodce_rt.training.trainer import train

__all__ = ["Degradation", "LossWeights", "TrainingSettings", "published_settings", "train"]
