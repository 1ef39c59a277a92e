"""The plan for a real card."""

from __future__ import annotations

import platform

import torch
import triton

from gpu_checking.plan import Plan
from tests.support import agreement
from zerodce_rt.backends.cuda.driver import nvidia_smi


def plan() -> Plan:
    """Figures and checks for this machine's card."""
    if not agreement.HAS_GPU:
        missing = "PyTorch finds no NVIDIA GPU here; 'pytest tests/backends/cuda' needs none"
        return Plan(missing)
    from gpu_checking.checks import check_jobs, missing_for_video
    from gpu_checking.figures import figure_jobs

    # Not from PyTorch: this process is to have no CUDA context that could fail.
    names = nvidia_smi("name") or ["an NVIDIA card"]
    versions = (
        f"torch {torch.__version__}, Triton {triton.__version__}, CUDA {torch.version.cuda}, "
        f"driver {' | '.join(nvidia_smi('driver_version')) or 'unknown'}"
    )
    facts = {
        "card": " | ".join(names), "versions": versions, "python": platform.python_version(),
    }  # fmt: skip
    missing_packages = missing_for_video()
    notes = (
        (f"video is not checked; pip install {' '.join(missing_packages)}",)
        if missing_packages
        else ()
    )
    return Plan(None, facts, notes, figure_jobs, check_jobs)
