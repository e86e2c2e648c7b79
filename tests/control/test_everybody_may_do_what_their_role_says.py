"""Role × route × project, in full: a route that is not in the table below fails the first test."""

import pytest
from tests.control.plane import JOB, plane  # noqa: F401 - a fixture
from tests.control.world import comes_to

# For each route: the statuses for nobody, a viewer and a user of the job's project, a user of
# another one, an operator, an administrator. A job of another project looks like none at all.
WHO = (None, "viewer", "user", "stranger", "operator", "admin")
SEEN = (401, 200, 200, 404, 200, 200)
CHANGED = (401, 403, 200, 404, 200, 200)
ALL = (401, 200, 200, 200, 200, 200)
RUNS_IT = (401, 403, 403, 403, 200, 200)
OWNS_IT = (401, 403, 403, 403, 403, 200)
OPEN = (200,) * 6

ROUTES = {
    ("POST", "/api/v1/jobs"): ((401, 403, 201, 403, 201, 201), {"json": JOB}),
    ("GET", "/api/v1/jobs"): (ALL, {}),
    ("GET", "/api/v1/jobs/{job}"): (SEEN, {}),
    ("PATCH", "/api/v1/jobs/{job}"): (CHANGED, {"json": {"priority": -1}}),
    ("POST", "/api/v1/jobs/{job}/cancel"): (CHANGED, {}),
    ("POST", "/api/v1/jobs/{job}/hold"): (CHANGED, {}),
    ("POST", "/api/v1/jobs/{job}/release"): (CHANGED, {}),
    ("POST", "/api/v1/jobs/{job}/requeue"): (CHANGED, {}),
    ("POST", "/api/v1/jobs/{job}/renew"): (CHANGED, {}),
    ("GET", "/api/v1/jobs/{job}/why"): (SEEN, {}),
    ("GET", "/api/v1/jobs/{job}/events"): (SEEN, {}),
    ("GET", "/api/v1/jobs/{job}/account"): (SEEN, {}),
    # The world of these tests writes no logs: for those who may look there is nothing to see.
    ("GET", "/api/v1/jobs/{job}/logs"): ((401, 404, 404, 404, 404, 404), {}),
    ("GET", "/api/v1/whoami"): (ALL, {}),
    ("GET", "/api/v1/nodes"): (ALL, {}),
    ("GET", "/api/v1/nodes/{node}"): (ALL, {}),
    ("POST", "/api/v1/nodes/{node}/drain"): (RUNS_IT, {}),
    ("POST", "/api/v1/nodes/{node}/undrain"): (RUNS_IT, {}),
    ("GET", "/api/v1/queues"): (ALL, {}),
    ("GET", "/api/v1/centre"): (ALL, {}),
    ("PUT", "/api/v1/centre"): (OWNS_IT, {"json": None}),
    ("POST", "/api/v1/centre/what-if"): (RUNS_IT, {"json": None}),
    ("GET", "/api/v1/tokens"): (OWNS_IT, {}),
    ("POST", "/api/v1/tokens"): (
        (401, 403, 403, 403, 403, 201),
        {"json": {"name": "ci", "role": "user", "projects": ["vision"]}},
    ),
    ("DELETE", "/api/v1/tokens/{name}"): ((401, 403, 403, 403, 403, 204), {}),
    ("GET", "/api/v1/audit"): (OWNS_IT, {}),
    ("GET", "/api/v1/events"): (ALL, {"params": {"follow": "false", "after": 0}}),
    ("GET", "/api/v1/accounts"): (ALL, {}),
    ("GET", "/metrics"): ((401, 403, 403, 403, 200, 200), {}),
    ("GET", "/healthz"): (OPEN, {}),
    ("GET", "/readyz"): (OPEN, {}),
}


def _routes(app):
    document = app.openapi()
    for path, methods in document["paths"].items():
        for method in methods:
            yield method.upper(), path


def test_the_table_names_every_route(plane):  # noqa: F811 - the fixture
    assert set(_routes(plane.app)) == set(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_each_role_gets_what_the_table_says(plane, route):  # noqa: F811 - the fixture
    method, pattern = route
    statuses, more = ROUTES[route]
    admin = plane.client("admin")
    comes_to_run = pattern.endswith(("requeue", "renew"))
    spec = {**JOB, "lease": "2h"} if pattern.endswith("renew") else JOB
    for who, status in zip(WHO, statuses, strict=True):
        job = admin.post("/api/v1/jobs", json=spec).json()["spec"]["job_id"]
        if comes_to_run:
            comes_to(plane.conductor, job, "RUNNING")
        elif pattern.endswith(("release", "hold")):
            # Whatever runs is in the way of this one, so that it waits.
            admin.post("/api/v1/jobs", json=JOB)
            job = admin.post("/api/v1/jobs", json=JOB).json()["spec"]["job_id"]
        if pattern.endswith("release"):
            plane.client("user").post(f"/api/v1/jobs/{job}/hold")
        if pattern.endswith("/undrain"):
            plane.client("operator").post("/api/v1/nodes/n1/drain")
        if pattern == "/api/v1/tokens/{name}":
            admin.post("/api/v1/tokens", json={"name": "gone", "role": "viewer"})
        body = dict(more)
        if "json" in body and body["json"] is None:
            body["json"] = admin.get("/api/v1/centre").json()
        path = pattern.format(job=job, node="n1", name="gone")
        answer = plane.client(who).request(method, path, **body)
        assert answer.status_code == status, f"{who}: {answer.text}"
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        if pattern.endswith("/drain") and status == 200:
            admin.post("/api/v1/nodes/n1/undrain")
        _clear(plane)


def _clear(plane):  # noqa: F811 - the fixture
    admin = plane.client("admin")
    for job in admin.get("/api/v1/jobs", params={"active": "true"}).json()["items"]:
        admin.post(f"/api/v1/jobs/{job['job_id']}/cancel")
    for attempt in list(plane.world.attempts):
        plane.world.end(attempt)


def test_lists_and_streams_show_only_what_may_be_seen(plane):  # noqa: F811 - the fixture
    admin = plane.client("admin")
    mine = admin.post("/api/v1/jobs", json=JOB).json()["spec"]["job_id"]
    comes_to(plane.conductor, mine, "RUNNING")
    stranger = plane.client("stranger")
    assert stranger.get("/api/v1/jobs").json()["items"] == []
    nodes = stranger.get("/api/v1/nodes").json()["items"]
    assert [node["jobs"] for node in nodes] == [[], []]
    stream = stranger.get("/api/v1/events", params={"follow": "false", "after": 0}).text
    assert "submit" not in stream
    assert "hash" not in stream
    accounts = stranger.get("/api/v1/accounts").json()
    assert accounts["items"] == []
    assert "bill" not in accounts["status"]
    everything = admin.get("/api/v1/events", params={"follow": "false", "after": 0}).text
    assert "event: submit" in everything
    assert all(plane.tokens[who] not in everything for who in plane.tokens)
    assert "hash" not in everything


def test_a_user_cannot_raise_a_priority_or_release_what_an_operator_holds(plane):  # noqa: F811
    admin, user = plane.client("admin"), plane.client("user")
    admin.post("/api/v1/jobs", json=JOB)
    job = user.post("/api/v1/jobs", json=JOB).json()["spec"]["job_id"]
    assert user.request("PATCH", f"/api/v1/jobs/{job}", json={"priority": 5}).status_code == 403
    plane.client("operator").post(f"/api/v1/jobs/{job}/hold")
    refused = user.post(f"/api/v1/jobs/{job}/release")
    assert refused.status_code == 409
    assert "operator" in refused.json()["detail"]


def test_a_job_may_not_ask_for_more_priority_than_its_owner_has(plane):  # noqa: F811
    answer = plane.client("user").post("/api/v1/jobs", json={**JOB, "priority": 100})
    assert answer.status_code == 403


def test_a_revoked_and_an_expired_token_hold_no_more(plane, monkeypatch):  # noqa: F811
    admin = plane.client("admin")
    body = {"name": "brief", "role": "viewer", "expires_s": 1.0}
    made = admin.post("/api/v1/tokens", json=body).json()["spec"]["token"]
    plane.tokens["brief"] = made
    assert plane.client("brief").get("/api/v1/whoami").status_code == 200
    import time

    later = time.time() + 10
    monkeypatch.setattr("clusterwright.control.api.access.time.time", lambda: later)
    assert plane.client("brief").get("/api/v1/whoami").status_code == 401
    monkeypatch.undo()
    admin.request("DELETE", "/api/v1/tokens/viewer")
    assert plane.client("viewer").get("/api/v1/whoami").status_code == 401
