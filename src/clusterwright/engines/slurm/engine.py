"""The engine: orders become jobs of Slurm, and what Slurm and the disk say becomes an observation.

It remembers nothing that counts: every answer is made anew from Slurm and from the directory that
server and nodes share, so that it may be killed at any moment.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from clusterwright.engines.protocol import (
    Attempt,
    AttemptSeen,
    Capabilities,
    Launch,
    Observation,
    OutOfReach,
    Phase,
    Refused,
    Stop,
    Stream,
)
from clusterwright.engines.slurm import leftovers, placing, render, rows, seen
from clusterwright.engines.slurm.commands import Commands, Declined, Runner, run_here
from clusterwright.engines.slurm.fencing import Fence
from clusterwright.engines.slurm.rows import JobRow, NodeRow
from clusterwright.engines.slurm.settings import Settings
from clusterwright.engines.slurm.spool import FENCED, SAFE, Entry, Spool, parse_attempt
from clusterwright.errors import UnknownName

_BOOKS: Final = (
    *("submitted", "placed", "end", "stop", "limit", "not_started", "ended", "fenced", "fencing"),
    *("secrets", "batch.sh", "rank.sh", "lock"),
)
_LATER: Final = ("submit limit", "submitjob", "maxsubmit", "not available now", "is down")
"""What sbatch says to an order that may well be taken another time; in lower case."""
_STOP_SLACK_S: Final = 30.0
_LOOK_S: Final = 0.05


class SlurmEngine:
    """Carries decisions out on a Slurm cluster."""

    def __init__(
        self,
        settings: Settings,
        *,
        runner: Runner = run_here,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep the settings; `open` looks at the cluster."""
        self._settings = settings
        self._commands = Commands(
            runner=runner,
            timeout_s=settings.command_timeout_s,
            environment=settings.environment,
        )
        self._clock = clock
        self._spool = Spool(settings.root)
        self._fence = Fence(settings, self._commands, clock)
        self._capabilities = Capabilities(places=not settings.delegate, devices=False)

    @property
    def name(self) -> str:
        """Return `slurm`."""
        return "slurm"

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do; complete once it is open."""
        return self._capabilities

    def open(self) -> None:
        """Make the directories, and look whether the cluster answers.

        Raises
        ------
        OutOfReach
            If it does not.
        """
        self._spool.make()
        limits = placing.limits(self._commands.run("scontrol", "show", "config"))
        self._capabilities = Capabilities(
            places=not self._settings.delegate,
            devices=False,
            emulates=placing.emulates(self._nodes()),
            limits_memory=limits.memory,
            isolates_devices=limits.devices,
        )

    def observe(self) -> Observation:
        """Return nodes, attempts and the use that others make of the nodes.

        Raises
        ------
        OutOfReach
            If Slurm does not answer.
        """
        # First what was submitted, then the queue: an attempt submitted in between is seen in
        # the queue or not at all, and never taken for one that Slurm has forgotten.
        known = [self._spool.entry(attempt) for attempt in self._spool.watched()]
        submitted = {entry.attempt for entry in known if entry.slurm_id is not None}
        jobs = self._jobs()
        nodes = self._nodes()
        ours, others = self._sorted(jobs)
        known += self._adopted(ours, {entry.attempt for entry in known})
        down = {row.name for row in nodes if seen.is_down(row)}
        attempts = []
        for entry in known:
            row = _of(entry, ours.get(entry.attempt, ()))
            if row is None and entry.attempt in submitted:
                row = self._accounted(entry)
            if row is None and entry.attempt not in submitted:
                continue
            one = seen.attempt(entry, row, down)
            if one is not None:
                self._follow(entry, one, row, ours.get(entry.attempt, ()))
                attempts.append(one)
        by_name = {row.name: row for row in nodes}
        return Observation(
            time_s=self._clock(),
            nodes=tuple(seen.node(row, self._settings.gpu_models) for row in nodes),
            attempts=tuple(attempts),
            foreign=tuple(share for row in others for share in seen.foreign(row, by_name)),
        )

    def wait(self, timeout_s: float) -> bool:
        """Return True when a node has said something, or when it is time to ask Slurm again."""
        before = self._spool.stamp
        until = min(timeout_s, self._settings.poll_s)
        end = time.monotonic() + until
        while self._spool.stamp == before:
            left = end - time.monotonic()
            if left <= 0:
                return until < timeout_s
            time.sleep(min(_LOOK_S, left))
        return True

    def launch(self, order: Launch) -> None:
        """Submit an attempt, unless it has been submitted or fenced before.

        Raises
        ------
        OutOfReach
            If Slurm does not answer, or another server launches the same attempt.
        Refused
            If it can never start: what Slurm cannot do, or will not take.
        """
        if SAFE.fullmatch(order.attempt.job_id) is None:
            msg = f"{order.attempt}: the job's id is no name of a directory"
            raise Refused(msg)
        render.refuse(order)
        entry = self._spool.entry(order.attempt)
        entry.make()
        with entry.locked():
            if entry.holder or entry.text("submitted") is not None:
                return
            # A server that was killed while sbatch ran has left a job, and no note of it.
            ours, _ = self._sorted(self._jobs())
            found = ours.get(order.attempt)
            if found:
                entry.watch()
                entry.write("submitted", str(min(row.slurm_id for row in found)))
            else:
                self._submit(order, entry)

    def stop(self, attempt: Attempt, stop: Stop) -> None:
        """Take an attempt out of the queue, or tell its batch script to end it step by step.

        Raises
        ------
        OutOfReach
            If Slurm does not answer.
        """
        entry = self._spool.entry(attempt)
        row = self._row(entry)
        if row is None or over_or_fenced(entry, row):
            return
        if entry.text("stop") is None:
            words = f"{stop.signal or '-'} {stop.grace_s:g} {self._clock():.3f}\n"
            entry.make()
            entry.write("stop", words)
        number = str(row.slurm_id)
        if seen.waiting(row):  # it may have started since: only a job that waits is taken out
            self._scancel("--state=PENDING", number)
        self._scancel("--batch", "--signal=USR2", number)

    def fence(self, attempt: Attempt) -> bool:
        """Kill what is left of an attempt; True once nothing of it can run any more.

        Raises
        ------
        OutOfReach
            If Slurm does not answer.
        """
        entry = self._spool.entry(attempt)
        if entry.claim(FENCED):  # nothing of it has started, and now nothing can
            row = self._row(entry)
            if row is not None and not seen.over(row):
                self._scancel(str(row.slurm_id))
            entry.note("fenced", {"time_s": self._clock()})
            entry.remove("secrets")
            return True
        if entry.holder == FENCED or entry.noted("fenced") is not None:
            return True
        return self._fence.close(entry, self._row(entry), self._nodes())

    def confirm_dead(self, node: str) -> None:
        """Keep an operator's word that a node is off: what ran on it until now is gone.

        Raises
        ------
        UnknownName
            If there is no such node.
        """
        self._known(node)
        self._fence.confirm_dead(node)

    def signal(self, attempt: Attempt, signal: str) -> None:
        """Send a signal to all tasks of an attempt that runs.

        Raises
        ------
        OutOfReach
            If Slurm does not answer.
        """
        row = self._row(self._spool.entry(attempt))
        if row is not None and not seen.waiting(row) and not seen.over(row):
            self._scancel(f"--signal={signal}", str(row.slurm_id))

    def drain(self, node: str, reason: str) -> None:
        """Let no new work on a node.

        Raises
        ------
        OutOfReach
            If Slurm does not answer.
        UnknownName
            If there is no such node.
        """
        row = self._known(node)
        if not row.states & {"DRAIN", "DRAINED", "DRAINING"}:
            said = " ".join(reason.split()) or "drained by clusterwright"
            self._update(node, "DRAIN", f"Reason={said}")

    def undrain(self, node: str) -> None:
        """Let work on a node again.

        Raises
        ------
        OutOfReach
            If Slurm does not answer.
        UnknownName
            If there is no such node.
        """
        row = self._known(node)
        if row.states & {"DRAIN", "DRAINED", "DRAINING"}:
            # Not RESUME, which would also bring a node up that is down.
            self._update(node, "UNDRAIN")

    def log_path(self, attempt: Attempt, rank: int, stream: Stream) -> Path | None:
        """Return the file that a rank prints to; it may not be there yet."""
        entry = self._spool.entry(attempt)
        if not entry.path.is_dir():
            return None
        return entry.log(rank // int((entry.noted("order") or {}).get("ranks_per_task", 1)), stream)

    def report_path(self, attempt: Attempt) -> Path | None:
        """Return the file that the job reports into; it may not be there yet."""
        entry = self._spool.entry(attempt)
        return entry.report if entry.path.is_dir() else None

    def forget(self, attempts: Sequence[Attempt]) -> None:
        """Drop the books of attempts; their claim stays, so that none starts again."""
        for attempt in attempts:
            entry = self._spool.entry(attempt)
            entry.claim(FENCED)
            entry.unwatch()
            entry.remove(*_BOOKS)

    def close(self) -> None:
        """Let go: nothing is held."""

    def _submit(self, order: Launch, entry: Entry) -> None:
        place = placing.place(order, entry, self._settings, self._spool, self._nodes())
        Path(place.workdir).mkdir(parents=True, exist_ok=True) if not order.spec.workdir else None
        entry.write("batch.sh", render.batch_script(order, place), 0o700)
        entry.write("rank.sh", render.rank_script(order, place, str(entry.report)), 0o700)
        entry.note("order", placing.order_facts(order))
        if order.secrets:
            entry.write("secrets", render.secrets_text(order.secrets))
        words = render.sbatch_words(order, place)
        entry.watch()  # before there is anything to see, so that nothing is ever overlooked
        try:
            out = self._commands.run(*words, env={leftovers.VARIABLE: str(entry.path)})
        except Declined as error:
            entry.unwatch()
            entry.remove("secrets", "order")
            if any(word in str(error).lower() for word in _LATER):
                msg = f"{order.attempt}: {error}"
                raise OutOfReach(msg) from error
            msg = f"{order.attempt}: {error}"
            raise Refused(msg) from error
        entry.write("submitted", out.strip().partition(";")[0])

    def _follow(
        self, entry: Entry, one: AttemptSeen, row: JobRow | None, same: Iterable[JobRow]
    ) -> None:
        """Do what an observation makes plain: note an end, end what should have ended."""
        if one.phase is Phase.ENDED:
            if entry.noted("ended") is None:
                entry.note("ended", seen.keep(one))
                entry.remove("secrets")
            return
        if row is None:
            return
        for double in same:  # it waits in vain: the attempt belongs to another job
            if entry.holder and double.slurm_id != row.slurm_id and seen.waiting(double):
                self._scancel(str(double.slurm_id))
        words = (entry.text("stop") or "").split()
        if one.phase is Phase.STOPPING and len(words) == 3:
            _, grace_s, asked_s = words
            late = float(asked_s) + float(grace_s) + render.TERM_TO_KILL_S + _STOP_SLACK_S
            if self._clock() > late:  # the batch script has not done it
                self._scancel(str(row.slurm_id))

    def _adopted(
        self, ours: Mapping[Attempt, Sequence[JobRow]], known: set[Attempt]
    ) -> list[Entry]:
        """Return attempts that run by their comment and have no directory any more."""
        found = []
        for attempt, same in sorted(ours.items()):
            entry = self._spool.entry(attempt)
            if attempt in known or entry.path.exists():  # a directory alone is one forgotten
                continue
            entry.make()
            entry.write("submitted", str(min(row.slurm_id for row in same)))
            entry.watch()
            found.append(entry)
        return found

    def _sorted(self, jobs: Iterable[JobRow]) -> tuple[dict[Attempt, list[JobRow]], list[JobRow]]:
        """Return our jobs by attempt, and those of others."""
        ours: dict[Attempt, list[JobRow]] = {}
        others = []
        for row in jobs:
            attempt = None
            # The comment alone could be that of another centre on the same cluster.
            if row.comment.startswith(render.COMMENT):
                attempt = parse_attempt(row.comment.removeprefix(render.COMMENT))
            if attempt is not None and _under(row.output, self._spool.entry(attempt).path):
                ours.setdefault(attempt, []).append(row)
            else:
                others.append(row)
        return ours, others

    def _row(self, entry: Entry) -> JobRow | None:
        ours, _ = self._sorted(self._jobs())
        return _of(entry, ours.get(entry.attempt, ()))

    def _accounted(self, entry: Entry) -> JobRow | None:
        """Return what the accounts say of a job that the queue has forgotten."""
        if entry.ending is not None or entry.noted("ended") is not None:
            return None
        try:
            answer = self._commands.json("sacct", "--json", f"--jobs={entry.slurm_id}")
        except Declined:  # there are no accounts
            return None
        return next((row for row in rows.jobs(answer) if row.slurm_id == entry.slurm_id), None)

    def _jobs(self) -> tuple[JobRow, ...]:
        return rows.jobs(self._answer("squeue", "--json"))

    def _nodes(self) -> tuple[NodeRow, ...]:
        answer = self._answer("sinfo", "--json")
        if "nodes" not in answer:  # from 23.02 on sinfo prints its table's rows instead
            answer = self._answer("scontrol", "show", "nodes", "--json")
        return rows.nodes(answer)

    def _answer(self, *words: str) -> Mapping[str, object]:
        try:
            return self._commands.json(*words)
        except Declined as error:  # a question cannot be refused for good
            raise OutOfReach(str(error)) from error

    def _scancel(self, *words: str) -> None:
        try:
            self._commands.run("scancel", *words)
        except Declined:  # it has ended since
            return

    def _known(self, node: str) -> NodeRow:
        nodes = {row.name: row for row in self._nodes()}
        if node not in nodes:
            raise UnknownName.of("node", node, nodes)
        return nodes[node]

    def _update(self, node: str, state: str, *more: str) -> None:
        try:
            self._commands.run("scontrol", "update", f"NodeName={node}", f"State={state}", *more)
        except Declined as error:
            msg = f"node {node}: {error}. Changing nodes takes an operator or SlurmUser."
            raise Refused(msg) from error


def over_or_fenced(entry: Entry, row: JobRow) -> bool:
    """Return whether there is nothing left to stop."""
    return seen.over(row) or entry.holder == FENCED


def _of(entry: Entry, same: Sequence[JobRow]) -> JobRow | None:
    """Return the job that is the attempt: the one that claimed it, else the one that was first."""
    number = entry.slurm_id
    exact = next((row for row in same if row.slurm_id == number), None)
    if exact is not None or entry.holder:
        return exact
    return min(same, key=lambda row: row.slurm_id, default=None)


def _under(output: str, directory: Path) -> bool:
    return output.startswith(f"{directory}/")
