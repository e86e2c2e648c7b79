"""Fencing: an attempt starts elsewhere only once what it left on lost nodes is proved gone.

A node that is down may well compute: its slurmd has died, or the network to it has. What is left on
it is gone when one of these holds: its machine has been started anew since, it is switched off, it
answers again and has had time to kill what Slurm no longer knows, an operator has said so, or it
stands on this machine, where its processes are killed and looked for.
"""

from collections.abc import Callable, Sequence
from typing import Any

from clusterwright.engines.slurm import leftovers, placing, seen
from clusterwright.engines.slurm.commands import Commands, Declined
from clusterwright.engines.slurm.rows import JobRow, NodeRow
from clusterwright.engines.slurm.settings import Settings
from clusterwright.engines.slurm.spool import SAFE, Entry

_OFF = frozenset({"POWERED_DOWN", "POWER_DOWN"})
_SILENT = frozenset({"NOT_RESPONDING", "NO_RESPOND", "UNKNOWN"})


class Fence:
    """Ends what is left of attempts that have started."""

    def __init__(self, settings: Settings, commands: Commands, clock: Callable[[], float]) -> None:
        """Keep what it works with."""
        self._settings = settings
        self._commands = commands
        self._clock = clock

    def close(self, entry: Entry, row: JobRow | None, nodes: Sequence[NodeRow]) -> bool:
        """Kill what is left of an attempt; return True once that is proved.

        Parameters
        ----------
        entry
            Its directory.
        row
            Its job; None when Slurm has forgotten it.
        nodes
            Every node of the cluster.

        Raises
        ------
        OutOfReach
            If Slurm does not answer.
        """
        alive = row is not None and not seen.over(row)
        if row is not None and alive:
            self._cancel(row)
        facts = self._watch(entry, row, nodes)
        if placing.emulates(nodes):
            # Slurm waits on for a daemon that is dead; its processes are seen here all the same.
            ordered = row is None or not alive or "COMPLETING" in row.states
            gone = leftovers.end(entry.path) and ordered
        else:
            by_name = {node.name: node for node in nodes}
            gone = not alive and all(
                self._is_clear(name, by_name.get(name), facts) for name in facts["nodes"]
            )
        if not gone:
            return False
        entry.note(
            "fenced",
            {
                "time_s": self._clock(),
                "lost": facts["lost"],
                "node_fail": bool(facts["lost"]) or facts["node_fail"],
            },
        )
        entry.remove("secrets")
        return True

    def confirm_dead(self, node: str) -> None:
        """Keep an operator's word that a node is off."""
        if SAFE.fullmatch(node):
            path = self._settings.root / "dead" / node
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{self._clock():.3f}\n")

    def _watch(self, entry: Entry, row: JobRow | None, nodes: Sequence[NodeRow]) -> dict[str, Any]:
        """Return what is known of the attempt's nodes since fencing began; it is noted."""
        facts: dict[str, Any] = dict(entry.noted("fencing") or {})
        if not facts:
            facts = {
                "began_s": self._clock(),
                "started_s": row.start_s if row else None,
                "nodes": sorted({*entry.nodes, *(row.nodes if row else ())}),
                "node_fail": bool(row and row.states & {"NODE_FAIL", "BOOT_FAIL"}),
                "lost": [],
                "back_s": {},
            }
        down = {node.name for node in nodes if seen.is_down(node) or node.states & _SILENT}
        mine = set(facts["nodes"])
        facts["lost"] = sorted(mine & (down | set(facts["lost"])))
        # Slurm does not say for whose sake it ended a job: with none down now, it was any of them.
        suspect = set(facts["lost"]) or (mine if facts["node_fail"] else set())
        back_s = {name: at for name, at in facts["back_s"].items() if name not in down}
        for name in sorted(suspect - down):
            back_s.setdefault(name, self._clock())
        facts["back_s"] = back_s
        entry.note("fencing", facts)
        return facts

    def _is_clear(self, name: str, node: NodeRow | None, facts: dict[str, Any]) -> bool:
        """Return whether nothing of the attempt can run on a node any more."""
        since_s = facts["started_s"] or facts["began_s"]
        if self._word_of_death_s(name) > since_s:
            return True
        if node is None:
            return False
        if node.states & _OFF or (node.boot_s or 0.0) > since_s:
            return True
        if seen.is_down(node) or node.states & _SILENT:
            return False
        back_s = facts["back_s"].get(name)
        if back_s is None:  # it answered all along, and Slurm has waited for its tasks
            return True
        return bool(self._clock() >= back_s + self._settings.settle_s)

    def _word_of_death_s(self, node: str) -> float:
        try:
            return float((self._settings.root / "dead" / node).read_text())
        except (OSError, ValueError):
            return 0.0

    def _cancel(self, row: JobRow) -> None:
        try:
            self._commands.run("scancel", str(row.slurm_id))
        except Declined:  # it has ended since
            return
