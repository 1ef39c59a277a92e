"""What each command of the command line does, given its options.

Every function takes the parsed options and returns an exit code; see ``cli.py``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerodce_rt.errors import EXIT_FAILURE, UsageError, ZeroDCEError

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.engines import CachedEngine, EngineCache
    from zerodce_rt.bench import BenchSettings
    from zerodce_rt.enhancer import Enhancer

log = logging.getLogger(__name__)


def live(options: argparse.Namespace) -> int:
    # Before PyAV: both bring a libxcb, and OpenCV's windows wait forever inside PyAV's.
    import cv2  # noqa: F401

    from zerodce_rt.files import check_output
    from zerodce_rt.live.camera import CameraSettings, list_cameras
    from zerodce_rt.live.feeds import frame_rate_hold, open_feed
    from zerodce_rt.live.recorder import SUFFIXES as RECORDING_SUFFIXES
    from zerodce_rt.live.session import LiveSettings, run_live

    if options.list_cameras:
        print("\n".join(list_cameras()) or "no cameras found")
        return 0
    try:
        camera = CameraSettings(width=options.size[0], height=options.size[1], rate=options.fps)
        settings = LiveSettings(
            window=not options.no_window, view=options.view, mirror=options.mirror,
            overlay=not options.no_overlay, full_screen=options.full_screen,
            folder=options.output, record=options.record,
            virtual_camera=options.virtual_camera, rate=options.fps, seconds=options.seconds,
            progress=not options.quiet,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not options.output.is_dir():
        raise ZeroDCEError(f"{options.output}: no such folder")
    if options.record is not None:
        file = Path(options.source)
        source = file if file.is_file() else None
        check_output(source, options.record, RECORDING_SUFFIXES, overwrite=options.overwrite)
    hold = frame_rate_hold(options.source) if options.keep_fps else None
    feed = open_feed(options.source, camera=camera, hold=hold)
    try:
        enhancer = make_enhancer(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        run_live(feed, enhancer, settings)
    finally:
        if hold is not None:
            hold.restore()
    return 0


def enhance(options: argparse.Namespace) -> int:
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
        from zerodce_rt.media.reader import Span
        from zerodce_rt.media.writer import EncoderSettings

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

        common = {"enhancer": self.enhancer, "compare": self.options.compare,
                  "overwrite": self.options.overwrite}  # fmt: skip
        if files.is_picture(source):
            files.enhance_picture(source, output, **common)
            return
        title = f"{source.name} [{self.enhancer.runner.name}]"
        with ProgressBar(title, show=not self.options.quiet) as progress:
            files.enhance_video(
                source, output, encoder=self.encoder, span=self.span,
                hwaccel=self.options.hwaccel, progress=progress, **common,
            )  # fmt: skip


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


def make_enhancer(options: argparse.Namespace) -> Enhancer:
    from zerodce_rt.files import video_enhancer

    return video_enhancer(
        model=options.model,
        weights=options.weights,
        backend=options.backend,
        working_size=options.working_size,
        strength=options.strength,
        max_level=options.max_level,
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


def demo(options: argparse.Namespace) -> int:
    from zerodce_rt.demo import run_demo

    if not 0 < options.seconds <= 600:
        raise UsageError(f"--seconds must be between 0 and 600, not {options.seconds:g}")
    run_demo(options.output, seconds=options.seconds, progress=not options.quiet)
    return 0


def bench(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from zerodce_rt import bench as benchmark
    from zerodce_rt.bench import report
    from zerodce_rt.bench.hardware import peak_memory_mb

    names = ("sizes", "formats", "models", "backends", "working_size", "seconds")
    given = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
    try:
        settings = replace(benchmark.QUICK if options.quick else benchmark.BenchSettings(), **given)
        if options.file is not None and len({*settings.models}) > 1:
            raise ValueError("--file takes one model")
    except ValueError as error:
        raise UsageError(str(error)) from error
    for path in (options.json, options.plot):
        if path is not None and not path.parent.is_dir():
            raise ZeroDCEError(f"{path.parent}: no such folder")
    if options.plot is not None:
        if options.plot.suffix != ".png":
            raise UsageError(f"{options.plot}: the chart's name must end in .png")
        report.check_plotting()
    measure = _bench_file if options.file is not None else _bench_frames
    results = measure(options, settings)
    if (peak := peak_memory_mb()) is not None:
        print(f"peak memory of this process: {peak:.0f} MB")
    if options.json is not None:
        benchmark.write_json(options.json, results)
    return 0


def _bench_frames(options: argparse.Namespace, settings: BenchSettings) -> dict[str, Any]:
    from dataclasses import asdict

    from zerodce_rt.bench import report, run_frames

    processor = _show_machine()
    print(report.HEADER, flush=True)
    results = []
    for result in run_frames(settings):
        print(report.row(result), flush=True)
        results.append(result)
    print(report.LEGEND)
    if options.plot is not None:
        report.plot_frames(results, options.plot, processor)
    return {"frames": [
        asdict(r) | {"fps": round(r.fps, 1), "times_published": round(r.times_published, 2)}
        for r in results
    ]}  # fmt: skip


def _bench_file(options: argparse.Namespace, settings: BenchSettings) -> dict[str, Any]:
    from dataclasses import asdict

    from zerodce_rt.bench import report
    from zerodce_rt.bench.clip import measure_clip
    from zerodce_rt.media.reader import VideoReader

    with VideoReader(options.file):
        pass  # a bad file is told before anything else
    processor = _show_machine()
    result = measure_clip(
        options.file, model=settings.models[0], backend=settings.backends[0],
        working_size=settings.working_size, progress=not options.quiet,
    )  # fmt: skip
    print(report.clip_table(result))
    if options.plot is not None:
        report.plot_clip(result, options.plot, processor)
    return {"file": asdict(result) | {"share_of_transcode": round(result.share_of_transcode, 4)}}


def _show_machine() -> str:
    """Say what is measured on; the processor's name."""
    from zerodce_rt.bench.hardware import hardware, versions

    machine = hardware()
    for key, value in machine.items():
        log.info("%s: %s", key, value)
    log.info("%s", ", ".join(f"{name} {version}" for name, version in versions().items()))
    return machine["processor"]


def train(options: argparse.Namespace) -> int:
    from dataclasses import replace

    import torch

    from zerodce_rt.training.trainer import (
        TrainingSettings,
        check_options,
        published_settings,
        train,
    )

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
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ZeroDCEError(f"device {device} is not available; see 'zerodce-rt doctor'")
    train(
        options.photos, output, settings, device=device, resume=options.resume,
        hold_out=options.hold_out, sheet_every=options.sheet_every, progress=not options.quiet,
    )  # fmt: skip
    log.info("%s", output)
    return 0


def engines(options: argparse.Namespace) -> int:
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
    def told(field: str) -> str:
        return str(engine.key.get(field, "?"))

    size = f"{told('width')}x{told('height')}"
    return (
        f"{told('backend'):<14}{told('model'):<8}{size:<12}{told('target'):<7}"
        f"{engine.bytes / 1e6:>7.1f} MB  {engine.built}  {told('gpu') or 'any card'}"
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
    from zerodce_rt.enhancer import load_network

    if cache.folder is None:
        raise ZeroDCEError("there is no folder where engines could be kept")
    try:
        working_size = WorkingSize.parse(options.working_size)
        checkpoint = load_network(options.model, options.weights)
        if options.target is not None and options.backend != NAME:
            raise ValueError(f"--target is for --backend {NAME}; others build for this card only")
    except ValueError as error:
        raise UsageError(str(error)) from error
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
        backend = choose_backend(options.backend)  # before what follows: it needs Triton
        from zerodce_rt.backends.cuda.runner import failures_told

        before = len(list(cache))
        with failures_told():
            backend.create(checkpoint).prepare(height, width)
        new = len(list(cache)) > before
    print(f"{options.backend}, {checkpoint.model}, {width}x{height}: "
          f"{'built' if new else 'is there already'}")  # fmt: skip


def doctor(options: argparse.Namespace) -> int:
    from zerodce_rt.cli.doctor import report

    print(report(), flush=True)
    return 0
