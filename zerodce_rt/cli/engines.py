"""``zerodce-rt engines``: networks compiled for NVIDIA cards."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from zerodce_rt.cli.options import add_network_options, frame_size
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.names import PAPER_MODELS, PUBLISHED_MODEL

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.engines import CachedEngine, EngineCache

log = logging.getLogger(__name__)

SUMMARY = "list, build or delete compiled networks for NVIDIA cards"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("list", "build", "clear"),
        help="show the engines in the cache, build one ahead of its use, or delete all",
    )  # fmt: skip
    build = parser.add_argument_group("build")
    build.add_argument(
        "--size", type=frame_size, default=(1920, 1080), metavar="WxH",
        help="size of the frames that the engine is for (default: 1920x1080)",
    )  # fmt: skip
    build.add_argument(
        "--backend", choices=("tensorrt-rtx", "tensorrt"), default="tensorrt-rtx",
        help="which TensorRT the engine is for (default: tensorrt-rtx)",
    )  # fmt: skip
    build.add_argument(
        "--target", metavar="NAME",
        help="compute capability of the card that the engine is for, such as sm89; for "
        "tensorrt-rtx, which needs no card to build (default: this machine's card)",
    )  # fmt: skip
    add_network_options(build)


def run(options: argparse.Namespace) -> int:
    from zerodce_rt.backends.tensorrt.engines import EngineCache

    cache = EngineCache()
    if options.action == "build":
        _build_engine(options, cache)
    elif options.action == "clear":
        count = cache.clear()
        print(f"{count} engine{'' if count == 1 else 's'} deleted")
    else:
        lines = [_engine_line(engine) for engine in cache]
        print("\n".join(lines) or "no engines yet")
        log.info("in %s", cache.folder or "no folder: none can be written")
    return 0


def _engine_line(engine: CachedEngine) -> str:
    def shown(field: str) -> str:
        return str(engine.key.get(field, "?"))

    size = f"{shown('width')}x{shown('height')}"
    return (
        f"{shown('backend'):<14}{shown('model'):<8}{size:<12}{shown('target'):<7}"
        f"{engine.bytes / 1e6:>7.1f} MB  {engine.built}  {shown('gpu') or 'any card'}"
    )


def _build_engine(options: argparse.Namespace, cache: EngineCache) -> None:
    """Build the engine for frames of a size ahead of its use."""
    from functools import partial

    from zerodce_rt.backends import choose_backend
    from zerodce_rt.backends.cuda.driver import nvidia_driver_present
    from zerodce_rt.backends.tensorrt.rtx_engine import (
        NAME,
        TARGETS,
        build_engine,
        check_target,
        engine_key,
    )
    from zerodce_rt.curve.working_size import WorkingSize
    from zerodce_rt.network.checkpoint import load_network

    if cache.folder is None:
        raise ZeroDCEError("there is no folder where engines could be kept")
    try:
        working_size = WorkingSize.parse(options.working_size)
        model = options.model
        if working_size.published and not options.weights:
            model = model or PUBLISHED_MODEL
        checkpoint = load_network(model, options.weights)
        if options.target is not None and options.backend != NAME:
            raise ValueError(
                f"--target is for --backend {NAME}; other engines are built for this card only"
            )
    except ValueError as error:
        raise UsageError(str(error)) from error
    if working_size.published and checkpoint.model not in PAPER_MODELS:
        raise UsageError(
            f"`working_size={options.working_size!r}` is for {' and '.join(PAPER_MODELS)}; give a "
            f"long side in pixels for model {checkpoint.model!r}"
        )
    height, width = working_size.of(options.size[1], options.size[0])
    if options.backend == NAME and options.target is not None:
        check_target(options.target)
        key = engine_key(checkpoint, height, width, options.target)
        build = partial(build_engine, checkpoint, height, width, options.target)
        new = cache.load(key, build, lambda _, new: new)
    else:
        if not nvidia_driver_present():
            raise ZeroDCEError(
                f"there is no NVIDIA card here; say for which one with --target {'|'.join(TARGETS)}"
            )
        # Before what follows: it needs Triton.
        backend = choose_backend(options.backend)
        from zerodce_rt.backends.cuda.runner import reported_as_device_errors

        before = len(list(cache))
        with reported_as_device_errors():
            backend.create(checkpoint).prepare(height, width)
        new = len(list(cache)) > before
    print(f"{options.backend}, {checkpoint.model}, {width}x{height}: "
          f"{'built' if new else 'is there already'}")  # fmt: skip
