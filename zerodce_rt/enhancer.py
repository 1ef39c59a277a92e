"""The public class: an image in, the same image enhanced out."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from zerodce_rt.backends import Backend, choose_backend, gpu_backends
from zerodce_rt.backends.cpu import create_applier
from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.backends.interfaces import Runner
from zerodce_rt.curve import pq
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.errors import DeviceError, check_numbers
from zerodce_rt.frame import Frame
from zerodce_rt.inputs import enhance_image
from zerodce_rt.names import (
    DEFAULT_DENOISE,
    DEFAULT_MAX_LEVEL,
    DEFAULT_MODEL,
    DEFAULT_WORKING_SIZE,
    PAPER_MODELS,
    PUBLISHED_MODEL,
)
from zerodce_rt.network.checkpoint import load_network

log = logging.getLogger(__name__)

ImageT = TypeVar("ImageT")

# Time constant of the curve maps' smoothing in video, in seconds.
_VIDEO_SMOOTHING_SECONDS = 0.5
# Light changes slowly, and smoothing bridges the steps: a third of the estimates at 30 frames/s.
_VIDEO_ESTIMATE_SECONDS = 0.1


class Enhancer:
    """Brightens images: thumbnail -> network -> control -> fused curve at full size.

    Holds a network and threads (or GPU memory); make one and use it for many images, from one
    thread at a time. ``with Enhancer() as enhancer:`` releases them at the end. Other processes
    need their own: a pickled one is made anew there, a forked one raises RuntimeError.

    >>> import numpy as np
    >>> enhancer = Enhancer(strength=0.8)
    >>> enhancer(np.full((90, 160, 3), 20, np.uint8)).shape
    (90, 160, 3)
    >>> enhancer.strength = 7
    Traceback (most recent call last):
    ValueError: `strength` must be between 0 and 1, not 7

    Args:
        model: ``"light"`` (tells light from dark), ``"plus"`` (3 shared maps) or ``"dcenet"`` (24
            maps); with ``weights`` the file decides. Default: ``"light"``, but ``"plus"`` for the
            working sizes of the published programs.
        weights: a weights file, ours or any published Zero-DCE layout; default: our own.
        backend: ``"auto"``, which falls back to the CPU if a GPU fails, or one of
            ``"tensorrt"``, ``"tensorrt-rtx"``, ``"cuda"``, ``"openvino"``, ``"torch"``.
        working_size: what the network sees: a long side of at least 16 pixels, ``"full"``, or a
            fraction such as ``"1/12"``.
        strength: 0 (unchanged) to 1 (full curve).
        smoothing_seconds: time constant over which the curve follows a video; 0 treats every
            image alone.
        estimate_seconds: how often the curve is estimated in a video, besides at cuts: for the
            first frame in every so many seconds, counted from 0. 0 estimates every frame.
            Smoothing may make it rarer (see ``ControlSettings``).
        max_level: mean level, above 0 and up to 1 of the gamma-encoded range, that no image is
            lifted above, so that a well-lit one stays as it is; 1 is off. Default: 0.5, but off
            for the working sizes of the published programs (``"full"`` and fractions).
        denoise: 0 (the noise is brightened too) to 1 (removed as far as it can be told from the
            picture), in videos over time; what is not brightened is not filtered. Default: 1,
            but 0 for the working sizes of the published programs.
        fps: frame rate of images that carry no time of their own; needed only with
            ``smoothing_seconds`` or ``estimate_seconds``, and only if calls give no ``seconds``.
        applier: ``"cpu"`` or ``"reference"`` (float64, slow); for backends on the CPU.
        threads: threads of the applier; default: the usable cores, eight at most.

    Raises:
        ZeroDCEError: weights that cannot be read, a backend that is not available; and from all
            methods a GPU that fails (``DeviceError``) if it was asked for by name.
        ValueError: a setting outside its range.
    """

    __slots__ = (
        "_backend_choice",
        "_checkpoint",
        "_closed",
        "_exact",
        "_fps",
        "_lock",
        "_make_applier",
        "_next_seconds",
        "_options",
        "_process",
        "_runner",
        "_settings",
        "_working_size",
    )

    def __init__(
        self,
        *,
        model: str | None = None,
        weights: Path | str | None = None,
        backend: str = "auto",
        working_size: int | str | WorkingSize = DEFAULT_WORKING_SIZE,
        strength: float = 1.0,
        smoothing_seconds: float = 0.0,
        estimate_seconds: float = 0.0,
        max_level: float | None = None,
        denoise: float | None = None,
        fps: float | Fraction | None = None,
        applier: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "model": model, "weights": weights, "backend": backend, "fps": fps,
            "working_size": working_size, "applier": applier, "threads": threads,
        }  # fmt: skip
        self._working_size = WorkingSize.parse(working_size)
        published = self._working_size.published
        if max_level is None:
            max_level = 1.0 if published else DEFAULT_MAX_LEVEL
        if denoise is None:
            denoise = 0.0 if published else DEFAULT_DENOISE
        self._settings = ControlSettings(
            strength=strength,
            smoothing_seconds=smoothing_seconds,
            estimate_seconds=estimate_seconds,
            max_level=max_level,
            denoise=denoise,
        )
        check_numbers(fps=fps, threads=threads)
        if fps is not None and not 0 < fps < math.inf:
            raise ValueError(f"`fps` must be above 0, not {fps}")
        self._fps = fps
        self._next_seconds = 0.0
        if model is None and weights is None:
            model = PUBLISHED_MODEL if published else DEFAULT_MODEL
        if model == "light" and published:
            raise ValueError(
                f"`working_size={str(working_size)!r}` is for the networks of the papers, "
                f"{' and '.join(PAPER_MODELS)}; give a long side in pixels for model 'light'"
            )
        self._checkpoint = load_network(model, weights)
        # What a faster precision does to our own weights is known and small.
        self._exact = weights is not None
        self._make_applier = partial(create_applier, applier, threads=threads)
        self._backend_choice = backend
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False
        self._runner = self._first_that_works()

    def __reduce__(self) -> tuple[Any, ...]:
        return self.recipe(), ()

    def recipe(self, **options: Any) -> Callable[[], Enhancer]:
        """What makes another one like this, here or in another process; it can be pickled.

        Args:
            options: of ``Enhancer``, that are to be different.
        """
        settings = asdict(self._settings)
        del settings["denoise_effort"]  # there may be more time elsewhere
        return partial(type(self), **(self._options | settings | options))

    @property
    def identity(self) -> str:
        """What decides how images come out, as text: another one may change the result."""
        weights = hashlib.sha256()
        for name, values in sorted(self._checkpoint.weights.items()):
            weights.update(name.encode() + values.tobytes())
        parts = self.model, weights.hexdigest(), self.backend, self._working_size, self._settings
        return " ".join(map(str, parts))

    @classmethod
    def for_video(cls, *, fps: float | Fraction | None = None, **options: Any) -> Enhancer:
        """An enhancer whose curve follows a video smoothly instead of flickering with its noise.

        The curve is estimated ten times a second and at every cut, and followed with a time
        constant of half a second.

        >>> import numpy as np
        >>> enhancer = Enhancer.for_video(fps=30)
        >>> clip = np.full((3, 90, 160, 3), 20, np.uint8)
        >>> bright = [enhancer(frame) for frame in clip]

        Args:
            fps: for frames without a time of their own, such as OpenCV's; calls may give
                ``seconds`` instead. PyAV's frames have their time.
            options: those of ``Enhancer``.
        """
        video: dict[str, Any] = {
            "smoothing_seconds": _VIDEO_SMOOTHING_SECONDS,
            "estimate_seconds": _VIDEO_ESTIMATE_SECONDS,
        }
        return cls(fps=fps, **(video | options))

    @property
    def model(self) -> str:
        """``"light"``, ``"plus"`` or ``"dcenet"``."""
        return self._checkpoint.model

    @property
    def backend(self) -> str:
        """Name of the backend that runs; another than before if ``"auto"`` had to fall back."""
        return self._runner.name

    @property
    def working_size(self) -> WorkingSize:
        """How large the copy of an image is that the network sees."""
        return self._working_size

    @property
    def strength(self) -> float:
        """0 (unchanged) to 1 (full curve); may be changed between images."""
        return self._settings.strength

    @strength.setter
    def strength(self, value: float) -> None:
        self._settings = replace(self._settings, strength=value)

    @property
    def max_level(self) -> float:
        """Mean level that no image is lifted above; may be changed between images.

        On a GPU, a change starts a new scene.
        """
        return self._settings.max_level

    @max_level.setter
    def max_level(self, value: float) -> None:
        self._settings = replace(self._settings, max_level=value)

    @property
    def denoise(self) -> float:
        """0 (off) to 1: how strictly noise is removed; may be changed between images."""
        return self._settings.denoise

    @denoise.setter
    def denoise(self, value: float) -> None:
        self._settings = replace(self._settings, denoise=value)

    @property
    def denoise_effort(self) -> int:
        """How much of the denoiser runs, if time is short; may be changed between images.

        3 (all of it); 2 without the search for motion; 1 also without the filter over space;
        0 nothing.
        """
        return self._settings.denoise_effort

    @denoise_effort.setter
    def denoise_effort(self, value: int) -> None:
        self._settings = replace(self._settings, denoise_effort=value)

    @property
    def smoothing_seconds(self) -> float:
        """Time constant over which the curve follows a video; may be changed between frames.

        On a GPU, turning it on or off starts a new scene.
        """
        return self._settings.smoothing_seconds

    @smoothing_seconds.setter
    def smoothing_seconds(self, value: float) -> None:
        self._settings = replace(self._settings, smoothing_seconds=value)

    @property
    def estimate_seconds(self) -> float:
        """How often the curve is estimated in a video; may be changed between frames."""
        return self._settings.estimate_seconds

    @estimate_seconds.setter
    def estimate_seconds(self, value: float) -> None:
        self._settings = replace(self._settings, estimate_seconds=value)

    @property
    def settings(self) -> ControlSettings:
        """The settings that may be changed between images, as one read-only value."""
        return self._settings

    @property
    def fps(self) -> float | Fraction | None:
        """Frame rate of images that carry no time of their own."""
        return self._fps

    @property
    def runner(self) -> Runner:
        """What does the work, on the CPU or on a GPU; for benchmarks."""
        return self._runner

    @property
    def device(self) -> Any:
        """The ``torch.device`` on which frames are enhanced and may lie; None on the CPU."""
        return self._runner.device

    def __repr__(self) -> str:
        shown = {
            "model": self.model,
            "backend": self.backend,
            "working_size": str(self.working_size),
            "strength": self.strength,
            "max_level": self.max_level,
            "denoise": self.denoise,
        }
        if self._follows:
            shown["smoothing_seconds"] = self.smoothing_seconds
            shown["estimate_seconds"] = self.estimate_seconds
            shown["fps"] = self.fps
        settings = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{'closed ' if self._closed else ''}{type(self).__name__}({settings})"

    def __enter__(self) -> Enhancer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release threads and GPU memory; the enhancer cannot be used afterwards."""
        if not self._closed:
            self._closed = True
            self._runner.close()

    def __call__(
        self,
        image: ImageT,
        *,
        order: str = "rgb",
        seconds: float | Sequence[float] | None = None,
        out: ImageT | None = None,
    ) -> ImageT:
        """Enhance an image, or a batch of them, in turn.

        >>> import numpy as np
        >>> batch = np.full((2, 90, 160, 3), 20, np.uint8)
        >>> Enhancer()(batch, order="bgr", out=batch) is batch
        True

        Args:
            image: one of

                - a NumPy array ``(H, W, 3)`` or ``(N, H, W, 3)`` of uint8, uint16, or float32 in
                  [0, 1], gamma-encoded (values outside by up to 0.5 are clipped);
                - a torch tensor ``(3, H, W)`` or ``(N, 3, H, W)`` of uint8, uint16, or float in
                  [0, 1], on any device; no gradient flows back;
                - a PIL image of mode RGB, RGBA, L or LA;
                - an ``av.VideoFrame`` of any pixel format that FFmpeg converts, with its tags and
                  its time; HDR (HLG, PQ) stays HDR;
                - whatever has ``__dlpack__``, in the shapes of a NumPy array.
            order: ``"rgb"`` or ``"bgr"`` (OpenCV's), for arrays and tensors.
            seconds: when the image is to be seen, in the time of its video, for enhancers that
                follow one; for a batch, as many times. Default: the frame's own time, or the
                next by ``fps``.
            out: an array or tensor of the image's kind, shape and dtype to write to; may be
                ``image`` itself.

        Returns:
            ``out``, or a new image of the same kind: shape, dtype, order and device, or mode, or
            pixel format, tags and pts.

        Raises:
            TypeError: for another kind of image, or ``out`` with one that is neither array nor
                tensor.
            ValueError: for a shape, dtype, range or mode that is not taken, or no time where one
                is needed.
            ZeroDCEError: for a Dolby Vision frame that is no picture without its metadata.
            RuntimeError: if the enhancer is closed, or was made before a fork.
        """
        return enhance_image(self, image, order=order, seconds=seconds, out=out)

    def enhance(self, source: Frame, target: Frame, *, seconds: float | None = None) -> None:
        """Enhance the planes of one frame into those of another, of the same format and size.

        Args:
            seconds: the frame's time in its video; None for one that stands alone, which neither
                follows other frames nor is followed.
        """
        self.begin(source, target, seconds=seconds)()

    def begin(
        self, source: Frame, target: Frame, *, seconds: float | None = None
    ) -> Callable[[], None]:
        """Begin to enhance planes, so that a GPU may have several frames in flight.

        Args:
            source: must not change until the frame is done, unless it is on the GPU.
            target: of the same format and size; on a GPU, also of another layout with the same
                samples (``nv12`` and ``yuv420p``).
            seconds: as for ``enhance``.

        Returns:
            What waits until ``target`` is filled; to be called once, from any thread. On the
            CPU there is nothing left to wait for.
        """
        if self._closed:
            raise RuntimeError("this enhancer is closed; make another one")
        if self._process != os.getpid():
            # A fork has its parent's memory, but not the threads that it would wait for.
            raise RuntimeError("this enhancer was made before a fork; make one in each process")
        runner, settings = self._runner, self._settings_for(source)
        try:
            finish = runner.begin(source, target, settings, seconds)
        except DeviceError as error:
            self._fall_back(runner, error, source, target)
            return self.begin(source, target, seconds=seconds)
        if runner.device is None or not _on_host(source, target):
            return finish  # and nothing that would keep their memory

        def finish_or_repeat() -> None:
            try:
                finish()
            except DeviceError as error:
                self._fall_back(runner, error, source, target)
                self._runner.begin(source, target, settings, seconds)()

        return finish_or_repeat

    def warm_up(self, source: Frame, *, seconds: float | None = None, denoise: bool = True) -> None:
        """See a frame from before those that are wanted, as if it had been enhanced.

        Args:
            source: planes; must not change until the next frame is done, unless on the GPU.
            seconds: as for ``enhance``.
            denoise: False spares the denoiser a frame that is too far back.
        """
        runner = self._runner
        try:
            runner.warm_up(source, self._settings_for(source), seconds, denoise=denoise)
        except DeviceError as error:
            self._fall_back(runner, error, source)
            self.warm_up(source, seconds=seconds, denoise=denoise)

    def _settings_for(self, frame: Frame) -> ControlSettings:
        """The settings, with levels in the codes of an HDR frame."""
        colour, settings = frame.colour, self._settings
        if colour.transfer == "gamma":
            return settings
        level = pq.level_of(settings.max_level, colour.transfer, colour.peak_nits)
        return replace(settings, max_level=level)

    def reset(self) -> None:
        """Forget the past of a video; the next frame starts a new scene, at time 0 by ``fps``."""
        self._next_seconds = 0.0
        self._runner.reset()

    def time_of(self, seconds: float | None) -> float | None:
        """The time that an image is taken to have.

        Args:
            seconds: its own, if it has one; default: the next by ``fps``.

        Returns:
            None if every image stands alone.

        Raises:
            ValueError: if there is none and it is needed, or it is not finite.
        """
        if seconds is None and self._fps is not None:
            seconds = self._next_seconds
        if seconds is None:
            if self._follows:
                raise ValueError(
                    "this enhancer follows a video over time, and this image has none: give "
                    "`seconds`, or make the enhancer with `fps`"
                )
            return None
        if not math.isfinite(seconds):
            raise ValueError(f"`seconds` must be a finite number, not {seconds}")
        if self._fps is not None:
            self._next_seconds = float(seconds + 1 / self._fps)
        return float(seconds)

    @property
    def _follows(self) -> bool:
        """Whether an image's time matters."""
        return self._settings.smoothing_seconds > 0 or self._settings.estimate_seconds > 0

    def _first_that_works(self, failed: Collection[str] = ()) -> Runner:
        """What runs on the chosen backend; if the choice is free, on the next if one fails.

        Args:
            failed: names of backends that have failed.
        """
        backend = choose_backend(self._backend_choice, skip=failed, small=self._working_size.small)
        try:
            return self._run_on(backend)
        except DeviceError as error:
            return self._instead(error, [*failed, backend.name])

    def _run_on(self, backend: Backend) -> Runner:
        if backend.on_gpu:
            from zerodce_rt.backends.cuda.check import checked_runner

            return checked_runner(backend, self._checkpoint, self._working_size)
        estimator = backend.create(self._checkpoint, exact=self._exact)
        return CPURunner(estimator, self._make_applier(), self._working_size)

    def _instead(self, error: DeviceError, failed: Collection[str]) -> Runner:
        """Another backend in the place of those that failed, if none was asked for by name."""
        if self._backend_choice != "auto":
            raise error
        runner = self._first_that_works(failed)
        log.warning("%s; falling back to backend %s", error, runner.name)
        return runner

    def _fall_back(self, failed: Runner, error: DeviceError, *frames: Frame) -> None:
        """Go on without the GPU, if the CPU can read and write the frames."""
        if not _on_host(*frames):
            raise error
        with self._lock:
            if self._runner is failed:  # no other frame has failed before
                # Whatever else runs there has the same device.
                self._runner = self._instead(error, gpu_backends())


def _on_host(*frames: Frame) -> bool:
    """Whether the CPU can read and write frames."""
    return all(isinstance(frame.planes[0], np.ndarray) for frame in frames)
