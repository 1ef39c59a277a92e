"""The enhancer that a command's options ask for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerodce_rt.enhancer import Enhancer


def make_enhancer(options: argparse.Namespace) -> Enhancer:
    from zerodce_rt.enhancer import Enhancer

    return Enhancer.for_video(
        model=options.model,
        weights=options.weights,
        backend=options.backend,
        working_size=options.working_size,
        strength=options.strength,
        max_level=options.max_level,
        denoise=options.denoise,
    )
