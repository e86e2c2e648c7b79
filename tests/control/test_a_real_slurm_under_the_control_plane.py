"""The control plane over a real Slurm: a gang, a dead node, preemption, a restart of the server."""

import shutil
import tempfile
import time
from pathlib import Path

import pytest
from tests.control import chaos
from tests.control.world import comes_to, state_of, submit, until
from tests.engines.slurm.cluster import Cluster

from clusterwright.control import orders
from clusterwright.control.conductor import Conductor
from clusterwright.control.journal import Journal
from clusterwright.control.server import found_nodes
from clusterwright.engines.slurm import Settings, SlurmEngine
from clusterwright.model.centre import Centre
from clusterwright.model.jobspec import Checkpoint, JobSpec, Retry
from clusterwright.model.quota import Quota

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="cw-plane-"))
    made = Cluster(folder, num_nodes=4)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Plane:
    """A control plane over the cluster, and what its tasks leave behind."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder
        self.wrong, self.locks = folder / "wrong", folder / "locks"
        self.locks.mkdir()
        self.start()

    def start(self):
        settings = Settings(root=self.folder / "engine", environment=self.cluster.env, poll_s=0.5)
        engine = SlurmEngine(settings)
        engine.open()
        journal = Journal(str(self.folder / "journal.sqlite"))
        self.conductor = Conductor(journal, engine, self.folder / "work")
        nodes = sum(node.num_gpus for node in engine.observe().nodes)
        queues = (Quota(queue="default"), Quota(queue="urgent", guarantee_ratio=float(nodes)))
        made = found_nodes(Centre(name="slurm", engine="slurm", queues=queues), engine)
        self.conductor.prepare(lambda book, now: orders.change_centre(book, made, now))
        self.conductor.start()

    def stop(self):
        self.conductor.stop()
        self.conductor.journal.close()

    def job(self, nodes, steps=12, **more):
        return JobSpec(
            name="gang",
            command=chaos.task(steps),
            num_nodes=nodes,
            gpus_per_node_ratio=1.0,
            env={"WRONG": str(self.wrong), "LOCKS": str(self.locks)},
            retry=Retry(max=5, on=("node_fail",)),
            checkpoint=Checkpoint(every_s=0.15, grace_s=1.0),
            **more,
        )

    def record(self, name):
        with self.conductor.reading() as book:
            return book.jobs[name]


@pytest.fixture
def plane(cluster, tmp_path):
    made = Plane(cluster, tmp_path)
    yield made
    with made.conductor.reading() as book:
        left = list(book.active)
    for name in left:
        made.conductor.ask(lambda book, now, name=name: orders.cancel(book, name, now, "test"))
    end = time.monotonic() + PATIENCE_S
    while made.conductor.book.live and time.monotonic() < end:
        time.sleep(0.1)
    made.stop()
    assert not made.wrong.exists(), made.wrong.read_text()


def _patiently(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_gang_of_four_nodes_runs(plane):
    name = submit(plane.conductor, plane.job(4))
    _patiently(lambda: state_of(plane.conductor, name) == "COMPLETED", "the end of the gang")
    current = plane.record(name).current
    assert len(set(current.nodes)) == 4
    log = plane.conductor.engine.log_path(current.attempt, 0, "out").read_text()
    assert f"done {name}.1" in log


def test_a_job_on_a_dead_node_goes_on_elsewhere_from_its_checkpoint(plane, cluster):
    name = submit(plane.conductor, plane.job(2, steps=150))
    comes_to(plane.conductor, name, "RUNNING")
    until(lambda: (plane.record(name).checkpoint_step or 0) >= 2, "a checkpoint")
    node = plane.record(name).current.nodes[1]
    cluster.kill_node(node)
    try:
        _patiently(lambda: state_of(plane.conductor, name) == "COMPLETED", "the second attempt")
    finally:
        cluster.start_node(node)
    record = plane.record(name)
    assert len(record.attempts) >= 2
    assert record.attempts[1].resume_from
    assert node not in record.attempts[1].nodes
    _patiently(lambda: node not in plane.conductor.book.down, "the return of the node")


def test_a_queue_that_is_owed_the_nodes_takes_them_back(plane):
    low = submit(plane.conductor, plane.job(4, steps=40, preemptible=True))
    comes_to(plane.conductor, low, "RUNNING")
    until(lambda: (plane.record(low).checkpoint_step or 0) >= 1, "a checkpoint")
    with plane.conductor.reading() as book:
        whole = book.group_of(book.node_names[0]).num_gpus
    urgent = JobSpec(
        name="urgent",
        command="sleep 1",
        queue="urgent",
        num_nodes=4,
        gpus_per_node_ratio=float(whole),
    )
    high = submit(plane.conductor, urgent)
    _patiently(lambda: state_of(plane.conductor, high) == "COMPLETED", "the urgent job")
    _patiently(lambda: state_of(plane.conductor, low) == "COMPLETED", "the one that gave way")
    assert plane.record(low).attempts[0].stop == "preempt"
    assert plane.record(low).attempts[1].resume_from


def test_a_restarted_control_plane_adopts_what_runs(plane):
    name = submit(plane.conductor, plane.job(3, steps=30))
    comes_to(plane.conductor, name, "RUNNING")
    plane.stop()
    plane.start()
    assert state_of(plane.conductor, name) == "RUNNING"
    _patiently(lambda: state_of(plane.conductor, name) == "COMPLETED", "the end")
    assert len(plane.record(name).attempts) == 1
