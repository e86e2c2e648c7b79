"""The accounts: who held what, what it cost, drew and emitted; and that it sums to the bill.

On the basis of allocation a job pays for what it held from the decision that gave it its nodes to
the one that took them back, whether its tasks used it or not. What nobody held is idle, or down.
On the basis of usage it is shown with the time that its tasks ran and the processor time and the
energy that were measured. Energy nobody measures is modelled: a node draws its idle share all the
time that it is up, and what it draws above that in proportion to what is held of it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

from clusterwright.control.book import Book
from clusterwright.control.records import AttemptRecord, Record
from clusterwright.model.centre import Nodes, Rates
from clusterwright.units import (
    SECONDS_PER_HOUR,
    TOKENS_PER_MILLION,
    Flop,
    FlopPerSecond,
    Grams,
    Joules,
    Seconds,
    Usd,
)

OTHERS = "others"
"""Name of what is summed because it is not to be shown."""
By = Literal["job", "project", "queue", "owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What somebody held, and what that came to."""

    name: str
    """Job, project, queue or owner; or `idle`, `down`, `overhead`, `bill`."""
    gpu_s: Seconds = 0.0
    """Accelerator-seconds; a slice counts as the part that it is."""
    cpu_s: Seconds = 0.0
    """Core-seconds, on nodes without accelerators."""
    energy_j: Joules = 0.0
    """Energy of the nodes; for `overhead` that of the facility beside them."""
    cost_usd: Usd = 0.0
    """What it costs: what is held, and the energy."""
    carbon_g: Grams = 0.0
    """What it emits."""
    num_jobs: int = 0
    """Jobs in it."""
    run_s: Seconds = 0.0
    """Usage: time that tasks ran, summed over starts."""
    lost_s: Seconds = 0.0
    """Usage: time on nodes whose work was lost to interruptions."""
    used_cpu_s: Seconds = 0.0
    """Usage: processor time that was measured."""
    measured_j: Joules = 0.0
    """Usage: energy that was measured; 0 where nobody measures."""
    held_s: Seconds = 0.0
    """Usage: time that nodes were held, summed over starts."""
    reporting_s: Seconds = 0.0
    """Usage: the part of `run_s` of starts that reported tokens or samples."""
    num_tokens: int = 0
    """Usage: tokens that jobs reported, spread evenly over the time that each start ran."""
    num_samples: int = 0
    """Usage: samples likewise."""
    work_flop: Flop = 0.0
    """Usage: operations of the models likewise."""
    peak_flop: Flop = 0.0
    """Usage: what the accelerators of starts that reported any could have done while they ran."""

    def plus(self, other: "Account") -> "Account":
        """Return the sum of two accounts, under the name of this one."""
        return replace(
            self,
            **{
                one.name: getattr(self, one.name) + getattr(other, one.name)
                for one in fields(self)
                if one.name != "name"
            },
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """Accounts that sum to the bill."""

    items: tuple[Account, ...]
    """One for each job, project, queue or owner."""
    idle: Account
    """What was up and held by nobody."""
    down: Account
    """What was down or had been taken out."""
    overhead: Account
    """What the facility draws beside the nodes."""
    bill: Account
    """All of it, counted from the nodes alone."""


def statement(
    book: Book, since_s: float, until_s: float, *, by: By = "project", keep: Iterable[str] = ()
) -> Statement:
    """Return the accounts of a stretch of time.

    Parameters
    ----------
    book
        The centre.
    since_s, until_s
        The stretch, in seconds since 1970.
    by
        What to sum by.
    keep
        Projects to show; those of others are summed under `OTHERS`. Empty for all.
    """
    rates = book.centre.rates
    shown = set(keep)
    sums: dict[str, Account] = {}
    held: dict[str, float] = {}
    for record in book.order:
        mine = _of_job(book, record, since_s, until_s, rates, held)
        if mine is None:
            continue
        name = _name(record, by) if not shown or record.spec.project in shown else OTHERS
        sums[name] = sums.get(name, Account(name=name)).plus(mine)
    idle, down, bill = _of_nodes(book, since_s, until_s, rates, held)
    overhead = _overhead(bill.energy_j, rates)
    return Statement(
        items=tuple(sums[name] for name in sorted(sums, key=_natural)),
        idle=idle,
        down=down,
        overhead=overhead,
        bill=replace(bill.plus(replace(overhead, name="")), name="bill"),
    )


def of_job(book: Book, record: Record, now_s: float) -> Account:
    """Return the account of one job, from its submission to now."""
    found = _of_job(book, record, record.submit_s, now_s, book.centre.rates, {})
    return found if found is not None else Account(name=record.job_id, num_jobs=1)


def of_part(
    group: Nodes, num_gpus_ratio: float, num_cpus: int, lasts_s: Seconds, rates: Rates
) -> Account:
    """Return what accelerators, or cores, of one node of a group come to when held so long."""
    joules = group.power_w * busy_of(rates) * _part(group, num_gpus_ratio, num_cpus) * lasts_s
    if group.num_gpus:
        return _priced("", num_gpus_ratio * group.gpu_fraction * lasts_s, 0.0, joules, rates)
    return _priced("", 0.0, num_cpus * lasts_s, joules, rates)


def progress(one: Account) -> dict[str, float | None]:
    """Return how much came of what was held; None where nobody reported it.

    `useful_fraction` is the time that tasks ran, less what interruptions made vain, over the time
    that nodes were held; `mfu_fraction` is the operations that models needed over what their
    accelerators could have done while tasks ran; `usd_per_million_tokens` counts all that the
    account cost.
    """
    tokens, samples, ran_s = one.num_tokens, one.num_samples, one.reporting_s
    useful_s = max(0.0, one.run_s - one.lost_s)
    return {
        "useful_fraction": min(1.0, useful_s / one.held_s) if one.held_s else None,
        "mfu_fraction": one.work_flop / one.peak_flop if one.peak_flop else None,
        "tokens_per_s": tokens / ran_s if tokens and ran_s else None,
        "samples_per_s": samples / ran_s if samples and ran_s else None,
        "usd_per_million_tokens": one.cost_usd / (tokens / TOKENS_PER_MILLION) if tokens else None,
    }


def rates_of(rates: Rates) -> Mapping[str, float]:
    """Return the rates that accounts are made with, by name."""
    return asdict(rates)


def _of_job(
    book: Book,
    record: Record,
    since_s: float,
    until_s: float,
    rates: Rates,
    held: dict[str, float],
) -> Account | None:
    """Return what a job came to, and add to `held` the parts of nodes times seconds it held."""
    found: Account | None = None
    for one in record.attempts:
        lasts_s = _overlap(one.decided_s, one.released_s, since_s, until_s)
        if lasts_s <= 0:
            continue
        if found is None:
            found = Account(name=record.job_id, num_jobs=1)
        found = found.plus(_of_attempt(book, one, lasts_s, rates, held))
        ran_s = _overlap(one.started_s, one.ended_s, since_s, until_s)
        whole_s = _overlap(one.started_s, one.ended_s, 0.0, max(until_s, book.time_s))
        part = ran_s / whole_s if whole_s else 0.0
        peak = _peak_of(book, one)
        found = replace(
            found,
            held_s=found.held_s + lasts_s,
            reporting_s=found.reporting_s + (ran_s if one.tokens or one.samples else 0.0),
            num_tokens=found.num_tokens + round(one.tokens * part),
            num_samples=found.num_samples + round(one.samples * part),
            work_flop=found.work_flop + (one.work_flop * part if peak else 0.0),
            peak_flop=found.peak_flop + (peak * ran_s if one.work_flop else 0.0),
            run_s=found.run_s + ran_s,
            lost_s=found.lost_s + min(one.lost_s, lasts_s),
            used_cpu_s=found.used_cpu_s + one.cpu_s,
            measured_j=found.measured_j + (one.energy_j or 0.0),
        )
    return found


def _peak_of(book: Book, one: AttemptRecord) -> FlopPerSecond:
    """Return the peak of all that a start was given; 0 when that of some is not known."""
    peaks = [
        len(share.gpus) * share.gpu_fraction * book.group_of(share.node).gpu_peak_flop_per_s
        for share in one.shares
    ]
    return sum(peaks) if all(peaks) else 0.0


def _of_attempt(
    book: Book, one: AttemptRecord, lasts_s: float, rates: Rates, held: dict[str, float]
) -> Account:
    found = Account(name="")
    for share in one.shares:
        group = book.group_of(share.node)
        num_gpus_ratio = len(share.gpus) * share.gpu_fraction
        part = _part(group, num_gpus_ratio, share.num_cpus)
        held[share.node] = held.get(share.node, 0.0) + part * lasts_s
        found = found.plus(of_part(group, num_gpus_ratio, share.num_cpus, lasts_s, rates))
    return found


def _of_nodes(
    book: Book, since_s: float, until_s: float, rates: Rates, held: Mapping[str, float]
) -> tuple[Account, Account, Account]:
    """Return what was idle, what was down, and all of it, counted from the nodes."""
    idle = down = bill = Account(name="")
    for name, spans in book.there_spans.items():
        group = book.group_of(name)
        there_s = math.fsum(_overlap(*span, since_s, until_s) for span in spans)
        away = book.down_spans.get(name, ())
        away_s = math.fsum(_overlap(*span, since_s, until_s) for span in away)
        holds_s = held.get(name, 0.0)
        free_s = max(0.0, there_s - away_s - holds_s)
        idle_j = group.power_w * idle_of(rates) * free_s
        busy_j = group.power_w * busy_of(rates) * holds_s
        idle = idle.plus(_of_time(group, free_s, idle_j, rates))
        # Away is what is neither held nor idle, so that the parts sum to the whole.
        down = down.plus(_of_time(group, max(0.0, there_s - holds_s - free_s), 0.0, rates))
        bill = bill.plus(_of_time(group, there_s, idle_j + busy_j, rates))
    return replace(idle, name="idle"), replace(down, name="down"), bill


def _of_time(group: Nodes, lasts_s: float, joules: float, rates: Rates) -> Account:
    cpu_s = 0.0 if group.num_gpus else group.num_cpus * lasts_s
    return _priced("", group.num_gpus * group.gpu_fraction * lasts_s, cpu_s, joules, rates)


def _overhead(joules: float, rates: Rates) -> Account:
    return _priced("overhead", 0.0, 0.0, joules * (rates.pue_ratio - 1.0), rates)


def _priced(name: str, gpu_s: float, cpu_s: float, joules: float, rates: Rates) -> Account:
    cost = (
        gpu_s / SECONDS_PER_HOUR * rates.usd_per_accelerator_hour
        + cpu_s / SECONDS_PER_HOUR * rates.cpu_usd_per_hour
        + joules * rates.energy_usd_per_j
    )
    return Account(
        name=name,
        gpu_s=gpu_s,
        cpu_s=cpu_s,
        energy_j=joules,
        cost_usd=cost,
        carbon_g=joules * rates.carbon_g_per_j,
    )


def _part(group: Nodes, num_gpus_ratio: float, cpus: int) -> float:
    """Return which part of a node is held."""
    if group.num_gpus:
        return num_gpus_ratio / group.num_gpus
    return cpus / group.num_cpus


def _overlap(start_s: float | None, end_s: float | None, since_s: float, until_s: float) -> float:
    if start_s is None:
        return 0.0
    last = until_s if end_s is None else min(end_s, until_s)
    return max(0.0, last - max(start_s, since_s))


def _name(record: Record, by: By) -> str:
    match by:
        case "job":
            return record.job_id
        case "project":
            return record.spec.project
        case "queue":
            return record.spec.queue
        case "owner":
            return record.owner


def _natural(name: str) -> tuple[int, str]:
    head = name.partition("-")[0]
    return (int(head), name) if head.isdecimal() else (0, name)


def busy_of(rates: Rates) -> float:
    """Return the draw of a busy node; all of it where nobody says."""
    return 1.0 if rates.busy_fraction is None else rates.busy_fraction


def idle_of(rates: Rates) -> float:
    """Return the draw of an idle node; all of it where nobody says."""
    return 1.0 if rates.idle_fraction is None else rates.idle_fraction
