"""Run live and file work side by side for an hour, and see whether anything grows.

One process watches a network stream on loopback without a window and records it, session after
session; its sender is killed now and then. Another enhances small videos and pictures with one
enhancer, damaged ones too, and some runs are stopped half-way. Both note their memory,
descriptors, threads, delay and work every few seconds.

    python scripts/soak.py -o FOLDER [--minutes 60] [--only live|files]

Needs matplotlib. Writes ``soak.json`` and ``soak.png`` to the folder, about once a minute, so that
a run that is killed leaves figures as well; what the workers log goes to ``live.log`` and
``files.log``. Exit code 1 if memory, descriptors, threads or the delay grew, or a worker failed.
Memory is judged from about 40 minutes on: before, pools and allocators fill.
Descriptors and threads are known on Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from soak_report import Finding, Sample, draw, judge, print_table
from soak_workers import ROLES, start

from zerodce_rt.atomic import finished_file
from zerodce_rt.bench.hardware import hardware, versions
from zerodce_rt.progress import progress_bar

WRITE_SECONDS = 60.0
# What a worker may need to end after its time.
GRACE_SECONDS = 60.0


class Worker:
    """A worker process, and the samples that it has sent."""

    def __init__(self, role: str, seconds: float, folder: Path, log: IO[str]) -> None:
        self.role = role
        self.samples: list[Sample] = []
        folder.mkdir()
        self._process = start(role, seconds, folder, stdout=subprocess.PIPE, stderr=log)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.samples.append(Sample(**json.loads(line)))

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def finding(self) -> Finding:
        """Whether it came to its end; it is ended if not."""
        code = self.code
        self._process.kill()
        self._process.wait()
        self._thread.join()
        ended = {None: "not by itself", 0: "in time"}.get(code, f"failed: see {self.role}.log")
        return Finding(self.role, "end", ended, "in time", code == 0)


def soak(folder: Path, seconds: float, roles: Sequence[str]) -> bool:
    """Run the workers, and write what they report, again and again; whether all is well."""
    machine = {"hardware": hardware(), "versions": versions()}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logs = [stack.enter_context(open(folder / f"{role}.log", "w")) for role in roles]
        workers = [Worker(r, seconds, scratch / r, f) for r, f in zip(roles, logs, strict=True)]
        bar = stack.enter_context(progress_bar("soak", unit="s", total=round(seconds), keep=True))
        began = written = time.monotonic()
        with suppress(KeyboardInterrupt):
            while (passed := time.monotonic() - began) < seconds + GRACE_SECONDS:
                codes = [worker.code for worker in workers]
                if None not in codes or any(codes):  # all have ended, or one has failed
                    break
                done = ", ".join(f"{w.role} {w.samples[-1].done}" for w in workers if w.samples)
                bar.set_postfix_str(done, refresh=False)
                bar.update(min(round(passed), bar.total) - bar.n)
                if time.monotonic() - written > min(WRITE_SECONDS, seconds / 6):
                    write(folder, machine, workers, seconds, [])
                    written = time.monotonic()
                time.sleep(1)
        ends = [worker.finding() for worker in workers]
    findings = write(folder, machine, workers, seconds, ends)
    print_table(findings)
    return all(finding.passed for finding in findings)


def write(
    folder: Path, machine: dict[str, Any], workers: Sequence[Worker], seconds: float,
    ends: list[Finding],
) -> list[Finding]:  # fmt: skip
    """Write the figures and the chart; ``ends`` is empty as long as the workers run."""
    samples = {worker.role: list(worker.samples) for worker in workers}
    length = seconds
    if ends:  # a run that was broken off is judged by what there is
        length = max([1.0, *(rows[-1].seconds for rows in samples.values() if rows)])
    findings = [f for role, rows in samples.items() for f in judge(role, rows, length)] + ends
    verdict = "still running"
    if ends:
        verdict = "passed" if all(f.passed for f in findings) else "failed"
    document = {
        "command": " ".join(["python scripts/soak.py", *sys.argv[1:]]), **machine,
        "minutes": seconds / 60, "verdict": verdict, "findings": [asdict(f) for f in findings],
        "samples": {role: [asdict(s) for s in rows] for role, rows in samples.items()},
    }  # fmt: skip
    with finished_file(folder / "soak.json") as partial:
        partial.write_text(json.dumps(document) + "\n")
    title = f"Soak of {length / 60:.0f} minutes, {verdict}: {machine['hardware']['processor']}"
    with finished_file(folder / "soak.png") as partial:
        draw(partial, samples, length, title)
    return findings


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N")
    parser.add_argument("--only", choices=ROLES, help="run one of the two workers")
    options = parser.parse_args()
    if not 1 <= options.minutes <= 10_000:
        parser.error("--minutes must be from 1 to 10000")
    return options


def main() -> int:
    options = parse_options()
    options.output.mkdir(parents=True, exist_ok=True)
    roles = [options.only] if options.only else list(ROLES)
    return 0 if soak(options.output, 60 * options.minutes, roles) else 1


if __name__ == "__main__":
    sys.exit(main())
