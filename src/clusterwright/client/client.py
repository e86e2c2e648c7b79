"""The client: one method for each verb, plain objects back, our errors for its problems."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

from clusterwright import documents
from clusterwright.client.contexts import Context, context_named
from clusterwright.errors import ClusterwrightError, ExitCode
from clusterwright.model.centre import Centre
from clusterwright.model.jobspec import JobSpec

Plain = dict[str, Any]  # the API's JSON
_FINAL = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
_FORETELL_S = 120.0  # a forecast plays on for a while where thousands wait
_WHAT_IF_S = 600.0  # two centres are played on for weeks
_MOST_TURNS = 5  # at a change that others cross
_EXITS = {
    400: ExitCode.USAGE,
    401: ExitCode.TARGET,
    403: ExitCode.TARGET,
    404: ExitCode.USAGE,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    422: ExitCode.USAGE,
    503: ExitCode.TRY_LATER,
}


class Refused(ClusterwrightError):
    """The centre has answered with a problem."""

    def __init__(self, detail: str, status: int, faults: list[Plain]) -> None:
        """Keep what the answer says."""
        super().__init__(detail)
        self.status = status
        self.faults = faults
        self.exit_code = _EXITS.get(status, ExitCode.TARGET)


class Unreachable(ClusterwrightError):
    """No centre answers there."""

    exit_code = ExitCode.TARGET


class OutOfTime(ClusterwrightError):
    """The time given has passed."""

    exit_code = ExitCode.TIMEOUT


def connect(context: str | None = None) -> "Client":
    """Return a client of the centre that a context names, or that is current.

    Raises
    ------
    TargetMissing
        If no centre is known.
    """
    return Client(context_named(context))


class Client:
    """A centre."""

    def __init__(self, context: Context, *, timeout_s: float = 30.0) -> None:
        """Take where it is; nothing is sent yet."""
        token = context.secret()
        self._url = context.url
        self._http = httpx.Client(
            base_url=f"{context.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_s,
            trust_env=not _is_loopback(context.url),
        )

    def submit(self, spec: JobSpec, *, key: str = "", dry_run: bool = False) -> Plain:
        """Submit a job and return it; with a key the same submission twice counts once."""
        headers = {"Idempotency-Key": key} if key else {}
        query = {"dry_run": "true"} if dry_run else {}
        body = documents.as_dict(spec)
        more = {"timeout": _FORETELL_S} if dry_run else {}
        return self._ask("POST", "/jobs", json=body, headers=headers, params=query, **more)

    def jobs(self, **wanted: Any) -> Iterator[Plain]:
        """Yield jobs, the latest first: by state, queue, project, owner, or only active ones."""
        query = {key: value for key, value in wanted.items() if value not in (None, False, ())}
        while True:
            page = self._ask("GET", "/jobs", params=query)
            yield from page["items"]
            cursor = page.get("status", {}).get("cursor")
            if cursor is None:
                return
            query["cursor"] = cursor

    def job(self, job: str) -> Plain:
        """Return a job with its specification and attempts; an array as a list of its tasks."""
        return self._ask("GET", _path("jobs", job))

    def why(self, job: str, *, start: bool = False) -> Plain:
        """Return why a job is where it is, and by when it will start if that is asked."""
        query = {"start": "true"} if start else {}
        path = _path("jobs", job, "why")
        found: Plain = self._ask("GET", path, params=query, timeout=_FORETELL_S)["spec"]
        return found

    def change(
        self,
        job: str,
        verb: Literal["cancel", "hold", "release", "requeue", "renew"],
        why: str = "",
    ) -> Plain:
        """Cancel, hold, release or requeue a job, or renew the lease of a session."""
        return self._ask("POST", _path("jobs", job, verb), json={"why": why} if why else {})

    def set_priority(self, job: str, priority: int) -> Plain:
        """Change the priority of a job that is not through."""
        return self._ask("PATCH", _path("jobs", job), json={"priority": priority})

    def events(self, job: str) -> list[Plain]:
        """Return all that the journal has about a job."""
        found: list[Plain] = self._ask("GET", _path("jobs", job, "events"))["items"]
        return found

    def follow_events(self, after: int | None = None) -> Iterator[Plain]:
        """Yield events of the centre as they come, over broken connections too."""
        query: dict[str, Any] = {} if after is None else {"after": after}
        for _, event in self._stream("/events", query):
            yield json.loads(event)

    def log(self, job: str, *, rank: int = 0, stream: str = "out", **more: Any) -> str:
        """Return what a rank of a job has written."""
        query = {"rank": rank, "stream": stream, **_given(more)}
        return self._send("GET", _path("jobs", job, "logs"), params=query).text

    def follow_log(
        self, job: str, *, rank: int = 0, stream: str = "out", **more: Any
    ) -> Iterator[str]:
        """Yield what a rank of a job writes until its attempt is over."""
        query = {"rank": rank, "stream": stream, "follow": "true", **_given(more)}
        for kind, data in self._stream(_path("jobs", job, "logs"), query):
            if kind == "end":
                return
            yield json.loads(data)

    def wait(self, job: str, *, timeout_s: float | None = None) -> Plain:
        """Return a job once it is through.

        Raises
        ------
        OutOfTime
            If it is not through in time.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        pause_s = 0.05
        while True:
            found = self.job(job)
            tasks = found["items"] if "items" in found else [found["spec"]]
            if all(task["state"] in _FINAL for task in tasks):
                return found
            if end is not None and time.monotonic() >= end:
                states = ", ".join(sorted({task["state"] for task in tasks}))
                msg = f"job {job} is {states} after {timeout_s:g} s"
                raise OutOfTime(msg)
            time.sleep(pause_s)
            pause_s = min(1.0, pause_s * 1.3)

    def nodes(self) -> list[Plain]:
        """Return every node with what is used of it."""
        found: list[Plain] = self._ask("GET", "/nodes")["items"]
        return found

    def drain(self, node: str, why: str = "", *, dry_run: bool = False) -> Plain:
        """Let no new work on a node."""
        return self._on_node(node, "drain", why, dry_run=dry_run)

    def undrain(self, node: str, why: str = "", *, dry_run: bool = False) -> Plain:
        """Let work on a node again."""
        return self._on_node(node, "undrain", why, dry_run=dry_run)

    def queues(self) -> list[Plain]:
        """Return the queues: what each is owed, allowed, and uses."""
        found: list[Plain] = self._ask("GET", "/queues")["items"]
        return found

    def centre(self) -> Centre:
        """Return the centre as it was declared."""
        return documents.read_value(self._ask("GET", "/centre"), Centre, file=self._url)

    def change_centre(self, change: Callable[[Centre], Centre]) -> Plain:
        """Change queues, policy, nodes or rates, and return the centre as it is then.

        Parameters
        ----------
        change
            Makes the wanted centre of the present one. Where somebody else changes the centre in
            between, it is asked once more about what that has become; nothing is overwritten.

        Raises
        ------
        Refused
            If the centre takes no such change, or changes all the time.
        """
        for _ in range(_MOST_TURNS):
            answer = self._send("GET", "/centre")
            wanted = change(documents.read_value(answer.json(), Centre, file=self._url))
            headers = {"If-Match": answer.headers["ETag"]}
            try:
                return self._ask("PUT", "/centre", json=documents.as_dict(wanted), headers=headers)
            except Refused as error:
                if error.status != HTTPStatus.PRECONDITION_FAILED:
                    raise
                refused = error
        raise refused

    def what_if(self, centre: Centre, *, days: float | None = None) -> Plain:
        """Return how long jobs wait in the centre as it is, and in a changed one, by queue."""
        body = documents.as_dict(centre)
        query = {} if days is None else {"days": days}
        return self._ask("POST", "/centre/what-if", json=body, params=query, timeout=_WHAT_IF_S)

    def whoami(self) -> Plain:
        """Return who the token stands for."""
        found: Plain = self._ask("GET", "/whoami")["spec"]
        return found

    def tokens(self) -> list[Plain]:
        """Return all tokens, without what is secret of them."""
        found: list[Plain] = self._ask("GET", "/tokens")["items"]
        return found

    def add_token(self, name: str, role: str, **more: Any) -> Plain:
        """Make a token; the answer holds it, and nothing else ever will."""
        body = {"name": name, "role": role, **_given(more)}
        found: Plain = self._ask("POST", "/tokens", json=body)["spec"]
        return found

    def revoke_token(self, name: str) -> None:
        """Revoke a token by name or id."""
        self._send("DELETE", _path("tokens", name))

    def accounts(self, **wanted: Any) -> Plain:
        """Return accounts, by job, project, queue or owner, from `since` until `until`."""
        return self._ask("GET", "/accounts", params=_given(wanted))

    def account(self, job: str) -> Plain:
        """Return what one job held and what that came to."""
        found: Plain = self._ask("GET", _path("jobs", job, "account"))["spec"]
        return found

    def get(self, path: str, **query: Any) -> Plain:
        """Return what a path under `/api/v1` answers."""
        return self._ask("GET", path, params=_given(query))

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of connections."""
        self.close()

    def _on_node(self, node: str, verb: str, why: str, *, dry_run: bool) -> Plain:
        query = {"dry_run": "true"} if dry_run else {}
        body = {"why": why} if why else {}
        found = self._ask("POST", _path("nodes", node, verb), json=body, params=query)
        spec: Plain = found["spec"]
        return spec

    def _ask(self, method: str, path: str, **more: Any) -> Plain:
        found: Plain = self._send(method, path, **more).json()
        return found

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.is_error:
            raise _refused(answer)
        return answer

    def _stream(self, path: str, query: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield kind and data of server-sent events; a broken stream is taken up again."""
        last, pause_s = "", 0.2
        while True:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with self._http.stream(
                    "GET", path, params=query, headers=headers, timeout=httpx.Timeout(30, read=60)
                ) as answer:
                    if answer.is_error:
                        answer.read()
                        raise _refused(answer)
                    for event in _events(answer.iter_lines()):
                        last, pause_s = event.get("id", last), 0.2
                        yield event.get("event", "message"), event.get("data", "")
                        if event.get("event") == "end":
                            return
            except httpx.HTTPError as error:
                if pause_s > 10:
                    raise self._unreachable(error) from error
            time.sleep(pause_s)
            pause_s *= 2

    def _unreachable(self, error: httpx.HTTPError) -> Unreachable:
        msg = f"no centre answers at {self._url} ({error}); is it up? `clusterwright up` starts one"
        return Unreachable(msg)


def _events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
            continue
        key, _, value = line.partition(":")
        if key:
            event[key] = value.removeprefix(" ")


def _refused(answer: httpx.Response) -> Refused:
    with contextlib.suppress(ValueError):
        body = answer.json()
        if isinstance(body, dict) and "detail" in body:
            return Refused(body["detail"], answer.status_code, body.get("faults", []))
    return Refused(f"{answer.status_code} {answer.reason_phrase}", answer.status_code, [])


def _path(*steps: str) -> str:
    return "/" + "/".join(quote(step, safe="") for step in steps)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    return host in ("127.0.0.1", "localhost", "::1")
