"""The time of the journal: it goes forwards, as fast as time passes, near the wall clock.

A wall clock that is set wrong for a while would otherwise end time limits, or stop all waiting
until it has caught up. So time runs on from where it began; a wall clock that has been ahead for
ten minutes is believed, one that is behind is not.
"""

import time
from collections.abc import Callable

JUMP_S = 30.0
"""Difference from the wall clock from which on it is told."""
BELIEVED_AFTER_S = 600.0
"""Time that the wall clock must have been ahead before it is followed."""


class Clock:
    """Seconds since 1970 that only go forwards."""

    def __init__(
        self,
        last_s: float = 0.0,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at the wall clock, or at the last time that was written down if that is later."""
        self._wall, self._steady = wall, steady
        self._last_s = last_s
        self._zero_s = max(wall(), last_s) - steady()
        self._ahead_since: float | None = None
        self._told_s = 0.0

    def now_s(self) -> float:
        """Return the time: later than any given before, by a microsecond at least."""
        self._last_s = max(self._zero_s + self._steady(), self._last_s + 1e-6)
        return self._last_s

    def jump_s(self) -> float:
        """Return how far the wall clock is ahead, once for each time that it was set; else 0."""
        steady = self._steady()
        ahead_s = self._wall() - (self._zero_s + steady)
        if ahead_s < JUMP_S:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = steady
        elif steady - self._ahead_since >= BELIEVED_AFTER_S:
            self._zero_s += ahead_s
            self._ahead_since, self._told_s = None, 0.0
            return 0.0
        if abs(ahead_s - self._told_s) < JUMP_S:
            return 0.0
        self._told_s = ahead_s
        return ahead_s
