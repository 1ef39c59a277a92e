"""Other methods to compare with: each function returns a call that processes one frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zerodce_rt.frame import Frame

if TYPE_CHECKING:
    from torch import Tensor


def pass_through(source: Frame, target: Frame) -> Callable[[], object]:
    """Copy the frame: the cost of touching every sample once."""
    return lambda: source.copy_to(target)


def gamma_lookup(source: Frame, target: Frame, *, gamma: float = 0.4) -> Callable[[], object]:
    """Brighten with a look-up table on luma (on all samples of RGB), and copy chroma.

    Samples of more than 8 bits are looked up by NumPy, since OpenCV's tables have 256 entries;
    float samples are raised to the power ``gamma``.
    """
    top = 1 if source.format.bits == 32 else 2**source.format.bits - 1
    plane, out = source.planes[0], target.planes[0]
    if source.format.bits == 32:
        return lambda: np.power(plane, np.float32(gamma), out=out)
    codes = np.arange(top + 1)
    table = (((codes / top) ** gamma) * top).round().astype(plane.dtype)

    def run() -> None:
        if plane.dtype == np.uint8:
            cv2.LUT(plane, table, dst=out)
        else:
            np.take(table, plane, out=out, mode="clip")
        for chroma, chroma_out in zip(source.planes[1:], target.planes[1:], strict=True):
            np.copyto(chroma_out, chroma)

    return run


def published_plus(width: int, height: int, *, divisor: int = 12) -> Callable[[], Tensor]:
    """The published Zero-DCE++ design (TPAMI 2021), re-implemented in PyTorch on the CPU.

    Float32 tensors throughout, as in the paper's program: bilinear thumbnail at ``1 / divisor``,
    network, maps enlarged with aligned corners, eight iterations. Conversion from and to 8 bits
    is left out.
    """
    import torch
    import torch.nn.functional as F

    from zerodce_rt.network.model import DCENetPlus

    model = DCENetPlus().eval()
    image = torch.rand(1, 3, height, width) * 0.2

    def run() -> Tensor:
        with torch.inference_mode():
            small = F.interpolate(image, scale_factor=1 / divisor, mode="bilinear")
            maps = F.interpolate(model(small), (height, width), mode="bilinear", align_corners=True)
            x = image
            for _ in range(8):
                x = x + maps * (torch.pow(x, 2) - x)
            return x

    return run


def eager_dcenet(width: int, height: int) -> Callable[[], object]:
    """DCENet at full size with its eight iterations, in plain PyTorch in float32 on the CPU."""
    import torch

    from zerodce_rt.curve.maps import iterate
    from zerodce_rt.network.model import DCENet

    model = DCENet().eval()
    image = torch.rand(1, 3, height, width) * 0.2

    def run() -> None:
        with torch.inference_mode():
            iterate(image, model(image))

    return run
