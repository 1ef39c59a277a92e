"""A Ray cluster on this machine, with nodes that tests may take away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from zerodce_rt.executors import ray_connection

# Nothing leaves the machine: an address of its own that no other machine can reach, and which Ray,
# unlike 127.0.0.1, does not replace by the one of the network.
_ADDRESS = "127.0.0.2"
_COMMON: dict[str, Any] = {"node_ip_address": _ADDRESS, "object_store_memory": 80 << 20}


class Nodes:
    """A head without CPUs, and nodes of one CPU each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, **_COMMON}
        self._cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
        self.nodes: list[Any] = []
        self.fill()

    @property
    def address(self) -> str:
        address: str = self._cluster.address
        return address

    def fill(self) -> None:
        """Have two nodes again."""
        while len(self.nodes) < 2:
            self.nodes.append(self._cluster.add_node(num_cpus=1, **_COMMON))

    def take_away(self, node_id: str) -> None:
        """End a node as if its machine had lost its power."""
        (node,) = (n for n in self.nodes if n.node_id == node_id)
        self._cluster.remove_node(node, allow_graceful=False)
        self.nodes.remove(node)

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray_connection._imported()
    nodes = Nodes()
    yield nodes
    nodes.close()
