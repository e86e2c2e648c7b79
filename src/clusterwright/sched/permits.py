"""What a start needs beyond free accelerators: nodes that nobody else has reserved, and power.

A job that cannot end before a reservation begins, by what is known of it, does not start on nodes
that are kept. Known is its guess or its limit, with the checkpoints and the restart on top that the
guess does not hold; the time to wake a node or to fetch data is not foreseen. Under a power cap it
must fit for as long as it runs; one that may be stopped, until it has saved some work.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Reason
from clusterwright.sched.nodes import ALL, Ask, Placed, Pool, Spot
from clusterwright.sched.powercap import LITTLE_W, PowerBook
from clusterwright.sched.progress import lost_s
from clusterwright.sched.reserved import Reserved
from clusterwright.units import Watts
from clusterwright.units import format as show

if TYPE_CHECKING:
    from clusterwright.sched.state import State

_SAVED = 2  # checkpoints after which a job that may be stopped has got ahead, its restart paid


class Permits:
    """The reservations and the power of a cluster.

    What changes during a run follows from the running jobs, but for `promised`: the power that the
    first job of a pool is promised, by pool, as job, from when on, and watts.
    """

    def __init__(self, state: "State", cluster: Cluster) -> None:
        """Take the reservations and the power cap of a cluster.

        Raises
        ------
        InvalidInput
            With every reservation of nodes or for queues that there are none of, or if the cap
            cannot be held.
        """
        self._state = state
        self.reserved = Reserved(state, cluster.reservations)
        cap = cluster.power_cap
        self.power = None if cap is None else PowerBook(cluster, cap)
        self.promised: dict[str, tuple[int, float, float]] = {}
        edges = {edge for one in cluster.reservations for edge in (one.start_s, one.end_s)}
        edges.update(cap.since_s if cap is not None else ())
        self._edges_s = sorted(edge for edge in edges if edge < math.inf)

    def next_s(self, now_s: float) -> float:
        """Return when time alone may change what may start."""
        at = bisect_right(self._edges_s, now_s)
        return self._edges_s[at] if at < len(self._edges_s) else math.inf

    def edges_s(self, now_s: float) -> Sequence[float]:
        """Return all such times to come."""
        return self._edges_s[bisect_right(self._edges_s, now_s) :]

    def lasts_s(self, job: int) -> float:
        """Return how long a job that starts is expected to hold its nodes where it stands best."""
        state = self._state
        one, guess_s = state.jobs[job], state.guess_s(job)
        if one.checkpoint_interval_s:
            stalls = math.ceil(guess_s / one.checkpoint_interval_s) - 1
            guess_s += max(0, stalls) * one.checkpoint_stall_s
        if job in state.remaining:
            guess_s += one.restart_s
        return guess_s if one.time_limit_s is None else min(guess_s, one.time_limit_s)

    def start(self, job: int) -> None:
        """Note that a job runs."""
        if self.power is not None:
            run, one = self._state.running[job], self._state.jobs[job]
            lasts_s = run.lead_s + self.lasts_s(job) / run.rate
            limit_s = math.inf if one.time_limit_s is None else one.time_limit_s
            self.power.book(job, run.placed, run.since_s + min(lasts_s, limit_s))

    def stop(self, job: int, placed: Placed) -> None:
        """Note that a job runs no more."""
        if self.power is not None:
            self.power.strike(job, placed)

    def best_mask(self, pool: Pool, job: int, now_s: float) -> int:
        """Return the nodes that a job may hold if it starts now where it stands best."""
        return self.reserved.mask(pool, job, now_s, now_s + self.lasts_s(job))

    def place(
        self,
        pool: Pool,
        job: int,
        now_s: float,
        *,
        at_s: float | None = None,
        within: int = ALL,
        passes: bool = False,
        to_try: Pool | None = None,
    ) -> Spot | None:
        """Return where a job may start, on nodes kept for it before others; None when nowhere.

        Parameters
        ----------
        pool
            Its nodes.
        job
            The job.
        now_s
            The present.
        at_s
            When it would start; absent, now.
        within
            Mask of nodes to choose from.
        passes
            Whether it goes before the first job of its pool, which must not wait longer for it.
        to_try
            Copy of the pool on which others are thought to have ended; absent, as things are.
        """
        state, ask = self._state, self._state.ask(job)
        on = pool if to_try is None else to_try
        begin_s = now_s if at_s is None else at_s
        allowed = self.best_mask(pool, job, begin_s) & within
        for mask in self.reserved.masks(pool, job, begin_s, allowed):
            spot = state.place(on, ask, mask)
            if spot is None or not self._in_time(pool, job, spot, begin_s):
                continue
            if self.powers(pool, job, spot, now_s, begin_s, passes=passes):
                return spot
            fewer = self._fewer(pool, job, spot, now_s, begin_s, passes=passes)
            if fewer is not None:
                return fewer
        return None

    def approves(
        self, pool: Pool, job: int, spot: Spot, now_s: float, freed: Iterable[int]
    ) -> bool:
        """Return whether a job may hold a spot once others have been stopped for it."""
        if not self._in_time(pool, job, spot, now_s):
            return False
        book = self.power
        freed_w = 0.0 if book is None else sum(book.draw_of(one) for one in freed)
        return self.powers(pool, job, spot, now_s, now_s, freed_w=freed_w)

    def powers(
        self,
        pool: Pool,
        job: int,
        spot: Spot,
        now_s: float,
        at_s: float,
        *,
        passes: bool = False,
        freed_w: float = 0.0,
    ) -> bool:
        """Return whether there is power for a job on a spot, from a time on."""
        if self.power is None:
            return True
        watts = self.power.watts(spot[0])
        until_s = at_s + self._needs_s(pool, job, spot)
        kept = self._promised_to_others(pool, job, now_s, passes=passes)
        headroom_w = self.power.headroom_w(now_s, until_s, at_s=at_s, kept=kept)
        return watts <= headroom_w + freed_w + LITTLE_W

    def lacks_power(self, pool: Pool, ask: Ask, now_s: float) -> bool:
        """Return whether no job of a shape can start now, however short it is."""
        if self.power is None:
            return False
        quanta = ask.least * pool.scale or ask.quanta(pool.scale)
        return quanta * self.power.quantum_w(pool)[0] > LITTLE_W - self.power.over_w(now_s)

    def promise(self, pool: Pool, job: int, at_s: float, spot: Spot) -> None:
        """Note what the first job of a pool will draw."""
        if self.power is not None:
            self.promised[pool.name] = (job, at_s, self.power.watts(spot[0]))

    def overload(self, now_s: float) -> list[int]:
        """Return the jobs to stop where the cap has fallen below the draw: the least loss first.

        Only those can be meant that ran longer than they said, or may be stopped and have saved
        work; whoever turns out not to be needed is left alone.
        """
        book, state = self.power, self._state
        if book is None or (over_w := book.over_w(now_s)) <= LITTLE_W:
            return []

        def loss(job: int) -> tuple[bool, float, int]:
            vain = state.running[job].quanta * lost_s(state, job, now_s)
            return not state.jobs[job].preemptible, vain / (book.draw_of(job) or LITTLE_W), job

        chosen: list[int] = []
        for job in sorted(state.running, key=loss):
            if over_w <= LITTLE_W:
                break
            chosen.append(job)
            over_w -= book.draw_of(job)
        for job in list(reversed(chosen)):
            if over_w + book.draw_of(job) <= LITTLE_W:
                over_w += book.draw_of(job)
                chosen.remove(job)
        return chosen

    def why(self, pool: Pool, job: int, now_s: float) -> tuple[Reason, str] | None:
        """Return what keeps a job that fits from starting; None for nothing of this."""
        if self.place(pool, job, now_s) is not None:
            return None
        spot = self._state.place(pool, self._state.ask(job), self.best_mask(pool, job, now_s))
        if spot is not None and not self.powers(pool, job, spot, now_s, now_s):
            return Reason.POWER_CAP, self._lacks_power(pool, job, spot, now_s)
        message = self.reserved.why(pool, job, now_s, now_s + self.lasts_s(job))
        return None if message is None else (Reason.RESERVATION, message)

    def _in_time(self, pool: Pool, job: int, spot: Spot, at_s: float) -> bool:
        """Return whether a job leaves a spot in time at its speed there."""
        speed = self._speed(pool, job, spot)
        if speed >= 1:
            return True
        limit_s = self._state.jobs[job].time_limit_s
        lasts_s = min(self.lasts_s(job) / speed, math.inf if limit_s is None else limit_s)
        allowed = self.reserved.mask(pool, job, at_s, at_s + lasts_s)
        return all(allowed >> (node - pool.first) & 1 for node, _ in spot[0])

    def _speed(self, pool: Pool, job: int, spot: Spot) -> float:
        state = self._state
        speed = sum(quanta for _, quanta in spot[0]) / state.ask(job).quanta(pool.scale)
        return speed if state.rate is None else speed * state.rate(job, spot[0])

    def _needs_s(self, pool: Pool, job: int, spot: Spot) -> float:
        """Return how long a job must have its power: to its end, or until it has saved work."""
        one = self._state.jobs[job]
        lasts_s = self.lasts_s(job) / self._speed(pool, job, spot)
        if one.time_limit_s is not None:
            lasts_s = min(lasts_s, one.time_limit_s)
        if one.preemptible and one.checkpoint_interval_s:
            saved_s = _SAVED * (one.checkpoint_interval_s + one.checkpoint_stall_s)
            lasts_s = min(lasts_s, one.restart_s + saved_s)
        return lasts_s

    def _promised_to_others(
        self, pool: Pool, job: int, now_s: float, *, passes: bool
    ) -> list[tuple[float, float]]:
        """Return what is promised to the first jobs of the pools, while they wait for it.

        Whoever is asked as the head of its queue goes before what its own pool has promised.
        """
        state = self._state
        return [
            (from_s, watts)
            for name, (other, from_s, watts) in self.promised.items()
            if (passes or name != pool.name)
            and (other != job and from_s >= now_s and other in state.line(other).entries)
        ]

    def _fewer(
        self, pool: Pool, job: int, spot: Spot, now_s: float, at_s: float, *, passes: bool
    ) -> Spot | None:
        """Return a part of a spot that an elastic job has the power for; None when none is."""
        least = self._state.ask(job).least * pool.scale
        if self.power is None or not least:
            return None
        placed = spot[0]
        held = sum(quanta for _, quanta in placed)
        while len(placed) > 1:
            held -= placed[-1][1]
            placed = placed[:-1]
            if held < least:
                return None
            fewer = (placed, spot[1])
            fits = self._in_time(pool, job, fewer, at_s)
            if fits and self.powers(pool, job, fewer, now_s, at_s, passes=passes):
                return fewer
        return None

    def _lacks_power(self, pool: Pool, job: int, spot: Spot, now_s: float) -> str:
        book = self.power
        assert book is not None  # nothing lacks power where it is not counted
        watts = book.watts(spot[0])
        until_s = now_s + self._needs_s(pool, job, spot)
        kept = self._promised_to_others(pool, job, now_s, passes=False)
        free_w = max(0.0, book.headroom_w(now_s, until_s, at_s=now_s, kept=kept))
        return (
            f"would draw {show(watts, Watts)} more until {until_s:.0f} s, {show(free_w, Watts)} "
            f"of the cap are to be had all that time; now {show(book.drawn_w(), Watts)} of "
            f"{show(book.at_s(now_s), Watts)} are drawn"
        )


def permits_of(state: "State", cluster: Cluster) -> Permits | None:
    """Return what starts need on a cluster; None when free accelerators are enough."""
    if cluster.reservations or cluster.power_cap is not None:
        return Permits(state, cluster)
    return None
