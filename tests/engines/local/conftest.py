"""A local engine of two emulated nodes that serves all tests of a module: agents start once."""

import dataclasses
import itertools
from pathlib import Path

import pytest
from tests.engines.protocol_suite import eventually

from clusterwright.engines.local import LocalEngine, emulated

NODES = emulated(2, gpus_per_node=4, gpu_model="EMULATED", cpus_per_node=8)
JOBS = itertools.count(1)


@dataclasses.dataclass
class LocalRig:
    """What `protocol_suite` asks for."""

    root: Path
    engine: LocalEngine
    cgroups: bool
    folder: Path = Path()
    job_id: str = ""
    nodes: tuple[str, ...] = tuple(node.name for node in NODES)
    patience_s: float = 30.0
    loses_nodes: bool = True

    def restart(self):
        self.engine.close()
        self.engine = LocalEngine(self.root, NODES, kill_after_s=0.5, cgroups=self.cgroups)
        self.engine.open()

    def lose(self, node):
        self.engine.kill_node(node)

    def regain(self, node):
        self.engine.start_node(node)


def pytest_generate_tests(metafunc):
    """Run a module that says BOTH on an engine with control groups and on one without."""
    if "rig" in metafunc.fixturenames and hasattr(metafunc.module, "BOTH"):
        ids = ["cgroups", "no cgroups"]
        metafunc.parametrize(
            "machine", metafunc.module.BOTH, ids=ids, indirect=True, scope="module"
        )


@pytest.fixture(scope="module")
def machine(tmp_path_factory, request):
    """Give an engine; with a parameter False, one that leaves control groups alone."""
    cgroups = getattr(request, "param", True)
    root = tmp_path_factory.mktemp("engine")
    engine = LocalEngine(root, NODES, kill_after_s=0.5, cgroups=cgroups)
    engine.open()
    made = LocalRig(root=root, engine=engine, cgroups=cgroups)
    yield made
    made.engine.open()
    made.engine.shut_down()


@pytest.fixture
def rig(machine, tmp_path):
    """Give a test a job and a folder of its own, and end all that it leaves."""
    machine.folder = tmp_path
    machine.job_id = f"job-{next(JOBS)}"
    yield machine
    machine.engine.open()
    for node in machine.nodes:
        machine.engine.undrain(node)
        machine.engine.start_node(node)
    for one in machine.engine.observe().attempts:
        eventually(machine, lambda one=one: machine.engine.fence(one.attempt), why="a clean end")
        machine.engine.forget([one.attempt])
