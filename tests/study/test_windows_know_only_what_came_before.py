"""The bench: windows, what waits and runs when they begin, estimates from before them alone."""

from dataclasses import replace

import numpy as np
import pytest

from clusterwright.errors import UsageError
from clusterwright.learn import Past
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.sched import POLICIES
from clusterwright.study.bench import (
    Bench,
    Checkpoints,
    Task,
    cut,
    period_of,
    prepare,
    with_backlog,
)
from clusterwright.study.space import Candidate
from clusterwright.study.wishes import ALL

CLUSTER = Cluster(groups=(NodeGroup(queue="q", num_nodes=1, gpus_per_node=8),))
FIFO = Candidate(policy=POLICIES["fifo"])
BARE = Bench(
    cluster=CLUSTER,
    lending=False,
    checkpoints=Checkpoints(every_s=3600.0, cost_s=10.0, restart_s=60.0),
    power=None,
    wake_s=0.0,
    seed=0,
    periods=(),
)


def job(number, submit_s, duration_s=600.0, gpus=1.0, user="ann"):
    return Job(
        job_id=f"j{number}",
        queue="q",
        user=user,
        submit_s=float(submit_s),
        duration_s=float(duration_s),
        num_gpus_ratio=gpus,
    )


def stream(count, seed=0, first_s=0.0):
    rng = np.random.default_rng(seed)
    return [
        job(n, first_s + n * 1000.0, rng.choice([60.0, 5000.0, 20000.0]), rng.choice([1.0, 8.0]))
        for n in range(count)
    ]


def prepared(before, later, windows=4):
    return prepare(BARE, before, later, from_s=1e6, start=FIFO, windows=windows)


def test_parts_hold_about_equally_many_jobs_whenever_they_came():
    past = [Past(job=job(n, n**3), end_s=n**3 + 600.0) for n in range(100)]
    parts = cut(past, to_s=1e6, count=4)
    assert [len(part.jobs) for part in parts] == [20] * 5
    assert sum((part.jobs for part in parts), ())[0].submit_s == 0.0
    assert all(0 <= one.submit_s <= part.to_s - part.from_s for part in parts for one in part.jobs)


def test_a_window_begins_with_what_runs_and_what_waits():
    ran = Past(job=job(1, 0.0, 5000.0, 8.0), end_s=5000.0)
    runs = Past(job=job(2, 100.0, 5000.0, 8.0), end_s=10000.0)
    waits = Past(job=job(3, 200.0, 700.0, 8.0), end_s=10700.0)
    comes = Past(job=job(4, 7000.0, 700.0, 8.0), end_s=11400.0)
    past = [ran, runs, waits, comes]
    bare = period_of([comes.job], past, from_s=7000.0, to_s=8000.0)
    window = with_backlog(bare, past)
    assert [one.job_id for one in window.jobs] == ["j2", "j3", "j4"]
    assert [one.submit_s for one in window.jobs] == [0.0, 1.0, 1.0]
    assert [one.duration_s for one in window.jobs] == [3000.0, 700.0, 700.0]
    assert all(len(told) == 3 for told in window.guesses.values())


def test_the_later_period_changes_nothing_that_is_searched_on():
    before = stream(300)
    searched, judged = prepared(before, stream(50, first_s=1e6))
    others, _ = prepared(before, stream(80, seed=5, first_s=1e6 + 5.0))
    assert searched == others
    assert len(judged.periods) == 2
    assert len(judged.periods[0].jobs) == 300


@pytest.mark.parametrize("window", range(4))
def test_run_times_of_a_window_change_no_estimate_in_it(window):
    before = stream(300)
    searched, _ = prepared(before, stream(50, first_s=1e6))
    begin_s = searched.periods[window].from_s
    # In the order of submission nobody waits for what comes later, so nothing before it moves.
    changed = [
        replace(one, duration_s=one.duration_s * 7) if one.submit_s >= begin_s else one
        for one in before
    ]
    again, _ = prepared(changed, stream(50, first_s=1e6))
    assert again.periods[window].guesses == searched.periods[window].guesses


def test_estimates_are_never_the_true_run_times():
    searched, judged = prepared(stream(300), stream(50, first_s=1e6))
    for bench in (searched, judged):
        for place in range(len(bench.periods)):
            outcome = bench.play(Task(candidate=FIFO, period=place))
            assert all(one.estimate_s is not None for one in outcome.jobs)


def test_jobs_that_may_be_stopped_save_their_work():
    policy = replace(POLICIES["priority"], name="mine")
    searched, _ = prepared(stream(300), stream(50, first_s=1e6))
    rigid = searched.play(Task(candidate=FIFO, period=0))
    saving = searched.play(Task(candidate=Candidate(policy=policy), period=0))
    assert not any(one.preemptible for one in rigid.jobs)
    assert all(one.preemptible and one.checkpoint_stall_s for one in saving.jobs)


def test_a_run_gives_figures_of_all_and_of_each_queue():
    searched, _ = prepared(stream(300), stream(50, first_s=1e6))
    measured = searched.measure(Task(candidate=FIFO, period=0))
    assert set(measured) == {ALL, "q"}
    assert measured[ALL]["avg_wait_s"] == measured["q"]["avg_wait_s"]
    assert measured[ALL]["num_guarantees_broken"] == 0.0


def test_too_little_to_search_on_is_refused():
    with pytest.raises(UsageError, match="nothing to search on"):
        prepared([], stream(5, first_s=1e6))
