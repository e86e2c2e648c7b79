"""FIFO and SJF on real traces equal the runs of the published reference simulator, to the second.

Source of the figures: HeliosArtifact simulator (Hu et al., SC'21), run on the same traces; the
table is `scheduler_results.csv`. Static queues, `consolidate` placement, no backfill.
"""

import csv
from functools import cache

import pytest
from tests.plan.conftest import ROOT

from clusterwright import traces, twin
from clusterwright.sched import policy_of
from clusterwright.twin import Setting

REFERENCE = ROOT.parent / "shared/reference"
PHILLY = ("philly_2017-10.csv.gz", "queues_philly_tight.csv")
HELIOS = ("helios_venus_vcvGl_2020-09.csv.gz", "queues_helios_vcvGl.csv")

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the published traces are not beside the repository (../shared)"
)


@cache
def replayed(trace, queues, policy):
    folder = REFERENCE / "traces"
    found = traces.read_trace((folder / trace).read_bytes(), file=trace)
    cluster = traces.read_queues((folder / queues).read_bytes(), file=queues, gpus_per_node=8)
    jobs = tuple(job for job in found.jobs if job.queue in set(cluster.queues))
    if policy == "qssf":
        guesses = (folder / "philly_qssf_estimates.csv.gz").read_bytes()
        jobs = traces.read_estimates(guesses, jobs, file="estimates")
    setting = Setting(policy=policy_of(policy))
    return twin.summarise(trace, twin.run(cluster, jobs, setting), setting)


def published(trace, policy):
    name = "helios.oct_tight." if trace == PHILLY[0] else "helios.venus_vcvGl."
    with (REFERENCE / "scheduler_results.csv").open(newline="", encoding="utf-8") as rows:
        return [row for row in csv.DictReader(rows) if row["ref_id"].startswith(f"{name}{policy}.")]


@pytest.mark.parametrize("policy", ["fifo", "sjf"])
@pytest.mark.parametrize("data", [PHILLY, HELIOS], ids=["philly", "helios"])
def test_every_queue_equals_the_published_run(data, policy):
    run = replayed(*data, policy)
    items = {item.name: item for item in run.items}
    rows = published(data[0], policy)
    assert rows
    for row in rows:
        queue = row["cluster"].removeprefix("VC ")
        mine = items.get(row["ref_id"].split(".")[-1]) or items.get(queue) or run.status
        assert mine.num_jobs == int(row["jobs"]), row["ref_id"]
        assert round(mine.avg_jct_s, 2) == float(row["avg_jct_s"]), row["ref_id"]
        assert round(mine.avg_wait_s, 2) == float(row["avg_queue_s"]), row["ref_id"]
        assert round(mine.makespan_s) == int(row["makespan_s"]), row["ref_id"]


def test_noisy_guesses_come_within_two_percent():
    run = replayed(*PHILLY, "qssf")
    items = {item.name: item for item in run.items}
    for row in published(PHILLY[0], "qssf"):
        queue = row["ref_id"].split(".")[-1]
        if queue in items:
            assert items[queue].avg_jct_s == pytest.approx(float(row["avg_jct_s"]), rel=0.02)
