"""Kubernetes objects as dumps hold them: lists, lines and watch events; and what pods ask for.

Any stands where an object of the API is handed on: its form is the server's, not ours.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from clusterwright.errors import Fault, InvalidInput
from clusterwright.traces.shares import accelerators_of
from clusterwright.traces.trace import Cause, Ledger, Place
from clusterwright.units import Ratio

Object = Mapping[str, Any]

_QUANTITY = re.compile(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_EXPONENTS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object in its last version."""

    kind: str
    """Kind with the group of its API, such as `Job.batch`; a core kind stands alone."""
    namespace: str
    """Its namespace."""
    name: str
    """Its name."""
    body: Object
    """The object."""
    is_deleted: bool
    """True when a watch saw it go."""

    @property
    def key(self) -> str:
        """Return what it is called in the dump."""
        return f"{self.kind}/{self.namespace}/{self.name}"

    @property
    def uid(self) -> str:
        """Return its identity; its name where the dump holds no uid."""
        return str(self.body["metadata"].get("uid") or self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What pods ask for."""

    num_gpus_ratio: Ratio = 0.0
    """Accelerators; MIG instances count as their share."""
    num_cores_ratio: Ratio = 0.0
    """Cores and parts of them."""
    uncounted: str = ""
    """Resources that are a share of an accelerator which is not stated; empty for none."""

    def __add__(self, other: "Request") -> "Request":
        """Return both together."""
        return Request(
            num_gpus_ratio=self.num_gpus_ratio + other.num_gpus_ratio,
            num_cores_ratio=self.num_cores_ratio + other.num_cores_ratio,
            uncounted=self.uncounted or other.uncounted,
        )

    def times(self, count: int) -> "Request":
        """Return that many of it."""
        return Request(
            num_gpus_ratio=self.num_gpus_ratio * count,
            num_cores_ratio=self.num_cores_ratio * count,
            uncounted=self.uncounted if count else "",
        )

    def or_more(self, other: "Request") -> "Request":
        """Return the larger of both in each resource."""
        return Request(
            num_gpus_ratio=max(self.num_gpus_ratio, other.num_gpus_ratio),
            num_cores_ratio=max(self.num_cores_ratio, other.num_cores_ratio),
            uncounted=self.uncounted or other.uncounted,
        )


def entries(text: str, file: str, ledger: Ledger) -> list[Entry]:
    """Return the last version of every object of a dump, in the order of their first.

    Raises
    ------
    InvalidInput
        If it is no JSON.
    """
    found: dict[str, Entry] = {}
    for place, one in _objects(text, file):
        is_event = isinstance(one, Mapping) and isinstance(one.get("object"), Mapping)
        change = one.get("type", "") if is_event else ""
        body = one["object"] if is_event else one
        if change in {"BOOKMARK", "ERROR"}:
            ledger.no_job(f"watch event {change}")
            continue
        entry = _entry(body, is_deleted=change == "DELETED")
        if entry is None:
            ledger.drop(Cause.MALFORMED, "is no object with kind and metadata.name", place)
            continue
        if entry.uid in found:
            ledger.no_job("earlier version of an object")
        found[entry.uid] = entry
    return list(found.values())


def _objects(text: str, file: str) -> Iterator[tuple[Place, Any]]:
    """Yield the objects of a document, of a list, or of one document after another."""
    decoder, at, number = json.JSONDecoder(), 0, 0
    end = len(text.rstrip())
    while at < end:
        while at < end and text[at].isspace():
            at += 1
        try:
            one, at = decoder.raw_decode(text, at)
        except ValueError as error:
            line = text.count("\n", 0, at) + 1
            fault = Fault(
                file=file,
                line=line,
                message=f"is no JSON ({error})",
                remedy="dump it with `kubectl get pods,jobs -A -o json`",
            )
            raise InvalidInput([fault]) from error
        listed = one if isinstance(one, list) else one.get("items") if _is_list(one) else None
        if listed is None:
            yield Place(path=f"document {number + 1}"), one
        else:
            kind = "" if isinstance(one, list) else str(one.get("kind", "")).removesuffix("List")
            for n, item in enumerate(listed):
                yield Place(path=f"items[{n}]"), _with_kind(item, kind, one)
        number += 1


def _is_list(one: Any) -> bool:
    return isinstance(one, Mapping) and isinstance(one.get("items"), list)


def _with_kind(item: Any, kind: str, listed: Any) -> Any:
    """Return an item with the kind of its list: the API leaves it out of the items."""
    if isinstance(item, Mapping) and kind and "kind" not in item and "object" not in item:
        return {"kind": kind, "apiVersion": listed.get("apiVersion", ""), **item}
    return item


def _entry(body: Any, *, is_deleted: bool) -> Entry | None:
    if not isinstance(body, Mapping) or not body.get("kind"):
        return None
    meta = body.get("metadata")
    if not isinstance(meta, Mapping) or not meta.get("name"):
        return None
    if not all(isinstance(meta.get(part) or {}, Mapping) for part in ("labels", "annotations")):
        return None
    owners = meta.get("ownerReferences") or []
    if not isinstance(owners, list) or not all(isinstance(one, Mapping) for one in owners):
        return None
    return Entry(
        kind=kind_of(str(body["kind"]), str(body.get("apiVersion", ""))),
        namespace=str(meta.get("namespace", "")),
        name=str(meta["name"]),
        body=body,
        is_deleted=is_deleted,
    )


def kind_of(kind: str, api_version: str) -> str:
    """Return a kind with the group of its API: `Job` of `batch/v1` is `Job.batch`."""
    group, sign, _ = api_version.partition("/")
    return f"{kind}.{group}" if sign else kind


def moment(text: Any) -> float | None:
    """Return a time of the API as seconds of the Unix epoch; None when it is absent or none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def condition_time(body: Object, kind: str, status: str = "True") -> float | None:
    """Return when a condition took a status; None when it has another, or is not there."""
    for one in (body.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind and one.get("status") == status:
            return moment(one.get("lastTransitionTime"))
    return None


def quantity(value: Any) -> float:
    """Return a quantity of the API, such as `500m` or `16`.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> quantity("500m"), quantity("16"), quantity("2Ki")
    (0.5, 16.0, 2048.0)
    """
    found = _QUANTITY.fullmatch(str(value))
    if not found:
        msg = f"{value!r} is no quantity"
        raise ValueError(msg)
    digits, suffix = found.groups()
    try:
        number = Decimal(digits)
    except InvalidOperation as error:
        msg = f"{value!r} is no quantity"
        raise ValueError(msg) from error
    if suffix and suffix.endswith("i"):
        return float(number) * float(2 ** (10 * "KMGTPE".index(suffix[0]) + 10))
    return float(number.scaleb(_EXPONENTS[suffix])) if suffix else float(number)


def asked_by(spec: Any) -> Request:
    """Return what a pod of a spec asks for: its containers together, or the largest before them.

    Raises
    ------
    ValueError
        If a quantity cannot be read.

    Notes
    -----
    As the scheduler counts: containers and init containers that keep running are added, other init
    containers run before them, and overhead comes on top.
    """
    spec = spec or {}
    total, before = Request(), Request()
    for one in spec.get("initContainers") or ():
        if one.get("restartPolicy") == "Always":
            total += _of(one)
        else:
            before = before.or_more(total + _of(one))
    for one in spec.get("containers") or ():
        total += _of(one)
    total = total.or_more(before) + _counted(spec.get("overhead") or {})
    if spec.get("resourceClaims") and not total.num_gpus_ratio:
        total += Request(uncounted="resourceClaims")
    return total


def _of(container: Object) -> Request:
    resources = container.get("resources") or {}
    return _counted({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _counted(resources: Object) -> Request:
    gpus, uncounted = 0.0, ""
    for name, value in resources.items():
        share = accelerators_of(name)
        if share is None:
            uncounted = f"{name}={value}"
        elif share:
            gpus += share * quantity(value)
    return Request(
        num_gpus_ratio=gpus,
        num_cores_ratio=quantity(resources.get("cpu", 0)),
        uncounted="" if gpus else uncounted,
    )
