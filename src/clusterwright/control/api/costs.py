"""Routes of accounts: who held what, what it cost, drew and emitted."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from clusterwright.control import accounts, views
from clusterwright.control.accounts import Account, By
from clusterwright.control.api import access
from clusterwright.control.api.access import TheCaller, TheConductor
from clusterwright.control.auth import EVERY
from clusterwright.errors import Fault, InvalidInput

router = APIRouter(prefix="/api/v1", tags=["accounts"])
_REST = ("idle", "down", "overhead", "bill")
_MOMENT: dict[str, Any] = {"format": "date-time"}
_LATEST_S = 1e11  # a time beyond this is a mistake of units


@router.get("/accounts")
async def list_accounts(
    conductor: TheConductor,
    caller: TheCaller,
    by: By = "project",
    since: Annotated[
        str | None,
        Query(description="RFC 3339; absent, the beginning.", json_schema_extra=_MOMENT),
    ] = None,
    until: Annotated[
        str | None, Query(description="RFC 3339; absent, now.", json_schema_extra=_MOMENT)
    ] = None,
) -> dict[str, Any]:
    """List what jobs, projects, queues or owners held and what that came to.

    Operators see everything, with what was idle, down and overhead, and the bill that all of it
    sums to. Others see what is theirs.
    """
    now_s = conductor.clock.now_s()
    since_s = 0.0 if since is None else _moment(since, "since")
    until_s = now_s if until is None else min(now_s, _moment(until, "until"))
    whole = caller.is_operator or EVERY in caller.projects
    with conductor.reading() as book:
        keep = () if whole else (caller.projects or ("",))
        found = accounts.statement(book, since_s, until_s, by=by, keep=keep)
        first = book.epoch_s
    items = [_shown(one, by) for one in found.items if whole or one.name != accounts.OTHERS]
    status: dict[str, Any] = {
        "since": views.rfc3339(max(since_s, first)),
        "until": views.rfc3339(until_s),
        "by": by,
    }
    if whole:
        status |= {name: _shown(getattr(found, name), by) for name in _REST}
    return views.listed("AccountList", items, **status)


@router.get("/jobs/{job}/account")
async def job_account(job: str, conductor: TheConductor, caller: TheCaller) -> dict[str, Any]:
    """Show what one job, or the tasks of an array, held and what that came to."""
    with conductor.reading() as book:
        records = access.records_of(book, caller, job)
        now_s = conductor.clock.now_s()
        found = Account(name=job)
        for record in records:
            found = found.plus(accounts.of_job(book, record, now_s))
        rates = accounts.rates_of(book.centre.rates)
    return views.single("Account", job, {**_shown(found, "job"), "rates": rates})


def _shown(one: Account, by: Literal["job", "project", "queue", "owner"]) -> dict[str, Any]:
    shown = asdict(one)
    if one.name not in _REST:
        shown |= accounts.progress(one)
    if by == "job" and one.name not in _REST:
        shown["job_id"] = one.name
    return shown


def _moment(text: str, path: str) -> float:
    try:
        found = views.seconds_of(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < _LATEST_S:
        remedy = "write a time with its offset, as 2026-11-25T18:00:00Z"
        raise InvalidInput([Fault(file="query", path=path, message="is no time", remedy=remedy)])
    return found
