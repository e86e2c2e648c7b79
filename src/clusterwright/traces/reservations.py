"""Reservations, from a table: `name,start_s,end_s` and which nodes, for whom.

Nodes are those of `queue` (all of them when it is empty), under the leaf switch number `leaf` where
one is given; `nodes` is how many of them, the last ones, or empty for all. Several names in
`for_queues`, `for_users`, `for_projects` and `for_jobs` are parted by spaces; all empty is nobody,
as in maintenance. `stops` is yes where jobs of others must leave at the start.
"""

from collections.abc import Mapping

from clusterwright.errors import Fault, InvalidInput, nearest
from clusterwright.model.cluster import Cluster
from clusterwright.model.reservation import Reservation
from clusterwright.traces.tidy import number_of, rows_of

NEEDED = ("name", "start_s", "end_s")
"""Columns that a table of reservations must have."""

_KNOWN = (
    *NEEDED,
    *("queue", "leaf", "nodes", "for_queues", "for_users", "for_projects", "for_jobs", "stops"),
)
_YES = {"yes": True, "no": False, "": False}


def read_reservations(content: bytes, cluster: Cluster, *, file: str) -> tuple[Reservation, ...]:
    """Return the reservations of a table, on the nodes of a cluster.

    Raises
    ------
    InvalidInput
        With every cell that says nothing, and every row that keeps no node or lasts no time.
    """
    found: list[Reservation] = []
    faults: list[Fault] = []
    names: set[str] = set()
    for line, row in rows_of(content, file, NEEDED):
        if not faults:
            faults += _strangers(row, file)
        mine = [
            Fault(file=file, line=line, path=path, message=message, remedy=remedy)
            for path, message, remedy in _faults(row, cluster)
        ]
        if row["name"] in names:
            message = f"{row['name']!r} stands twice"
            mine.append(Fault(file=file, line=line, path="name", message=message))
        names.add(row["name"])
        faults += mine
        if not mine:
            found.append(_reservation(row, cluster))
    if faults:
        raise InvalidInput(faults)
    return tuple(found)


def _reservation(row: Mapping[str, str], cluster: Cluster) -> Reservation:
    nodes = _nodes(row, cluster)
    count = int(row.get("nodes") or len(nodes))
    words = {name: tuple((row.get(f"for_{name}") or "").split()) for name in _FOR}
    return Reservation(
        name=row["name"],
        start_s=float(row["start_s"]),
        end_s=float(row["end_s"]),
        nodes=nodes[-count:],  # a placement takes the first free nodes: the last are idle longest
        stops=_YES[(row.get("stops") or "").strip().lower()],
        **words,
    )


_FOR = ("queues", "users", "projects", "jobs")


def _nodes(row: Mapping[str, str], cluster: Cluster) -> tuple[int, ...]:
    """Return the nodes that a row chooses from, in order."""
    queue, leaf = row.get("queue") or "", row.get("leaf") or ""
    found: list[int] = []
    first, first_leaf = 0, 0
    for group in cluster.groups:
        each = group.nodes_per_leaf
        for number in range(group.num_nodes):
            under = str(first_leaf + number // each) if each else ""
            if queue in ("", group.queue) and leaf in ("", under):
                found.append(first + number)
        first += group.num_nodes
        first_leaf += -(-group.num_nodes // each) if each else 0
    return tuple(found)


def _faults(row: Mapping[str, str], cluster: Cluster) -> list[tuple[str, str, str]]:
    """Return what is wrong with a row: the column, what it says, what to write."""
    found = []
    if not row["name"]:
        found.append(("name", "is empty", "name the reservation"))
    times = [number_of(row[name]) for name in ("start_s", "end_s")]
    for name, value in zip(("start_s", "end_s"), times, strict=True):
        if value is None or value < 0:
            found.append((name, f"{row[name]!r} is no time", "write seconds from the start"))
    start, end = times
    if start is not None and end is not None and not start < end:
        found.append(("end_s", f"{end:g} s is not after {start:g} s", "end it after its start"))
    queue = row.get("queue") or ""
    if queue and queue not in cluster.queues:
        near = nearest(queue, cluster.queues)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(cluster.queues)}"
        found.append(("queue", f"{queue!r} has no nodes", hint))
        return found
    nodes, count = _nodes(row, cluster), row.get("nodes") or ""
    if not nodes:
        found.append(
            ("leaf", f"no node stands under leaf {row.get('leaf')!r}", "number them from 0")
        )
    elif count and not (count.isdecimal() and 1 <= int(count) <= len(nodes)):
        remedy = f"write 1 to {len(nodes)}, or leave it empty for all of them"
        found.append(("nodes", f"{count!r} nodes of {len(nodes)}", remedy))
    stops = (row.get("stops") or "").strip().lower()
    if stops not in _YES:
        found.append(("stops", f"{stops!r}", "write yes or no"))
    return found


def _strangers(row: Mapping[str, str], file: str) -> list[Fault]:
    """Return the columns that nobody knows: a wrong word would keep nodes for nobody."""
    return [
        Fault(
            file=file,
            line=1,
            path=name,
            message="there is no such column",
            remedy=f"did you mean {near[0]}?" if near else f"columns are {', '.join(_KNOWN)}",
        )
        for name in row
        if name and name not in _KNOWN
        for near in (nearest(name, _KNOWN),)
    ]
