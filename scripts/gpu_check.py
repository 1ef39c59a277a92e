"""Measure how fast the CUDA path is on an NVIDIA GPU, and check it against the reference.

    python scripts/gpu_check.py [-o FOLDER] [--seconds 1] [--limit 530] [--only figures|checks]

Needs PyTorch, Triton, NumPy, OpenCV and Numba; to check video, PyAV and safetensors as well. First
come the figures, while the card has nothing else to do, then every check of ``tests/support``.
Each runs in a process that can be replaced, so that a crash, a hang or a failing card costs that
one only. ``gpu_check.json`` is written anew after each figure and every few checks, the chart
``gpu_check.png`` after the figures, and what processes have said goes to ``gpu_check.log``.

What does not fit into ``--limit`` seconds is listed as not run. Exit code 1 if a check failed or
there is no card.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gpu_checking.plan import Plan
from gpu_checking.report import Report, draw

from tests.support.worker_pool import Job, WorkerPool, leave

PLAN = "gpu_checking.card:plan"
# Texts of errors after which a process's CUDA context answers nothing right any more.
POISON = (
    "CUDA error", "Triton Error [CUDA]", "illegal memory access", "device-side assert",
    "could not be recorded before",
)  # fmt: skip
# Of the limit, for the figures at most: checks are to have some time, too.
FIGURES_SHARE = 0.7
# Most of the time is spent in the compiler, and each process takes memory of the card.
MOST_WORKERS = 8
PROGRESS_SECONDS = 5.0
EXIT_TERMINATED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and check; returns the exit code."""
    started = time.monotonic()
    # As by Ctrl-C: processes that were started end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    options = parser().parse_args(arguments)
    module, function = options.plan.split(":")
    plan: Plan = getattr(importlib.import_module(module), function)()
    if plan.missing is not None:
        print(plan.missing)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    log = options.output / "gpu_check.log"
    log.unlink(missing_ok=True)
    command = ["python", *sys.argv] if arguments is None else ["gpu_check.py", *arguments]
    report = Report(options.output, " ".join(command), dict(plan.facts))
    print("; ".join(plan.facts.values()), flush=True)
    for note in plan.notes:
        report.remark(note)
    until = started + options.limit
    if options.only != "checks":
        share = 1.0 if options.only == "figures" else FIGURES_SHARE
        measure(plan.figures(options.seconds), report, started + share * options.limit, log)
        try:
            draw(report.figures, options.output / "gpu_check.png", title(report))
        except Exception as error:  # the checks are to come
            report.remark(f"no chart: {error}")
    if options.only != "figures":
        check(plan.checks(), report, until, log, options.workers)
    report.finished = True
    report.write()
    report.print_table()
    return 1 if report.failures else 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu_check"), metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    parser.add_argument("--limit", type=float, default=530.0, help="seconds for all of it")
    parser.add_argument("--only", choices=("figures", "checks"))
    parser.add_argument(
        "--workers", type=int, default=min(MOST_WORKERS, os.cpu_count() or 1),
        help="processes that check at the same time (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--plan", default=PLAN, help=argparse.SUPPRESS)  # other jobs, for the tests
    return parser


def title(report: Report) -> str:
    return f"{report.facts.get('card', 'the card')}, 1920x1080; line: must"


def measure(jobs: list[Job], report: Report, until: float, log: Path) -> None:
    """Run what measures, one after the other."""
    started, done = time.monotonic(), 0
    with WorkerPool(1, poison=POISON, keep_after_failure=False, log=log) as pool:
        for outcome in pool.run(jobs, until=until, on_value=lambda _, value: report.add(value)):
            done += 1
            if outcome.state == "not run":
                report.not_run.append(outcome.line)
                report.write()
            elif outcome.state == "failed":
                report.remark(f"not measured: {outcome.line}")
            seconds = time.monotonic() - started
            left = (len(jobs) - done) * seconds / done
            print(
                f"[{done}/{len(jobs)} groups of figures, {seconds / done:.1f} s each, "
                f"{left:.0f} s left]", flush=True,
            )  # fmt: skip


def check(jobs: list[Job], report: Report, until: float, log: Path, workers: int) -> None:
    """Run the checks, several at once."""
    started = said = time.monotonic()
    done = 0
    with WorkerPool(workers, poison=POISON, log=log) as pool:
        for outcome in pool.run(jobs, until=until):
            report.count(outcome)
            done += 1
            now = time.monotonic()
            if now >= said + PROGRESS_SECONDS or done == len(jobs):
                said, rate = now, done / (now - started)
                print(
                    f"[{done}/{len(jobs)} checks, {len(report.failures)} failed, {rate:.1f} a "
                    f"second, {(len(jobs) - done) / rate:.0f} s left]", flush=True,
                )  # fmt: skip


if __name__ == "__main__":
    leave(main())
