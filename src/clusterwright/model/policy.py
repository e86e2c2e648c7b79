"""How a scheduler decides, as text: order, backfill, placement, preemption, composed by name."""

from dataclasses import dataclass
from typing import Literal

from clusterwright import documents
from clusterwright.units import Ratio, Seconds

Backfill = Literal["none", "easy", "conservative"]
Resize = Literal["none", "shrink", "grow", "both"]
Preempt = Literal["reclaim", "priority", "order", "move"]


@documents.kind("Policy", layout="flat")
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One way of deciding who runs where and when."""

    name: str
    """Its name."""
    rule: str = ""
    """What it does, in a sentence."""
    order: tuple[str, ...] = ("priority", "submitted")
    """Keys by which waiting jobs are ordered, the first one first; `simulate --list` names them."""
    backfill: Backfill = "none"
    """Whether later jobs may go before the first one that does not fit."""
    backfill_depth: int = 500
    """How many waiting jobs backfill looks at in one cycle."""
    placement: str = "consolidate"
    """Where jobs go."""
    preempt: tuple[Preempt, ...] = ("reclaim",)
    """Who may stop running jobs: a queue that takes back what it is owed (`reclaim`), a job of
    higher priority in its queue (`priority`), a job before others in order (`order`), the first
    job when enough is free for it, but in pieces: others go on elsewhere at once (`move`)."""
    shield_s: Seconds = 0.0
    """Time that a job runs before it may be stopped for another."""
    reclaim_after_s: Seconds = 0.0
    """Time that a queue waits for what it is owed before it takes it back."""
    patience_s: Seconds | None = None
    """Time after which a waiting job goes before all that wait shorter; absent, never."""
    ageing_ratio: Ratio = 0.0
    """How far a job moves up for each second that it waits, in the unit of its first key after the
    priority: with `estimate`, 0.1 lets ten hours of waiting outweigh one hour of run time."""
    half_life_s: Seconds | None = None
    """Time in which past usage counts half in fair sharing; absent, it counts in full for ever."""
    resize: Resize = "none"
    """Whether elastic jobs keep a part of their nodes instead of being stopped (`shrink`), take
    more when nobody waits for them (`grow`), or both."""
    resize_after_s: Seconds = 3600.0
    """Time that an elastic job runs at one size before it grows."""
    sleep_after_s: Seconds | None = None
    """Idle time after which a node is put to sleep; absent, nodes stay awake."""
