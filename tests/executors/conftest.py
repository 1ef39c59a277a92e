"""A Ray cluster on this machine, with nodes that tests may take away.

Its nodes share the folders of the machine, and also a storage, of which each has copies of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zerodce_rt.cache import cache_folder
from zerodce_rt.executors import ray_connection

# Nothing leaves the machine: an address of its own that no other machine can reach, and which Ray,
# unlike 127.0.0.1, does not replace by the one of the network.
_ADDRESS = "127.0.0.2"
_COMMON: dict[str, Any] = {"node_ip_address": _ADDRESS, "object_store_memory": 80 << 20}


class Nodes:
    """A head without CPUs, and nodes of one CPU each.

    Args:
        folder: for their caches, and a bucket.

    Attributes:
        caches: of all nodes that there ever were.
        bucket: what is in the storage ``dir://``.
        storage: the settings of fsspec for it.
    """

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, **_COMMON}
        self._cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
        self._folder = folder
        self.bucket = folder / "bucket"
        self.storage = {"dir": {"path": str(self.bucket), "target_protocol": "file"}}
        for made in (self.bucket, folder / "fsspec"):
            made.mkdir()
        (folder / "fsspec" / "storage.json").write_text(json.dumps(self.storage))
        self.caches: list[Path] = []
        self.nodes: list[Any] = []
        self.fill()

    @property
    def address(self) -> str:
        address: str = self._cluster.address
        return address

    def fill(self) -> None:
        """Have two nodes again."""
        while len(self.nodes) < 2:
            cache = self._folder / f"cache{len(self.caches)}"
            self.caches.append(cache)
            variables = {
                "XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": cache_folder("kernels"),
                "FSSPEC_CONFIG_DIR": str(self._folder / "fsspec"),
            }  # fmt: skip
            node = self._cluster.add_node(num_cpus=1, env_vars=variables, **_COMMON)
            self.nodes.append(node)

    def take_away(self, node_id: str) -> None:
        """End a node as if its machine had lost its power."""
        (node,) = (n for n in self.nodes if n.node_id == node_id)
        self._cluster.remove_node(node, allow_graceful=False)
        self.nodes.remove(node)

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray_connection._imported()
    folder = tmp_path_factory.mktemp("nodes")
    nodes = Nodes(folder)
    yield nodes
    nodes.close()
