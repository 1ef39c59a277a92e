"""What surrounds the work on the card: the way there and back, and the start of the program."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gpu_checking.report import Figure
from gpu_checking.timing import device_us
from zerodce_rt.backends.cuda.graphs import seconds_a_call

ROOT = Path(__file__).resolve().parents[2]
_BYTES = 256 << 20
_FRAME_BYTES = 1920 * 1080 * 3 // 2
_START_LIMIT = 110.0


def pcie(seconds: float) -> Iterator[Figure]:
    """Copies from and to pinned memory, alone and both ways at once."""
    host, back = (torch.empty(_BYTES, dtype=torch.uint8, pin_memory=True) for _ in range(2))
    there, other = (torch.empty(_BYTES, dtype=torch.uint8, device="cuda") for _ in range(2))
    host.fill_(1)
    other.fill_(1)
    up = partial(there.copy_, host, non_blocking=True)
    down = partial(back.copy_, other, non_blocking=True)
    for what, run in (("to the card", up), ("from the card", down)):
        took = device_us(run, seconds / 2, calls=1)
        yield Figure(f"PCIe, pinned, {what}", _BYTES / took / 1000, "GB/s")
    streams: list[Any] = [torch.cuda.Stream() for _ in range(2)]  # type: ignore[no-untyped-call]

    def both() -> None:
        current = torch.cuda.current_stream()
        for stream, run in zip(streams, (up, down), strict=True):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                run()
        for stream in streams:
            current.wait_stream(stream)

    took = device_us(both, seconds / 2, calls=1)
    yield Figure("PCIe, pinned, both ways at once, each", _BYTES / took / 1000, "GB/s")
    frame, place = host[:_FRAME_BYTES], there[:_FRAME_BYTES]
    copies = partial(place.copy_, frame, non_blocking=True)
    copies()
    took = 1e6 * seconds_a_call(copies, 50)
    yield Figure("a 1080p NV12 frame to the card", took, "us")


def first_frames() -> Iterator[Figure]:
    """A program that starts and enhances a frame, twice: caches are empty the first time."""
    with tempfile.TemporaryDirectory() as folder:
        for temperature in ("cold", "warm"):
            before = time.monotonic()
            steps = started_program(Path(folder))
            whole = time.monotonic() - before
            yield Figure(f"first frame, {temperature}, from the program's start on", whole, "s")
            for what, took in steps.items():
                yield Figure(f"first frame, {temperature}: {what}", took, "s")


def started_program(caches: Path) -> dict[str, float]:
    """Run ``first_frame`` as a program whose caches are in a folder; what its parts took."""
    environment = os.environ | {
        "TRITON_CACHE_DIR": str(caches / "triton"), "CUDA_CACHE_PATH": str(caches / "cuda"),
        "XDG_CACHE_HOME": str(caches / "own"),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "gpu_checking.first_frame"],
        env=environment, capture_output=True, text=True, timeout=_START_LIMIT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    lines = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    return {what: float(took) for what, took in lines}
