"""What decides a training run: of the papers' networks, ours or as published; of ``light``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from zerodce_rt.network.model import MODELS
from zerodce_rt.training.light_losses import LightLossWeights
from zerodce_rt.training.losses import LossWeights
from zerodce_rt.training.photos import Degradation


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What decides the result of training a network of the papers, besides the photographs.

    The defaults are what trained best on our photographs. With the same settings, photographs and
    machine, a run gives the same weights.

    Attributes:
        model: ``"plus"`` or ``"dcenet"``.
        steps: optimiser steps, 1 or more.
        batch_size: samples per step, 1 or more.
        size: side of the square samples in pixels, 32 or more.
        learning_rate: of Adam, above 0; the highest one if ``one_cycle``.
        one_cycle: raise the learning rate from a low one, then lower it to almost 0 (PyTorch's
            ``OneCycleLR``). False keeps it constant.
        weight_decay: of Adam (an L2 penalty), 0 or more.
        gradient_clip: norm that gradients are scaled down to, above 0; ``math.inf`` is off.
        published_init: draw the first weights from N(0, 0.02), as the published programs do,
            instead of Kaiming's distribution with small weights in the last layer.
        seed: of all random numbers, from -2^63 to 2^64 - 1.
        loss: weights and forms of the losses.
        degradation: how photographs are darkened.

    Raises:
        ValueError: a setting outside its range.
    """

    model: str = "plus"
    steps: int = 5000
    batch_size: int = 8
    size: int = 112
    learning_rate: float = 2e-3
    one_cycle: bool = True
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    published_init: bool = False
    seed: int = 0
    loss: LossWeights = field(default_factory=LossWeights)
    degradation: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        _check_model(self.model)
        _check(self, steps=1, batch_size=1, size=32)


@dataclass(frozen=True, kw_only=True)
class LightTrainingSettings:
    """What decides the result of training ``light``, besides the photographs.

    With the same settings, photographs and machine, a run gives the same weights.

    Attributes:
        steps: optimiser steps, 1 or more.
        batch_size: samples per step, 1 or more.
        learning_rate: of AdamW, above 0: the highest one, reached after ``warm_up`` steps. From
            there it falls along half a cosine, to a hundredth.
        warm_up: steps, 1 or more.
        weight_decay: of AdamW, 0 or more.
        gradient_clip: norm that gradients are scaled down to, above 0; ``math.inf`` is off.
        averaging: the weights that are written are running means of those of the steps; share that
            an older mean keeps in each step, in [0, 1). It is less in the first steps.
        seed: of all random numbers, from -2^63 to 2^64 - 1.
        loss: weights of the losses.

    Raises:
        ValueError: a setting outside its range.
    """

    model: ClassVar[str] = "light"

    steps: int = 40_000
    batch_size: int = 16
    learning_rate: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    averaging: float = 0.999
    seed: int = 0
    loss: LightLossWeights = field(default_factory=LightLossWeights)

    def __post_init__(self) -> None:
        _check(self, steps=1, batch_size=1, warm_up=1)
        if not 0 <= self.averaging < 1:
            raise ValueError(f"`averaging` must be 0 or more and below 1, not {self.averaging}")


AnySettings: TypeAlias = TrainingSettings | LightTrainingSettings
"""Their type decides how training is done."""


def published_settings(model: str = "plus", **changes: Any) -> TrainingSettings:
    """The settings of the published programs: Adam at a constant 1e-4, first weights N(0, 0.02).

    Those train on pictures of many exposures and darken none. If your photographs are well lit,
    pass ``degradation=Degradation()``.

    Args:
        model: ``"plus"`` or ``"dcenet"``.
        changes: fields of ``TrainingSettings`` that differ.

    Raises:
        ValueError: a setting outside its range.
    """
    _check_model(model)
    # Our losses are means. The programs' spatial loss is a sum over four neighbours, and their
    # smoothness twice a sum over the channels.
    smoothness = (200.0 if model == "dcenet" else 1600.0) * 2 * MODELS[model].map_channels
    defaults: dict[str, Any] = {
        "model": model,
        "size": 256,
        "learning_rate": 1e-4,
        "one_cycle": False,
        "weight_decay": 1e-4,
        "gradient_clip": 0.1,
        "published_init": True,
        "loss": LossWeights(spatial=4.0, colour=5.0, smoothness=smoothness, agreement=0.0),
        "degradation": Degradation(probability=0.0),
    }
    return TrainingSettings(**(defaults | changes))


def _check_model(model: str) -> None:
    if model not in MODELS:
        hint = "; its settings are `LightTrainingSettings`" if model == "light" else ""
        raise ValueError(f"`model` must be one of {', '.join(MODELS)}, not {model!r}{hint}")


def _check(settings: AnySettings, **least: int) -> None:
    """Check the settings that both kinds of training have, and the least values of some."""
    for name, lowest in least.items():
        if (value := getattr(settings, name)) < lowest:
            raise ValueError(f"`{name}` must be at least {lowest}, not {value}")
    if not 0 < settings.learning_rate < math.inf:
        raise ValueError(f"`learning_rate` must be above 0, not {settings.learning_rate}")
    if not 0 <= settings.weight_decay < math.inf:
        raise ValueError(f"`weight_decay` must be 0 or more, not {settings.weight_decay}")
    if not settings.gradient_clip > 0:
        raise ValueError(f"`gradient_clip` must be above 0, not {settings.gradient_clip}")
    if not -(2**63) <= settings.seed < 2**64:
        raise ValueError(f"`seed` must be between -2^63 and 2^64 - 1, not {settings.seed}")
