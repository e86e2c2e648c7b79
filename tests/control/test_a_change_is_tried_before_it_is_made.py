"""What a change would do to a running centre is told from the same futures, and changes nothing."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.control.drive import Drive
from tests.control.plane import JOB, plane  # noqa: F401 - a fixture
from tests.control.world import centre, job

from clusterwright import documents
from clusterwright.cli.what_if import changed as with_changes
from clusterwright.client import Client, Context
from clusterwright.control import foretell, what_if
from clusterwright.control.replay import replay
from clusterwright.errors import InvalidInput, UnknownName, UsageError
from clusterwright.model.centre import Centre, Nodes
from clusterwright.model.quota import Quota
from clusterwright.sched import policy_of
from clusterwright.sched import with_changes as with_policy

HOUR_S = 3600.0


def _compared(drive, wanted, days=2.0):
    now = foretell.glance(drive.book, drive.now_s)
    then = foretell.glance(what_if.changed(drive.book, wanted, drive.now_s), drive.now_s)
    return what_if.compared(now, then, days=days)


def _rows(found):
    return {(one["queue"], one["jobs"]): one for one in found["items"]}


def _larger(drive, count):
    nodes = tuple(replace(one, num_nodes=count) for one in drive.book.centre.nodes)
    return replace(drive.book.centre, nodes=nodes)


def _busy(num_waiting=4, num_nodes=1, **more):
    """Return a centre in which each node is held for an hour at least, and jobs wait."""
    drive = Drive(centre(nodes=num_nodes, **more))
    for _ in range(20):
        name = drive.submit(job(gpus=4, time_limit_s=10 * HOUR_S))
        drive.begin(name)
        drive.end(name, after_s=HOUR_S)
    for _ in range(num_nodes):
        drive.begin(drive.submit(job(gpus=4, time_limit_s=10 * HOUR_S)))
    for _ in range(num_waiting):
        drive.submit(job(gpus=4, time_limit_s=10 * HOUR_S), after_s=1.0)
    return drive


def test_without_a_change_every_future_is_the_same():
    drive = _busy()
    for one in _compared(drive, drive.book.centre)["items"]:
        assert one["shorter_fraction"] == one["longer_fraction"] == 0.0
        assert one["wait_p50_s"] == one["changed_wait_p50_s"]


def test_more_nodes_shorten_the_wait_by_what_they_take():
    drive = _busy(num_waiting=4)
    found = _compared(drive, _larger(drive, 5))
    waiting = _rows(found)["default", "waiting"]
    assert waiting["num_jobs"] == 4
    assert waiting["changed_wait_p90_s"] == 0.0
    assert waiting["shorter_fraction"] == 1.0
    # Jobs of an hour one after the other: the four wait 1, 2, 3 and 4 hours.
    assert waiting["wait_p50_s"] == pytest.approx(2.5 * HOUR_S, rel=0.2)
    assert found["learned_from_jobs"] == 20
    assert ("all", "waiting") not in _rows(found)  # one queue is all there is


def test_fewer_nodes_make_it_longer_and_may_leave_some_without_a_start():
    drive = Drive(centre(nodes=3))
    drive.begin(drive.submit(job(gpus=4, nodes=2, time_limit_s=HOUR_S)))
    drive.submit(job(gpus=4, nodes=3, time_limit_s=HOUR_S))
    waiting = _rows(_compared(drive, _larger(drive, 2)))["default", "waiting"]
    assert waiting["never_fraction"] == 0.0
    assert waiting["changed_never_fraction"] == 1.0
    assert waiting["wait_p50_s"] is waiting["changed_wait_p50_s"] is None


def test_a_raised_quota_helps_its_queue_and_costs_the_other():
    queues = (
        Quota(queue="prod", guarantee_ratio=4.0, limit_ratio=4.0),
        Quota(queue="lab", guarantee_ratio=12.0),
    )
    drive = Drive(centre(nodes=4, queues=queues))
    for _ in range(8):
        drive.submit(job(gpus=4, queue="prod", time_limit_s=HOUR_S), after_s=1.0)
        lab = job(gpus=4, queue="lab", time_limit_s=HOUR_S, preemptible=True)
        drive.submit(lab, after_s=1.0)
    wanted = with_changes(
        drive.book.centre,
        ["queues.prod.limit=16", "queues.prod.guarantee=+8", "queues.lab.guarantee=4"],
    )
    rows = _rows(_compared(drive, wanted))
    assert rows["prod", "waiting"]["shorter_fraction"] == 1.0
    lab = rows["lab", "waiting"]
    assert lab["longer_fraction"] > 0.8  # where prod is through early, lab has all there is
    assert lab["changed_wait_p50_s"] > lab["wait_p50_s"]
    assert rows["all", "waiting"]["num_jobs"] == 12


def test_trying_changes_nothing():
    drive = _busy()
    before = foretell.glance(drive.book, drive.now_s)
    spans = {name: list(one) for name, one in drive.book.there_spans.items()}
    _compared(drive, _larger(drive, 5))
    assert foretell.glance(drive.book, drive.now_s) == before
    assert drive.book.there_spans == spans
    assert set(drive.book.groups) == set(drive.book.node_names)


def test_what_one_policy_knows_of_run_times_and_the_other_does_not_is_not_compared():
    drive = _busy()
    for policy in ("predicted", "fair"):
        assert _compared(drive, replace(drive.book.centre, policy=policy))["items"]
    with pytest.raises(InvalidInput, match="orders by true run times"):
        _compared(drive, replace(drive.book.centre, policy="srtf"))


def test_a_queue_called_all_is_a_queue():
    drive = Drive(centre(nodes=1, queues=(Quota(queue="all"), Quota(queue="lab"))))
    for queue in ("all", "all", "lab"):
        drive.submit(job(gpus=4, queue=queue, time_limit_s=HOUR_S), after_s=1.0)
    waiting = [
        (one["queue"], one["num_jobs"])
        for one in _compared(drive, _larger(drive, 2))["items"]
        if one["jobs"] == "waiting"
    ]
    assert waiting == [("all", 1.0), ("lab", 1.0), ("all", 2.0)]


def test_what_runs_on_a_node_that_would_go_is_named():
    drive = _busy(num_nodes=2)
    with pytest.raises(InvalidInput, match="which would not be the same"):
        what_if.changed(drive.book, _larger(drive, 1), drive.now_s)


@pytest.mark.parametrize(
    "wanted",
    [
        Centre(),
        Centre(
            nodes=(Nodes(name="n", num_nodes=2, num_gpus=4, num_cpus=8),),
            queues=(Quota(queue="default", guarantee_ratio=8.0, limit_ratio=4.0),),
        ),
    ],
    ids=["no nodes", "quotas that contradict"],
)
def test_a_centre_that_cannot_be_is_refused_and_nothing_changes(plane, wanted):  # noqa: F811 - the fixture
    admin = plane.client("admin")
    before = admin.get("/api/v1/centre").json()
    body = documents.as_dict(wanted)
    for method, path in (("PUT", "/api/v1/centre"), ("POST", "/api/v1/centre/what-if")):
        answer = admin.request(method, path, json=body)
        assert answer.status_code == 422, answer.text
        assert "fault of clusterwright" not in answer.text
    assert admin.get("/api/v1/centre").json() == before
    assert not plane.conductor.failure


def test_those_who_came_to_a_queue_that_is_gone_do_not_come_again():
    queues = (Quota(queue="default"), Quota(queue="old"))
    drive = Drive(centre(nodes=1, queues=queues))
    name = drive.submit(job(gpus=4, queue="old"))
    drive.begin(name)
    drive.end(name, after_s=HOUR_S)
    drive.begin(drive.submit(job(gpus=4)))
    waiting = drive.submit(job(gpus=4))
    wanted = replace(drive.book.centre, queues=(Quota(queue="default"),))
    assert _compared(drive, wanted)["queues_left_out"] == ["old"]
    drive.do(lambda book, now: what_if.orders.change_centre(book, wanted, now))
    found = foretell.start(foretell.glance(drive.book, drive.now_s), waiting)
    assert found["start_in_p50_s"] is not None


CENTRE = Centre(nodes=(Nodes(name="gpu.a", num_nodes=2, num_gpus=8),))


def test_changes_are_written_as_paths_one_after_the_other():
    found = with_changes(
        CENTRE, ["nodes.gpu.a.nodes=+4", "policy=srtf", "policy.backfill=easy", "time_limit=2 days"]
    )
    assert found.nodes[0].num_nodes == 6
    assert found.policy == replace(policy_of("srtf"), backfill="easy")
    assert found.time_limit_s == 48 * HOUR_S
    assert with_changes(CENTRE, ["queues.default.limit=8"]).queues[0].limit_ratio == 8.0
    back = with_changes(CENTRE, ["queues.default.limit=8", "queues.default.limit=null"])
    assert back.queues[0].limit_ratio is None


def test_nodes_with_names_get_names():
    named = replace(CENTRE, nodes=(replace(CENTRE.nodes[0], members=("a", "b")),))
    more = with_changes(named, ["nodes.gpu.a.nodes=+1"])
    assert more.nodes[0].members == ("a", "b", "gpu.a-added1")
    assert with_changes(named, ["nodes.gpu.a.nodes=-1"]).nodes[0].members == ("a",)


def test_a_file_may_say_the_whole_of_it(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(documents.dump(replace(CENTRE, policy="srtf")))
    assert with_changes(CENTRE, [str(path)]).policy == "srtf"


FAULTS = {
    "nodes.gpu.nodes=+4": UnknownName,
    "queues.prod.limit=4": UnknownName,
    "policy=srft": UnknownName,
    "nodes.gpu.a.colour=red": UsageError,
    "nodes=4": UsageError,
    "rates.pue.x=1": UsageError,
    "nodes.gpu.a.nodes=+many": UsageError,
    "nodes.gpu.a.nodes=-2": InvalidInput,
    "queues.default.limit=lots": InvalidInput,
    "time_limit=3": InvalidInput,
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_change_that_is_none_says_so(said):
    with pytest.raises(FAULTS[said]):
        with_changes(CENTRE, [said])


def test_the_route_answers_with_rows_and_leaves_the_centre_alone(plane):  # noqa: F811 - the fixture
    operator = plane.client("operator")
    whole = operator.get("/api/v1/centre").json()
    for _ in range(12):
        answer = plane.client("user").post("/api/v1/jobs", json=JOB)
        assert answer.status_code == 201, answer.text
    more = json.loads(json.dumps(whole))
    more["nodes"][0]["nodes"] = 40
    found = operator.post("/api/v1/centre/what-if", json=more, params={"days": 1})
    assert found.status_code == 200, found.text
    rows = _rows(found.json())
    assert rows["default", "waiting"]["shorter_fraction"] == 1.0
    assert operator.get("/api/v1/centre").json() == whole


@pytest.mark.parametrize("half_life_s", [None, HOUR_S])
def test_fair_shares_outlive_a_change_of_the_centre(half_life_s):
    fair = with_policy(policy_of("fair"), half_life_s=half_life_s)
    drive = Drive(centre(nodes=1, policy=fair))
    for who, hours in (("ann", 10), ("bob", 2)):
        name = drive.submit(job(gpus=4, time_limit_s=hours * HOUR_S), who=who)
        drive.begin(name)
        drive.end(name, after_s=hours * HOUR_S)
    running = drive.submit(job(gpus=4, time_limit_s=HOUR_S), who="cid")
    drive.begin(running)
    (line,) = drive.book.state.lines.values()
    before = dict(line.used)
    decayed = 2.0 ** -((drive.book.sched_s(drive.now_s) - drive.book.state.epoch_s) / HOUR_S)
    wanted = replace(_larger(drive, 2), heartbeat_s=60.0)
    drive.do(lambda book, now: what_if.orders.change_centre(book, wanted, now))
    (line,) = drive.book.state.lines.values()
    share = (decayed if half_life_s else 1.0) / 2.0  # of twice the nodes
    for who, used in before.items():
        assert line.used[who] == pytest.approx(used * share, rel=1e-3), who
    first = "ann" if half_life_s else "bob"  # the ten hours of ann are long ago, or count in full
    waiting = {who: drive.submit(job(gpus=4, nodes=2), who=who) for who in ("ann", "bob")}
    drive.end(running, after_s=HOUR_S)
    assert drive.book.state.running.keys() == {drive.book.jobs[waiting[first]].index}
    assert replay(drive.entries).difference is None


def test_a_change_of_a_centre_that_others_have_changed_overwrites_nothing(plane):  # noqa: F811 - the fixture
    admin = plane.client()
    seen = admin.get("/api/v1/centre")
    mine, theirs = (json.loads(seen.text) for _ in range(2))
    theirs["time_limit"], mine["time_limit"] = "3 hours", "5 hours"
    tag = {"If-Match": seen.headers["ETag"]}
    changed = admin.request("PUT", "/api/v1/centre", json=theirs, headers=tag)
    assert changed.status_code == 200, changed.text
    late = admin.request("PUT", "/api/v1/centre", json=mine, headers=tag)
    assert late.status_code == 412
    assert "has changed since" in late.json()["detail"]
    now = admin.get("/api/v1/centre")
    assert now.headers["ETag"] == changed.headers["ETag"] != seen.headers["ETag"]
    assert now.json() == changed.json()


def test_the_client_changes_what_the_centre_has_become(plane):  # noqa: F811 - the fixture
    client = _client(plane)
    seen = []

    def change(now):
        if not seen:  # somebody is faster
            other = replace(now, time_limit_s=3 * HOUR_S)
            assert _client(plane).change_centre(lambda _: other)
        seen.append(now.time_limit_s)
        return replace(now, queues=(*now.queues, Quota(queue="new")))

    client.change_centre(change)
    after = client.centre()
    assert seen[1:] == [3 * HOUR_S]
    assert after.time_limit_s == 3 * HOUR_S
    assert [one.queue for one in after.queues] == ["default", "new"]


def _client(served):
    """Return the Python client, with its requests going to the application in this process."""
    found = Client(Context(name="test", url="http://127.0.0.1", token=served.tokens["admin"]))
    through = served.client()
    found._http = SimpleNamespace(
        request=lambda method, path, **more: through.request(
            method, f"/api/v1{path}", json=more.get("json"), headers=more.get("headers")
        )
    )
    return found
