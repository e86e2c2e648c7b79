"""Who runs where and when, and why not: one state machine and one decision function."""

from clusterwright.sched.cycle import Decisions, cycle
from clusterwright.sched.picture import Picture, picture, restored
from clusterwright.sched.placement import PLACEMENTS, placement_of
from clusterwright.sched.policies import (
    ORDERS,
    POLICIES,
    checked,
    may_stop,
    policy_of,
    with_changes,
)
from clusterwright.sched.reasons import Blocked, never, why
from clusterwright.sched.state import State

__all__ = [
    "ORDERS",
    "PLACEMENTS",
    "POLICIES",
    "Blocked",
    "Decisions",
    "Picture",
    "State",
    "checked",
    "cycle",
    "may_stop",
    "never",
    "picture",
    "placement_of",
    "policy_of",
    "restored",
    "why",
    "with_changes",
]
