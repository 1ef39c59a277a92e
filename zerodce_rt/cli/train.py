"""``zerodce-rt train``: your own weights, from photographs alone."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerodce_rt.cli.options import fraction
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.names import DEFAULT_MODEL, LIGHT_LOSSES, LOSSES, MODELS

if TYPE_CHECKING:
    from zerodce_rt.training.settings import AnySettings

log = logging.getLogger(__name__)

SUMMARY = "train a network on a folder of photographs"

# Of the settings; each network has some of them.
_SETTINGS = ("steps", "batch_size", "size", "learning_rate", "seed")
_LOSSES = tuple(dict.fromkeys([*LIGHT_LOSSES, *LOSSES]))


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
        help="default: what trained best here; published: the settings of the papers' programs "
        "(plus and dcenet)",
    )  # fmt: skip
    given = "(default: by model and preset)"
    parser.add_argument("--steps", type=int, help=f"optimiser steps {given}")
    parser.add_argument(
        "--batch-size", type=int, help=f"samples in each step, of all processes together {given}"
    )
    parser.add_argument(
        "--size", type=int, help=f"side of the square samples in pixels; not of light {given}"
    )
    parser.add_argument(
        "--learning-rate", type=float, help="of the optimiser; its peak, where it changes"
    )
    parser.add_argument("--seed", type=int, help="of everything random")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument(
        "--start-from", type=Path, metavar="WEIGHTS",
        help="first weights: a file of the same network (default: random ones)",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="continue where a run was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace existing weights")
    parser.add_argument(
        "--hold-out", type=int, default=0, metavar="N",
        help="leave every N-th photograph out of training, for scoring (default: 0, none)",
    )  # fmt: skip
    parser.add_argument("--sheet-every", type=int, default=500, metavar="STEPS",
                        help="steps between two before/after sheets (default: 500)")  # fmt: skip
    losses = parser.add_argument_group(f"losses {given}")
    for name in _LOSSES:
        models = "light" * (name in LIGHT_LOSSES), "plus and dcenet" * (name in LOSSES)
        losses.add_argument(
            f"--{name}-weight", type=float, metavar="W",
            help=f"factor of the {name} loss ({', '.join(filter(None, models))})",
        )  # fmt: skip
    losses.add_argument(
        "--exposure-target", type=fraction, metavar="E",
        help="brightness that every region should have, 0 to 1 (plus and dcenet)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    from zerodce_rt.training.distributed import as_one

    with as_one():
        _train(options)
    return 0


def _train(options: argparse.Namespace) -> None:
    import torch

    from zerodce_rt.training import train
    from zerodce_rt.training.distributed import launched
    from zerodce_rt.training.run import check_options

    output: Path = options.output
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the weights' name must end in .safetensors")
    if launched().is_main and output.exists() and not options.overwrite:
        raise ZeroDCEError(f"{output}: exists already; use --overwrite to replace it")
    try:
        check_options(options.hold_out, options.sheet_every)
        settings = _settings(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    train(
        options.photos, output, settings, device=device,
        start_from=options.start_from, resume=options.resume,
        hold_out=options.hold_out, sheet_every=options.sheet_every, progress=not options.quiet,
    )  # fmt: skip
    log.info("%s", output)


def _settings(options: argparse.Namespace) -> AnySettings:
    """The settings of a model, with what was given.

    Raises:
        UsageError: an option that the model has no use for.
        ValueError: a setting outside its range.
    """
    from dataclasses import fields, replace

    from zerodce_rt.training import LightTrainingSettings, TrainingSettings, published_settings

    model, published = options.model, options.preset == "published"
    settings: AnySettings
    if model == "light":
        if published:
            raise UsageError("--preset published is for --model plus or dcenet, not light")
        settings = LightTrainingSettings()
    else:
        settings = published_settings(model) if published else TrainingSettings(model=model)
    losses = {f"{name}_weight": name for name in _LOSSES} | {"exposure_target": "exposure_target"}

    def given(what: Any, names: dict[str, str]) -> dict[str, Any]:
        """The options that were given, as fields of some settings."""
        known = {field.name for field in fields(what)}
        values = {o: value for o in names if (value := getattr(options, o)) is not None}
        for option in values:
            if names[option] not in known:
                raise UsageError(f"--{option.replace('_', '-')} has no meaning for --model {model}")
        return {names[option]: value for option, value in values.items()}

    changes = given(settings, {name: name for name in _SETTINGS})
    changes["loss"] = replace(settings.loss, **given(settings.loss, losses))
    return replace(settings, **changes)
