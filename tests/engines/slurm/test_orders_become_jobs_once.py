"""Orders, stops and fences against a Slurm in memory, where every moment can be chosen."""

import json

import pytest
from tests.engines.slurm.fake import FakeSlurm

from clusterwright.engines.protocol import (
    Attempt,
    End,
    Launch,
    OutOfReach,
    Phase,
    Refused,
    Share,
    Stop,
)
from clusterwright.engines.slurm.engine import SlurmEngine
from clusterwright.engines.slurm.settings import Settings
from clusterwright.errors import UnknownName
from clusterwright.model.job import Topology
from clusterwright.model.jobspec import Checkpoint, JobSpec

TRAIN = Attempt("train", 1)
GIBIBYTE = 1024.0**3


class Clock:
    """A clock that a test moves."""

    now_s = 5000.0

    def __call__(self):
        return self.now_s


class Bench:
    """An engine, its Slurm, and the batch scripts that the test plays."""

    def __init__(self, root, **more):
        self.root = root
        self.slurm = FakeSlurm(newer=more.pop("newer", False))
        self.clock = Clock()
        self.settings = Settings(root=root, **more)
        self.restart()

    def restart(self):
        self.engine = SlurmEngine(self.settings, runner=self.slurm, clock=self.clock)
        self.engine.open()

    def path(self, attempt=TRAIN):
        return self.root / "jobs" / attempt.job_id / str(attempt.number)

    def begin(self, number=1, attempt=TRAIN, nodes="n[1-2]"):
        """Play the first lines of a batch script."""
        (self.path(attempt) / "claim").symlink_to(f"job-{number}")
        self.slurm.set(number, "RUNNING", start=4000, nodes=nodes)

    def end(self, number=1, code=0, reason="done", attempt=TRAIN):
        """Play the last lines of a batch script."""
        (self.path(attempt) / "end").write_text(f"{code} {reason} 4500\n")
        state = "FAILED" if code else "COMPLETED"
        self.slurm.set(number, state, end=4501, code=code << 8)

    def seen(self, attempt=TRAIN):
        found = self.engine.observe().attempts
        return next((one for one in found if one.attempt == attempt), None)


@pytest.fixture(params=[False, True], ids=["22.05", "newer"])
def bench(request, tmp_path):
    return Bench(tmp_path / "root", newer=request.param)


def spec(**more):
    return JobSpec(**{"name": "train", "command": "true", "num_nodes": 2, **more})


def order(attempt=TRAIN, nodes=("n2", "n1"), **more):
    fields = {key: more.pop(key) for key in ("time_limit_s", "secrets", "env") if key in more}
    share = more.pop("share", {})
    return Launch(
        attempt=attempt,
        spec=spec(**more),
        shares=tuple(Share(node=node, **share) for node in nodes),
        **fields,
    )


def sbatch_of(bench):
    return next(words for words in bench.slurm.asked if words[0] == "sbatch")


# --- an order's words


def test_an_order_names_its_nodes_and_itself(bench):
    bench.engine.launch(order(gpus_per_node_ratio=8, share={"gpus": tuple(range(8))}))
    words = sbatch_of(bench)
    assert words[:2] == ("sbatch", "--parsable")
    assert {
        "--comment=clusterwright:train.1",
        "--nodes=2",
        "--nodelist=n[1-2]",
        "--ntasks-per-node=8",
        "--gpus-per-node=8",
        "--no-requeue",
        "--signal=B:USR1@30",
    } <= set(words)


WORDS = {
    "memory in whole mebibytes": ({"share": {"memory_bytes": 1.5 * GIBIBYTE}}, "--mem=1536M"),
    "cores of a share": ({"share": {"num_cpus": 6}, "tasks_per_node": 2}, "--cpus-per-task=3"),
    "a slice": ({"mig_profile": "1g.10gb"}, "--gres=gpu:1g.10gb:1"),
    "a limit, with time to stop in": ({"time_limit_s": 3600.0}, "--time=62"),
    "an option of Slurm's own": ({"labels": {"slurm.reservation": "talk"}}, "--reservation=talk"),
    "an option without a value": ({"labels": {"slurm.exclusive": ""}}, "--exclusive"),
    "a partition of the queue's name": ({"queue": "batch"}, "--partition=batch"),
}


@pytest.mark.parametrize("name", WORDS)
def test_what_a_job_asks_for_is_said_in_slurms_words(bench, name):
    more, word = WORDS[name]
    bench.engine.launch(order(**more))
    assert word in sbatch_of(bench)


def test_queues_projects_and_models_are_put_into_the_clusters_words(tmp_path):
    bench = Bench(
        tmp_path,
        delegate=True,
        partitions={"research": "gpu"},
        accounts={"vision": "acc-7"},
        qos={"research": "high"},
        gpu_models={"h100": "H100-SXM5-80GB"},
    )
    job = {
        "queue": "research",
        "project": "vision",
        "gpus_per_node_ratio": 8,
        "gpu_model": "H100-SXM5-80GB",
        "topology": Topology(level="leaf"),
        "min_nodes": 1,
    }
    bench.engine.launch(order(nodes=(), **job))
    words = set(sbatch_of(bench))
    assert {"--partition=gpu", "--account=acc-7", "--qos=high"} <= words
    assert {"--gpus-per-node=h100:8", "--switches=1@10:00", "--nodes=1-2", "--requeue"} <= words
    assert not any(word.startswith("--nodelist") for word in words)


def test_a_job_with_secrets_is_not_started_again_by_slurm_alone(tmp_path):
    bench = Bench(tmp_path, delegate=True)
    bench.engine.launch(order(nodes=(), secrets={"TOKEN": "x"}))
    assert "--no-requeue" in sbatch_of(bench)


def test_the_same_order_gives_the_same_bytes(tmp_path):
    texts = []
    for name in ("a", "b"):
        bench = Bench(tmp_path / name)
        bench.engine.launch(order(env={"B": "2", "A": "it's\n1"}, time_limit_s=60.0))
        path = bench.path()
        both = (path / "batch.sh").read_text() + (path / "rank.sh").read_text()
        texts.append(both.replace(str(bench.root), "ROOT"))
    assert texts[0] == texts[1]


REFUSED = {
    "an image": ({"image": "docker.io/library/x"}, "image"),
    "a share of an accelerator": ({"gpus_per_node_ratio": 0.5}, "whole accelerators"),
    "an array": ({"array": "0-9"}, "array"),
    "an option that is not passed on": ({"labels": {"slurm.uid": "0"}}, r"slurm\.uid.*slurm\.qos"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_slurm_cannot_do_is_refused_before_it_is_asked(bench, name):
    more, says = REFUSED[name]
    with pytest.raises(Refused, match=says):
        bench.engine.launch(order(**more))
    assert not bench.slurm.count("sbatch")


def test_every_reason_is_told_at_once(bench):
    with pytest.raises(Refused, match=r"image.*array"):
        bench.engine.launch(order(image="x", array="0-1"))


def test_a_model_that_the_cluster_has_not_is_refused_with_those_it_has(tmp_path):
    bench = Bench(tmp_path, delegate=True)
    with pytest.raises(Refused, match=r"'B200'.*h100"):
        bench.engine.launch(order(nodes=(), gpus_per_node_ratio=1, gpu_model="B200"))


def test_slurms_own_refusal_is_told_in_its_words(bench):
    bench.slurm.refuse = "Batch job submission failed: Invalid account specified"
    with pytest.raises(Refused, match="Invalid account"):
        bench.engine.launch(order(secrets={"TOKEN": "hush"}))
    assert bench.seen() is None
    assert not (bench.path() / "secrets").exists()


def test_a_refusal_that_will_pass_is_tried_again_later(bench):
    bench.slurm.refuse = "Batch job submission failed: QOSMaxSubmitJobPerUserLimit"
    with pytest.raises(OutOfReach):
        bench.engine.launch(order())
    bench.slurm.refuse = ""
    bench.engine.launch(order())
    assert bench.seen().phase is Phase.PENDING


@pytest.mark.parametrize("job_id", ["../up", "a/b", "", "-x", "a b"])
def test_a_job_whose_id_is_no_file_name_is_refused(bench, job_id):
    with pytest.raises(Refused, match="id"):
        bench.engine.launch(order(Attempt(job_id, 1)))


# --- once


def test_a_server_killed_while_sbatch_ran_finds_the_job(bench):
    def die():
        raise KeyboardInterrupt

    bench.slurm.after_sbatch = die  # submitted, and nobody has noted it
    with pytest.raises(KeyboardInterrupt):
        bench.engine.launch(order())
    bench.slurm.after_sbatch = lambda: None
    bench.restart()
    bench.engine.launch(order())
    assert bench.slurm.count("sbatch") == 1
    assert bench.seen().phase is Phase.PENDING


def test_an_order_that_never_reached_slurm_is_not_said_to_wait(bench):
    bench.slurm.after_sbatch = bench.slurm.jobs.clear  # a submission that got lost
    bench.engine.launch(order())
    (bench.path() / "submitted").unlink()
    assert bench.seen() is None
    bench.slurm.after_sbatch = lambda: None
    bench.engine.launch(order())
    assert bench.seen().phase is Phase.PENDING


def test_a_second_submission_is_taken_out_of_the_queue(bench):
    bench.engine.launch(order())
    bench.slurm.jobs[2] = {**bench.slurm.jobs[1], "states": ["PENDING"]}
    bench.begin(number=1)
    assert bench.seen().phase is Phase.RUNNING
    assert bench.slurm.jobs[2]["states"] == ["CANCELLED"]
    bench.end()
    assert bench.seen().end is End.COMPLETED


def test_two_servers_do_not_launch_the_same_attempt_at_once(bench):
    other = SlurmEngine(bench.settings, runner=bench.slurm, clock=bench.clock)
    met = []

    def launch_too():
        bench.slurm.after_sbatch = lambda: None
        with pytest.raises(OutOfReach, match="another server"):
            other.launch(order())
        met.append(True)

    bench.slurm.after_sbatch = launch_too
    bench.engine.launch(order())
    assert met == [True]
    other.launch(order())
    assert bench.slurm.count("sbatch") == 1


def test_a_job_of_another_centre_with_the_same_comment_is_not_ours(bench):
    bench.engine.launch(order())
    bench.slurm.set(1, "RUNNING", output="/elsewhere/jobs/train/1/batch.out", nodes="n3")
    seen = bench.engine.observe()
    assert [one.phase for one in seen.attempts] != [Phase.RUNNING]
    assert [share.node for share in seen.foreign] == ["n3"]
    assert seen.foreign[0].num_cpus == 32  # all of it: this Slurm does not say what it holds


def test_a_job_is_adopted_by_its_comment_when_the_books_are_gone(bench):
    bench.engine.launch(order())
    bench.slurm.set(1, "RUNNING", start=4000, nodes="n[1-2]")
    for name in ("active/train.1", "jobs/train"):
        path = bench.root / name
        path.rename(bench.root / path.name.replace("train", "lost"))
    seen = bench.seen()
    assert (seen.phase, seen.nodes) == (Phase.RUNNING, ("n1", "n2"))


# --- ends


ENDS = {
    "all tasks returned 0": (0, "done", "COMPLETED", End.COMPLETED),
    "a task failed": (3, "done", "FAILED", End.FAILED),
    "the batch script saw the limit": (143, "timeout", "FAILED", End.TIMEOUT),
    "Slurm saw the limit": (143, "killed", "TIMEOUT", End.TIMEOUT),
    "it was stopped": (0, "stopped", "COMPLETED", End.STOPPED),
    "somebody cancelled it": (143, "killed", "CANCELLED", End.FAILED),
    "Slurm took its nodes": (143, "killed", "PREEMPTED", End.NODE_FAIL),
    "it took too much memory": (137, "done", "OUT_OF_MEMORY", End.FAILED),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_is_told_by_its_cause(bench, name):
    code, reason, state, end = ENDS[name]
    bench.engine.launch(order())
    bench.begin()
    bench.end(code=code, reason=reason)
    bench.slurm.set(1, state, end=4501)
    seen = bench.seen()
    assert (seen.phase, seen.end) == (Phase.ENDED, end)
    assert (seen.started_s, seen.ended_s) == (4000, 4501)


@pytest.mark.parametrize("name", ENDS)
def test_an_end_is_kept_when_slurm_forgets_the_job(bench, name):
    code, reason, state, _ = ENDS[name]
    bench.engine.launch(order())
    bench.begin()
    bench.end(code=code, reason=reason)
    bench.slurm.set(1, state, end=4501)
    before = bench.seen()
    bench.slurm.jobs.clear()
    bench.restart()
    assert bench.seen() == before


def test_an_end_that_nobody_saw_is_read_from_the_scripts_record(bench):
    bench.engine.launch(order())
    bench.begin()
    bench.end()
    bench.slurm.jobs.clear()
    seen = bench.seen()
    assert (seen.end, seen.ended_s) == (End.COMPLETED, 4500)


def test_a_job_forgotten_without_a_record_lost_its_first_node(bench):
    bench.engine.launch(order())
    bench.begin()
    bench.slurm.jobs.clear()
    seen = bench.seen()
    assert (seen.phase, seen.end) == (Phase.ENDED, End.NODE_FAIL)
    assert "recorded no end" in seen.message


def test_a_job_is_not_over_while_slurm_still_kills_its_tasks(bench):
    bench.engine.launch(order())
    bench.begin()
    bench.end(code=1)
    bench.slurm.set(1, "FAILED", "COMPLETING")
    assert bench.seen().phase is Phase.RUNNING


def test_a_job_whose_script_could_not_begin_says_why(bench):
    bench.engine.launch(order())
    bench.slurm.set(1, "FAILED", start=4000, end=4001, nodes="n[1-2]")
    (bench.path() / "batch.out").write_text("clusterwright: /shared cannot be written on n2\n")
    seen = bench.seen()
    assert (seen.end, seen.message) == (
        End.NOT_STARTED,
        "clusterwright: /shared cannot be written on n2",
    )


def test_the_rank_that_failed_first_is_named(bench):
    bench.engine.launch(order())
    bench.begin()
    (bench.path() / "ranks" / "0").write_text("137\n0m0.0s 0m0.0s\n0m1.5s 0m0.5s\n")
    (bench.path() / "ranks" / "1").write_text("7\n0m0.0s 0m0.0s\n1m2.0s 0m0.0s\n")
    bench.end(code=137)
    seen = bench.seen()
    assert seen.exit_codes == (-9, 7)
    assert (seen.message, seen.cpu_s) == ("rank 1 ended with 7", 64.0)


# --- stopping


def test_a_job_that_waits_is_taken_out_of_the_queue(bench):
    bench.engine.launch(order(secrets={"TOKEN": "hush"}))
    bench.engine.stop(TRAIN, Stop())
    assert bench.seen().end is End.STOPPED
    assert not (bench.path() / "secrets").exists()


def test_a_job_that_runs_is_told_through_its_batch_script(bench):
    bench.engine.launch(order())
    bench.begin()
    bench.engine.stop(TRAIN, Stop(signal="USR1", grace_s=20))
    assert (bench.path() / "stop").read_text() == "USR1 20 5000.000\n"
    assert bench.slurm.asked[-1] == ("scancel", "--batch", "--signal=USR2", "1")
    assert bench.seen().phase is Phase.STOPPING


def test_a_batch_script_that_does_not_stop_its_tasks_is_cancelled(bench):
    bench.engine.launch(order())
    bench.begin()
    bench.engine.stop(TRAIN, Stop(grace_s=20))
    bench.clock.now_s += 59
    bench.seen()
    assert bench.slurm.jobs[1]["states"] == ["RUNNING"]
    bench.clock.now_s += 2
    bench.seen()
    assert bench.slurm.jobs[1]["states"] == ["CANCELLED", "COMPLETING"]


# --- fencing


def lose(bench, name="n2"):
    bench.slurm.nodes[name]["states"] = ["down", "NOT_RESPONDING"]
    bench.slurm.nodes[name]["reason"] = "Not responding"
    bench.slurm.set(1, "NODE_FAIL", end=4501)


def lost(bench):
    """Launch a gang, lose a node of it, and ask for a fence once."""
    bench.engine.launch(order())
    bench.begin()
    lose(bench)
    seen = bench.seen()
    assert (seen.phase, seen.lost_nodes) == (Phase.LOST, ("n2",))
    assert not bench.engine.fence(TRAIN)
    return bench


def test_silence_of_a_lost_node_proves_nothing_however_long(bench):
    lost(bench)
    bench.clock.now_s += 1e6
    assert not bench.engine.fence(TRAIN)
    bench.slurm.jobs.clear()
    assert not bench.engine.fence(TRAIN)
    assert bench.seen().phase is Phase.LOST


def test_a_node_that_answers_again_is_given_time_to_kill_what_it_finds(bench):
    lost(bench)
    bench.clock.now_s += 100
    bench.slurm.nodes["n2"]["states"] = ["idle"]
    assert not bench.engine.fence(TRAIN)
    bench.clock.now_s += 9
    assert not bench.engine.fence(TRAIN)
    bench.clock.now_s += 2
    assert bench.engine.fence(TRAIN)
    seen = bench.seen()
    assert (seen.phase, seen.end, seen.lost_nodes) == (Phase.ENDED, End.NODE_FAIL, ("n2",))


def test_a_node_that_comes_and_goes_begins_its_time_again(bench):
    lost(bench)
    bench.slurm.nodes["n2"]["states"] = ["idle"]
    assert not bench.engine.fence(TRAIN)
    bench.slurm.nodes["n2"]["states"] = ["down"]
    bench.clock.now_s += 100
    assert not bench.engine.fence(TRAIN)
    bench.slurm.nodes["n2"]["states"] = ["idle"]
    assert not bench.engine.fence(TRAIN)


PROOFS = {
    "it was started anew": lambda bench: bench.slurm.nodes["n2"].update(boot=4600),
    "it is switched off": lambda bench: bench.slurm.nodes["n2"].update(
        states=["down", "POWERED_DOWN"]
    ),
    "an operator says so": lambda bench: bench.engine.confirm_dead("n2"),
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_node_that_stays_away_is_safe_when(bench, name):
    lost(bench)
    PROOFS[name](bench)
    assert bench.engine.fence(TRAIN)


def test_an_operators_word_holds_for_what_began_before_it_alone(bench):
    bench.clock.now_s = 3000.0
    bench.engine.confirm_dead("n2")
    bench.clock.now_s = 5000.0
    lost(bench)
    assert not bench.engine.fence(TRAIN)


def test_a_word_about_no_node_is_refused(bench):
    with pytest.raises(UnknownName, match=r"n22.*did you mean"):
        bench.engine.confirm_dead("n22")


def test_a_running_attempt_is_fenced_once_slurm_has_killed_it(bench):
    bench.engine.launch(order())
    bench.begin()
    assert not bench.engine.fence(TRAIN)
    assert bench.slurm.jobs[1]["states"] == ["CANCELLED", "COMPLETING"]
    assert not bench.engine.fence(TRAIN)
    bench.slurm.set(1, "CANCELLED", end=5001)
    assert bench.engine.fence(TRAIN)
    assert bench.seen().end is End.STOPPED


def test_a_fence_before_the_start_leaves_no_claim_to_make(bench):
    bench.engine.launch(order())
    assert bench.engine.fence(TRAIN)
    with pytest.raises(FileExistsError):
        bench.begin()
    assert bench.slurm.jobs[1]["states"] == ["CANCELLED"]
    assert bench.seen().phase is Phase.ENDED
    bench.engine.launch(order())
    assert bench.slurm.count("sbatch") == 1


def test_a_waiting_job_whose_node_goes_down_is_lost(bench):
    bench.engine.launch(order())
    bench.slurm.nodes["n1"]["states"] = ["down"]
    assert bench.seen().phase is Phase.LOST
    assert bench.engine.fence(TRAIN)


def test_a_node_that_merely_does_not_answer_yet_takes_no_job_down(bench):
    bench.engine.launch(order())
    bench.begin()
    bench.slurm.nodes["n2"]["states"] = ["allocated", "NOT_RESPONDING"]
    seen = bench.engine.observe()
    assert seen.attempts[0].phase is Phase.RUNNING
    assert [(one.up, one.drained) for one in seen.nodes][:3] == [
        (True, False),
        (True, True),
        (True, False),
    ]


# --- out of reach


@pytest.mark.parametrize("silence", ["away", "hangs"])
def test_a_controller_that_is_away_is_out_of_reach_and_nothing_is_concluded(bench, silence):
    bench.engine.launch(order())
    bench.begin()
    setattr(bench.slurm, silence, True)
    calls = (
        bench.engine.observe,
        lambda: bench.engine.launch(order(Attempt("next", 1))),
        lambda: bench.engine.stop(TRAIN, Stop()),
        lambda: bench.engine.fence(TRAIN),
        lambda: bench.engine.signal(TRAIN, "USR1"),
        lambda: bench.engine.drain("n1", "x"),
        lambda: bench.engine.undrain("n1"),
    )
    for call in calls:
        with pytest.raises(OutOfReach, match="slurmctld"):
            call()
    setattr(bench.slurm, silence, False)
    assert bench.seen().phase is Phase.RUNNING
    bench.engine.launch(order(Attempt("next", 1)))
    assert bench.seen(Attempt("next", 1)).phase is Phase.PENDING


def test_a_fence_while_the_controller_is_away_still_keeps_a_waiting_job_from_starting(bench):
    bench.engine.launch(order())
    bench.slurm.away = True
    with pytest.raises(OutOfReach):
        bench.engine.fence(TRAIN)
    with pytest.raises(FileExistsError):
        bench.begin()


# --- nodes and books


def test_draining_is_said_once_and_taken_back(bench):
    bench.engine.drain("n3", "a loud\nfan")
    bench.engine.drain("n3", "again")
    node = bench.engine.observe().nodes[2]
    assert (node.drained, node.reason) == (True, "a loud fan")
    bench.engine.undrain("n3")
    assert not bench.engine.observe().nodes[2].drained


def test_what_slurm_holds_tasks_to_is_asked_of_it(bench):
    able = bench.engine.capabilities
    assert (able.places, able.limits_memory, able.isolates_devices) == (True, False, True)
    assert not able.emulates


def test_a_forgotten_attempt_does_not_start_again(bench):
    bench.engine.launch(order())
    bench.begin()
    bench.end()
    bench.seen()
    bench.engine.forget([TRAIN])
    assert bench.seen() is None
    bench.engine.launch(order())
    assert bench.slurm.count("sbatch") == 1
    assert bench.seen() is None


def test_a_warning_is_as_the_job_wants_it(bench):
    bench.engine.launch(order(checkpoint=Checkpoint(grace_s=0.0)))
    assert not any(word.startswith("--signal") for word in sbatch_of(bench))


def test_books_hold_no_secret(bench):
    bench.engine.launch(order(secrets={"TOKEN": "hush-4711"}))
    path = bench.path()
    assert (path / "secrets").stat().st_mode & 0o777 == 0o600
    texts = [one.read_text() for one in path.iterdir() if one.is_file() and one.name != "secrets"]
    assert not any("hush-4711" in text for text in texts)
    assert not any("hush-4711" in json.dumps(words) for words in bench.slurm.asked)
