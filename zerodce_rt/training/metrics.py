"""Quality of a picture compared with a reference: PSNR and SSIM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def psnr(image: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two ``(3, H, W)`` images in [0, 1]; inf if equal."""
    mse = (image - reference).square().mean().item()
    return float("inf") if mse == 0 else -10.0 * float(torch.log10(torch.tensor(mse)))


def ssim(image: Tensor, reference: Tensor) -> float:
    """Structural similarity of two ``(3, H, W)`` images in [0, 1], averaged over channels.

    Wang et al., IEEE TIP 2004: 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03. Only
    windows that lie in the picture count.

    Returns:
        A value in [-1, 1]; 1 for equal images.

    Raises:
        ValueError: images of less than 11 pixels along a side.
    """
    if min(image.shape[1:]) < 11:
        raise ValueError(
            f"SSIM needs at least 11 x 11 pixels, not {image.shape[1]} x {image.shape[2]}"
        )
    position = torch.arange(11, dtype=torch.float64) - 5
    gaussian = torch.exp(-position.square() / (2 * 1.5**2))
    gaussian /= gaussian.sum()
    x, y = image.double()[:, None], reference.double()[:, None]

    def blur(t: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(t, gaussian.view(1, 1, 11, 1)), gaussian.view(1, 1, 1, 11))

    mean_x, mean_y = blur(x), blur(y)
    var_x = blur(x * x) - mean_x.square()
    var_y = blur(y * y) - mean_y.square()
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2)
    return float((numerator / denominator).mean())
