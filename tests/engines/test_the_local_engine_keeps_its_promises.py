"""The local engine held to the promises of every engine."""

import dataclasses
from pathlib import Path

import pytest

from clusterwright.engines.local import LocalEngine, emulated
from tests.engines.protocol_suite import Promises

NODES = emulated(3, gpus_per_node=4, gpu_model="EMULATED", cpus_per_node=8)


@dataclasses.dataclass
class LocalRig:
    """Three emulated nodes in a directory of their own."""

    root: Path
    folder: Path
    engine: LocalEngine
    nodes: tuple[str, ...] = tuple(node.name for node in NODES)
    patience_s: float = 20.0
    loses_nodes: bool = True

    def restart(self):
        self.engine.close()
        self.engine = LocalEngine(self.root, NODES, kill_after_s=0.5)
        self.engine.open()

    def lose(self, node):
        self.engine.kill_node(node)

    def regain(self, node):
        self.engine.start_node(node)


@pytest.fixture
def rig(tmp_path):
    folder = tmp_path / "seen"
    folder.mkdir()
    engine = LocalEngine(tmp_path / "engine", NODES, kill_after_s=0.5)
    engine.open()
    made = LocalRig(root=tmp_path / "engine", folder=folder, engine=engine)
    yield made
    made.engine.open()
    made.engine.shut_down()


class TestLocal(Promises):
    """All of them."""
