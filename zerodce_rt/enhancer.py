"""The class that people use: an image in, the same image bright out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends import Backend, choose_backend, gpu_backends
from zerodce_rt.backends.cpu import create_applier
from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.backends.interfaces import Runner
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.errors import DeviceError, ZeroDCEError
from zerodce_rt.frame import Frame, from_array
from zerodce_rt.names import DEFAULT_MAX_LEVEL, DEFAULT_MODEL, DEFAULT_WORKING_SIZE
from zerodce_rt.network.checkpoint import Checkpoint, load_bundled, load_weights

if TYPE_CHECKING:
    import av

    FrameT = TypeVar("FrameT", NDArray[Any], av.VideoFrame)
else:
    FrameT = TypeVar("FrameT")

log = logging.getLogger(__name__)


class Enhancer:
    """Brightens frames: thumbnail -> network -> control -> fused curve at full size.

    Attributes:
        settings: strength and the like; may be replaced between frames (but for ``max_level``,
            whose change starts a new scene on a GPU).
        runner: what does the work, on the processor or on a GPU.

    Args:
        model: ``"plus"`` (3 shared maps, the default) or ``"dcenet"`` (24 maps); with
            ``weights`` the file decides.
        weights: a weights file, ours or any published Zero-DCE layout; default: our own.
        backend: ``"auto"``, which goes on with the processor if a GPU gives up, or a key of
            ``estimators.BACKENDS``.
        working_size: see ``WorkingSize.parse``.
        strength: 0 (unchanged) to 1 (full curve).
        smoothing_seconds: time constant over which maps follow the video; it acts on frames
            that carry a time. 0 treats every frame alone.
        estimate_seconds: for how long the maps of a video's frame are good for those after it,
            unless a cut comes before; 0 estimates every frame.
        max_level: mean level, 0 to 1 of the gamma-encoded range, that the curve does not lift a
            frame above, so that a well-lit one stays as it is; 1 is off. Default: 0.5, but off
            for the working sizes of the published programs, which know no limit.
        applier: ``"cpu"`` or ``"reference"``; for backends on the processor.
        threads: threads of the applier; default: the usable cores.

    Raises:
        ZeroDCEError: weights that cannot be read, a backend that is not available, and from
            all methods a GPU that gives up (``DeviceError``) if it was asked for by name.
        ValueError: a setting outside its range.
    """

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
        applier: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.working_size = WorkingSize.parse(working_size)
        if max_level is None:
            max_level = 1.0 if self.working_size.published else DEFAULT_MAX_LEVEL
        self.settings = ControlSettings(
            strength=strength,
            smoothing_seconds=smoothing_seconds,
            estimate_seconds=estimate_seconds,
            max_level=max_level,
        )
        self._checkpoint = load_network(model, weights)
        self.model = self._checkpoint.model
        # What a faster precision does to our own weights is known and small.
        self._exact = weights is not None
        self._make_applier = partial(create_applier, applier, threads=threads)
        self._backend = backend
        self._lock = threading.Lock()
        self.runner = self._first_that_works()

    def _first_that_works(self, failed: Collection[str] = ()) -> Runner:
        """What runs on the chosen backend; if the choice is free, on the next if one fails.

        Args:
            failed: names of backends that have.
        """
        backend = choose_backend(self._backend, skip=failed)
        try:
            return self._run_on(backend)
        except DeviceError as error:
            return self._instead(error, [*failed, backend.name])

    def _run_on(self, backend: Backend) -> Runner:
        if backend.on_gpu:
            from zerodce_rt.backends.cuda.check import checked_runner

            return checked_runner(backend, self._checkpoint, self.working_size)
        estimator = backend.create(self._checkpoint, exact=self._exact)
        return CPURunner(estimator, self._make_applier(), self.working_size)

    def _instead(self, error: DeviceError, failed: Collection[str]) -> Runner:
        """Another backend in the place of those that failed, if none was asked for by name."""
        if self._backend != "auto":
            raise error
        runner = self._first_that_works(failed)
        log.warning("%s; going on with backend %s", error, runner.name)
        return runner

    def __call__(
        self, frame: FrameT, *, order: str = "rgb", seconds: float | None = None
    ) -> FrameT:
        """Enhance one frame.

        Args:
            frame: ``(H, W, 3)`` array of uint8, uint16, or float32 in [0, 1], gamma-encoded; or
                an ``av.VideoFrame`` in any format, with its tags.
            order: ``"rgb"`` or ``"bgr"`` (OpenCV's) for arrays.
            seconds: the time of an array's frame, for smoothing; a video frame has its own.

        Returns:
            A new frame of the same kind: shape, dtype and order, or format, tags and pts.
        """
        if isinstance(frame, np.ndarray):
            source = from_array(frame, order=order)
            target = source.empty_like()
            self.enhance(source, target, seconds=seconds)
            return target.planes[0].reshape(frame.shape)
        from zerodce_rt.media.frames import enhanced_video_frame

        return enhanced_video_frame(self, frame)

    def enhance(self, source: Frame, target: Frame, *, seconds: float | None = None) -> None:
        """Enhance planes into planes of the same format and size."""
        self.begin(source, target, seconds=seconds)()

    def begin(
        self, source: Frame, target: Frame, *, seconds: float | None = None
    ) -> Callable[[], None]:
        """Begin to enhance planes, so that a GPU may work on several frames at once.

        Args:
            source: must stay as it is until the frame is done, unless it is on the GPU.

        Returns:
            What waits until ``target`` is filled; to be called once, from any thread. On the
            processor there is nothing left to wait for.
        """
        runner, settings = self.runner, self.settings
        try:
            finish = runner.begin(source, target, settings, seconds)
        except DeviceError as error:
            self._fall_back(runner, source, error)
            return self.begin(source, target, seconds=seconds)
        if isinstance(runner, CPURunner) or not _within_reach(source):
            return finish

        def finish_or_repeat() -> None:
            try:
                finish()
            except DeviceError as error:
                self._fall_back(runner, source, error)
                self.runner.begin(source, target, settings, seconds)()

        return finish_or_repeat

    def _fall_back(self, failed: Runner, frame: Frame, error: DeviceError) -> None:
        """Go on without the GPU, if the frame is within the processor's reach."""
        if not _within_reach(frame):
            raise error
        with self._lock:
            if self.runner is failed:  # no other frame has failed before
                # Whatever else runs there has the same device.
                self.runner = self._instead(error, gpu_backends())

    @property
    def on_gpu(self) -> bool:
        """Whether frames may lie on the GPU, which is where they are enhanced."""
        return not isinstance(self.runner, CPURunner)

    def reset(self) -> None:
        """Forget the past of a video; the next frame starts a new scene."""
        self.runner.reset()


def load_network(model: str | None, weights: Path | str | None) -> Checkpoint:
    """Our own weights of a model, or those of a file, which decides what model it is.

    Raises:
        ZeroDCEError: a file that cannot be read, or that holds another model.
    """
    checkpoint = load_weights(weights) if weights else load_bundled(model or DEFAULT_MODEL)
    if model is not None and checkpoint.model != model:
        raise ZeroDCEError(
            f"{checkpoint.source}: holds weights of model {checkpoint.model!r}, "
            f"not {model!r}; leave --model out"
        )
    return checkpoint


def _within_reach(frame: Frame) -> bool:
    """Whether the processor can read a frame."""
    return isinstance(frame.planes[0], np.ndarray)
