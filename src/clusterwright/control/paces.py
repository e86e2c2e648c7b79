"""How long each rank of a gang works in a step, and which of them work much longer than the rest.

Ranks wait for each other, so their steps all last as long as the slowest one's. What tells them
apart is the time that each works before it waits: `{"rank": 3, "busy_s": 0.41}` in the report. The
averages, in seconds, live in the server alone and begin anew with it; what is found goes into the
journal.
"""

import math
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from clusterwright.control.book import Book
from clusterwright.control.entries import Entry, Fact
from clusterwright.control.records import AttemptRecord, Record
from clusterwright.engines import Attempt

STRAGGLER = "straggler"
"""What a gang is found to have: ranks that work longer than the rest."""
EVEN = "even"
"""What it is found to be when it has none any more."""

_SLOW, _EVEN = 1.3, 1.15  # times the median rank: found above the first, let go below the second
_LEAST_STEPS, _LEAST_RANKS = 8, 3  # no judgement on less
_WEIGHT = 0.1  # of the newest step in a rank's average
_NAMED = 4  # ranks that a message names


class Paces:
    """Averages of the ranks of what runs."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._of: dict[Attempt, dict[int, tuple[int, float]]] = {}
        self._fresh: set[Attempt] = set()  # with news since they were last looked at

    def note(self, attempt: Attempt, num_ranks: int, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take note of what ranks have reported; what is no such line counts nothing."""
        for line in lines:
            rank, busy_s = line.get("rank"), line.get("busy_s")
            if not isinstance(rank, int) or not isinstance(busy_s, int | float):
                continue
            if not 0 <= rank < num_ranks or not 0.0 < busy_s < math.inf:
                continue
            ranks = self._of.setdefault(attempt, {})
            count, mean_s = ranks.get(rank, (0, 0.0))
            weight = max(_WEIGHT, 1.0 / (count + 1))  # the plain mean at first
            self._fresh.add(attempt)
            ranks[rank] = (count + 1, mean_s + weight * (busy_s - mean_s))

    def found(self, book: Book, now_s: float) -> list[Entry]:
        """Return what gangs have newly become: with stragglers, with others, or even again."""
        entries = []
        for attempt in [one for one in self._of if one not in book.live]:
            del self._of[attempt]
        fresh, self._fresh = self._fresh & self._of.keys(), set()
        for attempt in sorted(fresh):
            record = book.jobs[attempt.job_id]
            known = record.attempts[attempt.number - 1]
            if known.released_s is not None:
                continue
            slow = self._slow(attempt, known.stragglers)
            if set(slow) != set(known.stragglers):
                entries.append(_entry(record, known, slow, now_s))
        return entries

    def _slow(self, attempt: Attempt, before: Iterable[int]) -> dict[int, float]:
        """Return the ranks that are too slow, with how many times the median they work."""
        means = {
            rank: mean_s for rank, (n, mean_s) in self._of[attempt].items() if n >= _LEAST_STEPS
        }
        if len(means) < _LEAST_RANKS:
            return {}
        middle_s = median(means.values())
        bounds = dict.fromkeys(before, _EVEN)
        ratios = {rank: mean_s / middle_s for rank, mean_s in means.items()}
        return {rank: ratio for rank, ratio in ratios.items() if ratio > bounds.get(rank, _SLOW)}


def _entry(record: Record, known: AttemptRecord, slow: Mapping[int, float], now_s: float) -> Entry:
    tasks = record.spec.num_tasks_per_node
    worst = sorted(slow, key=lambda rank: -slow[rank])
    words = [
        f"rank {rank} on {known.nodes[rank // tasks]} works {slow[rank]:.1f} times as long"
        for rank in worst[:_NAMED]
    ]
    if len(worst) > _NAMED:
        words.append(f"{len(worst) - _NAMED} more do so too")
    message = f"{'; '.join(words)} in a step as the median rank" if words else ""
    body = {
        "attempt": known.attempt.number,
        "what": STRAGGLER if slow else EVEN,
        "message": message,
        "ranks": sorted(slow),
    }
    return Entry(now_s, Fact.HEALTH, record.job_id, body=body)
