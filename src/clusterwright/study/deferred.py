"""Work that can wait, run hour by hour on one pool: at once, or when a rule lets it.

A model of hours, not of nodes: a gang that fits in what the pool has left runs. Failures strike
after so much time on the accelerators, the same for every rule, so that two runs differ by the
rule alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clusterwright.errors import UsageError
from clusterwright.sched.deferral import Deferrable, expected_loss_s, reserve_s
from clusterwright.sched.outlook import Hours
from clusterwright.units import SECONDS_PER_HOUR, Fraction, PerSecond, Ratio, Seconds, Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A gang with a deadline."""

    name: str
    """Name of the job."""
    submit_s: Seconds
    """When it comes, from the start of the run."""
    due_s: Seconds
    """Its deadline, from the start of the run."""
    work_s: Seconds
    """Time on its accelerators, checkpoints included and failures not."""
    num_gpus_ratio: Ratio
    """Accelerators."""
    power_w: Watts
    """What the facility draws more while it runs."""
    interruptible: bool
    """True when it may pause at a checkpoint."""
    restart_s: Seconds
    """Time on its accelerators that going on after a stop takes."""
    failures_per_s: PerSecond
    """Rate at which failures stop it."""
    repair_s: Seconds
    """Time that a failure keeps it off its accelerators."""
    redo_s: Seconds
    """Work that a failure loses."""
    error_fraction: Fraction
    """How far its run time may be off."""
    failures_at_s: tuple[Seconds, ...] = ()
    """Times on its accelerators at which failures strike."""

    def left(self, work_s: float, now_s: float, risk: float, *, started: bool) -> Deferrable:
        """Return what a rule is told of it when so much work is left; it does not run."""
        each = self.repair_s + self.restart_s + self.redo_s
        return Deferrable(
            need_s=work_s,
            due_s=self.due_s - now_s,
            lost_s=expected_loss_s(work_s, failures_per_s=self.failures_per_s, each_s=each),
            reserve_s=reserve_s(
                work_s,
                failures_per_s=self.failures_per_s,
                each_s=each,
                risk_fraction=risk,
                # A campaign that runs has timed its own steps; the guess is for before.
                error_fraction=0.0 if started else self.error_fraction,
            ),
            interruptible=self.interruptible,
            restart_s=self.restart_s,
            started=started,
        )


@dataclass(frozen=True, slots=True)
class Course:
    """What became of the tasks."""

    run_s: Hours
    """Seconds on the accelerators, of shape `(num_tasks, num_hours)`."""
    ends_s: tuple[float, ...]
    """When each was through; nan if it was not."""
    num_pauses: int
    """How often a rule made one pause."""


Rule = Callable[[Deferrable, int], bool]
"""Whether a job as it stands runs in an hour."""


def at_once(work: Deferrable, hour: int) -> bool:
    """Run whatever there is: the rule of a centre that looks at no price."""
    del work, hour
    return True


def run(tasks: Sequence[Task], room: Hours, rule: Rule, *, risk_fraction: float) -> Course:
    """Run tasks on a pool and return their course.

    Parameters
    ----------
    tasks
        The tasks; in equal haste, the earlier one goes first.
    room
        Accelerators that the pool has for them, by hour; its length is that of the run.
    rule
        Whether a task runs in an hour.
    risk_fraction
        Chance of more failures than the reserve holds.

    Raises
    ------
    UsageError
        If a task is larger than the pool ever is.
    """
    large = [one for one in tasks if one.num_gpus_ratio > room.max(initial=0.0) + 1e-9]
    if large:
        msg = (
            f"{large[0].name} asks for {large[0].num_gpus_ratio:g} accelerators, its pool never "
            f"has more than {room.max(initial=0.0):g} for it"
        )
        raise UsageError(msg)
    states = [_State(task) for task in tasks]
    run_s = np.zeros((len(tasks), room.size))
    for hour in range(room.size):
        now = hour * SECONDS_PER_HOUR
        here = [
            (index, state)
            for index, state in enumerate(states)
            if state.left_s > 0 and state.task.submit_s < now + SECONDS_PER_HOUR
        ]
        told = _told(here, now, risk_fraction, float(room[hour]))
        free = float(room[hour])
        for place in sorted(range(len(here)), key=lambda i: (told[i].slack_s, i)):
            index, state = here[place]
            begin = max(now, state.task.submit_s)
            fits = state.task.num_gpus_ratio <= free + 1e-9
            if fits and rule(told[place], hour):
                free -= state.task.num_gpus_ratio
                run_s[index, hour] = state.advance(begin, now + SECONDS_PER_HOUR - begin)
            else:
                state.hold(SECONDS_PER_HOUR)
    return Course(
        run_s,
        tuple(state.end_s for state in states),
        sum(state.num_pauses for state in states),
    )


def _told(
    here: Sequence[tuple[int, "_State"]], now: float, risk: float, room: float
) -> list[Deferrable]:
    """Return what the rule is told of each task: its own time, and that of those due before it."""
    own = [state.told(now, risk) for _, state in here]
    if len(own) < 2:
        return own
    told = []
    for place, (_, state) in enumerate(here):
        before = [
            other
            for at, other in enumerate(own)
            if (other.due_s, at) < (own[place].due_s, place)
            and here[at][1].task.num_gpus_ratio + state.task.num_gpus_ratio > room
        ]
        told.append(
            state.told(now, risk, queue_s=math.fsum(one.need_s + one.reserve_s for one in before))
        )
    return told


class _State:
    """A task on its way."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.left_s = task.work_s
        self.ran_s = 0.0
        self.end_s = math.nan
        self.num_pauses = 0
        self.running = False
        self._started = False
        self._restart_s = 0.0
        self._outage_s = 0.0
        self._failures = list(task.failures_at_s)[::-1]

    def told(self, now: float, risk: float, queue_s: float = 0.0) -> Deferrable:
        """Return what a rule is told, with the time that others take before it."""
        left = self.left_s + self._restart_s + self._outage_s
        at = max(now, self.task.submit_s)
        plain = self.task.left(left, at, risk, started=self._started)
        return replace(
            plain,
            running=self.running,
            # After a failure a restart is owed in any case, and a pause costs no further one.
            restart_s=0.0 if self._restart_s else plain.restart_s,
            lost_s=plain.lost_s + queue_s,
            reserve_s=plain.reserve_s + queue_s,
        )

    def hold(self, lasts_s: float) -> None:
        """Let time pass without running; repairs go on."""
        if self.running:
            self.num_pauses += 1
        self.running = False
        self._outage_s = max(0.0, self._outage_s - lasts_s)

    def advance(self, begin_s: float, lasts_s: float) -> float:
        """Run from a time on for at most so long; return the seconds on the accelerators."""
        task = self.task
        if self._started and not self.running:
            self._restart_s = max(self._restart_s, task.restart_s)
        self.running = self._started = True
        free, used = lasts_s, 0.0
        while free > 0 and self.left_s > 0:
            if self._outage_s > 0:
                step = min(free, self._outage_s)
                self._outage_s -= step
                free -= step
                continue
            step = min(free, self._restart_s or self.left_s)
            if self._failures:
                step = min(step, max(0.0, self._failures[-1] - self.ran_s))
            if self._restart_s:
                self._restart_s -= step
            else:
                self.left_s -= step
            self.ran_s += step
            used += step
            free -= step
            if self._failures and self.ran_s >= self._failures[-1]:
                self._failures.pop()
                self._outage_s = task.repair_s
                self._restart_s = task.restart_s
                self.left_s = min(task.work_s, self.left_s + task.redo_s)
            if self.left_s <= 1e-6:
                self.left_s = 0.0
                self.end_s = begin_s + lasts_s - free
        return used
