"""Routes of jobs: submit, list, look; the verbs that change one; why, logs, events."""

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from clusterwright import documents
from clusterwright.control import foretell, orders, views
from clusterwright.control.api import access, logs
from clusterwright.control.api.access import TheCaller, TheConductor
from clusterwright.control.api.problems import NotThere
from clusterwright.control.auth import Caller
from clusterwright.control.book import Book
from clusterwright.control.entries import Entry
from clusterwright.control.records import JobState, Record
from clusterwright.model.jobspec import JobSpec

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}},
    }
}
_WHY = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"why": {"type": "string", "maxLength": 1000}},
                    "additionalProperties": False,
                }
            }
        },
    }
}
JobId = Annotated[str, "id of a job, or of an array"]


@router.post(
    "",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"description": "Whether it fits, on a dry run."}},
)
async def submit(
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    dry_run: Annotated[bool, Query(description="Check everything, change nothing.")] = False,
    idempotency_key: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """Submit a job; with an idempotency key the same request twice submits it once.

    A priority above 0 takes an operator.
    """
    caller.need("user")
    spec = await access.document(request, JobSpec)
    caller.need_project(spec.project)
    if spec.priority > 0:
        caller.need("operator")
    if dry_run:
        job, never, seen = await access.looked(
            conductor,
            lambda book, now_s: (
                *orders.trial(book, spec, now_s, caller.name),
                foretell.glance(book, now_s),
            ),
        )
        answer = {"fits": not never, "reasons": list(never), "spec": documents.plain(spec)}
        if not never:
            answer |= await access.foretold(request, lambda: foretell.trial(seen, spec, job))
        return JSONResponse(views.single("DryRun", spec.name, answer))

    def made(book: Book, entries: Sequence[Entry]) -> Response:
        job = entries[0].job if entries else book.keys[caller.name, idempotency_key][1]
        if entries and spec.array is not None:
            job = entries[0].body["array"]
        return _shown(book, job, book.time_s, HTTPStatus.CREATED)

    found: Response = await access.asked(
        conductor,
        lambda book, now_s: orders.submit(book, spec, now_s, caller.name, key=idempotency_key),
        made,
    )
    return found


@router.get("")
async def list_jobs(
    conductor: TheConductor,
    caller: TheCaller,
    state: Annotated[list[JobState] | None, Query(description="Only in these states.")] = None,
    active: Annotated[bool, Query(description="Only those that are not through.")] = False,
    queue: str | None = None,
    project: str | None = None,
    owner: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    cursor: Annotated[str | None, Query(description="Where the page before ended.")] = None,
) -> Response:
    """List jobs, the latest first, a page at a time."""
    wanted = {"queue": queue, "project": project, "owner": owner}

    def page(book: Book, now_s: float) -> Response:
        records: Sequence[Record] = [*book.active.values()] if active else book.order
        first = len(records) if cursor is None else _place(records, cursor)
        found: list[dict[str, Any]] = []
        reasons = views.Reasons(book, now_s)
        more = None
        for place in range(first - 1, -1, -1):
            record = records[place]
            if not caller.sees(record.spec.project) or not _matches(record, wanted, state):
                continue
            if len(found) == limit:
                more = str(records[place + 1].index)
                break
            found.append(views.job(book, record, now_s, reasons=reasons))
        return JSONResponse(views.listed("JobList", found, cursor=more))

    return await access.looked(conductor, page)


@router.get("/{job}")
async def get_job(job: JobId, conductor: TheConductor, caller: TheCaller) -> Response:
    """Show a job with its specification and all of its starts."""

    def show(book: Book, now_s: float) -> Response:
        access.records_of(book, caller, job)
        return _shown(book, job, now_s)

    return await access.looked(conductor, show)


@router.patch(
    "/{job}",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "priority": {
                                "type": "integer",
                                "minimum": -1_000_000,
                                "maximum": 1_000_000,
                            }
                        },
                        "required": ["priority"],
                        "additionalProperties": False,
                    }
                }
            },
        }
    },
)
async def change(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    if_match: access.IfMatch = None,
) -> Response:
    """Change the priority of a job that is not through; above 0 takes an operator."""
    body = access.only(await access.json_object(request), "priority")
    priority = access.whole(body, "priority", -1_000_000, 1_000_000)
    caller.need("operator" if priority > 0 else "user")
    return await _change(
        conductor,
        caller,
        job,
        if_match,
        lambda book, now_s: orders.alter(book, job, priority, now_s, caller.name),
    )


@router.post("/{job}/cancel", openapi_extra=_WHY)
async def cancel(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    if_match: access.IfMatch = None,
) -> Response:
    """Take a job back, or every task of an array that is not through."""
    why = await access.reason(request)
    return await _change(
        conductor,
        caller,
        job,
        if_match,
        lambda book, now_s: orders.cancel(book, job, now_s, caller.name, why),
    )


@router.post("/{job}/hold", openapi_extra=_WHY)
async def hold(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    if_match: access.IfMatch = None,
) -> Response:
    """Hold a job that waits; what an operator holds only an operator releases."""
    await access.reason(request)
    return await _change(
        conductor,
        caller,
        job,
        if_match,
        lambda book, now_s: orders.hold(book, job, now_s, caller.name, admin=caller.is_operator),
    )


@router.post("/{job}/release", openapi_extra=_WHY)
async def release(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    if_match: access.IfMatch = None,
) -> Response:
    """Let a held job go on waiting."""
    await access.reason(request)
    return await _change(
        conductor,
        caller,
        job,
        if_match,
        lambda book, now_s: orders.release(book, job, now_s, caller.name, admin=caller.is_operator),
    )


@router.post("/{job}/requeue", openapi_extra=_WHY)
async def requeue(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    if_match: access.IfMatch = None,
) -> Response:
    """Stop a running job after its warning, and queue it again."""
    await access.reason(request)
    return await _change(
        conductor,
        caller,
        job,
        if_match,
        lambda book, now_s: orders.requeue(book, job, now_s, caller.name),
    )


@router.post("/{job}/renew", openapi_extra=_WHY)
async def renew(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    if_match: access.IfMatch = None,
) -> Response:
    """Let the lease of a running session begin anew."""
    await access.reason(request)
    return await _change(
        conductor,
        caller,
        job,
        if_match,
        lambda book, now_s: orders.renew(book, job, now_s, caller.name),
    )


@router.get("/{job}/why")
async def why(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    start: Annotated[bool, Query(description="Also by when it will start.")] = False,
) -> dict[str, Any]:
    """Say why a job is where it is: one dominant reason with its evidence.

    Asked for its start, the twin plays on from now, which takes seconds where thousands wait.
    """

    def look(book: Book, now_s: float) -> tuple[dict[str, Any], foretell.Glance | None]:
        record = access.records_of(book, caller, job)[0]
        found = views.why(book, record, now_s)
        current = record.current
        if current is not None and current.attempt in conductor.waiting:
            found["message"] = conductor.waiting[current.attempt]
        asked = start and record.state.waits and record.state is not JobState.HELD
        return found, foretell.glance(book, now_s) if asked else None

    found, seen = await access.looked(conductor, look)
    if seen is not None:
        found["start"] = await access.foretold(
            request, lambda: foretell.start(seen, found["job_id"])
        )
    return views.single("Why", job, found)


@router.get("/{job}/events")
async def events(
    job: JobId,
    conductor: TheConductor,
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, Any]:
    """List everything that the journal has about a job."""
    with conductor.reading() as book:
        name = access.records_of(book, caller, job)[0].job_id
    entries = await asyncio.to_thread(lambda: [*conductor.journal.entries(job=name, limit=limit)])
    return views.listed("EventList", [views.event(entry) for entry in entries])


@router.get("/{job}/logs", response_class=PlainTextResponse)
async def read_logs(
    job: JobId,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    rank: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    stream: Literal["out", "err"] = "out",
    attempt: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
    tail: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
    follow: Annotated[bool, Query(description="Stay, as server-sent events.")] = False,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> Response:
    """Return what a rank of a job has written."""
    with conductor.reading() as book:
        record = access.records_of(book, caller, job)[0]
        which = logs.attempt_of(record, attempt)
    path = conductor.engine.log_path(which, rank, stream)
    if path is None:
        msg = f"rank {rank} of attempt {which} has no {stream} that can be read here"
        raise NotThere(msg)
    if follow:
        offset = logs.offset_of(last_event_id)
        tails = request.app.state.tails
        events_ = logs.streamed(tails, conductor, record, which, path, offset)
        return StreamingResponse(events_, media_type="text/event-stream")
    return PlainTextResponse(await asyncio.to_thread(logs.text, path, tail))


async def _change(
    conductor: TheConductor,
    caller: Caller,
    job: str,
    if_match: str | None,
    order: Callable[[Book, float], Sequence[Entry]],
) -> Response:
    """Carry out a change of a job that the caller may see and that is as the caller saw it."""
    caller.need("user")

    def checked(book: Book, now_s: float) -> Sequence[Entry]:
        record = access.records_of(book, caller, job)[0]
        access.unchanged(f"job {record.job_id}", access.etag(record), if_match)
        return order(book, now_s)

    found: Response = await access.asked(
        conductor, checked, lambda book, _: _shown(book, job, book.time_s)
    )
    return found


def _shown(book: Book, job: str, now_s: float, status: HTTPStatus = HTTPStatus.OK) -> Response:
    if job in book.arrays:
        tasks = [views.job(book, book.jobs[task], now_s) for task in book.arrays[job]]
        return JSONResponse({**views.listed("JobList", tasks), "name": job}, int(status))
    record = book.jobs[job]
    shown = views.single("Job", record.spec.name, views.job(book, record, now_s, whole=True))
    return JSONResponse(shown, int(status), {"ETag": access.etag(record)})


def _matches(record: Record, wanted: dict[str, str | None], state: list[JobState] | None) -> bool:
    if state and record.state not in state:
        return False
    has = {"queue": record.spec.queue, "project": record.spec.project, "owner": record.owner}
    return all(value is None or has[key] == value for key, value in wanted.items())


def _place(records: Sequence[Record], cursor: str) -> int:
    """Return where a page goes on: before the job of that index."""
    try:
        index = int(cursor)
    except ValueError:
        return 0
    low, high = 0, len(records)
    while low < high:
        middle = (low + high) // 2
        if records[middle].index < index:
            low = middle + 1
        else:
            high = middle
    return low
