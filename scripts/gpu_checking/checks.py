"""What is checked: all that the tests compare, and what only a card can get wrong.

A check is looked up by its name in the list, which each process makes for itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from tests.support import agreement
from tests.support.agreement import DEVICE, Check, dark_frame
from tests.support.noise import blank, gap
from tests.support.published import lifting_checkpoint, random_checkpoint
from tests.support.worker_pool import Job, NotRunError
from zerodce_rt.backends.cuda import chained_kernels
from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
from zerodce_rt.backends.cuda.runner import CUDARunner
from zerodce_rt.backends.cuda.step import CUDAStep
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.backends.interfaces import DeviceEstimate, DeviceNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.errors import DeviceError
from zerodce_rt.frame import Frame

LIMIT_SECONDS, OWN_LIMIT_SECONDS = 60.0, 150.0
SETTINGS = ControlSettings(max_level=0.5)
# Modules of tests.support, each with a function of its checks.
_MORE = ("agreement_light", "light_checks"), ("agreement_denoise", "denoise_checks")
# Of rows that a frame's edge may change; seven layers see seven rows further.
_BORDER = 16
_GIB = 2**30


@lru_cache(maxsize=1)
def checks() -> list[Check]:
    """All of them. The largest frames come first and last, for they take the card's memory."""
    first, *others, last = own_checks()
    compared = [*agreement.all_checks(), *more_checks(), *video_checks()]
    return [first, *others, *compared, last]


def check_jobs() -> list[Job]:
    # They leave a process in which no other could be trusted, or had enough memory.
    own = {check.name for check in own_checks()}
    return [
        Job(
            c.name, partial(run_check, c.name),
            OWN_LIMIT_SECONDS if c.name in own else LIMIT_SECONDS, spends=c.name in own,
        )
        for c in checks()
    ]  # fmt: skip


def run_check(name: str) -> None:
    """Run one; what it has launched ends before the next begins, so that failures are its own."""
    next(check for check in checks() if check.name == name).run()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def more_checks() -> Iterator[Check]:
    for name, function in _MORE:
        if find_spec(f"tests.support.{name}") is None:
            continue
        try:
            found = list(getattr(import_module(f"tests.support.{name}"), function)())
        except Exception as error:  # which is no reason to check nothing
            yield Check(f"making the checks of {name}", partial(_fail_with, error))
        else:
            yield from found


def _fail_with(error: Exception) -> None:
    raise error


def missing_for_video() -> list[str]:
    return [name for name in ("av", "safetensors") if find_spec(name) is None]


def video_checks() -> Iterator[Check]:
    """Checks of NVDEC and whole files, if the packages for video are installed."""
    if missing_for_video():
        return
    from tests.support import hardware

    for pix_fmt, codec in (("yuv420p", "libx264"), ("yuv420p10le", "libx265")):
        run = partial(hardware.decoded_frames_agree, pix_fmt, codec)
        yield Check(f"NVDEC {codec} {pix_fmt}", run)

    def whole_files() -> None:
        with tempfile.TemporaryDirectory() as folder:
            hardware.whole_files_agree(Path(folder))

    yield Check("whole files with and without --hwaccel", whole_files)


def own_checks() -> Iterator[Check]:
    """Those for which the tests, without a card, have nothing to compare.

    Offsets above 2^31 occur in activations from 67 megapixels on, in 24 maps from 89 on.
    """
    yield _large("plus", 8448, 8192, gib=36)
    for model in ("plus", "dcenet"):
        run = partial(second_thread, model, 320, 180)
        yield Check(f"cuDNN {model} in a second thread", run)
    yield Check("kernels that start while others end", partial(chained_and_not, 1920, 1080, 60))
    yield Check("after a failed recording of another library", partial(after_others, 320, 180))
    yield Check("after a failed recording of our own", partial(after_own, 320, 180))
    yield _large("dcenet", 9728, 9728, gib=93)


def _large(model: str, width: int, height: int, *, gib: float) -> Check:
    run = partial(last_rows, model, width, height, gib)
    return Check(f"{model} at full size, {width * height / 1e6:.0f} megapixels", run)


def enhanced(step: CUDAStep, frame: Frame, settings: ControlSettings = SETTINGS) -> Frame:
    target = blank(frame)
    step.begin(frame, target, settings, None)()
    return target


def small_step(network: DeviceNetwork, frame: Frame) -> CUDAStep:
    return CUDAStep(network, frame, frame, WorkingSize(64), SETTINGS.max_level)


def last_rows(model: str, width: int, height: int, gib: float) -> None:
    """The last rows of a huge frame against the same rows as a frame of their own.

    Args:
        gib: memory that it needs on the card, in GiB.
    """
    if DEVICE.type == "cuda" and (free := torch.cuda.mem_get_info()[0]) < gib * _GIB:
        raise NotRunError(f"needs {gib:g} GiB of the card's memory, {free / _GIB:.0f} are free")
    # Without a limit, which is one number for all of the frame, rows do not depend on others.
    settings = ControlSettings(max_level=1.0)
    network = TritonNetwork(random_checkpoint(model), DEVICE)
    tall = min(height, 8 * _BORDER)
    pattern = dark_frame("nv12", width, tall)
    repeats = -(-height // tall)
    planes: Any = tuple(np.tile(p, (repeats, 1)) for p in pattern.planes)
    planes = planes[0][-height:], planes[1][-(height // 2) :]
    huge = Frame(pattern.format, planes, width, height, pattern.colour)
    results = []
    for frame in (huge, pattern):
        try:
            step = CUDAStep(
                network, frame, frame, WorkingSize(), settings.max_level, smoothing=False
            )
        except torch.cuda.OutOfMemoryError as error:  # others take memory, too
            raise NotRunError(str(error).splitlines()[0]) from None
        results.append(enhanced(step, frame, settings))
        del step
    for shift in (0, 1):
        got, expected = (
            r.planes[shift][-((tall - _BORDER) >> shift) :].astype(int) for r in results
        )
        worst = int(np.abs(got - expected).max())
        assert worst <= 1, f"plane {shift} differs by {worst}"


def second_thread(model: str, width: int, height: int) -> None:
    """A step that one thread makes and another uses: cuDNN's plans are each thread's own."""
    frame = dark_frame("nv12", width, height)
    step = small_step(CuDNNNetwork(random_checkpoint(model), DEVICE), frame)
    expected = enhanced(step, frame)
    targets, failures = [blank(frame) for _ in range(8)], []

    def use() -> None:
        try:
            with torch.cuda.device(DEVICE) if DEVICE.type == "cuda" else nullcontext():
                for finish in [step.begin(frame, t, SETTINGS, None) for t in targets]:
                    finish()
        except Exception as error:
            failures.append(error)

    thread = Thread(target=use)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    worst = max(gap(expected, target) for target in targets)
    assert worst <= 1, f"differs by {worst:g}"


def unchained() -> AbstractContextManager[object]:
    """In which kernels are launched when those before them have ended."""
    return mock.patch.object(chained_kernels, "CAPABILITIES", ())


def chained_and_not(width: int, height: int, frames: int) -> None:
    """A moving picture with kernels that start while others end, against one after the other.

    A kernel that reads too early finds old values, but not always: so all of many frames count.
    """
    checkpoint = lifting_checkpoint()
    wide = dark_frame("nv12", 2 * width, height)
    settings = ControlSettings(max_level=0.5, denoise=1)
    results = []
    for launches in (nullcontext(), unchained()):
        with launches:
            network = LightTritonNetwork(checkpoint, DEVICE)
            like = dark_frame("nv12", width, height)
            step = CUDAStep(network, like, like, WorkingSize(64), 0.5, denoise=True)
        targets = []
        for n in range(frames):
            noise = dark_frame("nv12", width, height, seed=n)
            planes = tuple(
                (3 * p[:, 2 * n : 2 * n + q.shape[1]].astype(int) + q) // 4
                for p, q in zip(wide.planes, noise.planes, strict=True)
            )
            frame = replace(noise, planes=tuple(p.astype(np.uint8) for p in planes))
            targets.append(blank(frame))
            step.begin(frame, targets[-1], settings, n / 30)()
        results.append(targets)
    for n, (one, other) in enumerate(zip(*results, strict=True)):
        worst = gap(one, other)
        assert worst == 0, f"frame {n} differs by {worst:g}"


class Spoiled:
    """A network that does what no graph may hold. Is a ``DeviceNetwork``."""

    def __init__(self, network: DeviceNetwork, spoil: Callable[[], object]) -> None:
        self._network, self._spoil = network, spoil
        self.device, self.knots = network.device, network.knots
        self.map_count = network.map_count

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        estimate = self._network.prepare(height, width)

        def run(image: Tensor, out: Tensor) -> None:
            estimate(image, out)
            self._spoil()

        return run


def after_others(width: int, height: int) -> None:
    """Another library's recording fails in this process; ours must be none the worse."""
    frame = dark_frame("nv12", width, height)
    network = TritonNetwork(random_checkpoint("plus"), DEVICE)
    before = small_step(network, frame)
    expected = enhanced(before, frame)
    if DEVICE.type == "cuda":
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        failed = False
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                torch.ones(4, device=DEVICE).sum().item()
        except RuntimeError:
            failed = True
        torch.cuda.set_stream(stream)
        assert failed, "the recording did not fail"
    for what, step in (("made before", before), ("made after", small_step(network, frame))):
        worst = gap(expected, enhanced(step, frame))
        assert worst == 0, f"a step {what} differs by {worst:g}"


def after_own(width: int, height: int, spoil: Callable[[], object] | None = None) -> None:
    """A network that cannot be recorded: one line says why, and what is there goes on.

    Args:
        spoil: what it does; by default what fails in a recording, and only there.
    """
    frame = dark_frame("nv12", width, height)
    network = TritonNetwork(random_checkpoint("plus"), DEVICE)
    before = small_step(network, frame)
    expected = enhanced(before, frame)
    stream = torch.cuda.current_stream() if DEVICE.type == "cuda" else None
    spoiled = Spoiled(network, spoil or torch.cuda.synchronize)
    try:
        runner = CUDARunner("cuda", spoiled, WorkingSize(64))
        runner.begin(frame, blank(frame), SETTINGS, None)()
    except DeviceError as error:
        told = str(error)
    else:
        raise AssertionError("no error was told")
    assert "\n" not in told, told
    assert "previous error" not in told, f"the cause is not told: {told}"
    if stream is not None:
        assert torch.cuda.current_stream() == stream, "another stream stayed current"
    worst = gap(expected, enhanced(before, frame))
    assert worst == 0, f"a step made before differs by {worst:g}"
    try:
        runner = CUDARunner("cuda", network, WorkingSize(64))
        target = blank(frame)
        runner.begin(frame, target, SETTINGS, None)()
    except DeviceError:  # told, and so the CPU takes over
        return
    worst = gap(expected, target)
    assert worst == 0, f"a step made after differs by {worst:g}"
