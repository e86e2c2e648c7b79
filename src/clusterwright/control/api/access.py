"""What every route needs: the conductor, who asks, and the bodies that documents come in."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from clusterwright import documents
from clusterwright.control import auth, orders
from clusterwright.control.api.problems import Changed, NotThere
from clusterwright.control.auth import Caller
from clusterwright.control.book import Book
from clusterwright.control.conductor import Conductor, Order, View
from clusterwright.control.records import Record
from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.centre import Centre

T = TypeVar("T")
R = TypeVar("R")
IfMatch = Annotated[str | None, Header(description="ETag that the change is meant for.")]
MOST_BYTES = 1_000_000
"""Longest body that is read."""

_bearer = HTTPBearer(auto_error=False, description="A token of `clusterwright token add`.")


async def conductor_of(request: Request) -> Conductor:
    """Return the conductor that the application serves."""
    found = request.app.state.conductor
    assert isinstance(found, Conductor)
    return found


Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def caller_of(request: Request, given: Bearer) -> Caller:
    """Return who asks.

    Raises
    ------
    Unauthenticated
        If there is no token that holds.
    """
    conductor = await conductor_of(request)
    # Without the lock: one lookup in a dictionary, which a turn of the loop only adds to or drops
    # from, and which every request needs.
    return auth.caller(conductor.book, given.credentials if given else None, time.time())


TheConductor = Annotated[Conductor, Depends(conductor_of)]
TheCaller = Annotated[Caller, Depends(caller_of)]


async def looked(conductor: Conductor, look: Callable[[Book, float], R]) -> R:
    """Return what a reader makes of the book, without holding up other requests."""

    def read() -> R:
        with conductor.reading() as book:
            return look(book, conductor.clock.now_s())

    return await asyncio.to_thread(read)


async def asked(conductor: Conductor, order: Order, view: View) -> Any:
    """Have an order carried out, and return its view once it is written down."""
    return await asyncio.wrap_future(conductor.ask_later(order, view))


async def foretold(request: Request, reckon: Callable[[], R]) -> R:
    """Return what a forecast comes to; one at a time, so that they do not crowd out the rest."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(request.app.state.foretelling, reckon)


def records_of(book: Book, caller: Caller, job: str) -> list[Record]:
    """Return a job, or the tasks of an array, that a caller may see.

    Raises
    ------
    NotThere
        If there is none, or it is not for this caller: the two look alike.
    """
    known = job in book.jobs or job in book.arrays
    found = orders.found(book, job) if known else []
    if not found or not caller.sees(found[0].spec.project):
        msg = f"there is no job {job!r} that you may see"
        raise NotThere(msg)
    return found


def unchanged(what: str, tag: str, if_match: str | None) -> None:
    """Refuse a change of something that is not as the caller last saw it.

    Raises
    ------
    Changed
        If the tag given is not its tag now.
    """
    if if_match is not None and if_match.strip() not in ("*", tag):
        msg = f"{what} has changed since: look again, then decide again"
        raise Changed(msg)


def etag(record: Record) -> str:
    """Return the tag of a job as it stands."""
    return f'"{record.seq}"'


def centre_etag(centre: Centre) -> str:
    """Return the tag of a centre as it is declared."""
    text = json.dumps(documents.plain(centre), sort_keys=True)
    return f'"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"'


async def document(request: Request, noun: type[T]) -> T:
    """Return the document that a request brings, as JSON or YAML, the way people write it.

    Raises
    ------
    InvalidInput
        With every fault at once.
    """
    text = await body_of(request)
    if "yaml" in request.headers.get("content-type", ""):
        return documents.read(text, noun, file="body")
    return documents.read_value(_json(text), noun, file="body")


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request brings; an empty body is an empty object.

    Raises
    ------
    InvalidInput
        If it is no JSON object.
    """
    text = await body_of(request)
    value = _json(text) if text.strip() else {}
    if not isinstance(value, dict):
        raise InvalidInput([Fault(file="body", message="is no JSON object")])
    return value


async def body_of(request: Request) -> bytes:
    """Return the body of a request.

    Raises
    ------
    InvalidInput
        If it is too long.
    """
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > MOST_BYTES:
            message = f"is longer than {MOST_BYTES:,} bytes"
            raise InvalidInput([Fault(file="body", message=message)])
        parts.append(part)
    return b"".join(parts)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput([Fault(file="body", message=f"is no JSON: {error}")]) from error


def only(body: dict[str, Any], *known: str) -> dict[str, Any]:
    """Return a body, refused if it holds anything but what is known.

    Raises
    ------
    InvalidInput
        Naming every key that is not known.
    """
    faults = [
        Fault(file="body", path=key, message="is not a field here", remedy=_one_of(known))
        for key in body
        if key not in known
    ]
    if faults:
        raise InvalidInput(faults)
    return body


def whole(body: dict[str, Any], key: str, low: int, high: int) -> int:
    """Return a whole number of a body.

    Raises
    ------
    InvalidInput
        If it is missing, no whole number, or out of range.
    """
    value = body.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell 5 from 5.0
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        message = f"{value!r} is no whole number from {low:,} to {high:,}"
        raise InvalidInput([Fault(file="body", path=key, message=message)])
    return value


def text_in(body: dict[str, Any], key: str, *, most: int = 1000, absent: str = "") -> str:
    """Return a text of a body.

    Raises
    ------
    InvalidInput
        If it is no text, or too long.
    """
    value = body.get(key, absent)
    if not isinstance(value, str) or len(value) > most:
        message = f"is no text of at most {most:,} characters"
        raise InvalidInput([Fault(file="body", path=key, message=message)])
    return value


def name_in(body: dict[str, Any], key: str, known: Sequence[str] = ()) -> str:
    """Return a text of a body that must be there, and must be one of those known.

    Raises
    ------
    InvalidInput
        If it is missing, empty or none of them.
    """
    found = text_in(body, key, most=100)
    if known and found not in known:
        message = f"{found!r} is none of {', '.join(known)}"
        raise InvalidInput([Fault(file="body", path=key, message=message)])
    if not found.strip():
        raise InvalidInput([Fault(file="body", path=key, message="is missing")])
    return found


async def reason(request: Request) -> str:
    """Return the reason that comes with a change: `{"why": …}`, or nothing.

    Raises
    ------
    InvalidInput
        If the body is anything else.
    """
    return text_in(only(await json_object(request), "why"), "why")


def _one_of(known: tuple[str, ...]) -> str:
    return f"fields: {', '.join(known)}"


def texts(body: dict[str, Any], key: str) -> tuple[str, ...]:
    """Return a list of short texts of a body; empty when it is missing.

    Raises
    ------
    InvalidInput
        If it is anything else.
    """
    value = body.get(key, [])
    if not isinstance(value, list) or not all(
        isinstance(one, str) and len(one) <= 63 for one in value
    ):
        message = "is no list of texts of at most 63 characters"
        raise InvalidInput([Fault(file="body", path=key, message=message)])
    return tuple(value)


def seconds(body: dict[str, Any], key: str) -> float | None:
    """Return a time above zero of a body; None when it is missing or null.

    Raises
    ------
    InvalidInput
        If it is anything else.
    """
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e10:
        message = f"{value!r} is no number of seconds above zero"
        raise InvalidInput([Fault(file="body", path=key, message=message)])
    return float(value)
