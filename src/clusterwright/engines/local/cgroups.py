"""Control groups (version 2), where this machine lets us have them. Standard library alone.

They hold what a task starts however it hides, count its processor time, kill it as one, and, where
the controllers are handed down to us, keep it to its memory and cores.
"""

import contextlib
import os
from pathlib import Path

PERIOD_US = 100_000
"""Period over which the kernel counts the cores of a group, its own default."""


class Group:
    """One control group; its directory need not be there."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        """Take its directory."""
        self.path = path

    def make(self) -> bool:
        """Make it; return False where that is not permitted."""
        try:
            self.path.mkdir(exist_ok=True)
        except OSError:
            return False
        return os.access(self.path / "cgroup.procs", os.W_OK)

    def hand_down(self) -> tuple[str, ...]:
        """Hand memory and cores down to its children; return what of them they have."""
        control = self.path / "cgroup.subtree_control"
        for name in ("memory", "cpu"):
            # Refused while processes sit in it, or where the parent hands nothing down.
            with contextlib.suppress(OSError):
                control.write_text(f"+{name}")
        try:
            found = control.read_text().split()
        except OSError:
            return ()
        return tuple(name for name in ("memory", "cpu") if name in found)

    def limit(self, memory_bytes: float, num_cpus: int) -> None:
        """Keep it to so much memory and so many cores; 0 for no limit, no controller for none."""
        limits = {}
        if memory_bytes > 0:
            limits = {"memory.max": str(int(memory_bytes)), "memory.swap.max": "0"}
        if num_cpus > 0:
            limits["cpu.max"] = f"{num_cpus * PERIOD_US} {PERIOD_US}"
        for name, value in limits.items():
            if (self.path / name).exists():
                (self.path / name).write_text(value)

    def members(self) -> list[int]:
        """Return the processes in it and below it."""
        found = []
        for place in [self.path, *self._below()]:
            with contextlib.suppress(OSError):
                found += [int(pid) for pid in (place / "cgroup.procs").read_text().split()]
        return [pid for pid in found if pid > 0]

    def kill(self) -> None:
        """Kill all in it as one, where the kernel can (5.14)."""
        with contextlib.suppress(OSError):
            if (self.path / "cgroup.kill").exists():
                (self.path / "cgroup.kill").write_text("1")

    def num_killed_for_memory(self) -> int:
        """Return how many of its processes were killed for want of memory."""
        with contextlib.suppress(OSError):
            for line in (self.path / "memory.events").read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
        return 0

    def remove(self) -> None:
        """Take it away with all below it, if it is empty."""
        for place in [*reversed(self._below()), self.path]:
            with contextlib.suppress(OSError):
                place.rmdir()

    def _below(self) -> list[Path]:
        """Return the groups below it, parents first."""
        try:
            return [Path(place) for place, _, _ in os.walk(self.path)][1:]
        except OSError:
            return []


def ours() -> Path | None:
    """Return the group that this process sits in; None where version 2 is not mounted."""
    mount = None
    try:
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                mount = Path(before.split()[4])
        own = next(
            (
                line[3:]
                for line in Path("/proc/self/cgroup").read_text().splitlines()
                if line.startswith("0::")
            ),
            None,
        )
    except OSError:
        return None
    if mount is None or own is None:
        return None
    place = mount / own.lstrip("/")
    return place if place.is_dir() else None
