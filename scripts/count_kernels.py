"""Count what the CUDA kernels' machine code uses on each generation of cards, without a card.

    python scripts/count_kernels.py --json benchmarks/results/kernels.json

Registers of a thread, instructions, and the bits of the widest load; none may spill registers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.compiled import kernels_of

MODULES = "compile_kernels", "compile_light", "compile_denoise"
GENERATIONS = 75, 80, 86, 89, 90, 100, 120
SHOWN = "registers", "instructions", "widest_load"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    counted: dict[str, dict[str, dict[str, int]]] = {}
    jobs = [(module, capability) for capability in GENERATIONS for module in MODULES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda job: kernels_of(*job), jobs)
        for (module, capability), kernels in zip(jobs, done, strict=True):
            for found in kernels:
                of_kernel = counted.setdefault(found["kernel"], {})
                of_kernel[f"sm{capability}"] = {name: found[name] for name in SHOWN}
            print(f"{module}, sm{capability}: {len(kernels)} kernels, none spills", flush=True)
    result = {
        "command": "python scripts/count_kernels.py --json benchmarks/results/kernels.json",
        "triton": version("triton"), "kernels": counted,
    }  # fmt: skip
    options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
