"""How many workers a cluster has room for, and how many CPUs each of them gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_USUAL_CPUS = 2
"""Of a worker without a GPU: many small workers do more than few large ones."""

_MOST_CPUS = 8
"""More do not make a worker faster."""


@dataclass(frozen=True)
class Node:
    """One machine of a cluster, by what its scheduler knows of it."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Room:
    """What becomes of it.

    Attributes:
        jobs: how many workers there shall be.
        cpus, gpus: of each.
    """

    jobs: int
    cpus: int
    gpus: float = 0.0


def divide(nodes: Sequence[Node], jobs: int | None, gpus: float | None) -> Room:
    """Share a cluster out.

    >>> divide([Node(16, 1), Node(16, 1)], None, None)
    Room(jobs=2, cpus=8, gpus=1.0)
    >>> divide([Node(16), Node(5)], None, None)
    Room(jobs=10, cpus=2, gpus=0.0)

    Args:
        jobs: workers that are wanted; they wait if there is no room for all. Default: as many as
            there is room for.
        gpus: of each worker; default: 1 if there are any.

    Returns:
        With ``jobs`` 0 if there is no room for one.
    """
    if gpus is None:
        gpus = 1.0 if any(node.gpus for node in nodes) else 0.0
    if jobs is None:
        cpus = 1 if gpus else min([_USUAL_CPUS, *(int(n.cpus) for n in nodes if n.cpus >= 1)])
        jobs = _fitting(nodes, cpus, gpus)
    cpus = max([1, *(c for c in range(1, _MOST_CPUS + 1) if _fitting(nodes, c, gpus) >= jobs > 0)])
    return Room(jobs, cpus, gpus)


def _fitting(nodes: Sequence[Node], cpus: int, gpus: float) -> int:
    """How many workers of a size the nodes hold."""
    return sum(
        int(min(node.cpus // cpus, node.gpus / gpus + 1e-6 if gpus else node.cpus))
        for node in nodes
    )
