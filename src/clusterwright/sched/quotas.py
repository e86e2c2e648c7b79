"""The tree of queues: what each uses, is owed and may use, and from whom it may take back.

A queue that stays within its guarantee is entitled: it may have jobs of queues above theirs stopped
for it. Within its deserved share it goes before those that borrow, and may take from queues above
theirs. Above it borrows what is free, up to its limit. A queue inside another is entitled too when
the outer one stays within what it is owed; then only from outside of that one.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from clusterwright.errors import Fault, InvalidInput, nearest
from clusterwright.model.quota import Quota

UNLIMITED = 1 << 62


class Tier(IntEnum):
    """How well founded a claim for nodes is; lower goes first."""

    GUARANTEED = 0
    """Within the guarantee."""
    LATE = 1
    """Its patience has ended; what cannot start of it holds up all behind it."""
    DESERVED = 2
    """Within the deserved share."""
    BORROWED = 3
    """Above it."""


@dataclass(slots=True, eq=False)
class Account:
    """One queue of the tree, in quanta (cores, for queues on nodes without accelerators)."""

    name: str
    guarantee: int = 0
    deserved: int = 0
    limit: int = UNLIMITED
    weight: float = 1.0
    parent: "Account | None" = None
    children: "list[Account]" = field(default_factory=list)
    used: int = 0
    charged: float = 0.0  # decayed usage, as of a fixed moment

    def chain(self) -> "Iterator[Account]":
        """Yield this queue and those above it."""
        one: Account | None = self
        while one is not None:
            yield one
            one = one.parent

    def book(self, quanta: int) -> None:
        """Add to what is used here and above."""
        one: Account | None = self
        while one is not None:
            one.used += quanta
            one = one.parent

    def charge(self, amount: float) -> None:
        """Add to the usage that fair sharing looks at, here and above."""
        one: Account | None = self
        while one is not None:
            one.charged += amount / one.weight
            one = one.parent

    def within_limit(self, quanta: int) -> bool:
        """Return whether so much more keeps to every limit from here up."""
        one: Account | None = self
        while one is not None:
            if one.used + quanta > one.limit:
                return False
            one = one.parent
        return True

    def over_limit_alone(self, quanta: int) -> bool:
        """Return whether so much would break a limit even if nothing were used."""
        return any(quanta > one.limit for one in self.chain())

    def claim(self, quanta: int) -> "tuple[Tier, Account]":
        """Return how well founded a claim is, and the queue whose share it stays within."""
        one: Account | None = self
        deserving: Account | None = None
        while one is not None:
            if one.used + quanta <= one.guarantee:
                return Tier.GUARANTEED, one
            if deserving is None and one.used + quanta <= one.deserved:
                deserving = one
            one = one.parent
        if deserving is not None:
            return Tier.DESERVED, deserving
        return Tier.BORROWED, self

    def gives_to(self, claimant: "Account", tier: Tier) -> bool:
        """Return whether this queue holds more than its own, seen from a claimant."""
        above = set(map(id, claimant.chain()))
        if id(self) in above:
            return False
        for one in self.chain():
            if id(one) in above:
                return one is not claimant
            own = one.guarantee if tier is Tier.GUARANTEED else max(one.deserved, one.guarantee)
            if one.used <= own:
                return False
        return True

    def shares(self) -> tuple[float, ...]:
        """Return the charged usage from the top queue down to this one."""
        return tuple([one.charged for one in self.chain()])[::-1]


def tree(
    quotas: Sequence[Quota], scale_of: Mapping[str, int], scale_above: int
) -> dict[str, Account]:
    """Return the accounts of all queues, those without a quota free of rules.

    `scale_of` gives the quanta of a unit for each queue that has jobs, `scale_above` for those
    above them. A queue above others without a guarantee of its own is owed the sum of theirs.

    Raises
    ------
    InvalidInput
        With every quota that contradicts itself or its neighbours.
    """
    check(quotas)
    accounts: dict[str, Account] = {}
    for one in quotas:
        scale = scale_of.get(one.queue, scale_above)
        guarantee = round(one.guarantee_ratio * scale)
        deserved = guarantee if one.deserved_ratio is None else round(one.deserved_ratio * scale)
        limit = UNLIMITED if one.limit_ratio is None else round(one.limit_ratio * scale)
        accounts[one.queue] = Account(
            name=one.queue,
            guarantee=guarantee,
            deserved=deserved,
            limit=limit,
            weight=one.weight_ratio,
        )
    for one in quotas:
        if one.parent:
            above = accounts[one.parent]
            accounts[one.queue].parent = above
            above.children.append(accounts[one.queue])
    for account in list(accounts.values()):
        if account.children and not account.guarantee:
            account.guarantee = _sum_below(account, "guarantee")
        if account.children and not account.deserved:
            account.deserved = _sum_below(account, "deserved")
    for queue in scale_of:
        accounts.setdefault(queue, Account(name=queue))
    return accounts


def _sum_below(account: Account, what: str) -> int:
    own: int = getattr(account, what)
    return own or sum(_sum_below(child, what) for child in account.children)


def check(quotas: Sequence[Quota]) -> None:
    """Check that quotas do not contradict themselves or each other.

    Raises
    ------
    InvalidInput
        With every fault.
    """
    known = {one.queue: one for one in quotas}
    faults = []

    def fault(queue: str, message: str, remedy: str) -> None:
        faults.append(Fault(path=queue, message=message, remedy=remedy))

    if len(known) < len(quotas):
        fault("queue", "a queue stands twice", "give each queue one row")
    for one in quotas:
        if one.parent and one.parent not in known:
            near = nearest(one.parent, known)
            hint = f"did you mean {near[0]}?" if near else "add a row for it"
            fault(one.queue, f"there is no queue {one.parent!r} above it", hint)
        deserved = one.guarantee_ratio if one.deserved_ratio is None else one.deserved_ratio
        limit = math.inf if one.limit_ratio is None else one.limit_ratio
        if not 0 <= one.guarantee_ratio <= deserved <= limit:
            message = f"guarantee {one.guarantee_ratio:g}, deserved {deserved:g}, limit {limit:g}"
            fault(one.queue, message, "write guarantee <= deserved <= limit, none below 0")
        if not one.weight_ratio > 0:
            fault(one.queue, f"weight {one.weight_ratio:g}", "write a weight above 0")
        if _in_a_ring(one, known):
            fault(one.queue, "stands above itself", "make one queue the top")
    for one in quotas:
        below = [other for other in quotas if other.parent == one.queue]
        owed = math.fsum(other.guarantee_ratio for other in below)
        if below and one.guarantee_ratio and owed > one.guarantee_ratio:
            message = f"queues below it are guaranteed {owed:g}, it has {one.guarantee_ratio:g}"
            fault(one.queue, message, "raise its guarantee or lower theirs")
    if faults:
        raise InvalidInput(faults)


def _in_a_ring(one: Quota, known: dict[str, Quota]) -> bool:
    seen, at = {one.queue}, one.parent
    while at in known:
        if at == one.queue:
            return True
        if at in seen:
            return False  # a ring further up, told at its own members
        seen.add(at)
        at = known[at].parent
    return False
