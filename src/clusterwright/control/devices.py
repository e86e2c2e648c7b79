"""Which accelerators of a node each attempt holds: by index, where the scheduler only counts.

A fold like the state itself: the same entries give the same indices.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self


class Devices:
    """The accelerators of every node, and who holds them."""

    def __init__(self, counts: Sequence[int]) -> None:
        """Take how many accelerators each node has; all are free."""
        self._holders: list[list[dict[str, None]]] = [
            [{} for _ in range(count)] for count in counts
        ]
        self._last = [[""] * count for count in counts]
        self._parts: dict[tuple[int, int], int] = {}  # node and part of the scheduler: index

    @classmethod
    def of(cls, counts: Sequence[int], plain: Mapping[str, Any]) -> Self:
        """Return what `plain` has written down."""
        found = cls(counts)
        for node, index, attempts in plain["held"]:
            found._holders[node][index] = dict.fromkeys(attempts)
        for node, index, attempt in plain["last"]:
            found._last[node][index] = attempt
        for node, part, index in plain["parts"]:
            found._parts[node, part] = index
        return found

    def plain(self, live: Collection[str]) -> dict[str, Any]:
        """Return who holds what, and who of `live` held it last, as plain JSON."""
        return {
            "held": [
                [node, index, list(attempts)]
                for node, holders in enumerate(self._holders)
                for index, attempts in enumerate(holders)
                if attempts
            ],
            "last": [
                [node, index, attempt]
                for node, attempts in enumerate(self._last)
                for index, attempt in enumerate(attempts)
                if attempt in live
            ],
            "parts": sorted([*key, index] for key, index in self._parts.items()),
        }

    def take(
        self, attempt: str, node: int, count: int, *, part: int = -1, leaving: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Hand accelerators of a node to an attempt, and return their indices, lowest first.

        Parameters
        ----------
        attempt
            Who takes them.
        node
            Number of the node.
        count
            How many whole ones; ignored for a share.
        part
            Which shared accelerator, by the scheduler's count; -1 for whole ones.
        leaving
            Attempts whose tasks may still run although they hold nothing any more; accelerators
            that they held are taken last.
        """
        holders = self._holders[node]
        if part >= 0:
            index = self._parts.get((node, part), -1)
            if index < 0:
                index = self._free(node, leaving)[0]
                self._parts[node, part] = index
            holders[index][attempt] = None
            return (index,)
        chosen = sorted(self._free(node, leaving)[:count])
        assert len(chosen) == count, "the scheduler counts what is free"
        for index in chosen:
            holders[index][attempt] = None
        return tuple(chosen)

    def hold(self, attempt: str, node: int, indices: Sequence[int], *, part: int = -1) -> None:
        """Let an attempt hold the accelerators that it has had before."""
        for index in indices:
            self._holders[node][index][attempt] = None
            if part >= 0:
                self._parts[node, part] = index

    def give(self, attempt: str, node: int) -> None:
        """Take back what an attempt holds of a node."""
        for index, holders in enumerate(self._holders[node]):
            if attempt not in holders:
                continue
            del holders[attempt]
            self._last[node][index] = attempt
            if not holders:
                self._parts = {
                    key: at for key, at in self._parts.items() if (key[0], at) != (node, index)
                }

    def _free(self, node: int, leaving: Sequence[str]) -> list[int]:
        free = [index for index, one in enumerate(self._holders[node]) if not one]
        return sorted(free, key=lambda index: (self._last[node][index] in leaving, index))
