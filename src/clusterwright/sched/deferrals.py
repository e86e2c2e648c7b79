"""Jobs that wait for a better hour: asked when they come, and again in every hour.

Whether one waits is said by a function that knows price or carbon, `Defer`; here stand the jobs
that it is asked about, what it is told of them, and the events that follow. A job that waits for a
better hour is held back like one whose time has not come (BEGIN_TIME); one that runs and may pause
writes a checkpoint first. Only jobs with a deadline are asked about.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Reason
from clusterwright.sched.progress import paused_s, to_come_s
from clusterwright.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from clusterwright.sched.state import State


class Defer(Protocol):
    """Whether a job waits for a better hour."""

    def __call__(
        self,
        job: int,
        now_s: float,
        *,
        left_s: float,
        due_s: float,
        started: bool,
        running: bool,
        restart_owed: bool,
    ) -> float | None:
        """Return until when a job waits, or None when it is to run.

        Parameters
        ----------
        job
            The job, by index.
        now_s
            The present.
        left_s
            Time on its accelerators that it still needs when nothing stops it.
        due_s
            Time until it must be through, what others take before it left out.
        started
            True when it has run before, or runs.
        running
            True when it runs now.
        restart_owed
            True when a restart is in `left_s`, because something other than a pause stopped it.
        """


class Deferrals:
    """The jobs with a deadline that are not through, and those of them that wait."""

    def __init__(self, state: "State", defer: Defer) -> None:
        """Begin without any."""
        self._state = state
        self._defer = defer
        self.open: dict[int, None] = {}
        """Jobs to ask about."""
        self.fresh: dict[int, None] = {}
        """Those of them that have come, or come back, since the last cycle."""
        self.until_s: dict[int, float] = {}
        """Those that wait for a better hour, and until when, as far as was foreseen."""
        self.paused: dict[int, None] = {}
        """Those that were paused by choice and have not run since."""
        self.asked_hour = -1
        """Hour in which all were asked last."""

    def note(self, job: int) -> None:
        """Note that a job waits: it has come, or it is back."""
        if self._state.jobs[job].deadline_s is not None:
            self.open[job] = None
            self.fresh[job] = None

    def close(self, job: int) -> None:
        """Note that a job is gone for good."""
        for some in (self.open, self.fresh, self.until_s, self.paused):
            some.pop(job, None)

    def next_s(self) -> float:
        """Return when to ask again; infinity when nobody waits, or runs and might pause."""
        running = self._state.running
        if self.until_s or any(job in running for job in self.open):
            return (self.asked_hour + 1) * SECONDS_PER_HOUR
        return float("inf")

    def decide(self, now_s: float) -> Iterator[Event]:
        """Yield who is held back, paused or let go; each event is to be applied before the next."""
        state, hour = self._state, int(now_s // SECONDS_PER_HOUR)
        asked = self.open if hour > self.asked_hour else self.fresh
        self.asked_hour = max(self.asked_hour, hour)
        due = sorted(asked, key=lambda job: (state.jobs[job].deadline_s or 0.0, job))
        self.fresh = {}
        for job in due:
            running = job in state.running
            waits = job in state.line(job).entries
            if not (running or waits or job in state.deferred):
                self.until_s.pop(job, None)
                continue  # something else holds it back
            until_s = self._asked(job, now_s, running=running)
            if until_s is None or until_s <= now_s:
                self.until_s.pop(job, None)
                if job in state.deferred:
                    yield Event(time_s=now_s, kind=EventKind.RELEASE, job=job)
                continue
            if running:
                kept = paused_s(state, job, now_s)
                yield Event(time_s=now_s, kind=EventKind.PREEMPT, job=job, kept_s=kept)
                self.paused[job] = None
            if running or waits:
                yield Event(time_s=now_s, kind=EventKind.DEFER, job=job)
            self.until_s[job] = until_s
        self.fresh = {}  # those that were paused here have been asked

    def _asked(self, job: int, now_s: float, *, running: bool) -> float | None:
        state = self._state
        one = state.jobs[job]
        started = running or job in state.remaining
        owed = started and not running and job not in self.paused
        if running:
            self.paused.pop(job, None)
            left_s, loading_s = to_come_s(state, job, now_s)
            owed = loading_s > 0
            left_s += loading_s
        else:
            stalls = 0.0
            if one.checkpoint_interval_s:
                stalls = state.guess_s(job) // one.checkpoint_interval_s * one.checkpoint_stall_s
            left_s = state.guess_s(job) + stalls + (one.restart_s if owed else 0.0)
        if left_s <= 0:
            return None  # it runs longer than it said; nothing is known of what is left
        return self._defer(
            job,
            now_s,
            left_s=left_s,
            due_s=(one.deadline_s or 0.0) - now_s - self._others_s(job, now_s),
            started=started,
            running=running,
            restart_owed=owed,
        )

    def _others_s(self, job: int, now_s: float) -> float:
        """Return how long others may keep the accelerators of a job from it.

        Those due before it that do not fit beside it take their time first. What else runs in its
        pool, and would have to end before it fits, takes as long as the longest of it, since a job
        that is let go is asked before those that came later.
        """
        state = self._state
        pool, mine = state.pool(job), state.ask(job).units
        due = (state.jobs[job].deadline_s or 0.0, job)
        before_s, others_s = 0.0, 0.0
        for other in self.open:
            theirs = (state.jobs[other].deadline_s or 0.0, other)
            if theirs >= due or state.pool(other) is not pool:
                continue
            if state.ask(other).units + mine > pool.total_units:
                before_s += state.guess_s(other)
        if job not in state.running and mine > pool.free_units:
            others_s = max(
                (
                    run.end_s - now_s
                    for other, run in state.running.items()
                    if other not in self.open and state.pool(other) is pool
                ),
                default=0.0,
            )
        return before_s + max(0.0, others_s)


def message_of(state: "State", job: int) -> str | None:
    """Return why a job waits for a better hour; None when it does not."""
    if state.gates.get(job) is not Reason.BEGIN_TIME or job not in state.deferred:
        return None
    due_s = state.jobs[job].deadline_s or 0.0
    found = state.deferrals
    until_s = None if found is None else found.until_s.get(job)
    until = "" if until_s is None else f", expected at {until_s:.0f} s"
    return f"waits for a better hour{until}; it must be through by {due_s:.0f} s"
