"""What a real cluster goes through: nodes die, servers die, Slurm goes away, others use it too."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.engines.slurm import driver
from tests.engines.slurm.cluster import Cluster

from clusterwright.engines import checkpoints
from clusterwright.engines.protocol import (
    Attempt,
    End,
    Launch,
    OutOfReach,
    Phase,
    Share,
    Stop,
)
from clusterwright.engines.slurm.engine import SlurmEngine
from clusterwright.engines.slurm.script import read_sbatch
from clusterwright.engines.slurm.settings import Settings
from clusterwright.model.jobspec import JobSpec

pytestmark = pytest.mark.slurm
PATIENCE_S = 60.0
HERE = Path(__file__).parent
TRAINING = str(HERE / "training.py")


class Bench:
    """An engine on the cluster, with a folder that jobs and tests see."""

    def __init__(self, cluster, folder, **more):
        self.cluster = cluster
        self.folder = folder
        self.settings = Settings(root=folder / "root", environment=cluster.env, **more)
        self.restart()

    def restart(self):
        self.engine = SlurmEngine(self.settings)
        self.engine.open()

    def seen(self, attempt):
        found = self.engine.observe().attempts
        return next((one for one in found if one.attempt == attempt), None)

    def until(self, attempt, holds):
        end = time.monotonic() + PATIENCE_S
        one = None
        while time.monotonic() < end:
            one = self.seen(attempt)
            if one is not None and holds(one):
                return one
            self.engine.wait(0.2)
        pytest.fail(f"waited in vain; last seen: {one}")

    def ended(self, attempt):
        return self.until(attempt, lambda one: one.phase is Phase.ENDED)

    def fenced(self, attempt):
        end = time.monotonic() + PATIENCE_S
        while not self.engine.fence(attempt):
            assert time.monotonic() < end, "never fenced"
            self.engine.wait(0.2)

    def training(self, number, nodes, *, steps, job_id="train"):
        saved = self.folder / "checkpoints"
        newest = checkpoints.newest(saved)
        return Launch(
            attempt=Attempt(job_id, number),
            spec=JobSpec(
                name="train",
                command=(sys.executable, TRAINING, str(steps)),
                num_nodes=len(nodes) or 2,
                gpus_per_node_ratio=1,
            ),
            shares=tuple(Share(node=node, gpus=(0,), num_cpus=1) for node in nodes),
            checkpoint_dir=str(saved),
            resume_from=str(newest.path) if newest else "",
        )

    def steps_saved(self, number):
        self.cluster.until(
            lambda: len(checkpoints.complete(self.folder / "checkpoints")) >= number,
            f"{number} checkpoints are there",
        )

    def said(self, attempt, rank=0):
        return self.engine.log_path(attempt, rank, "out").read_text()


@pytest.fixture
def bench(cluster, tmp_path):
    made = Bench(cluster, tmp_path)
    yield made
    for one in made.engine.observe().attempts:
        made.fenced(one.attempt)


def test_a_gang_of_four_loses_a_node_and_goes_on_elsewhere_from_its_checkpoint(bench):
    first = bench.training(1, ("n4", "n2", "n3", "n1"), steps=100_000)
    bench.engine.launch(first)
    bench.steps_saved(2)
    seen = bench.seen(first.attempt)
    assert (seen.phase, seen.nodes) == (Phase.RUNNING, ("n4", "n2", "n3", "n1"))

    bench.cluster.kill_node("n3")  # its step goes on: only the daemon is dead
    seen = bench.until(first.attempt, lambda one: one.phase is Phase.LOST)
    assert seen.lost_nodes == ("n3",)
    bench.fenced(first.attempt)
    assert not _processes_with(str(bench.engine.report_path(first.attempt).parent))
    assert bench.ended(first.attempt).end is End.NODE_FAIL

    newest = checkpoints.newest(bench.folder / "checkpoints")
    again = bench.training(2, ("n1", "n2", "n4"), steps=newest.step + 12)
    bench.engine.launch(again)
    seen = bench.ended(again.attempt)
    assert (seen.end, seen.exit_codes) == (End.COMPLETED, (0, 0, 0))
    assert bench.said(again.attempt) == f"rank 0 begins at step {newest.step} on n1\n"
    bench.cluster.start_node("n3")
    bench.cluster.until(
        lambda: all(node.up for node in bench.engine.observe().nodes), "the node is back"
    )


def test_a_preempted_job_saves_its_work_and_goes_on_from_there(bench):
    first = bench.training(1, ("n1", "n2"), steps=100_000)
    bench.engine.launch(first)
    bench.steps_saved(1)
    bench.engine.stop(first.attempt, Stop(signal="USR1", grace_s=PATIENCE_S))
    seen = bench.ended(first.attempt)
    assert (seen.end, seen.exit_codes) == (End.STOPPED, (0, 0))
    newest = checkpoints.newest(bench.folder / "checkpoints")
    again = bench.training(2, ("n2", "n1"), steps=newest.step + 2)
    bench.engine.launch(again)
    assert bench.ended(again.attempt).end is End.COMPLETED
    assert bench.said(again.attempt) == f"rank 0 begins at step {newest.step} on n2\n"


def test_slurm_preempts_a_delegated_job_and_it_goes_on_from_its_newest_checkpoint(
    cluster, tmp_path
):
    bench = Bench(cluster, tmp_path, delegate=True)
    first = bench.training(1, (), steps=60)
    bench.engine.launch(first)
    bench.steps_saved(1)
    urgent = cluster.call(
        *("sbatch", "--parsable", "--partition=urgent", "--nodes=4", "--exclusive"),
        *("--output=/dev/null", "--wrap=sleep 1"),
    )
    assert urgent.returncode == 0
    seen = bench.ended(first.attempt)
    assert (seen.end, seen.exit_codes) == (End.COMPLETED, (0, 0))
    begun = [line.split()[5] for line in bench.said(first.attempt).splitlines()]
    assert begun[0] == "0"
    assert len(begun) == 2
    assert int(begun[1]) >= 10


def test_a_controller_that_stops_is_out_of_reach_and_what_runs_goes_on(cluster, tmp_path):
    bench = Bench(cluster, tmp_path, command_timeout_s=2.0)
    launch = bench.training(1, ("n1",), steps=40)
    bench.engine.launch(launch)
    bench.steps_saved(1)
    cluster.stop_controller()
    try:
        for ask in (bench.engine.observe, lambda: bench.engine.fence(Attempt("other", 1))):
            with pytest.raises(OutOfReach):
                ask()
    finally:
        cluster.start_controller()
    assert bench.ended(launch.attempt).end is End.COMPLETED


def test_servers_killed_while_they_launch_start_every_attempt_once(cluster, tmp_path):
    root, job_ids = tmp_path / "root", [f"once-{n}" for n in range(12)]
    words = [json.dumps(one) for one in (str(root), str(tmp_path), cluster.env, job_ids)]
    chance = random.Random(5)
    killed = 0
    for _ in range(12):
        server = subprocess.Popen(
            [sys.executable, str(HERE / "driver.py"), *words],
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(HERE.parents[2])},
        )
        with server:
            assert server.stdout.readline() == b"open\n"
            try:
                server.wait(chance.uniform(0.0, 0.25))
            except subprocess.TimeoutExpired:
                server.send_signal(signal.SIGKILL)
                killed += 1
    assert killed  # by chance: most of the twelve, at least one
    bench = Bench(cluster, tmp_path)
    for job_id in job_ids:
        bench.engine.launch(driver.order(job_id, str(tmp_path)))
    for job_id in job_ids:
        assert bench.ended(Attempt(job_id, 1)).end is End.COMPLETED
        assert len((tmp_path / job_id).read_text().splitlines()) == 1


def test_a_script_for_sbatch_runs_unchanged(bench):
    text = (HERE / "gang.sh").read_text()
    read = read_sbatch(text, file="gang.sh", args=["a b"])
    launch = Launch(
        attempt=Attempt("script", 1),
        spec=read.spec,
        shares=(Share(node="n2", gpus=(0, 1)), Share(node="n3", gpus=(0, 1))),
    )
    bench.engine.launch(launch)
    seen = bench.ended(launch.attempt)
    assert (seen.end, seen.exit_codes) == (End.FAILED, (5,))
    assert bench.said(launch.attempt).splitlines() == [
        "1 a b",
        "gang 2 nodes",
        "0 n2 0,1",
        "1 n2 0,1",
        "2 n3 0,1",
        "3 n3 0,1",
    ]


def test_what_others_do_on_the_cluster_is_seen(bench):
    done = bench.cluster.call(
        *("sbatch", "--parsable", "--nodelist=n2", "--gpus-per-node=3", "--output=/dev/null"),
        *("--cpus-per-task=5", "--wrap=sleep 60"),
    )
    try:
        bench.cluster.until(lambda: bench.engine.observe().foreign, "the other's job is seen")
        (share,) = bench.engine.observe().foreign
        assert (share.node, share.gpus, share.num_cpus) == ("n2", (0, 1, 2), 5)
    finally:
        bench.cluster.call("scancel", done.stdout.strip())
    bench.cluster.call("scontrol", "update", "NodeName=n4", "State=DRAIN", "Reason=by hand")
    node = bench.engine.observe().nodes[3]
    assert (node.name, node.drained, node.reason) == ("n4", True, "by hand")
    bench.engine.undrain("n4")
    # A node that is resumed does not answer for a moment, which closes it as well.
    bench.cluster.until(lambda: not bench.engine.observe().nodes[3].drained, "n4 takes work again")
    bench.cluster.until(lambda: not bench.engine.observe().foreign, "the other's job is gone")


def test_a_hundred_and_twenty_eight_nodes_are_listed(short_folder):
    large = Cluster(short_folder, num_nodes=1, num_defined=128)
    try:
        large.start()
        bench = Bench(large, short_folder)
        nodes = bench.engine.observe().nodes
    finally:
        large.stop()
    assert [node.name for node in nodes] == [f"n{n}" for n in range(1, 129)]
    assert {node.num_gpus for node in nodes} == {8}
    assert [node.name for node in nodes if node.up] == ["n1"]


def _processes_with(word):
    """Return processes that have a word in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
