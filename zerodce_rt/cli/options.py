"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NoReturn

from zerodce_rt.names import (
    DEFAULT_DENOISE,
    DEFAULT_MAX_LEVEL,
    DEFAULT_MODEL,
    DEFAULT_WORKING_SIZE,
    MODELS,
    PUBLISHED_MODEL,
)


def add_camera_options(group: argparse._ArgumentGroup) -> None:
    """What ``CameraSettings`` is made of."""
    group.add_argument(
        "--size", type=frame_size, default=(1280, 720), metavar="WxH",
        help="ask cameras for this size (default: 1280x720)",
    )  # fmt: skip
    group.add_argument(
        "--fps", type=number, default=30.0, metavar="N",
        help="ask cameras for this frame rate (default: 30)",
    )  # fmt: skip


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Everything that ``cli.enhancers.make_enhancer`` reads."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--strength", type=fraction, default=1.0, metavar="0..1",
        help="0 leaves the picture as it is, 1 is the full effect (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--max-level", type=fraction, metavar="0..1",
        help="mean brightness above which no frame is lifted, so that a well-lit one stays as it "
        f"is; 1: no limit (default: {DEFAULT_MAX_LEVEL}, but 1 with working size 'full' or a "
        "fraction)",
    )  # fmt: skip
    group.add_argument(
        "--denoise", type=fraction, metavar="0..1",
        help="0 keeps the noise, 1 removes what can be told from the picture "
        f"(default: {DEFAULT_DENOISE:g}, but 0 with working size 'full' or a fraction)",
    )  # fmt: skip
    add_network_options(group)
    group.add_argument(
        "--backend", default="auto", metavar="NAME",
        help="auto, or one that 'zerodce-rt doctor' lists (default: auto)",
    )  # fmt: skip


def add_network_options(parser: argparse._ActionsContainer) -> None:
    """Which network, with which weights, at which working size."""
    parser.add_argument(
        "--model", choices=MODELS,
        help="light: tells light from dark; plus: 3 shared maps; dcenet: 24 maps "
        f"(default: {DEFAULT_MODEL}; {PUBLISHED_MODEL} with the working sizes full and 1/N)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="FILE",
        help="weights to use instead of ours: .safetensors, or any published Zero-DCE .pth",
    )  # fmt: skip
    parser.add_argument(
        "--working-size", default=str(DEFAULT_WORKING_SIZE), metavar="SIZE",
        help="size of the copy that the network sees: a long side in pixels, 'full' (the published "
        "Zero-DCE), "
        f"or '1/12' (the published Zero-DCE++) (default: {DEFAULT_WORKING_SIZE})",
    )  # fmt: skip


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        _invalid(f"must be between 0 and 1, not {text}")
    return value


def frame_size(text: str) -> tuple[int, int]:
    """Width and height from ``1280x720``."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        _invalid(f"{text!r} is not a size like 1280x720")
    return int(width), int(height)


def seconds(text: str) -> float:
    """Seconds from ``12.5``, ``1:30`` or ``1:02:03``."""
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + number(part)
    return number(str(total))


def number(text: str) -> float:
    """A number of 0 or more."""
    try:
        value = float(text)
    except ValueError:
        _invalid(f"{text!r} is not a number")
    if not math.isfinite(value) or value < 0:
        _invalid(f"must be 0 or more, not {text}")
    return value


def _invalid(message: str) -> NoReturn:
    raise argparse.ArgumentTypeError(message)
