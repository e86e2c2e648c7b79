"""`clusterwright quota`: what queues are owed and allowed, what they use of it; and changing it."""

from typing import Annotated, Any

from cyclopts import Parameter

from clusterwright import client
from clusterwright.cli import what_if
from clusterwright.cli.common import Common
from clusterwright.cli.jobs import ContextName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode, UnknownName, UsageError

_SHOWN = ("name", "parent", "guarantee", "deserved", "limit", "weight", "used", "owed", "left")
_NONE = ("none", "null")


def quota(
    queue: str | None = None,
    *,
    guarantee: str | None = None,
    deserved: str | None = None,
    limit: str | None = None,
    weight: str | None = None,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative=())] = False,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Show what queues are owed, allowed and use; or change that of one, while jobs wait and run.

    Parameters
    ----------
    queue
        Only this queue; with any of the values, the one that is changed.
    guarantee
        Accelerators that it gets back within minutes when it has work for them; a value with a
        sign, as +8, is added to what it has.
    deserved
        Its share when all want more; none for its guarantee.
    limit
        Most that it may use; none for no limit.
    weight
        Its weight against its siblings in fair sharing.
    dry_run
        Change nothing, but say what the change would do to those who wait and who come.
    context
        Which centre is meant.
    """
    common = common or Common()
    values = {"guarantee": guarantee, "deserved": deserved, "limit": limit, "weight": weight}
    changes = tuple(
        f"queues.{queue}.{name}={'null' if value in _NONE else value}"
        for name, value in values.items()
        if value is not None
    )
    if (changes or dry_run) and (queue is None or not changes):
        msg = "to change a quota name the queue and a value: clusterwright quota prod --limit 64"
        raise UsageError(msg)
    if dry_run:
        return what_if.tell(changes, context=context, common=common)
    with client.connect(context) as centre:
        if changes:
            centre.change_centre(lambda now: what_if.changed(now, changes))
        queues = centre.queues()
    rows = [_row(one) for one in queues if queue in (None, one["name"])]
    if not rows and queue is not None:
        raise UnknownName.of("queue", queue, [one["name"] for one in queues])
    emit(
        Answer(document=items_document("QuotaList", rows), rows=rows, columns=_SHOWN),
        common,
    )
    return ExitCode.OK


def _row(one: dict[str, Any]) -> dict[str, Any]:
    """Return a queue with what it is still owed, and what its own limit still leaves it."""
    limit = one["limit"]
    return {
        **one,
        "owed": max(0.0, one["guarantee"] - one["used"]),
        "left": None if limit is None else max(0.0, limit - one["used"]),
    }
