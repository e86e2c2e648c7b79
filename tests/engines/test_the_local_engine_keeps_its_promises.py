"""The local engine held to the promises of every engine."""

import dataclasses
import itertools
from pathlib import Path

import pytest
from tests.engines.protocol_suite import Promises, eventually

from clusterwright.engines.local import LocalEngine, emulated

NODES = emulated(2, gpus_per_node=4, gpu_model="EMULATED", cpus_per_node=8)
JOBS = itertools.count(1)


@dataclasses.dataclass
class LocalRig:
    """Two emulated nodes that serve all tests, so that agents start once."""

    root: Path
    engine: LocalEngine
    folder: Path = Path()
    job_id: str = ""
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


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    root = tmp_path_factory.mktemp("engine")
    engine = LocalEngine(root, NODES, kill_after_s=0.5)
    engine.open()
    made = LocalRig(root=root, engine=engine)
    yield made
    made.engine.shut_down()


@pytest.fixture
def rig(machine, tmp_path):
    machine.folder = tmp_path
    machine.job_id = f"job-{next(JOBS)}"
    yield machine
    for one in machine.engine.observe().attempts:
        eventually(machine, lambda one=one: machine.engine.fence(one.attempt), why="a clean end")
        machine.engine.forget([one.attempt])


class TestLocal(Promises):
    """All of them."""
