"""Orders learned on September beat those that learn nothing on October, which they never saw.

Traces: Philly (Jeon et al., ATC'19) in the five queues that the reference calls `oct_small`, which
run in seconds; the whole month is in docs/explanation/learned-run-times.md. Helios Venus (Hu et
al., SC'21), one virtual cluster, by week.
"""

from dataclasses import replace
from functools import cache

import pytest
from tests.plan.conftest import ROOT

from clusterwright import learn, traces
from clusterwright.learn import Past
from clusterwright.model.cluster import Cluster
from clusterwright.study.learning import orders
from clusterwright.units import SECONDS_PER_DAY

FOLDER = ROOT.parent / "shared/reference/traces"
SMALL = {"11cb48", "e13805", "ed69ec", "103959", "2869ce"}
MONTH_S, WEEK_S = 30 * SECONDS_PER_DAY, 7 * SECONDS_PER_DAY

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the published traces are not beside the repository (../shared)"
)


def jobs_of(name):
    return traces.read_trace((FOLDER / name).read_bytes(), file=name).jobs


def nodes_of(name):
    return traces.read_queues((FOLDER / name).read_bytes(), file=name, gpus_per_node=8)


def compared(cluster, earlier, later, from_s):
    past = [Past(job=job, end_s=job.submit_s + job.duration_s) for job in earlier]
    history = learn.known_at(past, from_s)
    outlooks = [history.outlook(job, from_s) for job in later]
    rows = orders(
        cluster,
        later,
        past,
        from_s=from_s,
        outlooks=outlooks,
        window_s=MONTH_S,
        every_s=None,
    )
    known = learn.ended(past, from_s)
    scores = (
        learn.score(later, outlooks),
        learn.score_points(later, learn.naive_s(later, known)),
    )
    return {row.name: row for row in rows}, *scores


@cache
def philly():
    nodes = nodes_of("queues_philly_tight.csv")
    cluster = Cluster(groups=tuple(one for one in nodes.groups if one.queue in SMALL))
    october = [
        replace(job, submit_s=job.submit_s + MONTH_S)
        for job in jobs_of("philly_2017-10.csv.gz")
        if job.queue in SMALL
    ]
    return compared(cluster, jobs_of("philly_2017-09.csv.gz"), october, MONTH_S)


@cache
def helios(week):
    jobs = jobs_of("helios_venus_vcvGl_2020-09.csv.gz")
    starts, ends = week * WEEK_S, (week + 1) * WEEK_S
    earlier = [job for job in jobs if job.submit_s < starts]
    later = [job for job in jobs if starts <= job.submit_s < ends]
    return compared(nodes_of("queues_helios_vcvGl.csv"), earlier, later, starts)


def test_october_on_what_september_told():
    rows, _, _ = philly()
    assert rows["predicted"].avg_jct_s < rows["smallest-first"].avg_jct_s < rows["fifo"].avg_jct_s


def test_the_guard_shortens_the_longest_wait_at_little_cost():
    rows, _, _ = philly()
    guarded, free = rows["predicted, guarded"], rows["predicted"]
    assert guarded.max_wait_s < 0.5 * free.max_wait_s
    assert guarded.largest_avg_wait_s < free.largest_avg_wait_s
    assert guarded.avg_jct_s < 1.05 * free.avg_jct_s


@pytest.mark.parametrize("week", [1, 2])
def test_a_week_on_what_the_weeks_before_told(week):
    """Smallest first is within 0.3 % of true run times there, so no order can beat it by more."""
    rows, _, _ = helios(week)
    assert rows["predicted"].avg_jct_s < 0.7 * rows["fifo"].avg_jct_s
    assert rows["predicted"].avg_jct_s <= 1.001 * rows["smallest-first"].avg_jct_s


@pytest.mark.parametrize("case", [philly, lambda: helios(1), lambda: helios(2)])
def test_predictions_are_closer_than_the_mean_of_the_queue(case):
    _, mine, naive = case()
    assert mine.log_error_ratio < naive.log_error_ratio
    assert mine.pinball_p50_s < naive.pinball_p50_s
    assert 0.8 < mine.below_p90_fraction < 0.99
