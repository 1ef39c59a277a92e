"""The command line: ``zerodce-rt live | enhance | demo | bench | train | doctor``.

What the commands do is in ``commands.py``; only the command that runs brings its heavy modules,
so that ``--help`` is immediate.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from zerodce_rt import __version__
from zerodce_rt.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE, UsageError, ZeroDCEError

# As in checkpoint.py, training.py and live/views.py, which are too heavy to import for --help.
_MODELS = ("plus", "dcenet")
_VIEWS = ("enhanced", "original", "split", "side")
_LOSSES = ("spatial", "exposure", "colour", "smoothness", "agreement")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 on success, 1 on failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    level = logging.DEBUG if options.debug else logging.WARNING if options.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("zerodce_rt").setLevel(level)
    # A polite kill cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from zerodce_rt.cli import commands

        run: Callable[[argparse.Namespace], int] = getattr(commands, options.command)
        return run(options)
    except KeyboardInterrupt:
        print("stopped; nothing was left half-written", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except (ZeroDCEError, ValueError, OSError, MemoryError) as error:
        if options.debug:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"zerodce-rt: {text}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILURE
    except Exception as error:
        if options.debug:
            raise
        print(
            f"zerodce-rt: unexpected {type(error).__name__}: {' '.join(str(error).split())}; "
            "run again with --debug and report what it shows",
            file=sys.stderr,
        )
        return EXIT_FAILURE


def console() -> NoReturn:
    """The installed command: ``main``, and the end of the process.

    Unloading Numba and OpenVINO takes a third of a second, and there is nothing left to do.
    """
    try:
        code = main()
    except SystemExit as stop:  # argparse
        code = int(stop.code or 0)
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may have gone.
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def build_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="show warnings and errors only")
    common.add_argument("--debug", action="store_true", help="show details, and tracebacks")

    parser = argparse.ArgumentParser(
        prog="zerodce-rt", description="Make dark video and pictures bright, in real time."
    )
    parser.add_argument("--version", action="version", version=f"zerodce-rt {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, parents=[common], help=help, description=help[0].upper() + help[1:] + "."
        )
        sub.set_defaults(command=name)
        return sub

    _add_live(command("live", "show a camera, a stream or a file, brightened while it plays"))
    _add_enhance(command("enhance", "enhance a video, a picture, or a folder of either"))
    _add_demo(command("demo", "render a dark clip, enhance it, and show before and after"))
    _add_bench(command("bench", "measure how fast it is here, stage by stage"))
    _add_train(command("train", "train a network on a folder of photographs"))
    _add_engines(command("engines", "list, build or delete compiled networks for NVIDIA cards"))
    command("doctor", "list what is available here, and what to install for the rest")
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--strength", type=_fraction, default=1.0, metavar="0..1",
        help="0 leaves the picture as it is, 1 is the full effect (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--max-level", type=_fraction, metavar="0..1",
        help="mean brightness that a frame is not lifted above, so that a well-lit one stays as "
        "it is; 1: no limit (default: 0.5; 1 for the published programs' working sizes)",
    )  # fmt: skip
    _add_network_options(group)
    group.add_argument(
        "--backend", default="auto", metavar="NAME",
        help="auto, or one that 'zerodce-rt doctor' lists (default: auto)",
    )  # fmt: skip


def _add_network_options(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--model", choices=_MODELS,
        help="plus: 3 shared maps, fast (default); dcenet: 24 maps",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="FILE",
        help="weights to use instead of ours: .safetensors, or any published Zero-DCE .pth",
    )  # fmt: skip
    parser.add_argument(
        "--working-size", default="64", metavar="SIZE",
        help="what the network sees: a long side in pixels, 'full' (the published Zero-DCE), "
        "or '1/12' (the published Zero-DCE++) (default: 64)",
    )  # fmt: skip


def _add_engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "build", "clear"))
    build = parser.add_argument_group("build")
    build.add_argument(
        "--size", type=_size, default=(1920, 1080), metavar="WxH",
        help="of the frames that the engine is for (default: 1920x1080)",
    )  # fmt: skip
    build.add_argument(
        "--backend", choices=("tensorrt-rtx", "tensorrt"), default="tensorrt-rtx",
        help="default: tensorrt-rtx",
    )  # fmt: skip
    build.add_argument(
        "--target", metavar="NAME",
        help="compute capability of the card that it is for, such as sm89, which need not be "
        "here; for tensorrt-rtx (default: this machine's card)",
    )  # fmt: skip
    _add_network_options(build)


def _add_live(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="?", default="0",
        help="camera number or /dev/video path, rtsp:// http:// udp:// ... stream, or video file "
        "(default: camera 0)",
    )  # fmt: skip
    parser.add_argument("--seconds", type=_number, metavar="N", help="stop by itself after so long")
    camera = parser.add_argument_group("camera")
    camera.add_argument("--list-cameras", action="store_true", help="list the cameras, and end")
    camera.add_argument(
        "--size", type=_size, default=(1280, 720), metavar="WxH",
        help="ask the camera for this size (default: 1280x720)",
    )  # fmt: skip
    camera.add_argument(
        "--fps", type=_number, default=30.0, metavar="N",
        help="ask for so many frames a second (default: 30)",
    )  # fmt: skip
    camera.add_argument(
        "--keep-fps", action="store_true",
        help="forbid the camera to slow down in the dark; the setting is put back at the end",
    )  # fmt: skip
    window = parser.add_argument_group("window (press H in it for its keys)")
    window.add_argument(
        "--view", choices=_VIEWS, default="enhanced",
        help="what to show first: with split, drag the divider (default: enhanced)",
    )  # fmt: skip
    window.add_argument("--mirror", action="store_true", help="swap left and right in the window")
    window.add_argument("--no-overlay", action="store_true", help="show no figures")
    window.add_argument("--full-screen", action="store_true")
    window.add_argument(
        "--no-window", action="store_true", help="run unseen, with --record or --virtual-camera"
    )
    outputs = parser.add_argument_group("output")
    outputs.add_argument(
        "--record", type=Path, metavar="FILE",
        help="record the enhanced picture to .mp4, .mov or .mkv, without sound",
    )  # fmt: skip
    outputs.add_argument("--overwrite", action="store_true", help="replace an existing recording")
    outputs.add_argument(
        "--virtual-camera", action="store_true",
        help="offer the enhanced picture to other programs as a camera (needs zerodce-rt[vcam])",
    )  # fmt: skip
    outputs.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER",
        help="where the keys' snapshots and recordings go (default: here)",
    )  # fmt: skip
    _add_model_options(parser)


def _add_enhance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="video, picture, or folder")
    parser.add_argument(
        "-o", "--output", type=Path,
        help="output file or folder (default: INPUT with _enhanced added to its name)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.add_argument(
        "--compare", choices=("split", "side"),
        help="before and after in one picture: halves, or side by side",
    )  # fmt: skip
    _add_model_options(parser)
    video = parser.add_argument_group("video")
    video.add_argument(
        "--codec", metavar="NAME",
        help="h264, h265, av1, vp9, or an FFmpeg encoder "
        "(default: h264; h265 for 10 bits and more; vp9 in .webm)",
    )  # fmt: skip
    video.add_argument(
        "--crf", type=float, metavar="N", help="quality, lower is better (default: 18 for h264)"
    )
    video.add_argument(
        "--preset", metavar="NAME", help="the encoder's speed preset (default: veryfast)"
    )
    video.add_argument(
        "--hwaccel", action="store_true",
        help="decode and encode on an NVIDIA GPU (NVDEC, NVENC) where it can; says where not",
    )  # fmt: skip
    video.add_argument("--start", type=_time, default=0.0, metavar="TIME",
                       help="begin there: seconds, or [HH:]MM:SS")  # fmt: skip
    video.add_argument("--end", type=_time, default=math.inf, metavar="TIME",
                       help="stop there")  # fmt: skip


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("zerodce-rt-demo"), metavar="FOLDER",
        help="where to put the results (default: zerodce-rt-demo)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="length of the clip (default: 4)"
    )


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quick", action="store_true", help="two sizes, 3 seconds each (under half a minute)"
    )
    parser.add_argument(
        "--sizes", nargs="+", metavar="SIZE",
        help="480p, 720p, 1080p, 1440p, 4K, or like 800x600 (default: 480p 720p 1080p 4K)",
    )  # fmt: skip
    parser.add_argument(
        "--formats", nargs="+", metavar="FORMAT",
        help="pixel formats as FFmpeg names them (default: yuv420p)",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="plus, dcenet (default: plus)")
    parser.add_argument(
        "--backends", nargs="+", metavar="NAME",
        help="those that 'zerodce-rt doctor' lists, auto, or all (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--working-size", metavar="SIZE", help="what the network sees, as for enhance"
    )
    parser.add_argument("--seconds", type=_number, help="spent on each combination (default: 5)")
    parser.add_argument(
        "--file", type=Path, metavar="CLIP",
        help="measure a whole run on a video file instead: decode, enhance, encode",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw a chart")


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.safetensors",
        help="weights to write; a .csv log and a .png sheet appear beside it",
    )  # fmt: skip
    parser.add_argument("--model", choices=_MODELS, default="plus")
    parser.add_argument(
        "--preset", choices=("default", "published"), default="default",
        help="default: what trained best here; published: the settings of the papers' programs",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, help="optimiser steps")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--size", type=int, help="side of the training squares in pixels")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace existing weights")
    parser.add_argument(
        "--hold-out", type=int, default=0, metavar="N",
        help="leave every N-th photograph out of training, for scoring (default: 0, none)",
    )  # fmt: skip
    parser.add_argument("--sheet-every", type=int, default=500, metavar="STEPS",
                        help="steps between two before/after sheets (default: 500)")  # fmt: skip
    losses = parser.add_argument_group("losses")
    for name in _LOSSES:
        losses.add_argument(f"--{name}-weight", type=float, metavar="W")
    losses.add_argument("--exposure-target", type=_fraction, metavar="E")


def _fraction(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        _invalid(f"must be between 0 and 1, not {text}")
    return value


def _size(text: str) -> tuple[int, int]:
    """Width and height from ``1280x720``."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        _invalid(f"{text!r} is not a size like 1280x720")
    return int(width), int(height)


def _time(text: str) -> float:
    """Seconds from ``12.5``, ``1:30`` or ``1:02:03``."""
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + _number(part)
    return seconds


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        _invalid(f"{text!r} is not a number")
    if not math.isfinite(value) or value < 0:
        _invalid(f"must be 0 or more, not {text}")
    return value


def _invalid(message: str) -> NoReturn:
    raise argparse.ArgumentTypeError(message)
