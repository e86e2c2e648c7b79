"""Routes of the centre: nodes and drains, queues, the centre itself, tokens, the audit, events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from clusterwright import documents
from clusterwright.control import auth, foretell, orders, views
from clusterwright.control import what_if as compare
from clusterwright.control.api import access
from clusterwright.control.api.access import TheCaller, TheConductor
from clusterwright.control.api.problems import NotThere
from clusterwright.control.auth import Caller
from clusterwright.control.book import Book
from clusterwright.control.entries import Entry, Fact
from clusterwright.control.filled import filled
from clusterwright.model.centre import Centre

router = APIRouter(prefix="/api/v1", tags=["centre"])

_SECRET = {Fact.TOKEN, Fact.REVOKE}
_BEAT_S = 15.0
_TOKEN_BODY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "role": {"enum": list(auth.ROLES)},
        "projects": {"type": "array", "items": {"type": "string", "maxLength": 63}},
        "expires_s": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1e10},
    },
    "required": ["name", "role"],
    "additionalProperties": False,
}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_WHY = _body(
    {
        "type": "object",
        "properties": {"why": {"type": "string", "maxLength": 1000}},
        "additionalProperties": False,
    }
)


@router.get("/whoami")
async def whoami(caller: TheCaller) -> dict[str, Any]:
    """Say who the token stands for, and what it may."""
    spec = {"name": caller.name, "role": caller.role, "projects": list(caller.projects)}
    return views.single("Caller", caller.name, spec)


@router.get("/nodes")
async def nodes(conductor: TheConductor, caller: TheCaller) -> dict[str, Any]:
    """List every node with what is used of it, and those jobs on it that the caller may see."""
    with conductor.reading() as book:
        return views.listed("NodeList", [_node(book, name, caller) for name in book.node_names])


@router.get("/nodes/{node}")
async def node(node: str, conductor: TheConductor, caller: TheCaller) -> dict[str, Any]:
    """Show a node."""
    with conductor.reading() as book:
        _known(book, node)
        return views.single("Node", node, _node(book, node, caller))


@router.post("/nodes/{node}/drain", openapi_extra=_WHY)
async def drain(
    node: str,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Let no new work on a node; what runs there goes on."""
    caller.need("operator")
    why = await access.reason(request)
    return await _on_node(
        conductor,
        caller,
        node,
        lambda book, now_s: orders.drain(book, node, now_s, caller.name, why),
        dry_run=dry_run,
    )


@router.post("/nodes/{node}/undrain", openapi_extra=_WHY)
async def undrain(
    node: str,
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Let work on a node again."""
    caller.need("operator")
    await access.reason(request)
    return await _on_node(
        conductor,
        caller,
        node,
        lambda book, now_s: orders.undrain(book, node, now_s, caller.name),
        dry_run=dry_run,
    )


@router.get("/queues")
async def queues(conductor: TheConductor, _: TheCaller) -> dict[str, Any]:
    """List the queues: what each is owed and allowed, what it uses, who waits."""
    with conductor.reading() as book:
        found = [views.queue(book, one.queue) for one in book.centre.queues]
    return views.listed("QueueList", found)


@router.get("/centre")
async def centre(conductor: TheConductor, _: TheCaller) -> Response:
    """Show the centre as it was declared."""
    with conductor.reading() as book:
        return _declared(book.centre)


@router.put("/centre", openapi_extra=_body({"$ref": "#/components/schemas/Centre"}))
async def change_centre(
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    if_match: access.IfMatch = None,
) -> Response:
    """Change queues, policy, nodes or rates while jobs wait and run."""
    caller.need("admin")
    wanted = await asyncio.to_thread(filled, await access.document(request, Centre))

    def order(book: Book, now_s: float) -> Sequence[Entry]:
        access.unchanged("the centre", access.centre_etag(book.centre), if_match)
        return orders.change_centre(book, wanted, now_s, caller.name)

    await asyncio.wrap_future(conductor.ask_later(order))
    with conductor.reading() as book:
        return _declared(book.centre)


def _declared(centre: Centre) -> Response:
    return JSONResponse(documents.as_dict(centre), headers={"ETag": access.centre_etag(centre)})


@router.post("/centre/what-if", openapi_extra=_body({"$ref": "#/components/schemas/Centre"}))
async def what_if(
    request: Request,
    conductor: TheConductor,
    caller: TheCaller,
    days: Annotated[float, Query(gt=0, le=compare.MOST_DAYS)] = compare.DAYS,
) -> dict[str, Any]:
    """Say what a change of the centre would do to those who wait, and who come; change nothing."""
    caller.need("operator")
    wanted = await access.document(request, Centre)
    now, then = await access.looked(
        conductor,
        lambda book, now_s: (
            foretell.glance(book, now_s),
            foretell.glance(compare.changed(book, wanted, now_s), now_s),
        ),
    )
    found = await access.foretold(request, lambda: compare.compared(now, then, days=days))
    items = found.pop("items")
    return views.listed("ChangeEffects", items, **found)


@router.get("/tokens")
async def tokens(conductor: TheConductor, caller: TheCaller) -> dict[str, Any]:
    """List tokens; nobody sees a token itself again."""
    caller.need("admin")
    with conductor.reading() as book:
        return views.listed("TokenList", [_token(one) for one in book.tokens.values()])


@router.post("/tokens", status_code=201, openapi_extra=_body(_TOKEN_BODY))
async def add_token(request: Request, conductor: TheConductor, caller: TheCaller) -> Response:
    """Make a token; this answer is the only place where it stands."""
    caller.need("admin")
    body = access.only(await access.json_object(request), "name", "role", "projects", "expires_s")
    name, role = access.name_in(body, "name"), access.name_in(body, "role", auth.ROLES)
    projects = access.texts(body, "projects")
    life_s = access.seconds(body, "expires_s")
    _, token = auth.new_token()

    def order(book: Book, now_s: float) -> Sequence[Entry]:
        return auth.add_token(
            book,
            token,
            name,
            role,
            projects,
            now_s,
            who=caller.name,
            expires_s=None if life_s is None else now_s + life_s,
        )

    made = await asyncio.wrap_future(conductor.ask_later(order))
    shown = {**_token(made[0].body), "token": token}
    return JSONResponse(views.single("Token", name, shown), 201, {"Cache-Control": "no-store"})


@router.delete("/tokens/{name}", status_code=204)
async def revoke_token(name: str, conductor: TheConductor, caller: TheCaller) -> Response:
    """Revoke a token by its name or id."""
    caller.need("admin")
    await asyncio.wrap_future(
        conductor.ask_later(
            lambda book, now_s: auth.revoke_token(book, name, now_s, who=caller.name)
        )
    )
    return Response(status_code=204)


@router.get("/audit")
async def audit(
    conductor: TheConductor,
    caller: TheCaller,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, Any]:
    """List every change that somebody asked for: who, what, when."""
    caller.need("admin")
    entries = await asyncio.to_thread(_by_people, conductor, after, limit)
    last = entries[-1].seq if entries else after
    return views.listed("AuditList", [views.event(one) for one in entries], after=last)


@router.get("/events", response_class=StreamingResponse)
async def events(
    conductor: TheConductor,
    caller: TheCaller,
    follow: Annotated[bool, Query(description="Stay for those that come.")] = True,
    after: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> StreamingResponse:
    """Stream the journal as server-sent events, from a number on; an event's id is its number."""
    start = after
    if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 16:
        start = int(last_event_id)
    if start is None:
        start = conductor.journal.seq if follow else 0
    return StreamingResponse(
        _streamed(conductor, caller, min(start, conductor.journal.seq), follow=follow),
        media_type="text/event-stream",
    )


async def _streamed(
    conductor: TheConductor, caller: Caller, after: int, *, follow: bool
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    bell = asyncio.Event()

    def ring(_: Sequence[Entry]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closing
            loop.call_soon_threadsafe(bell.set)

    end = conductor.listen(ring)
    try:
        while True:
            bell.clear()
            entries = await asyncio.to_thread(_page, conductor, after)
            for entry in entries:
                after = entry.seq
                if _may_see(conductor, caller, entry):
                    data = json.dumps(views.event(entry))
                    yield f"id: {entry.seq}\nevent: {entry.kind}\ndata: {data}\n\n"
            if entries:
                continue
            if not follow or conductor.stopped:
                return
            try:
                await asyncio.wait_for(bell.wait(), _BEAT_S)
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        end()


def _page(conductor: TheConductor, after: int) -> list[Entry]:
    return list(conductor.journal.entries(after, limit=500))


def _by_people(conductor: TheConductor, after: int, limit: int) -> list[Entry]:
    found = []
    for entry in conductor.journal.entries(min(after, conductor.journal.seq)):
        if entry.who:
            found.append(entry)
            if len(found) == limit:
                break
    return found


def _may_see(conductor: TheConductor, caller: Caller, entry: Entry) -> bool:
    if entry.kind in _SECRET:
        return caller.role == "admin"
    if not entry.job:
        return True
    with conductor.reading() as book:
        record = book.jobs.get(entry.job)
        return record is not None and caller.sees(record.spec.project)


async def _on_node(
    conductor: TheConductor,
    caller: Caller,
    node: str,
    order: Any,  # an order of the conductor
    *,
    dry_run: bool,
) -> dict[str, Any]:
    with conductor.reading() as book:
        _known(book, node)
        if dry_run:
            order(book, conductor.clock.now_s())
            return views.single("Node", node, _node(book, node, caller))
    await asyncio.wrap_future(conductor.ask_later(order))
    with conductor.reading() as book:
        return views.single("Node", node, _node(book, node, caller))


def _node(book: Book, name: str, caller: Caller) -> dict[str, Any]:
    shown = views.node(book, name)
    seen = [job for job in shown["jobs"] if caller.sees(book.jobs[job].spec.project)]
    return {**shown, "jobs": seen, "num_jobs": len(shown["jobs"])}


def _known(book: Book, node: str) -> None:
    if node not in book.node_index:
        msg = f"there is no node {node!r}"
        raise NotThere(msg)


def _token(kept: Any) -> dict[str, Any]:  # what the journal keeps of a token
    return {
        "id": kept["id"],
        "name": kept["name"],
        "role": kept["role"],
        "projects": list(kept["projects"]),
        "created": views.rfc3339(kept.get("created_s")),
        "expires": views.rfc3339(kept["expires_s"]),
    }
