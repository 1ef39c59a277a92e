"""``zerodce-rt enhance``: videos, pictures, and folders of either."""

from __future__ import annotations

import argparse
import glob
import logging
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerodce_rt.cli.enhancers import make_enhancer
from zerodce_rt.cli.finished import Records, Settings
from zerodce_rt.cli.jobs import Job, Plan, is_folder, make_plan
from zerodce_rt.cli.options import add_model_options, fraction, frame_size, number, seconds
from zerodce_rt.cli.report_csv import write_reports
from zerodce_rt.cli.reports import JsonReport, TextReport, print_path
from zerodce_rt.cli.running import Pieces, Run, Share
from zerodce_rt.errors import EXIT_FAILURE, UsageError
from zerodce_rt.media import paths
from zerodce_rt.names import AUDIO_CHOICES, CODECS, COMPARE_MODES, RAY_HERE
from zerodce_rt.storage.errors import silence_packages
from zerodce_rt.storage.remote import Remote, expanded, place

if TYPE_CHECKING:
    from zerodce_rt.executors import Executor
    from zerodce_rt.media.pipes import RawVideo
    from zerodce_rt.storage.ends import LocalEnds
    from zerodce_rt.units import FileUnit, Unit

log = logging.getLogger(__name__)

# Options that do not change what becomes of a file.
_WITHOUT_EFFECT = frozenset(
    "inputs output overwrite json quiet debug run max_pixels of_videos from_file preview jobs "
    "segment ray gpus_per_job".split()
)

_MOST_JOBS = 256

SUMMARY = "enhance videos, pictures, and folders of either"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs", type=_path, nargs="+", metavar="INPUT",
        help="video, picture, or folder, also in a storage (s3://bucket/*.mp4); '-' is standard "
        "input, frame_%%04d.png numbered pictures",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=_path, metavar="PATH",
        help="output file; or a folder, which is made; also in a storage (s3://bucket/bright/); "
        "'-' is standard output (default: INPUT with _enhanced added to its name)",
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
        "--jobs", type=_count, metavar="N",
        help="how many processes work at once, on several files and on the segments of long videos "
        "(default: 1, which uses all cores by itself; with --ray, as many as there is room for)",
    )  # fmt: skip
    parser.add_argument(
        "--segment", type=_share, metavar="I/N",
        help="do only the I-th of N parts of the work, such as in an array job; when all are done, "
        "'join' makes the files",
    )  # fmt: skip
    parser.add_argument(
        "--ray", type=_address, nargs="?", const=RAY_HERE, metavar="ADDRESS",
        help="let the machines of a Ray cluster do it, which share folders or a storage: HOST:PORT "
        "of its head, or 'auto' on one of its machines (default: a Ray on this machine)",
    )  # fmt: skip
    parser.add_argument(
        "--gpus-per-job", type=fraction, metavar="0..1",
        help="how much of a GPU each job of --ray takes (default: 1 if the cluster has GPUs)",
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


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_JOBS:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_JOBS}, not {text!r}")
    return int(text)


def _address(text: str) -> str:
    port = text.rpartition(":")[2]
    if text not in (RAY_HERE, "auto") and not (
        ":" in text and port.isdecimal() and "/" not in text
    ):
        raise argparse.ArgumentTypeError(
            f"must be HOST:PORT or 'auto', not {text!r}; if that is an input, write it before --ray"
        )
    return text


def _share(text: str) -> Share:
    if text == "join":
        return Share(None)
    index, slash, count = text.partition("/")
    numbers = index.isdecimal() and count.isdecimal() and slash
    if not numbers or not 1 <= int(index) <= int(count):
        raise argparse.ArgumentTypeError(f"must be such as 1/8, or 'join', not {text!r}")
    return Share(int(index), int(count))


def run(options: argparse.Namespace) -> int:
    records = Records()
    if not options.debug:
        silence_packages()
    plan = make_plan(_expanded(options.inputs), options.output, records)
    if plan.alone and plan.jobs[0].output == paths.PIPE:
        _check_standard_output(options)
    work = _Work(options, plan)
    if options.preview is not None:
        return _preview(work, plan)
    make = JsonReport if options.json else TextReport
    together = options.ray is not None or work.jobs > 1
    report = make(plan, backend=work.enhancer.backend, together=together, quiet=options.quiet)
    run = Run(
        plan, work, records, report, overwrite=options.overwrite, share=options.segment,
        debug=options.debug,
    )  # fmt: skip
    with report:
        run.run(work.executor())
    share: Share | None = options.segment
    part = share if share is not None and share.index is not None else None
    if not plan.alone and part is None:
        write_reports(run.rows, plan.folder)
    if part is None or options.json or run.counts.failed:
        report.summary(run.counts)
    else:
        log.info("part %d of %d is done; `segment=join` makes the files when all are",
                 part.index, part.count)  # fmt: skip
    if plan.alone and run.failure is not None:
        raise run.failure
    return EXIT_FAILURE if run.counts.failed else 0


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
    """Inputs with ``*.mp4`` as the files that it means, which all shells leave so in URLs.

    Those of Windows leave it so in paths as well.
    """
    inputs = [name for text in inputs for name in expanded(text)]
    if os.name != "nt":
        return inputs
    return [name for text in inputs for name in sorted(glob.glob(text)) or [text]]


def _preview(work: _Work, plan: Plan) -> int:
    """Write a contact sheet of one file, and print where."""
    from zerodce_rt.preview import write_preview

    options, source = work.options, plan.jobs[0].source
    if not plan.alone or source == paths.PIPE or paths.is_sequence(source):
        raise UsageError("`preview` is of one file; give a video or a picture")
    if isinstance(source, Remote) or (options.output and isinstance(place(options.output), Remote)):
        raise UsageError("`preview` is of a file of this machine, and writes to one")
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


class _Work:
    """The options of one ``enhance`` command, checked before any file is touched."""

    def __init__(self, options: argparse.Namespace, plan: Plan) -> None:
        from zerodce_rt.media.encoders import EncoderSettings
        from zerodce_rt.media.picture_writer import check_quality
        from zerodce_rt.media.reader import Span

        self.options, self.alone = options, plan.alone
        self.jobs = options.jobs or 1
        self.elsewhere = options.ray is not None or options.segment is not None
        self._check_ray(plan)
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
                codec=options.codec,
                crf=options.crf,
                preset=options.preset,
                audio=options.audio,
                gpu=options.hwaccel,
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

    def _check_ray(self, plan: Plan) -> None:
        if self.options.ray is None:
            if self.options.gpus_per_job is not None:
                raise UsageError("`gpus_per_job` is for the workers of `ray`")
        elif any(paths.PIPE in (job.source, job.output) for job in plan.jobs):
            raise UsageError("`ray`: other machines can neither read nor write this one's pipes")

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

    def executor(self) -> Executor:
        """Who does the work."""
        from zerodce_rt.executors.here import Here
        from zerodce_rt.executors.processes import Processes

        options = self.options
        if options.ray is not None:
            from zerodce_rt.executors.cluster import Cluster

            return Cluster(self.enhancer, options.ray, jobs=options.jobs, gpus=self._gpus())
        return Here(self.enhancer) if self.jobs == 1 else Processes(self.enhancer, self.jobs)

    def _gpus(self) -> float | None:
        """Of each worker in a cluster; None if that decides."""
        from zerodce_rt.backends import BACKENDS

        backend, given = self.options.backend, self.options.gpus_per_job
        on_cpu = backend in BACKENDS and not BACKENDS[backend].on_gpu
        return 0.0 if given is None and on_cpu else given

    def pieces(self, job: Job, ends: LocalEnds, *, overwrite: bool, shared: bool) -> Pieces:
        from zerodce_rt.units import JoinUnit, PictureUnit, SegmentUnit, VideoUnit
        from zerodce_rt.video.plan import make_plan
        from zerodce_rt.video.task import VideoTask
        from zerodce_rt.video.workspace import open_workspace

        options = self.options
        names = "compare", "max_pixels"
        common: dict[str, Any] = {n: getattr(options, n) for n in names}
        if job.is_picture:
            common |= {"overwrite": overwrite, "quality": options.quality}
            picture = PictureUnit(ends.source, ends.output, common)
            return Pieces({0: self._carried(job, picture)})
        common |= {n: getattr(options, n) for n in ("sdr", "deinterlace", "hwaccel", "fps")}
        task = VideoTask(
            source=ends.source, output=ends.output, encoder=self.encoder, span=self.span,
            raw=self.raw, **common,
        )  # fmt: skip
        task.check(overwrite=overwrite)
        plan = make_plan(task, self.enhancer.settings) if task.is_to_file else None
        if plan is None:
            return Pieces({0: self._carried(job, VideoUnit(task, overwrite))})
        assert job.output is not None
        output = job.output if self.elsewhere else task.output
        space = open_workspace(task, plan, self.enhancer, output, shared=shared)
        missing = space.missing
        units = {
            number: self._carried(job, SegmentUnit(task, plan, segment, space.path(segment)))
            for number, segment in enumerate(plan.segments) if segment in missing
        }  # fmt: skip
        join = self._carried(job, JoinUnit(task, plan, tuple(space.paths)))
        return Pieces(units, plan.frames, space.frames_done, join, space)

    def _carried(self, job: Job, unit: FileUnit) -> Unit:
        """A unit that any machine can do, also if its files are in a storage."""
        from zerodce_rt.units import StorageUnit

        assert job.output is not None
        away = isinstance(job.source, Remote) or isinstance(job.output, Remote)
        return StorageUnit(unit, job.source, job.output) if self.elsewhere and away else unit

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
