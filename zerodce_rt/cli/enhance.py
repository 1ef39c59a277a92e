"""``zerodce-rt enhance``: videos, pictures, and folders of either."""

from __future__ import annotations

import argparse
import glob
import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerodce_rt.cli.enhancers import make_enhancer
from zerodce_rt.cli.finished import Records, Settings, State
from zerodce_rt.cli.jobs import Job, Plan, is_folder, make_plan
from zerodce_rt.cli.options import add_model_options, frame_size, number, seconds
from zerodce_rt.cli.reports import Counts, JsonReport, TextReport, print_path
from zerodce_rt.errors import EXIT_FAILURE, UsageError
from zerodce_rt.media import paths
from zerodce_rt.names import AUDIO_CHOICES, CODECS, COMPARE_MODES

if TYPE_CHECKING:
    from zerodce_rt.media.pipes import RawVideo

log = logging.getLogger(__name__)

# Options that do not change what becomes of a file.
_WITHOUT_EFFECT = frozenset(
    "inputs output overwrite json quiet debug run max_pixels of_videos from_file preview".split()
)

SUMMARY = "enhance videos, pictures, and folders of either"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs", type=_path, nargs="+", metavar="INPUT",
        help="video, picture, or folder; '-' is standard input, frame_%%04d.png numbered pictures",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=_path, metavar="PATH",
        help="output file; or a folder, which is made; '-' is standard output (default: INPUT with "
        "_enhanced added to its name)",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action="store_true",
        help="replace existing outputs, and do again what is finished",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true",
        help="print progress and results for programs: a JSON object in each line",
    )  # fmt: skip
    parser.add_argument(
        "--compare", choices=COMPARE_MODES,
        help="show before and after in one picture: two halves, or side by side",
    )  # fmt: skip
    parser.add_argument(
        "--max-pixels", type=number, metavar="N",
        help="refuse larger pictures (default: 300e6) and video frames (default: 70e6), which "
        "would take all memory",
    )  # fmt: skip
    parser.add_argument(
        "--quality", type=int, metavar="N",
        help="of JPEG, WebP and AVIF: 1 (smallest file) to 100 (default: 95, of AVIF 90)",
    )  # fmt: skip
    parser.add_argument(
        "--preview", nargs="?", type=seconds, const=True, metavar="SECONDS",
        help="write a picture of four places, or one, at several settings, to choose by, and no "
        "video",
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
        "--deinterlace", action="store_true",
        help="make whole frames of interlaced video (default: it stays interlaced)",
    )  # fmt: skip
    video.add_argument(
        "--audio", choices=AUDIO_CHOICES,
        help="copy the sound, encode it again, or leave it out (default: copy, and encode what the "
        "output's kind of file cannot hold)",
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
    video.add_argument("--size", type=frame_size, metavar="WxH",
                       help="standard input holds bare frames of this size")  # fmt: skip
    video.add_argument("--pix-fmt", default="yuv420p", metavar="NAME",
                       help="pixel format of bare frames (default: yuv420p)")  # fmt: skip
    video.add_argument("--fps", type=number, metavar="N",
                       help="rate of bare frames and numbered pictures (default: 25)")  # fmt: skip
    parser.set_defaults(of_videos={a.dest: a.default for a in video._group_actions})


def _path(text: str) -> str:
    """Text, since a path would lose the separator at its end, which says that it is a folder."""
    if not text:  # Path("") is the current folder
        raise argparse.ArgumentTypeError("a path is empty")
    return text


def run(options: argparse.Namespace) -> int:
    records = Records()
    plan = make_plan(_expanded(options.inputs), options.output, records)
    if plan.alone and plan.jobs[0].output == paths.PIPE:
        _check_standard_output(options)
    work = _Work(options, plan)
    if options.preview is not None:
        return _preview(work, plan)
    report = JsonReport(plan) if options.json else TextReport(plan, quiet=options.quiet)
    counts = Counts()
    for job in plan.jobs:
        try:
            _do(job, work, records, report, counts)
        except Exception as error:  # whatever is wrong with one file, the others are done
            counts.failed += 1
            report.failed(job, error)
            if plan.alone:
                report.summary(counts)
                raise
            if options.debug:
                log.exception("%s", job.source)
    report.summary(counts)
    return EXIT_FAILURE if counts.failed else 0


def _check_standard_output(options: argparse.Namespace) -> None:
    """Refuse to mix a video with anything else."""
    if options.json:
        raise UsageError("`json` and the video cannot both go to standard output")
    if sys.stdout.isatty():
        raise UsageError(
            "standard output is a terminal, which shows no video; choose an `output`, or let "
            "another program read it"
        )


def _expanded(inputs: Sequence[str]) -> list[str]:
    """Inputs with ``*.mp4`` as the files that it means; only the shells of Windows leave it so."""
    if os.name != "nt":
        return list(inputs)
    return [name for text in inputs for name in sorted(glob.glob(text)) or [text]]


def _preview(work: _Work, plan: Plan) -> int:
    """Write a contact sheet of one file, and print where."""
    from zerodce_rt.preview import write_preview

    options, source = work.options, plan.jobs[0].source
    if not plan.alone or source == paths.PIPE or paths.is_sequence(source):
        raise UsageError("`preview` is of one file; give a video or a picture")
    if options.json:
        raise UsageError("`json` is for results, and `preview` makes none")
    at, output = None if options.preview is True else options.preview, options.output
    if output is not None and is_folder(output):
        Path(output).mkdir(parents=True, exist_ok=True)
        output = Path(output, f"{source.stem}_preview.png")
    path = write_preview(
        source, output, overwrite=options.overwrite, enhancer=work.enhancer, at=at,
        span=work.span, sdr=options.sdr, max_pixels=options.max_pixels,
    )  # fmt: skip
    if not options.quiet:
        print_path(str(path))
    return 0


def _do(
    job: Job, work: _Work, records: Records, report: TextReport | JsonReport, counts: Counts
) -> None:
    """Enhance one file, unless that has been done."""
    if job.output is None:
        assert job.problem is not None
        raise job.problem
    overwrite: bool = work.options.overwrite
    settings = work.settings_for(job)
    if job.in_folder and not overwrite:
        state = records.state(job.source, job.output, settings)
        if state is State.FINISHED or (state is State.THERE and not work.alone):
            counts.finished_before += state is State.FINISHED
            counts.left += state is State.THERE
            report.skipped(job, state)
            return
        overwrite = state is State.OUTDATED
    report.begin(job)
    begun = time.monotonic()
    if job.in_folder:
        job.output.parent.mkdir(parents=True, exist_ok=True)
    remembered = job.in_folder and job.source.is_file()  # not so numbered pictures
    finished = records.begin(job.source, job.output, settings) if remembered else None
    frames = work.run(job, job.output, report, overwrite=overwrite)
    if finished is not None:
        finished()
    counts.enhanced += 1
    report.done(job, frames, time.monotonic() - begun)


class _Work:
    """The options of one ``enhance`` command, checked before any file is touched."""

    def __init__(self, options: argparse.Namespace, plan: Plan) -> None:
        from zerodce_rt.media.encoders import EncoderSettings
        from zerodce_rt.media.picture_writer import check_quality
        from zerodce_rt.media.reader import Span

        self.options, self.alone = options, plan.alone
        given = [n for n, default in options.of_videos.items() if vars(options)[n] != default]
        still = plan.alone and plan.jobs[0].is_picture
        if still and given:
            raise UsageError(f"{plan.jobs[0].source}: is a picture; `{given[0]}` is for videos")
        asked = options.quality != options.from_file.get("quality")
        if plan.alone and asked and not still:
            raise UsageError(f"{plan.jobs[0].source}: is no picture; `quality` is for pictures")
        try:
            check_quality(options.quality)
            self.encoder = EncoderSettings(
                codec=options.codec, crf=options.crf, preset=options.preset, audio=options.audio
            )
            self.raw = self._raw(plan)
            self.span = Span(start=options.start, end=options.end)
            for job in plan.jobs:  # each kind of file has an encoder of its own
                if job.output is not None and not job.is_picture:
                    suffix = job.output.suffix.lower()
                    self.encoder.options(self.encoder.encoder_for(suffix, bits=8))
            self.enhancer = make_enhancer(
                options, pictures=all(job.is_picture for job in plan.jobs)
            )
        except ValueError as error:
            raise UsageError(str(error)) from error

    def settings_for(self, job: Job) -> Settings:
        """The options that change what becomes of a file, as text."""
        values = {n: v for n, v in vars(self.options).items() if n not in _WITHOUT_EFFECT}
        if job.is_picture:
            values = {n: v for n, v in values.items() if n not in self.options.of_videos}
        else:
            del values["quality"]
        if (weights := self.options.weights) is not None:
            stat = weights.stat()
            values["weights"] = f"{weights.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        return {n: str(v) for n, v in sorted(values.items()) if v is not None and v is not False}

    def run(
        self, job: Job, output: Path, report: TextReport | JsonReport, *, overwrite: bool
    ) -> int | None:
        """Enhance a file.

        Returns:
            The number of frames of a video.
        """
        from zerodce_rt import files

        source = job.source
        names = "compare", "max_pixels"
        common: dict[str, Any] = {"enhancer": self.enhancer, "overwrite": overwrite}
        common |= {n: getattr(self.options, n) for n in names}
        if job.is_picture:
            files.enhance_picture(source, output, quality=self.options.quality, **common)
            return None
        common |= {n: getattr(self.options, n) for n in ("sdr", "deinterlace", "hwaccel", "fps")}
        with report.progress(job, self.enhancer.backend) as progress:
            result = files.enhance_video(
                source, output, encoder=self.encoder, span=self.span, raw=self.raw,
                progress=progress, **common,
            )  # fmt: skip
        return result.frames

    def _raw(self, plan: Plan) -> RawVideo | None:
        """What comes by standard input, if those are bare frames."""
        from zerodce_rt.media.pipes import RawVideo

        size, fps = self.options.size, self.options.fps
        numbered = plan.alone and paths.is_sequence(plan.jobs[0].source)
        if size is None and self.options.pix_fmt != RawVideo.pix_fmt:
            raise UsageError("`pix_fmt` is for bare frames, which need `size` as well")
        if size is None and fps is not None and not numbered:
            raise UsageError("`fps` is for numbered pictures, and with `size` for bare frames")
        piped = plan.alone and plan.jobs[0].source == paths.PIPE
        if size is None:
            return None
        if not piped:
            raise UsageError("`size` is for bare frames on standard input, the input '-'")
        return RawVideo(
            size=size, pix_fmt=self.options.pix_fmt, fps=RawVideo.fps if fps is None else fps
        )
