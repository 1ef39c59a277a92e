"""Damage thousands of files and look whether the program fails well on each.

    python scripts/fuzz.py --cases 2000 --jobs 2 [--first N] [--kind video] [--json FILE]

Each case has a number, which chooses a small video, picture, weights file, playlist or engine, the
damage that is done to it, and what is done with it then: the same ones each time. What comes out
must be whole, and what is refused must be refused in one line; nothing may be left behind. Cases
run in processes of their own, one for each of ``--jobs``, so that a crash or a hang is found, too.

At the end there is a table, each fault with the command that runs its case again, and what the
processes held in memory and open files, which must not grow. Exit code 1 if there is a fault.
The file of a case is written to ``--keep FOLDER``, to be looked at. The cases of every kind have
numbers of their own; ``--kind all`` takes a part of each. The first few hundred cases are also run
by ``tests/fuzz/test_fuzz.py``.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fuzz.cases import case_of
from tests.fuzz.outcome import VERDICTS, Outcome
from tests.fuzz.seeds import KINDS
from tests.fuzz.workers import LIMIT_SECONDS, Usage, Worker
from zerodce_rt.errors import EXIT_FAILURE, EXIT_INTERRUPTED
from zerodce_rt.progress import progress_bar

ALL = "all"
# What every ten numbers are with ``--kind all``; videos have most ways to be damaged.
SHARES = ("video",) * 5 + ("picture",) * 3 + ("weights", "manifest")

# Of the cases that fail in the same way.
MOST_SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are asked for; returns the exit code."""
    options = parser().parse_args(arguments)
    numbers = range(options.first, options.first + options.cases)
    cases = [(kind_of(options.kind, number), number) for number in numbers]
    kinds = tuple(kind for kind in KINDS if any(kind == k for k, _ in cases))
    for kind, number in cases if options.keep else ():
        keep(options.keep, kind, number)
    outcomes: list[Outcome] = []
    stopped = False
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(kinds, limit_seconds=options.limit))
            for _ in range(min(options.jobs, len(cases)))
        ]
        bar = stack.enter_context(progress_bar("fuzz", unit="case", total=len(cases), keep=True))
        try:
            for outcome in run_all(cases, workers):
                outcomes.append(outcome)
                bar.set_postfix(faults=sum(o.is_fault for o in outcomes), refresh=False)
                bar.update()
        except KeyboardInterrupt:
            stopped = True
        histories = [history for worker in workers for history in worker.histories]
    report(outcomes, histories)
    if options.json:
        write_json(options.json, outcomes, histories)
    if stopped:
        return EXIT_INTERRUPTED
    return EXIT_FAILURE if any(o.is_fault for o in outcomes) else 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=positive, default=1000, metavar="N", help="how many")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first")
    parser.add_argument("--kind", choices=(*KINDS, ALL), default=ALL, help="what is damaged")
    parser.add_argument("--jobs", type=positive, default=1, metavar="J", help="processes")
    parser.add_argument(
        "--limit", type=float, default=LIMIT_SECONDS, metavar="SECONDS",
        help=f"a case that takes longer hangs (default: {LIMIT_SECONDS:g})",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all outcomes")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the damaged files")
    return parser


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def kind_of(kind: str, number: int) -> str:
    """What the case of a number is of."""
    return SHARES[number % len(SHARES)] if kind == ALL else kind


def keep(folder: Path, kind: str, number: int) -> None:
    """Write the damaged file of a case."""
    case = case_of(kind, number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}-{number}-{case.name}").write_bytes(case.data)


def run_all(cases: Sequence[tuple[str, int]], workers: Sequence[Worker]) -> Iterator[Outcome]:
    """The outcomes, in the order of the cases."""
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def run(case: tuple[str, int]) -> Outcome:
        worker = idle.get()
        try:
            return worker.run(*case)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(len(workers))
    try:
        yield from pool.map(run, cases)
    finally:
        pool.shutdown(cancel_futures=True)


def report(outcomes: Sequence[Outcome], histories: Sequence[Sequence[Usage]]) -> None:
    """Print the table, the faults, and what the processes held."""
    counts = Counter((o.kind, o.verdict) for o in outcomes)
    kinds = [kind for kind in KINDS if any(o.kind == kind for o in outcomes)]
    print(f"\n{'':<18}" + "".join(f"{kind:>10}" for kind in (*kinds, ALL)))
    for verdict in VERDICTS:
        row = [counts[kind, verdict] for kind in kinds]
        if sum(row):
            print(f"{verdict:<18}" + "".join(f"{n:>10}" for n in (*row, sum(row))))
    seconds = sorted(o.seconds for o in outcomes)
    if seconds:
        median = 1000 * seconds[len(seconds) // 2]
        print(f"{len(seconds)} cases, {median:.0f} ms each (median), longest {seconds[-1]:.1f} s")
    for history in filter(None, histories):
        shown = history[0], history[len(history) // 2], history[-1]
        memory = " -> ".join(f"{usage.memory_mb:.0f}" for usage in shown)
        files = " -> ".join(str(usage.descriptors) for usage in shown)
        print(f"a process after its first, middle and last of {len(history)} cases: "
              f"{memory} MB, {files} open files")  # fmt: skip
    causes: dict[tuple[str, str], list[Outcome]] = {}
    for fault in (o for o in outcomes if o.is_fault):
        causes.setdefault((fault.verdict, fault.detail), []).append(fault)
    for (verdict, detail), faults in sorted(causes.items()):
        print(f"\n{verdict}: {detail}")
        for fault in faults[:MOST_SHOWN]:
            print(f"    {fault.seed}, {fault.mode}: {fault.repeat}")
        if len(faults) > MOST_SHOWN:
            print(f"    and {len(faults) - MOST_SHOWN} more, which are in the file of --json")


def write_json(
    path: Path, outcomes: Sequence[Outcome], histories: Sequence[Sequence[Usage]]
) -> None:
    document = {
        "outcomes": [asdict(o) for o in outcomes],
        "processes": [[asdict(usage) for usage in history] for history in histories],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
