"""``zerodce-rt train``: your own weights, from photographs alone."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from zerodce_rt.cli.options import fraction
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.names import DEFAULT_MODEL, LOSSES, MODELS

log = logging.getLogger(__name__)

SUMMARY = "train a network on a folder of photographs"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.safetensors",
        help="weights to write; a .csv log and a .png sheet appear beside it",
    )  # fmt: skip
    parser.add_argument(
        "--model", choices=MODELS, default=DEFAULT_MODEL,
        help=f"which network (default: {DEFAULT_MODEL})",
    )  # fmt: skip
    parser.add_argument(
        "--preset", choices=("default", "published"), default="default",
        help="default: what trained best here; published: the settings of the papers' programs",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, help="optimiser steps (default: by preset)")
    parser.add_argument("--batch-size", type=int, help="samples in each step (default: by preset)")
    parser.add_argument(
        "--size", type=int, help="side of the square samples in pixels (default: by preset)"
    )
    parser.add_argument(
        "--learning-rate", type=float, help="of Adam; its peak with the one-cycle schedule"
    )
    parser.add_argument("--seed", type=int, help="of everything random")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument("--resume", action="store_true", help="continue where a run was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace existing weights")
    parser.add_argument(
        "--hold-out", type=int, default=0, metavar="N",
        help="leave every N-th photograph out of training, for scoring (default: 0, none)",
    )  # fmt: skip
    parser.add_argument("--sheet-every", type=int, default=500, metavar="STEPS",
                        help="steps between two before/after sheets (default: 500)")  # fmt: skip
    losses = parser.add_argument_group("losses (default: by preset)")
    for name in LOSSES:
        losses.add_argument(
            f"--{name}-weight", type=float, metavar="W", help=f"factor of the {name} loss"
        )
    losses.add_argument(
        "--exposure-target", type=fraction, metavar="E",
        help="brightness that every region should have, 0 to 1",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    from dataclasses import replace

    import torch

    from zerodce_rt.training import TrainingSettings, published_settings, train
    from zerodce_rt.training.run import check_options

    output: Path = options.output
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the weights' name must end in .safetensors")
    if output.exists() and not options.overwrite:
        raise ZeroDCEError(f"{output}: exists already; use --overwrite to replace it")
    names = ("steps", "batch_size", "size", "learning_rate", "seed")
    changes = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
    make = published_settings if options.preset == "published" else TrainingSettings
    try:
        check_options(options.hold_out, options.sheet_every)
        settings = make(model=options.model, **changes)
        given = {
            name.removesuffix("_weight"): value
            for name, value in vars(options).items()
            if value is not None and name.endswith(("_weight", "exposure_target"))
        }
        settings = replace(settings, loss=replace(settings.loss, **given))
    except ValueError as error:
        raise UsageError(str(error)) from error
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    train(
        options.photos, output, settings, device=device, resume=options.resume,
        hold_out=options.hold_out, sheet_every=options.sheet_every, progress=not options.quiet,
    )  # fmt: skip
    log.info("%s", output)
    return 0
