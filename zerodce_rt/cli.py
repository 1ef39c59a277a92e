"""The command line: ``zerodce-rt enhance | demo | train | doctor``.

Heavy modules are imported by the command that needs them, so that ``--help`` is immediate.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from zerodce_rt import __version__
from zerodce_rt.errors import ZeroDCEError

if TYPE_CHECKING:
    from zerodce_rt.enhancer import Enhancer

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

log = logging.getLogger(__name__)

# As in checkpoint.py and training.py, which are too heavy to import for --help.
_MODELS = ("plus", "dcenet")
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
        code: int = options.run(options)
        return code
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


class UsageError(ZeroDCEError):
    """An option's value is wrong; ends with exit code 2."""


def build_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="show warnings and errors only")
    common.add_argument("--debug", action="store_true", help="show details, and tracebacks")

    parser = argparse.ArgumentParser(
        prog="zerodce-rt", description="Make dark video and pictures bright, in real time."
    )
    parser.add_argument("--version", action="version", version=f"zerodce-rt {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, parents=[common], help=help, description=help[0].upper() + help[1:] + "."
        )
        sub.set_defaults(run=run)
        return sub

    _add_enhance(command("enhance", _enhance, "enhance a video, a picture, or a folder of either"))
    _add_demo(command("demo", _demo, "render a dark clip, enhance it, and show before and after"))
    _add_train(command("train", _train, "train a network on a folder of photographs"))
    command("doctor", _doctor, "list what is available here, and what to install for the rest")
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
    group.add_argument(
        "--model", choices=_MODELS,
        help="plus: 3 shared maps, fast (default); dcenet: 24 maps",
    )  # fmt: skip
    group.add_argument(
        "--weights", type=Path, metavar="FILE",
        help="weights to use instead of ours: .safetensors, or any published Zero-DCE .pth",
    )  # fmt: skip
    group.add_argument(
        "--working-size", default="80", metavar="SIZE",
        help="what the network sees: a long side in pixels, 'full' (the published Zero-DCE), "
        "or '1/12' (the published Zero-DCE++) (default: 80)",
    )  # fmt: skip
    group.add_argument(
        "--backend", default="auto", metavar="NAME",
        help="auto, or one that 'zerodce-rt doctor' lists (default: auto)",
    )  # fmt: skip


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


def _enhance(options: argparse.Namespace) -> int:
    from zerodce_rt import files

    source: Path = options.input
    if not source.exists():
        raise ZeroDCEError(f"{source}: no such file or folder")
    job = _Job(options)
    if source.is_dir():
        return _enhance_folder(job, source, options.output)
    output: Path = options.output or files.default_output(source)
    if output.is_dir():
        output = output / files.default_output(source).name
    job.run(source, output)
    log.info("%s", output)
    return 0


class _Job:
    """The options of one ``enhance`` command, checked before any file is touched."""

    def __init__(self, options: argparse.Namespace) -> None:
        from zerodce_rt.files import VIDEO_ESTIMATE_SECONDS, VIDEO_SMOOTHING_SECONDS
        from zerodce_rt.video.reader import Span
        from zerodce_rt.video.writer import EncoderSettings

        self.options = options
        try:
            self.encoder = EncoderSettings(
                codec=options.codec, crf=options.crf, preset=options.preset
            )
            self.span = Span(start=options.start, end=options.end)
            self.enhancer = make_enhancer(
                options,
                smoothing_seconds=VIDEO_SMOOTHING_SECONDS,
                estimate_seconds=VIDEO_ESTIMATE_SECONDS,
            )
        except ValueError as error:
            raise UsageError(str(error)) from error

    def run(self, source: Path, output: Path) -> None:
        from zerodce_rt import files

        common = {"enhancer": self.enhancer, "compare": self.options.compare,
                  "overwrite": self.options.overwrite}  # fmt: skip
        if files.is_picture(source):
            files.enhance_picture(source, output, **common)
            return
        title = f"{source.name} [{self.enhancer.estimator.name}]"
        with ProgressBar(title, show=not self.options.quiet) as progress:
            files.enhance_video(
                source, output, encoder=self.encoder, span=self.span, progress=progress, **common
            )


def _enhance_folder(job: _Job, folder: Path, output: Path | None) -> int:
    from zerodce_rt import files

    output = output or folder.with_name(f"{folder.resolve().name}_enhanced")
    if output.resolve() == folder.resolve():
        raise UsageError(f"{output}: is the input folder; choose another with -o")
    if output.is_file():
        raise ZeroDCEError(f"{output}: is a file; the output of a folder is a folder")
    sources = [p for p in files.find_media(folder) if output.resolve() not in p.resolve().parents]
    failed = []
    for number, source in enumerate(sources, start=1):
        target = files.output_in_folder(source, folder, output)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            job.run(source, target)
            log.info("[%d/%d] %s", number, len(sources), target)
        except (ZeroDCEError, OSError) as error:
            if job.options.debug:
                log.exception("%s", source)
            failed.append(source)
            log.error("[%d/%d] failed: %s", number, len(sources), error)
    done = len(sources) - len(failed)
    log.warning("%d of %d files enhanced to %s%s", done, len(sources), output,
                f"; {len(failed)} failed" if failed else "")  # fmt: skip
    return EXIT_FAILURE if failed else 0


def make_enhancer(options: argparse.Namespace, **settings: Any) -> Enhancer:
    from zerodce_rt.enhancer import Enhancer

    return Enhancer(
        model=options.model,
        weights=options.weights,
        backend=options.backend,
        working_size=options.working_size,
        strength=options.strength,
        max_level=options.max_level,
        **settings,
    )


class ProgressBar:
    """A bar with frame rate and ETA, fed by ``files.Progress`` calls."""

    def __init__(self, name: str, *, show: bool) -> None:
        self._name, self._show = name, show
        self._bar: Any = None

    def __enter__(self) -> Callable[[int, int | None], None]:
        return self._update

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def _update(self, done: int, expected: int | None) -> None:
        if self._bar is None:  # not before the first frame: a failure shows its line alone
            from zerodce_rt.progress import progress_bar

            self._bar = progress_bar(self._name, unit="frame", show=self._show)
        self._bar.total = max(expected, done) if expected else None
        self._bar.update(done - self._bar.n)


def _demo(options: argparse.Namespace) -> int:
    from zerodce_rt.demo import run_demo

    if not 0 < options.seconds <= 600:
        raise UsageError(f"--seconds must be between 0 and 600, not {options.seconds:g}")
    run_demo(options.output, seconds=options.seconds, progress=not options.quiet)
    return 0


def _train(options: argparse.Namespace) -> int:
    from dataclasses import replace

    import torch

    from zerodce_rt.training import TrainingSettings, check_options, published_settings, train

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
        weights = {n: getattr(options, f"{n}_weight") for n in _LOSSES}
        weights["exposure_target"] = options.exposure_target
        given = {n: w for n, w in weights.items() if w is not None}
        settings = replace(settings, loss=replace(settings.loss, **given))
    except ValueError as error:
        raise UsageError(str(error)) from error
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ZeroDCEError(f"device {device} is not available; see 'zerodce-rt doctor'")
    train(
        options.photos, output, settings, device=device, resume=options.resume,
        hold_out=options.hold_out, sheet_every=options.sheet_every, progress=not options.quiet,
    )  # fmt: skip
    log.info("%s", output)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from zerodce_rt.doctor import report

    print(report(), flush=True)
    return 0


def _fraction(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        _invalid(f"must be between 0 and 1, not {text}")
    return value


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
