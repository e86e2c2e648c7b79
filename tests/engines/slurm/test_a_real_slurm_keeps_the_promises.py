"""The Slurm engine, on a real Slurm, held to the promises of every engine."""

import dataclasses
import itertools
from pathlib import Path

import pytest
from tests.engines.protocol_suite import Promises, eventually

from clusterwright.engines.slurm.engine import SlurmEngine
from clusterwright.engines.slurm.settings import Settings

pytestmark = pytest.mark.slurm
JOBS = itertools.count(1)


@dataclasses.dataclass
class SlurmRig:
    """Nodes of one cluster that serve all tests."""

    cluster: object
    root: Path
    engine: SlurmEngine = None
    folder: Path = Path()
    job_id: str = ""
    nodes: tuple[str, ...] = ("n1", "n2")
    patience_s: float = 40.0
    loses_nodes: bool = True

    def restart(self):
        settings = Settings(root=self.root, environment=self.cluster.env)
        self.engine = SlurmEngine(settings)
        self.engine.open()

    def lose(self, node):
        self.cluster.kill_node(node)
        # Slurm finds out by itself, in a quarter of a minute: the survival tests wait for that.
        self.cluster.call("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=gone")

    def regain(self, node):
        self.cluster.start_node(node)


@pytest.fixture(scope="module")
def machine(cluster, tmp_path_factory):
    made = SlurmRig(cluster=cluster, root=tmp_path_factory.mktemp("engine"))
    made.restart()
    return made


@pytest.fixture
def rig(machine, tmp_path):
    machine.folder = tmp_path
    machine.job_id = f"job-{next(JOBS)}"
    yield machine
    for one in machine.engine.observe().attempts:
        eventually(machine, lambda one=one: machine.engine.fence(one.attempt), why="a clean end")
        machine.engine.forget([one.attempt])


class TestSlurm(Promises):
    """All of them."""
