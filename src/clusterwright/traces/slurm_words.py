"""The words of Slurm's accounting: times, states and trackable resources."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from clusterwright.model.slurm import number
from clusterwright.units import Ratio

NO_TIME = frozenset({"", "unknown", "none", "n/a", "invalid"})

WAITS = frozenset(
    {"PENDING", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD", "REVOKED"}
)
"""States of a job that has not started; REVOKED ran on another cluster of a federation."""
RUNS = frozenset({"RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STAGE_OUT", "STOPPED"})
"""States of a job that has started and not ended."""
RUNS_AGAIN = frozenset({"REQUEUED", "PREEMPTED", "NODE_FAIL", "RESIZING", "BOOT_FAIL"})
"""States that a job leaves for another run, or another part of its run, under its own number."""

_COUNT = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)")
_OFFSET = re.compile(r"([+-]\d\d)(\d\d)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tres:
    """What a job was granted, or asked for, of what can be counted."""

    num_gpus_ratio: Ratio = 0.0
    """Accelerators; MIG instances count as their share."""
    num_cpus: int = 0
    """Cores."""
    uncounted: str = ""
    """What stands for a share of an accelerator that the log does not state; empty for nothing."""

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to run on."""
        return not (self.num_gpus_ratio or self.num_cpus or self.uncounted)


def unix_s(text: str, zone: ZoneInfo) -> float | None:
    """Return a moment as seconds of the Unix epoch; None for one that is not known.

    `2026-11-25T13:37:36`, the same with an offset, or the seconds themselves.

    Raises
    ------
    ValueError
        If it is no moment.
    """
    if text.lower() in NO_TIME or text == "0":
        return None
    if text.isdecimal():
        return float(text)
    moment = datetime.fromisoformat(_OFFSET.sub(r"\1:\2", text))
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def state(text: str) -> str:
    """Return the state without who caused it: `CANCELLED by 1000` is CANCELLED."""
    word, _, _ = text.strip().partition(" ")
    return word.rstrip("+").upper()


def pairs(text: str) -> dict[str, float]:
    """Return a list of trackable resources, `billing=2,cpu=2,gres/gpu=16`, as counts by name.

    Raises
    ------
    ValueError
        If a part is no name with a count.
    """
    found = {}
    for part in filter(None, text.split(",")):
        name, sign, count = part.partition("=")
        number = _COUNT.match(count)
        if not sign or not number:
            msg = f"{part!r} is no resource with a count"
            raise ValueError(msg)
        found[name] = float(number[1])  # a suffix stands with sizes alone, which are not counted
    return found


def tres(counts: Mapping[str, float], mig: Mapping[str, float]) -> Tres:
    """Return what counts by name come to.

    Parameters
    ----------
    counts
        Counts by name, such as cpu, gres/gpu and gres/gpu:h100.
    mig
        Share of an accelerator by MIG profile.

    Notes
    -----
    `gres/gpu` counts all types together, so a typed count beside it is not added. MIG instances
    are counted there too; their profile, when it is told, says how much one is.
    """
    typed = {
        name.removeprefix("gres/gpu:"): count
        for name, count in counts.items()
        if name.startswith("gres/gpu:")
    }
    slices = {name: count for name, count in typed.items() if name in mig}
    total = counts.get("gres/gpu", sum(typed.values()))
    gpus = total - sum(slices.values())
    gpus += sum(count * mig[name] for name, count in slices.items())
    uncounted = [
        f"{name}={counts[name]:g}" for name in ("gres/shard", "gres/mps") if name in counts
    ]
    return Tres(
        num_gpus_ratio=gpus,
        num_cpus=int(counts.get("cpu", 0)),
        uncounted="" if gpus else ", ".join(uncounted),
    )


def counts_of(listed: Iterable[Any]) -> dict[str, float]:
    """Return the trackable resources of the JSON output as counts by name."""
    found = {}
    for one in listed:
        count = number(one.get("count"))
        if count is not None:
            name = f"{one.get('type')}/{one['name']}" if one.get("name") else str(one.get("type"))
            found[name] = count
    return found
