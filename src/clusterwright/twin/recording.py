"""A run as it is kept: the event log with the names of jobs, nodes and queues, so it stands alone.

The file is NumPy's `.npz`, a zip of one array a column, which any tool that knows NumPy reads
without clusterwright. The same run gives the same bytes.
"""

import io
import zipfile
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.cluster import Cluster
from clusterwright.model.event import EventKind
from clusterwright.model.job import QUANTA
from clusterwright.twin.kernel import Outcome
from clusterwright.twin.log import Columns, EventLog

Texts = npt.NDArray[np.str_]
Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FORMAT = "clusterwright.events/1"
"""What the file says of itself; the number changes when a column changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """The events of a run, and what the numbers in them stand for."""

    log: EventLog
    """All events in order."""
    end_s: float
    """When the run ended."""
    job_id: Texts
    """Name of each job, shape (num_jobs,)."""
    job_queue: Texts
    """Queue that it waits in."""
    job_user: Texts
    """Who submitted it; empty when unknown."""
    job_gpus: Floats
    """Accelerators that it asks for; 0 for a job on cores."""
    job_quanta: Numbers
    """The same in quanta, or the cores of a job without accelerators."""
    node_name: Texts
    """Name of each node, shape (num_nodes,)."""
    node_queue: Texts
    """Queue that owns it."""
    node_leaf: Numbers
    """Number of its leaf switch in the whole run; -1 where the topology is not known."""
    node_gpus: Numbers
    """Accelerators of it; 0 for a node without."""
    node_quanta: Numbers
    """What it offers: quanta of accelerators, or cores."""
    queue_name: Texts
    """Name of each queue, shape (num_queues,)."""
    queue_guarantee: Floats
    """Accelerators that it is guaranteed, or cores where it has none; its own nodes' where queues
    do not share."""

    @property
    def num_jobs(self) -> int:
        """How many jobs there are."""
        return int(self.job_id.size)

    @property
    def num_nodes(self) -> int:
        """How many nodes there are."""
        return int(self.node_name.size)

    @property
    def queue_of_job(self) -> Numbers:
        """Place of each job's queue among the queues, shape (num_jobs,)."""
        return _places(self.job_queue, self.queue_name)

    @property
    def queue_of_node(self) -> Numbers:
        """Place of each node's queue among the queues, shape (num_nodes,)."""
        return _places(self.node_queue, self.queue_name)


def record(outcome: Outcome) -> Recording:
    """Return the recording of a run."""
    jobs, cluster = outcome.jobs, outcome.cluster
    counts = [group.num_nodes for group in cluster.groups]
    owners = [group.queue for group in cluster.groups]
    queues = tuple(dict.fromkeys((*owners, *(job.queue for job in jobs))))
    return Recording(
        log=outcome.log,
        end_s=outcome.end_s,
        job_id=_texts([job.job_id for job in jobs]),
        job_queue=_texts([job.queue for job in jobs]),
        job_user=_texts([job.user for job in jobs]),
        job_gpus=np.array([job.num_gpus_ratio for job in jobs], dtype=np.float64),
        job_quanta=np.array([job.quanta for job in jobs], dtype=np.int64),
        node_name=_texts(_node_names(cluster)),
        node_queue=np.repeat(_texts(owners), counts),
        node_leaf=_leaves(cluster),
        node_gpus=np.repeat(
            np.array([group.gpus_per_node for group in cluster.groups], dtype=np.int64), counts
        ),
        node_quanta=np.repeat(
            np.array([group.quanta for group in cluster.groups], dtype=np.int64), counts
        ),
        queue_name=_texts(list(queues)),
        queue_guarantee=np.array(
            [_guarantee(cluster, queue) for queue in queues], dtype=np.float64
        ),
    )


def to_bytes(recording: Recording) -> bytes:
    """Return a recording as the bytes of an `.npz` file."""
    columns: dict[str, npt.NDArray[np.generic]] = {
        "format": np.array(FORMAT),
        "kind_name": _texts([kind.name for kind in EventKind]),
        **recording.log.columns(),
        **{name: np.asarray(getattr(recording, name)) for name in _NAMED},
    }
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **columns)
    return content.getvalue()


def read(content: bytes, *, file: str = "events.npz") -> Recording:
    """Return the recording in the bytes of an `.npz` file; `file` is its name in messages.

    Raises
    ------
    InvalidInput
        If it is no such file, of another version, or its columns contradict each other.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            columns = {name: found[name] for name in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _refused(file, f"this is no .npz file ({error})") from error
    version = str(columns.get("format", ""))
    if version != FORMAT:
        raise _refused(file, f"format {version!r} instead of {FORMAT!r}")
    missing = [name for name in _NAMED if name not in columns]
    if missing:
        raise _refused(file, f"no column {', '.join(missing)}")
    try:
        log = EventLog.from_columns(columns)
    except ValueError as error:
        raise _refused(file, str(error)) from error
    named = {name: columns[name] for name in _NAMED if name != "end_s"}
    faults = _faults(columns)
    if faults:
        raise _refused(file, *faults)
    return Recording(log=log, end_s=float(columns["end_s"]), **named)


_NAMED = tuple(one.name for one in fields(Recording) if one.name != "log")


def _faults(columns: Columns) -> list[str]:
    """Return what contradicts itself in the columns of a file."""
    faults = []
    for noun in ("job", "node", "queue"):
        lengths = {columns[name].size for name in _NAMED if name.startswith(f"{noun}_")}
        if len(lengths) > 1:
            faults.append(f"the columns {noun}_… are not of one length")
    bounds = {
        "kind": (0, len(EventKind)),
        "job": (-1, columns["job_id"].size),
        "node": (-1, columns["node_name"].size),
        "nodes": (0, columns["node_name"].size),
    }
    for name, (least, most) in bounds.items():
        column = columns[name]
        if column.size and not (least <= column.min() and column.max() < most):
            faults.append(f"column {name!r} names what is not there")
    return faults


def _refused(file: str, *messages: str) -> InvalidInput:
    remedy = " Write it anew with `clusterwright simulate … --out DIR`."
    return InvalidInput([Fault(file=file, message=f"{one}.{remedy}") for one in messages])


def _texts(texts: list[str]) -> Texts:
    return np.array(texts, dtype=np.str_) if texts else np.zeros(0, dtype="<U1")


def _places(names: Texts, known: Texts) -> Numbers:
    order = np.argsort(known)
    return np.asarray(order[np.searchsorted(known, names, sorter=order)], dtype=np.int64)


def _node_names(cluster: Cluster) -> list[str]:
    """Return the names of nodes, as the cabling list writes them: `training-001`."""
    used: dict[str, int] = {}
    names = []
    for group in cluster.groups:
        first = used.get(group.queue, 0)
        used[group.queue] = first + group.num_nodes
        names += [f"{group.queue}-{first + i + 1:03d}" for i in range(group.num_nodes)]
    return names


def _leaves(cluster: Cluster) -> Numbers:
    """Return the number of each node's leaf; groups do not share leaves."""
    first, found = 0, []
    for group in cluster.groups:
        each = group.nodes_per_leaf
        own = np.arange(group.num_nodes) // each + first if each else np.full(group.num_nodes, -1)
        found.append(own)
        first += -(-group.num_nodes // each) if each else 0
    return np.concatenate([*found, np.zeros(0, dtype=np.int64)]).astype(np.int64)


def _guarantee(cluster: Cluster, queue: str) -> float:
    given = {one.queue: one.guarantee_ratio for one in cluster.quotas}
    if any(given.values()):
        return given.get(queue, 0.0)
    return float(
        sum(
            group.num_nodes * (group.quanta // QUANTA if group.gpus_per_node else group.quanta)
            for group in cluster.groups
            if group.queue == queue
        )
    )
