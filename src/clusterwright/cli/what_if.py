"""What `clusterwright simulate --from-live` answers: what a change would do to a running centre."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clusterwright import client, documents, sched
from clusterwright.cli import files, given
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, UnknownName, UsageError
from clusterwright.model.centre import Centre

_NAMED_BY = {"nodes": "name", "queues": "queue"}  # lists of a centre: what names their items
_DEFAULTS = {one.path: one.default for one in documents.fields(Centre)}
_SHOWN = (
    *("queue", "jobs", "num_jobs", "wait_p50_s", "changed_wait_p50_s", "wait_p90_s"),
    *("changed_wait_p90_s", "shorter_fraction", "longer_fraction"),
)

Plain = dict[str, Any]  # a document in plain objects


def check(*, from_live: bool, changes: Sequence[str], others: Sequence[str | None]) -> None:
    """Check what goes with a run that goes on from a running centre.

    Raises
    ------
    UsageError
        If something is missing, or was given that makes another run of it.
    """
    if not from_live or not changes or any(one is not None for one in others):
        msg = (
            "--from-live and --change go together, without a design, --demand, --nodes, --queues "
            "or --trace: clusterwright simulate --from-live --change nodes.gpu.nodes=+4"
        )
        raise UsageError(msg)


def tell(
    changes: Sequence[str], *, context: str | None, days: float | None = None, common: Common
) -> int:
    """Say how long jobs wait in a running centre as it is and as it would be, queue by queue.

    Raises
    ------
    UsageError
        If a change is none.
    """
    progress = Progress(common)
    with client.connect(context) as centre:
        wanted = changed(centre.centre(), changes)
        with progress.step("playing the centre on, as it is and changed"):
            found = centre.what_if(wanted, days=days)
    status, items = found["status"], found["items"]
    progress.say(
        f"{status['num_samples']} futures of {status['days']:g} days; run times from "
        f"{status['learned_from_jobs']:,} jobs that have ended here"
    )
    if status["queues_left_out"]:
        gone = ", ".join(status["queues_left_out"])
        progress.say(f"nobody comes to {gone}: the changed centre has no such queue")
    if not items:
        progress.say("nobody waits, and none came in the last two weeks: there is nothing to tell")
    document = items_document("ChangeEffects", items, **status)
    emit(Answer(document=document, rows=items, columns=_SHOWN), common)
    return ExitCode.OK


def changed(centre: Centre, changes: Sequence[str]) -> Centre:
    """Return a centre with changes: PATH=VALUE each, or the name of a file with all of it.

    Raises
    ------
    UsageError
        If a change names nothing that there is.
    InvalidInput
        If the centre cannot be so, with every fault.
    """
    for one in changes:
        path, equals, value = one.partition("=")
        if not equals:
            centre = documents.read(files.read_bytes(one), Centre, file=one)
            continue
        whole = centre
        if path.startswith("policy.") and isinstance(centre.policy, str):
            whole = replace(centre, policy=sched.policy_of(centre.policy))
        document = documents.as_dict(whole)
        # Left out where it is the only queue of a centre that names none.
        document.setdefault("queues", [{"queue": queue.queue} for queue in centre.queues])
        _put(document, path, value, one)
        centre = documents.read_value(document, Centre, file=f"--change {one}")
    return centre


def _put(document: Plain, path: str, value: str, said: str) -> None:
    """Put a value where a path leads; one with a sign is added to what is there."""
    if path == "policy":
        policy = given.policy(value)
        header = {"apiVersion", "kind"}
        document["policy"] = {k: v for k, v in documents.as_dict(policy).items() if k not in header}
        return
    first, *rest = path.split(".")
    if first in _NAMED_BY and len(rest) > 1:
        name, last = ".".join(rest[:-1]), rest[-1]
        items = {one[_NAMED_BY[first]]: one for one in document.get(first, [])}
        if name not in items:
            raise UnknownName.of(first.removesuffix("s"), name, items)
        place, known = items[name], f"{first}[].{last}"
    elif len(rest) == 1:
        place, last, known = document.setdefault(first, {}), rest[0], path
    elif not rest:
        place, last, known = document, first, path
    else:
        known = ""
    if known not in _DEFAULTS or (first in _NAMED_BY and len(rest) < 2):
        msg = (
            f"--change {said}: write nodes.NAME.nodes=+4, queues.NAME.guarantee=16, "
            "policy=NAME or another field of the centre's file, or the name of such a file"
        )
        raise UsageError(msg)
    there = place.get(last, _DEFAULTS[known])
    place[last] = _value(value, there, said)
    if known == "nodes[].nodes" and place.get("members"):
        _name_members(place)


def _value(text: str, there: object, said: str) -> object:
    if text[:1] not in ("+", "-"):
        return documents.parse_yaml(text, file=f"--change {said}")[0]
    try:
        by = float(text)
    except ValueError:
        by = math.nan
    if not math.isfinite(by) or not isinstance(there, int | float) or isinstance(there, bool):
        msg = f"--change {said}: only to a number a number can be added, as nodes.gpu.nodes=+4"
        raise UsageError(msg)
    total = there + by
    return int(total) if total == int(total) else total


def _name_members(group: Plain) -> None:
    """Let nodes with names of their own be as many as they are to be."""
    members, count = list(group["members"]), group["nodes"]
    if isinstance(count, int):
        more = range(1, count - len(members) + 1)
        group["members"] = [*members[:count], *(f"{group['name']}-added{one}" for one in more)]
