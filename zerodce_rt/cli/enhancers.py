"""The enhancer that a command's options ask for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerodce_rt.enhancer import Enhancer


def make_enhancer(options: argparse.Namespace, *, pictures: bool = False) -> Enhancer:
    """One for videos.

    Args:
        pictures: there are none, so that what starts soon is better.
    """
    from zerodce_rt.backends import for_pictures
    from zerodce_rt.curve.working_size import WorkingSize
    from zerodce_rt.enhancer import Enhancer

    backend = options.backend
    if pictures:
        backend = for_pictures(backend, small=WorkingSize.parse(options.working_size).small)
    return Enhancer.for_video(
        model=options.model,
        weights=options.weights,
        backend=backend,
        working_size=options.working_size,
        strength=options.strength,
        max_level=options.max_level,
        denoise=options.denoise,
    )
