"""The training of the examples: stopped, killed and resumed, it ends with the very same weights."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.engines.protocol_suite import ended, eventually

from clusterwright import documents
from clusterwright.engines import Attempt, End, Launch, Share, Stop, checkpoints, reports
from clusterwright.engines.local import LocalEngine, emulated
from clusterwright.model.jobspec import JobSpec

EXAMPLE = Path(__file__).parents[3] / "examples" / "jobs" / "train-numpy"
NODES = emulated(2, cpus_per_node=2)
STEPS = 60


class Rig:
    """What `protocol_suite` waits with."""

    patience_s = 60.0

    def __init__(self, root):
        self.engine = LocalEngine(root, NODES)


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    made = Rig(tmp_path_factory.mktemp("engine"))
    made.engine.open()
    yield made
    made.engine.shut_down()


def launch_of(job_id, number, folder, *, pause="0"):
    words = (sys.executable, str(EXAMPLE / "train.py"))
    options = ("--steps", str(STEPS), "--every", "10", "--hidden", "16", "--pause", pause)
    spec = JobSpec(
        name="train", command=words, args=options, num_nodes=2, env={"OPENBLAS_NUM_THREADS": "1"}
    )
    saved = checkpoints.newest(folder / "checkpoints")
    return Launch(
        attempt=Attempt(job_id, number),
        spec=spec,
        shares=tuple(Share(node=node.name, num_cpus=1) for node in NODES),
        env={"CLUSTERWRIGHT_OUTPUT_DIR": str(folder)},
        checkpoint_dir=str(folder / "checkpoints"),
        resume_from=str(saved.path) if saved else "",
    )


def result(folder):
    return json.loads((folder / "result.json").read_text())


def reported_steps(engine, attempt):
    lines = reports.read(engine.report_path(attempt)).lines
    return [line["step"] for line in lines if "step" in line]  # other ranks tell their pace


def test_the_job_file_is_one_that_people_can_submit():
    spec = documents.read((EXAMPLE / "job.yaml").read_text(), JobSpec, file="job.yaml")
    assert (spec.num_nodes, spec.ranks_per_node, spec.preemptible) == (2, 2, True)


def test_stopped_and_killed_runs_end_with_the_weights_of_one_that_was_not(rig, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    launch = launch_of("whole", 1, whole)
    rig.engine.launch(launch)
    assert ended(rig, launch.attempt).end is End.COMPLETED
    assert reported_steps(rig.engine, launch.attempt) == list(range(1, STEPS + 1))

    # 1. Warned: it saves at the step that it is at, and leaves with 0.
    launch = launch_of("broken", 1, broken, pause="0.02")
    rig.engine.launch(launch)
    eventually(
        rig, lambda: len(reported_steps(rig.engine, launch.attempt)) > 3, why="its first steps"
    )
    rig.engine.stop(launch.attempt, Stop(signal="USR1", grace_s=rig.patience_s))
    seen = ended(rig, launch.attempt)
    assert (seen.end, seen.exit_codes) == (End.STOPPED, (0, 0))
    left_at = reported_steps(rig.engine, launch.attempt)[-1]
    assert checkpoints.newest(broken / "checkpoints").step == left_at

    # 2. Killed without warning: what was done since the newest checkpoint is lost.
    launch = launch_of("broken", 2, broken, pause="0.02")
    rig.engine.launch(launch)
    eventually(
        rig,
        lambda: checkpoints.newest(broken / "checkpoints").step > left_at,
        why="a checkpoint of its own",
    )
    status = rig.engine._spool.status("broken.2", NODES[1].name)
    os.kill(json.loads(status.read_text())["tasks"][0][0], signal.SIGKILL)
    assert ended(rig, launch.attempt).end is End.FAILED
    assert reported_steps(rig.engine, launch.attempt)[0] == left_at + 1

    # 3. Left alone, it is through.
    launch = launch_of("broken", 3, broken)
    rig.engine.launch(launch)
    assert ended(rig, launch.attempt).end is End.COMPLETED
    assert result(broken) == result(whole)
