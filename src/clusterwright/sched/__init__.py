"""Who runs where and when, and why not: one state machine and one decision function."""

from clusterwright.sched.cycle import Blocked, check_backfill, cycle, why
from clusterwright.sched.placement import PLACEMENTS, placement_of
from clusterwright.sched.policies import POLICIES, Policy, policy_of
from clusterwright.sched.state import Snapshot, State

__all__ = [
    "PLACEMENTS",
    "POLICIES",
    "Blocked",
    "Policy",
    "Snapshot",
    "State",
    "check_backfill",
    "cycle",
    "placement_of",
    "policy_of",
    "why",
]
