"""``zerodce-rt enhance``: a video, a picture, or a folder of either."""

from __future__ import annotations

import argparse
import logging
import math
from pathlib import Path

from zerodce_rt.cli.enhancers import make_enhancer
from zerodce_rt.cli.messages import said_by
from zerodce_rt.cli.options import add_model_options, number, seconds
from zerodce_rt.errors import EXIT_FAILURE, UsageError, ZeroDCEError
from zerodce_rt.media import paths
from zerodce_rt.names import CODECS, COMPARE_MODES

log = logging.getLogger(__name__)

SUMMARY = "enhance a video, a picture, or a folder of either"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="video, picture, or folder")
    parser.add_argument(
        "-o", "--output", type=Path,
        help="output file or folder (default: INPUT with _enhanced added to its name)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.add_argument(
        "--compare", choices=COMPARE_MODES,
        help="show before and after in one picture: two halves, or side by side",
    )  # fmt: skip
    parser.add_argument(
        "--max-pixels", type=number, metavar="N",
        help="refuse larger pictures (default: 300e6) and video frames (default: 70e6), which "
        "would take all memory",
    )  # fmt: skip
    add_model_options(parser)
    video = parser.add_argument_group("video")
    video.add_argument(
        "--codec", metavar="NAME",
        help=f"{', '.join(CODECS)}, or an FFmpeg encoder "
        "(default: h264; h265 for 10 bits and more; in .webm vp9 and av1)",
    )  # fmt: skip
    video.add_argument(
        "--crf", type=float, metavar="N", help="quality, lower is better (default: 18 for h264)"
    )
    video.add_argument(
        "--preset",
        metavar="NAME",
        help="the encoder's speed preset (default: veryfast for h264 and h265)",
    )
    video.add_argument(
        "--sdr", action="store_true",
        help="turn HDR video (HLG, PQ) into SDR, which every player and site can show "
        "(default: HDR stays HDR)",
    )  # fmt: skip
    video.add_argument(
        "--hwaccel", action="store_true",
        help="decode and encode on an NVIDIA GPU (NVDEC, NVENC) where possible; what is not is "
        "reported and done on the CPU",
    )  # fmt: skip
    video.add_argument("--start", type=seconds, default=0.0, metavar="TIME",
                       help="where to begin: seconds, or [HH:]MM:SS")  # fmt: skip
    video.add_argument("--end", type=seconds, default=math.inf, metavar="TIME",
                       help="where to stop")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    source: Path = options.input
    if not source.exists():
        raise ZeroDCEError(f"{source}: no such file or folder")
    job = _Job(options)
    if source.is_dir():
        return _enhance_folder(job, source, options.output)
    output: Path = options.output or paths.default_output(source)
    if output.is_dir():
        output = output / paths.default_output(source).name
    job.run(source, output)
    log.info("%s", output)
    return 0


class _Job:
    """The options of one ``enhance`` command, checked before any file is touched."""

    def __init__(self, options: argparse.Namespace) -> None:
        from zerodce_rt.media.encoders import EncoderSettings
        from zerodce_rt.media.reader import Span

        self.options = options
        try:
            self.encoder = EncoderSettings(
                codec=options.codec, crf=options.crf, preset=options.preset
            )
            self.span = Span(start=options.start, end=options.end)
            self.enhancer = make_enhancer(options)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def run(self, source: Path, output: Path) -> None:
        from zerodce_rt import files
        from zerodce_rt.progress import frame_progress

        names = "compare", "overwrite", "max_pixels"
        common = {"enhancer": self.enhancer} | {n: getattr(self.options, n) for n in names}
        if paths.is_picture(source):
            files.enhance_picture(source, output, **common)
            return
        title = f"{source.name} [{self.enhancer.backend}]"
        with frame_progress(title, show=not self.options.quiet) as progress:
            files.enhance_video(
                source, output, encoder=self.encoder, span=self.span,
                sdr=self.options.sdr, hwaccel=self.options.hwaccel, progress=progress, **common,
            )  # fmt: skip


def _enhance_folder(job: _Job, folder: Path, output: Path | None) -> int:
    output = output or folder.with_name(f"{folder.resolve().name}_enhanced")
    if output.resolve() == folder.resolve():
        raise UsageError(f"{output}: is the input folder; choose another `output`")
    if output.is_file():
        raise ZeroDCEError(f"{output}: is a file; the output of a folder is a folder")
    sources = [p for p in paths.find_media(folder) if output.resolve() not in p.resolve().parents]
    failed: list[Path] = []
    targets: set[Path] = set()
    for index, source in enumerate(sources, start=1):
        target = paths.output_in_folder(source, folder, output)
        try:
            if target in targets:
                raise ZeroDCEError(
                    f"{source}: its output would replace that of another file, {target}; rename it"
                )
            targets.add(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            job.run(source, target)
            log.info("[%d/%d] %s", index, len(sources), target)
        except Exception as error:  # whatever is wrong with one file, the others are done
            if job.options.debug:
                log.exception("%s", source)
            failed.append(source)
            log.error("[%d/%d] failed: %s", index, len(sources), said_by(error))
    done = len(sources) - len(failed)
    log.warning("%d of %d files enhanced to %s%s", done, len(sources), output,
                f"; {len(failed)} failed" if failed else "")  # fmt: skip
    return EXIT_FAILURE if failed else 0
