"""What the modules ``compile_...`` find out about the kernels' machine code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

# Weights, which no kernel writes.
READS_CONSTANTS_FIRST = {"light layer whole"}


def kernels_of(module: str, capability: int) -> list[dict[str, Any]]:
    """Kernels compiled for a capability. None may spill registers to memory, nor, if it is launched
    before the one before it has ended, read or write what may be that one's.

    Args:
        module: in ``tests.support``; it runs in a process in which Triton does not interpret.
    """
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.support.{module}", str(capability)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    for kernel in kernels:
        assert kernel["stack"] == kernel["spills"] == 0, f"on {capability}: {kernel}"
        assert kernel["waits"] == kernel["chained"], f"on {capability}: {kernel}"
        assert kernel["stores_before_wait"] == 0, f"on {capability}: {kernel}"
        if kernel["kernel"] not in READS_CONSTANTS_FIRST:
            assert kernel["loads_before_wait"] == 0, f"on {capability}: {kernel}"
    return kernels
