"""From what the book says to what the engine must do: the difference, asked for again and again.

Nothing here remembers what it has asked for. Every order of an engine has the effect of once, so
after a crash the same comparison finds what is still to be done.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterwright.control.book import Book
from clusterwright.control.records import AttemptRecord, Record
from clusterwright.engines import OURS, Attempt, Launch, Observation, Phase, Stop


@dataclass(slots=True)
class Todo:
    """What the engine must do now."""

    launch: list[Attempt] = field(default_factory=list)
    """Attempts to start."""
    stop: list[Attempt] = field(default_factory=list)
    """Attempts to stop, with their warning."""
    fence: list[Attempt] = field(default_factory=list)
    """Attempts whose node is lost: what is left of them is to be killed, or proved gone."""
    forget: list[Attempt] = field(default_factory=list)
    """Attempts that have ended and are written down."""
    waiting: dict[Attempt, str] = field(default_factory=dict)
    """Attempts that may not start yet, and why."""
    drain: list[str] = field(default_factory=list)
    """Nodes that the engine should let no new work on."""
    undrain: list[str] = field(default_factory=list)
    """Nodes that it may let work on again."""


def todo(book: Book, seen: Observation) -> Todo:
    """Return the difference between the book and what the engine sees."""
    found = Todo()
    visible = {one.attempt: one for one in seen.attempts}
    for one in seen.attempts:
        known = book.attempt(one.attempt)
        if known is not None and known.is_over and one.phase is Phase.ENDED:
            found.forget.append(one.attempt)
    for attempt, record in book.live.items():
        known = record.attempts[attempt.number - 1]
        there = visible.get(attempt)
        if known.released_s is None:
            if there is None:
                _want_launch(book, record, known, found)
            elif there.phase is Phase.LOST:
                found.fence.append(attempt)
        elif there is None or there.phase is Phase.LOST or known.stop == "node_fail":
            # It lost its nodes before the engine had it, or with a node: either way it must be
            # certain that nothing of it can start or go on.
            found.fence.append(attempt)
        elif there.phase in (Phase.PENDING, Phase.RUNNING):
            found.stop.append(attempt)
    for node in seen.nodes:
        wanted = node.name in book.drained
        if wanted and not node.drained:
            found.drain.append(node.name)
        elif node.drained and node.reason.startswith(OURS) and not wanted:
            found.undrain.append(node.name)
    return found


def order(
    book: Book, record: Record, known: AttemptRecord, places: "Places", secrets: Mapping[str, str]
) -> Launch:
    """Return the order to start an attempt."""
    directory = places.checkpoints(record)
    env = {
        "CLUSTERWRIGHT_JOB_ID": record.job_id,
        "CLUSTERWRIGHT_ATTEMPT": str(known.attempt),
        "CLUSTERWRIGHT_QUEUE": record.spec.queue,
        "CLUSTERWRIGHT_PROJECT": record.spec.project,
        "CLUSTERWRIGHT_NUM_NODES": str(len(known.shares)),
        "CLUSTERWRIGHT_NODE_LIST": ",".join(known.nodes),
        "CLUSTERWRIGHT_CHECKPOINT_DIR": str(directory),
        "CLUSTERWRIGHT_RESUME_FROM": known.resume_from,
        "CLUSTERWRIGHT_DATA_DIR": book.centre.data_dir or "",
        "CLUSTERWRIGHT_OUTPUT_DIR": str(places.outputs(record)),
    }
    if record.task is not None:
        env["CLUSTERWRIGHT_ARRAY_ID"] = record.array
        env["CLUSTERWRIGHT_ARRAY_TASK"] = str(record.task)
    limit_s = record.spec.time_limit_s
    return Launch(
        attempt=known.attempt,
        spec=record.spec,
        shares=known.shares,
        env=env,
        secrets=secrets,
        shown=(str(places.project(record)), *filter(None, [book.centre.data_dir])),
        checkpoint_dir=str(directory),
        resume_from=known.resume_from,
        time_limit_s=book.centre.time_limit_s if limit_s is None else limit_s,
    )


def stop_of(record: Record, known: AttemptRecord) -> Stop:
    """Return how an attempt is stopped: one that was cancelled saves nothing."""
    checkpoint = record.spec.checkpoint
    if known.stop in ("cancelled", "failed", "timeout"):
        return Stop(signal="", grace_s=0.0)
    return Stop(signal=checkpoint.signal, grace_s=checkpoint.grace_s)


class Places:
    """Directories that the centre gives to jobs, kept apart by project and job."""

    def __init__(self, root: Path) -> None:
        """Keep everything under a root, which only this user may enter."""
        self._root = root

    def checkpoints(self, record: Record) -> Path:
        """Return where a job keeps its checkpoints."""
        if record.spec.checkpoint.dir is not None:
            return Path(record.spec.checkpoint.dir)
        return self._made(record, "checkpoints")

    def outputs(self, record: Record) -> Path:
        """Return where a job leaves what it made."""
        return self._made(record, "outputs")

    def project(self, record: Record) -> Path:
        """Return what the jobs of a job's project may enter."""
        path = self._root / "projects" / record.spec.project
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def secrets(self, record: Record) -> Path:
        """Return where an operator lays the secrets of a job's project, a file for each."""
        return self._root / "secrets" / record.spec.project

    def _made(self, record: Record, what: str) -> Path:
        path = self._root / "projects" / record.spec.project / record.job_id / what
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


def secrets_of(record: Record, places: "Places") -> dict[str, str]:
    """Return the values of a job's secrets, read now.

    Raises
    ------
    LookupError
        Naming the variable whose secret is not there; never its value.
    """
    found = {}
    for name, reference in record.spec.secrets.items():
        kind, _, what = reference.partition(":")
        if kind == "env":
            variable = f"CLUSTERWRIGHT_SECRET_{what}"
            if variable not in os.environ:
                msg = f"secret {name}: the server has no variable {variable}"
                raise LookupError(msg)
            found[name] = os.environ[variable]
            continue
        path = places.secrets(record) / what
        try:
            found[name] = path.read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"secret {name}: project {record.spec.project} has none called {what}"
            raise LookupError(msg) from error
    return found


def _want_launch(book: Book, record: Record, known: AttemptRecord, found: Todo) -> None:
    """Launch an attempt unless something that was there before it may still run."""
    for before in record.attempts[: known.attempt.number - 1]:
        if not before.is_over:
            found.waiting[known.attempt] = f"attempt {before.attempt} is not proved gone yet"
            return
    mine = {share.node: set(share.gpus) for share in known.shares}
    for attempt, other in book.live.items():
        one = other.attempts[attempt.number - 1]
        if one.released_s is None:
            continue
        for share in one.shares:
            if share.node in mine and (not share.gpus or mine[share.node] & set(share.gpus)):
                found.waiting[known.attempt] = f"attempt {attempt} is still ending on {share.node}"
                return
    found.launch.append(known.attempt)
