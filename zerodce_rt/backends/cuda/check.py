"""A picture enhanced on the GPU and on the CPU: a GPU whose result differs is not used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zerodce_rt.backends.cpu.reference import ReferenceApplier
from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.backends.cpu.torch_network import TorchEstimator
from zerodce_rt.backends.cuda.graphs import check_recording
from zerodce_rt.backends.cuda.runner import CUDARunner, reported_as_device_errors
from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.errors import DeviceError
from zerodce_rt.frame import from_array
from zerodce_rt.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from zerodce_rt.backends import Backend

# Of the picture: small, but more than one tile of the curve kernel in each direction.
WIDTH, HEIGHT, LONG_SIDE = 640, 360, 64
# In 8-bit levels. Float16 in the network differs by a fraction of one; real faults by far more.
MOST, MOST_ON_AVERAGE = 16, 1.0


def checked_runner(
    backend: Backend, checkpoint: Checkpoint, working_size: WorkingSize
) -> CUDARunner:
    """Load a network on a GPU and check it.

    Raises:
        DeviceError: if its result differs from the CPU's, or the GPU fails.
    """
    with reported_as_device_errors(any_error=True):
        check_recording()
        network: DeviceNetwork = backend.create(checkpoint)
    check(backend.name, network, checkpoint)
    return CUDARunner(backend.name, network, working_size)


def check(name: str, network: DeviceNetwork, checkpoint: Checkpoint) -> None:
    """Compare a GPU's result with the CPU's, whose network is float32 and curve float64.

    Args:
        name: of the backend.
        network: loaded from ``checkpoint``.

    Raises:
        DeviceError: if they differ, or the GPU fails.
    """
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    slopes = np.dstack([x / WIDTH, y / HEIGHT, 1 - x / WIDTH])
    noise = np.random.default_rng(0).random((HEIGHT, WIDTH, 3))
    picture = from_array((8 + 40 * slopes + 12 * noise).astype(np.uint8))
    size, settings = WorkingSize(LONG_SIDE), ControlSettings(max_level=0.5)
    expected, got = picture.empty_like(), picture.empty_like()
    reference = CPURunner(TorchEstimator(checkpoint), ReferenceApplier(), size)
    reference.begin(picture, expected, settings, None)()
    CUDARunner(name, network, size).begin(picture, got, settings, None)()
    gap = np.abs(expected.planes[0].astype(int) - got.planes[0])
    if gap.max() > MOST or gap.mean() > MOST_ON_AVERAGE:
        raise DeviceError(
            f"backend {name}: its picture differs from the CPU's by {gap.mean():.1f} levels on "
            f"average, {gap.max()} at most; update the NVIDIA driver, or use the CPU "
            "(`backend='openvino'`)"
        )
