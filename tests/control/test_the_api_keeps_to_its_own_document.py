"""Requests made from the OpenAPI document, bodies made of anything: never a 500, never a lie."""

import json

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.control.plane import JOB, served
from tests.control.world import centre

FOLLOWING = {"/api/v1/events"}
DOCUMENTS = {"POST /api/v1/jobs", "PUT /api/v1/centre", "POST /api/v1/centre/what-if"}
DOCUMENTS |= {"PATCH /api/v1/jobs/{job}", "GET /api/v1/accounts"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    with served(tmp_path_factory.mktemp("api"), centre()) as found:
        found.client().post("/api/v1/jobs", json=JOB)
        yield found


def test_every_answer_is_one_that_the_document_names(plane):
    document = schemathesis.openapi.from_asgi("/api/openapi.json", plane.app)
    headers = {"Authorization": f"Bearer {plane.tokens['admin']}"}
    seen = set()
    for found in document.get_all_operations():
        operation = found.ok()
        seen.add(operation.label)

        _held(operation, headers)
    assert len(seen) > 20


def _held(operation, headers):
    """Hold an operation against the document with requests that the document allows or forbids."""

    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def hold(case):
        if case.query and "follow" in case.query:
            case.query["follow"] = "false"
        elif case.path in FOLLOWING:
            case.query = {**(case.query or {}), "follow": "false"}
        answer = case.call(headers={**(case.headers or {}), **headers})
        # A schema knows no units, no rules across fields and no versions: what it lets pass may
        # still be refused, with its faults, or because it was meant for another version.
        refused = operation.label in DOCUMENTS and answer.status_code in (412, 422)
        skipped = [positive_data_acceptance] if refused else []
        case.validate_response(answer, headers=headers, excluded_checks=skipped)

    hold()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=15), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    field=st.sampled_from(
        (
            *("name", "command", "env", "nodes", "gpus_per_node", "array", "topology", "retry"),
            *("checkpoint", "depends_on", "start_after", "secrets", "labels", "queue"),
            *("time_limit", "resources", "min_nodes", "priority", "memory_per_node"),
        )
    ),
    value=ANYTHING,
)
def test_a_job_with_anything_in_it_is_taken_or_refused_with_reasons(plane, field, value):
    body = json.dumps({**JOB, field: value})
    answer = plane.client("user").post(
        "/api/v1/jobs?dry_run=true", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (200, 403, 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["faults"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=300),
    kind=st.sampled_from(("application/json", "application/yaml", "text/plain")),
    path=st.sampled_from(
        ("/api/v1/jobs", "/api/v1/jobs/1/cancel", "/api/v1/nodes/n1/drain", "/api/v1/tokens")
    ),
)
def test_bytes_of_any_kind_are_refused_and_nothing_more(plane, body, kind, path):
    answer = plane.client("admin").post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code in (200, 409, 422), answer.text


def test_a_body_without_end_is_cut_off(plane):
    answer = plane.client("user").post("/api/v1/jobs", content=b"x" * 2_000_000)
    assert answer.status_code == 422
    assert "longer than" in answer.json()["detail"]


def test_the_same_key_submits_once_and_another_job_under_it_is_a_conflict(plane):
    user = plane.client("user")
    headers = {"Idempotency-Key": "once"}
    first = user.post("/api/v1/jobs", json=JOB, headers=headers)
    again = user.post("/api/v1/jobs", json=JOB, headers=headers)
    assert first.json()["spec"]["job_id"] == again.json()["spec"]["job_id"]
    other = user.post("/api/v1/jobs", json={**JOB, "name": "other"}, headers=headers)
    assert other.status_code == 409


def test_a_change_meant_for_an_older_version_is_refused(plane):
    user = plane.client("user")
    user.post("/api/v1/jobs", json=JOB)
    job = user.post("/api/v1/jobs", json=JOB).json()["spec"]["job_id"]
    tag = user.get(f"/api/v1/jobs/{job}").headers["ETag"]
    user.post(f"/api/v1/jobs/{job}/hold")
    stale = user.post(f"/api/v1/jobs/{job}/cancel", headers={"If-Match": tag})
    assert stale.status_code == 412
    fresh = user.get(f"/api/v1/jobs/{job}").headers["ETag"]
    assert user.post(f"/api/v1/jobs/{job}/cancel", headers={"If-Match": fresh}).status_code == 200


def test_a_trace_is_taken_up_and_handed_back(plane):
    given_ = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = plane.client().get("/healthz", headers={"traceparent": given_})
    assert answer.headers["traceparent"] == given_
    assert isinstance(answer, httpx.Response)
