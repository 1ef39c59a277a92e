"""What Python takes of a frame on a GPU: ``CUDAStep.launch`` and ``wait``, without a card.

Streams, events and the graph do nothing, and copies are of a few bytes: a real driver adds its own
time to each call. Prints the median and the best of some rounds, in microseconds.

    python benchmarks/launch_overhead.py [--frames 2000] [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.stand_in_streams import stand_in_step
from zerodce_rt.bench.hardware import processor
from zerodce_rt.curve.control import ControlSettings

WANT_US = 25.0


def microseconds_a_frame(frames: int) -> float:
    """Mean time of a frame."""
    settings = ControlSettings(max_level=0.5)
    with stand_in_step() as (step, slot):
        started = time.perf_counter()
        for number in range(frames):
            step.launch(slot, settings, number / 60)
            step.wait(slot)
        return 1e6 * (time.perf_counter() - started) / frames


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000, help="in a round")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    microseconds_a_frame(100)
    times = [microseconds_a_frame(options.frames) for _ in range(options.rounds)]
    print(processor())
    median, best = statistics.median(times), min(times)
    met = "met" if median < WANT_US else "MISSED"
    print(f"launch and wait: {median:.1f} us a frame, at best {best:.1f} us")
    print(f"want < {WANT_US:g} us: {met}")


if __name__ == "__main__":
    main()
