"""By when a job starts and what it costs is told from the centre's own past."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.drive import Drive
from tests.control.plane import JOB, plane  # noqa: F401 - a fixture
from tests.control.world import centre, job

from clusterwright import sched
from clusterwright.control import accounts, foretell, orders
from clusterwright.model.centre import Rates

HOUR_S = 3600.0


def _full():
    """Return a centre whose only node is held by a job."""
    drive = Drive(centre(nodes=1))
    drive.submit(job(gpus=4, time_limit_s=10 * HOUR_S))
    return drive


def _past(drive, run_s, count):
    for _ in range(count):
        name = drive.submit(job(gpus=4, time_limit_s=10 * HOUR_S))
        drive.begin(name)
        drive.end(name, after_s=run_s)


def _start(drive, name):
    return foretell.start(foretell.glance(drive.book, drive.now_s), name)


def test_what_ran_before_tells_when_the_next_one_starts():
    drive = Drive(centre(nodes=1))
    _past(drive, 600.0, 40)
    holder = drive.submit(job(gpus=4, time_limit_s=10 * HOUR_S))
    drive.begin(holder)
    waiting = drive.submit(job(gpus=4, time_limit_s=10 * HOUR_S))
    found = _start(drive, waiting)
    assert found["learned_from_jobs"] == 40
    assert found["start_in_p50_s"] == pytest.approx(600.0, rel=0.3)
    assert found["start_in_p50_s"] <= found["start_in_p90_s"] <= 10 * HOUR_S * 1.3


def test_before_anything_has_ended_the_limits_bound_it():
    drive = _full()
    found = _start(drive, drive.submit(job(gpus=4)))
    assert found["learned_from_jobs"] == 0
    assert 0.0 < found["start_in_p50_s"] <= found["start_in_p90_s"] <= 10 * HOUR_S * 1.3


def test_a_job_behind_a_node_that_is_down_has_no_time():
    drive = Drive(centre(nodes=1))
    drive.lose(drive.book.node_names[0])
    found = _start(drive, drive.submit(job(gpus=4)))
    assert found["start_in_p50_s"] is None
    assert found["start_p90"] is None


def test_a_forecast_changes_nothing():
    drive = _full()
    name = drive.submit(job(gpus=4))
    before = foretell.glance(drive.book, drive.now_s)
    foretell.start(before, name)
    assert foretell.glance(drive.book, drive.now_s) == before


def _tried(drive, spec):
    asked, never = orders.trial(drive.book, spec, drive.now_s, "ann")
    assert not never
    return foretell.trial(foretell.glance(drive.book, drive.now_s), spec, asked)


@pytest.mark.parametrize("hold", [False, True])
def test_a_job_that_is_only_tried_starts_at_once_where_there_is_room(hold):
    drive = Drive(centre(nodes=2))
    found = _tried(drive, job(gpus=4, nodes=2, hold=hold))
    assert found["start"]["start_in_p90_s"] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(
    ("topology", "within"),
    [
        ({}, None),
        ({"nodes_per_leaf": 2}, "leaf 2 of n"),
        ({"nodes_per_leaf": 1, "leaves_per_pod": 2}, "pod 2 of n"),
        ({"nodes_per_leaf": 2, "nodes_per_domain": 2}, "scale-up domain 2 of n"),
    ],
)
def test_a_job_that_is_only_tried_is_told_where_it_would_go(topology, within):
    whole = centre(nodes=4)
    drive = Drive(replace(whole, nodes=(replace(whole.nodes[0], **topology),)))
    drive.submit(job(gpus=4, nodes=2))
    found = _tried(drive, job(gpus=4, nodes=2))["place"]
    assert found == {"nodes": ["n3", "n4"], "within": within, "reason": None, "message": ""}
    one = _tried(drive, job(gpus=1))["place"]
    assert one["nodes"] == ["n3"]
    assert one["within"] == "node n3"
    drive.submit(job(gpus=4))
    wide = _tried(drive, job(gpus=4, nodes=2))["place"]
    assert wide["nodes"] == []
    assert wide["reason"] == "WAITING_FOR_RESOURCES"
    assert "4 are free" in wide["message"]


NEVER = {
    "more nodes than there are": (job(gpus=4, nodes=3), "NO_MATCHING_HARDWARE"),
    "more cores than a node has": (job(gpus=4, cpus_per_node=9), "NO_MATCHING_HARDWARE"),
    "nothing that these nodes give": (job(gpus=0, cpus_per_node=2), "MISCONFIGURED"),
}


@pytest.mark.parametrize("case", NEVER)
def test_a_job_that_is_only_tried_is_refused_for_the_reason_it_would_wait_for(case):
    spec, reason = NEVER[case]
    drive = Drive(centre(nodes=2))
    _, never = orders.trial(drive.book, spec, drive.now_s, "ann")
    assert never[0].startswith(f"{reason}: it asks for ")
    drive.submit(spec)
    assert sched.why(drive.book.state, 0).reason == reason


@settings(max_examples=20, deadline=None)
@given(run_s=st.floats(1.0, 30_000.0), gpus=st.sampled_from([1, 2, 4]), nodes=st.integers(1, 2))
def test_what_it_is_said_to_cost_is_what_its_account_comes_to(run_s, gpus, nodes):
    rates = Rates(usd_per_accelerator_hour=2.0, energy_usd_per_j=1e-7, carbon_g_per_j=1e-4)
    plain = centre(nodes=2)
    drawing = tuple(replace(one, power_w=4000.0) for one in plain.nodes)
    drive = Drive(replace(plain, rates=rates, nodes=drawing))
    spec = job(gpus=gpus, nodes=nodes, time_limit_s=run_s)
    said = _tried(drive, spec)["expected"]["limit"]
    name = drive.submit(spec)
    drive.begin(name)
    drive.end(name, after_s=run_s)
    came = accounts.of_job(drive.book, drive.book.jobs[name], drive.now_s)
    for one in ("gpu_s", "energy_j", "cost_usd", "carbon_g"):
        assert said[one] == pytest.approx(getattr(came, one), rel=1e-5), one


def test_the_api_tells_it_to_whoever_may_see_the_job(plane):  # noqa: F811 - the fixture
    tried = plane.client("user").post("/api/v1/jobs?dry_run=true", json=JOB)
    assert tried.status_code == 200
    found = tried.json()["spec"]
    assert found["start"]["start_in_p50_s"] is not None
    assert found["expected"]["p50"]["run_s"] <= found["expected"]["limit"]["run_s"]
    client = plane.client("user")
    held = client.post("/api/v1/jobs", json={**JOB, "hold": True})
    name = held.json()["spec"]["job_id"]
    assert "start" not in client.get(f"/api/v1/jobs/{name}/why?start=true").json()["spec"]
    assert plane.client("stranger").get(f"/api/v1/jobs/{name}/why?start=true").status_code == 404
