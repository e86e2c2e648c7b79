"""Where accelerators differ, jobs are held to what they make best use of, and all of them run."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.catalog import load as the_catalog
from clusterwright.cli.main import run as command
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.sched import policy_of
from clusterwright.twin import Roofline, Setting, Speeds, rooflines, run, speeds_on
from clusterwright.twin.matching import matched

# Alike in their geometric mean: one has the arithmetic, the other the memory.
BOUNDS = {
    "sums": Roofline(peak_flop_per_s=4e14, memory_bytes_per_s=1e12),
    "reads": Roofline(peak_flop_per_s=1e14, memory_bytes_per_s=4e12),
}
EASY = replace(policy_of("fifo"), name="easy", backfill="easy")


def cluster(*counts, queues="qq", models=("sums", "reads"), **more):
    return Cluster(
        groups=tuple(
            NodeGroup(queue=queue, num_nodes=count, gpus_per_node=8, gpu_model=model, **more)
            for queue, count, model in zip(queues, counts, models, strict=True)
        )
    )


def some(waits, count=100, every_s=100.0, **more):
    base = {"queue": "q", "duration_s": 1000.0, "num_gpus_ratio": 8.0, **more}
    return [
        Job(job_id=f"{waits}-{n}", submit_s=n * every_s, memory_bound_fraction=waits, **base)
        for n in range(count)
    ]


def test_a_part_takes_as_long_as_its_bound_says():
    job = some(0.25, 1)[0]
    bounds = {
        "best": BOUNDS["sums"],
        "half": Roofline(peak_flop_per_s=2e14, memory_bytes_per_s=1e12),
    }
    assert speeds_on(job, bounds) == {"best": 1.0, "half": pytest.approx(1 / (0.25 + 0.75 * 2))}
    unknown = replace(job, memory_bound_fraction=None)
    assert speeds_on(unknown, bounds)["half"] == pytest.approx(0.5**0.5)
    assert speeds_on(replace(job, gpu_models=("half",)), bounds) == {"half": 1.0}


def test_on_busy_nodes_each_is_held_to_what_suits_it():
    jobs = some(0.0) + some(1.0)
    found = matched(cluster(5, 5), jobs, BOUNDS)
    assert {job.gpu_models for job in found.jobs if not job.memory_bound_fraction} == {("sums",)}
    assert {job.gpu_models for job in found.jobs if job.memory_bound_fraction} == {("reads",)}
    assert found.num_held == 200
    # 100 jobs of 1,000 s in 9,900 s for each five nodes, at full speed there.
    assert found.pools["q"].load_ratio == pytest.approx(100 * 1000 / 9900 / 5)


def test_where_much_stands_idle_nobody_is_held_back():
    found = matched(cluster(50, 50), some(0.0) + some(1.0), BOUNDS)
    assert {job.gpu_models[0] for job in found.jobs if job.memory_bound_fraction} == {"reads"}
    assert all(len(job.gpu_models) == 2 for job in found.jobs)
    assert found.num_held == 0


def test_jobs_alike_share_all_there_is():
    found = matched(cluster(5, 5), some(None, every_s=50.0), BOUNDS)
    assert {len(job.gpu_models) for job in found.jobs} == {2}


def test_the_mix_of_earlier_jobs_decides_for_later_ones():
    jobs = some(0.5, 5)
    busy = [replace(job, job_id=f"old-{job.job_id}") for job in some(0.0, 300, 30.0)]
    held = matched(cluster(5, 5), jobs, BOUNDS, typical=busy + some(1.0, 10))
    free = matched(cluster(5, 5), jobs, BOUNDS)
    assert free.num_held == 0
    assert len(held.jobs) == len(jobs)
    assert {job.gpu_models for job in held.jobs} == {("reads",)}  # the others pay for the sums


def test_nobody_is_held_to_nodes_that_cannot_hold_it():
    wide = [replace(job, job_id=f"w{job.job_id}", num_gpus_ratio=24.0) for job in some(1.0, 50)]
    found = matched(cluster(5, 2), wide + some(0.0, 200, 50.0), BOUNDS)
    assert {job.gpu_models for job in found.jobs if job.num_gpus_ratio == 24} == {("sums",)}
    large = [replace(job, job_id=f"m{job.job_id}", num_cpus=64) for job in some(1.0, 50)]
    small = cluster(5, 5, cpus_per_node=64).groups
    groups = (small[0], replace(small[1], cpus_per_node=32))
    found = matched(Cluster(groups=groups), large + some(0.0, 200, 50.0), BOUNDS)
    assert {job.gpu_models for job in found.jobs if job.num_cpus} == {("sums",)}


def test_queues_with_nodes_of_their_own_are_matched_by_themselves():
    jobs = some(1.0, queue="a") + [replace(j, job_id=f"b{j.job_id}") for j in some(1.0, queue="b")]
    parted = matched(cluster(5, 5, queues="ab"), jobs, BOUNDS)
    assert {(job.queue, job.gpu_models) for job in parted.jobs} == {
        ("a", ("sums",)),
        ("b", ("reads",)),
    }
    assert set(parted.pools) == {"a", "b"}
    shared = matched(cluster(5, 5, queues="ab"), jobs, BOUNDS, pooled=True)
    assert set(shared.pools) == {"all-gpus"}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), pooled=st.booleans(), counts=st.tuples(*[st.integers(1, 4)] * 2)
)
def test_whatever_is_asked_all_that_could_run_runs_and_time_is_counted_as_before(
    seed, pooled, counts
):
    rng = random.Random(seed)
    nodes = cluster(*counts, queues=rng.choice(("qq", "qr")), cpus_per_node=rng.choice((0, 32)))
    jobs = [
        Job(
            job_id=f"j{number}",
            queue=rng.choice([group.queue for group in nodes.groups]),
            submit_s=rng.uniform(0.0, 5000.0),
            duration_s=rng.uniform(100.0, 2000.0),
            num_gpus_ratio=float(rng.choice((0.5, 1, 3, 8, 16))),
            num_cpus=rng.choice((0, 8, 32)),
            gpu_models=rng.choice(((), (), ("sums",), ("reads", "sums"))),
            memory_bound_fraction=rng.choice((None, 0.0, 0.3, 1.0)),
        )
        for number in range(rng.randint(1, 60))
    ]
    found = matched(nodes, jobs, BOUNDS, pooled=pooled)
    setting = Setting(policy=EASY, pooled=pooled)
    before = run(nodes, jobs, setting, rate=Speeds(rooflines=BOUNDS).on(nodes))
    speeds = Speeds(rooflines=BOUNDS, usable=found.usable)
    after = run(nodes, found.jobs, setting, rate=speeds.on(nodes))
    assert _never_ran(after) == _never_ran(before)
    rate, plain = speeds.on(nodes)(found.jobs), Speeds(rooflines=BOUNDS).on(nodes)(jobs)
    for index in range(len(jobs)):  # being held to fewer changes no speed
        for node in range(sum(counts)):
            assert rate(index, ((node, 8),)) == plain(index, ((node, 8),))


def _never_ran(outcome):
    ends = zip(outcome.jobs, outcome.records.end_s, strict=True)
    return {job.job_id for job, end_s in ends if np.isnan(end_s)}


def test_matched_jobs_end_sooner_on_busy_nodes():
    rng = random.Random(5)
    jobs = [
        replace(job, job_id=f"j{number}", submit_s=rng.uniform(0.0, 40_000.0))
        for number, job in enumerate(some(0.1, 180) + some(0.9, 180))
    ]
    nodes = cluster(5, 5)

    def mean_s(ready, usable):
        speeds = Speeds(rooflines=BOUNDS, usable=usable)
        outcome = run(nodes, ready, Setting(policy=EASY), rate=speeds.on(nodes))
        return np.mean(outcome.records.end_s - [job.submit_s for job in outcome.jobs])

    found = matched(nodes, jobs, BOUNDS)
    assert mean_s(found.jobs, found.usable) < 0.8 * mean_s(jobs, {})


def test_the_command_matches_by_a_column_of_the_trace(tmp_path, capsys):
    rows = ["job_id,submit_s,duration_s,gpus,memory_bound"]
    rng = random.Random(3)
    rows += [f"j{n},{n * 60},900,8,{rng.randrange(2)}" for n in range(200)]
    (tmp_path / "jobs.csv").write_text("\n".join(rows) + "\n")
    names = [f"a{n},8,96,900,H800-SXM5-80GB" for n in range(7)]
    names += [f"b{n},8,96,900,H20-96GB" for n in range(7)]
    names.insert(0, "node,gpus,cpus,mem_gb,gpu_type")
    (tmp_path / "nodes.csv").write_text("\n".join(names) + "\n")
    words = ["simulate", "--nodes", str(tmp_path / "nodes.csv"), "--trace"]
    words += [str(tmp_path / "jobs.csv"), "--policy", "fifo", "-o", "json"]
    ends = []
    for more in (["--matching", "fastest"], ["--matching", "best"]):
        assert command([*words, "--model-speeds", *more]) == 0
        ends.append(json.loads(capsys.readouterr().out)["status"]["avg_jct_s"])
    assert ends[1] < 0.9 * ends[0]
    assert command([*words, "--matching", "best"]) == 2
    assert "--model-speeds" in capsys.readouterr().err
    assert set(rooflines(["H20-96GB"], the_catalog())) == {"H20-96GB"}
