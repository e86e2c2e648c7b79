"""The commands of accounts: cost, energy, top."""

import time
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from clusterwright import client, units
from clusterwright.cli.common import Common, stdout
from clusterwright.cli.jobs import ContextName
from clusterwright.cli.output import Answer, csv_text, emit
from clusterwright.errors import ExitCode
from clusterwright.units import JOULES_PER_KWH, SECONDS_PER_HOUR, Grams, Joules, Usd

By = Literal["job", "project", "queue", "owner"]
_REST = ("idle", "down", "overhead", "bill")


def cost(
    *,
    by: By = "project",
    since: str | None = None,
    until: str | None = None,
    focus: Annotated[bool, Parameter(name="--focus", negative=())] = False,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Say who held what and what it cost; what was idle, down and overhead; and the bill.

    Parameters
    ----------
    by
        What to sum by: job, project, queue or owner.
    since
        From this time on, as 2026-11-01T00:00:00Z; absent, from the beginning.
    until
        To this time; absent, to now.
    focus
        Print CSV with the columns of the FOCUS billing format.
    context
        Which centre is meant.
    """
    common = common or Common()
    found = _accounts(context, by, since, until)
    if focus:
        rows = [_focus(row, found["status"], by) for row in _all(found)]
        stdout(common).file.write(csv_text(rows, list(rows[0]) if rows else []))
        return ExitCode.OK
    emit(
        Answer(
            document=found,
            rows=[_row(one) for one in _all(found)],
            columns=("name", "jobs", "gpu_hours", "cpu_hours", "energy", "cost", "carbon"),
        ),
        common,
    )
    return ExitCode.OK


def energy(
    *,
    by: By = "project",
    since: str | None = None,
    until: str | None = None,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Say who drew how much energy and emitted how much carbon.

    Parameters
    ----------
    by
        What to sum by: job, project, queue or owner.
    since
        From this time on, as 2026-11-01T00:00:00Z; absent, from the beginning.
    until
        To this time; absent, to now.
    context
        Which centre is meant.
    """
    found = _accounts(context, by, since, until)
    emit(
        Answer(
            document=found,
            rows=[_row(one) for one in _all(found)],
            columns=("name", "energy", "carbon", "measured", "gpu_hours", "cpu_hours"),
        ),
        common or Common(),
    )
    return ExitCode.OK


def top(
    *,
    every: float = 2.0,
    once: Annotated[bool, Parameter(name="--once", negative=())] = False,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Show nodes, queues and jobs, again and again; without a terminal, once.

    Parameters
    ----------
    every
        Seconds between two looks.
    once
        Show it once and leave.
    context
        Which centre is meant.
    """
    common = common or Common()
    console = stdout(common)
    with client.connect(context) as centre:
        if once or common.output != "table" or not console.is_terminal:
            spec = _look(centre)
            document = {"apiVersion": "clusterwright/v1", "kind": "Top", "spec": spec}
            emit(Answer(document=document, rows=[_flat(spec)], text=_text(spec)), common)
            return ExitCode.OK
        from rich.live import Live

        try:
            with Live(_text(_look(centre)), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(max(0.2, every))
                    live.update(_text(_look(centre)), refresh=True)
        except KeyboardInterrupt:
            return ExitCode.OK


def _accounts(context: str | None, by: By, since: str | None, until: str | None) -> dict[str, Any]:
    with client.connect(context) as centre:
        return centre.accounts(by=by, since=since, until=until)


def _all(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [*found["items"], *(found["status"][name] for name in _REST if name in found["status"])]


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": one["name"],
        "jobs": one["num_jobs"] or "",
        "gpu_hours": f"{one['gpu_s'] / SECONDS_PER_HOUR:.3f}",
        "cpu_hours": f"{one['cpu_s'] / SECONDS_PER_HOUR:.3f}",
        "energy": units.format(one["energy_j"], Joules),
        "cost": units.format(one["cost_usd"], Usd),
        "carbon": units.format(one["carbon_g"], Grams),
        "measured": units.format(one["measured_j"], Joules) if one["measured_j"] else "",
        "run_hours": f"{one['run_s'] / SECONDS_PER_HOUR:.3f}",
        "lost_hours": f"{one['lost_s'] / SECONDS_PER_HOUR:.3f}",
        "useful": _figure(one, "useful_fraction"),
        "mfu": _figure(one, "mfu_fraction"),
        "tokens_per_s": _figure(one, "tokens_per_s"),
        "samples_per_s": _figure(one, "samples_per_s"),
        "usd_per_million_tokens": _figure(one, "usd_per_million_tokens"),
    }


def _figure(one: dict[str, Any], name: str) -> str:
    """Return a figure in short; nothing where nobody reported it."""
    value = one.get(name)
    return "" if value is None else f"{value:.4g}"


def _focus(one: dict[str, Any], status: dict[str, Any], by: By) -> dict[str, Any]:
    """Return an account under the names of the FOCUS columns that we can fill."""
    hours = (one["gpu_s"] or one["cpu_s"]) / SECONDS_PER_HOUR
    return {
        "BilledCost": one["cost_usd"],
        "BillingCurrency": "USD",
        "ChargePeriodStart": status["since"],
        "ChargePeriodEnd": status["until"],
        "ChargeCategory": "Usage",
        "ConsumedQuantity": hours,
        "ConsumedUnit": "GPU Hours" if one["gpu_s"] else "CPU Hours",
        "EffectiveCost": one["cost_usd"],
        "ResourceId": one["name"],
        "ResourceType": one["name"] if one["name"] in _REST else by,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "clusterwright",
        "x_EnergyKwh": one["energy_j"] / JOULES_PER_KWH,
        "x_CarbonGrams": one["carbon_g"],
    }


def _look(centre: client.Client) -> dict[str, Any]:
    nodes, queues = centre.nodes(), centre.queues()
    jobs = [job for _, job in zip(range(20), centre.jobs(active=True, limit=20), strict=False)]
    used = sum(_used(node) for node in nodes)
    gpus = sum(node["num_gpus"] for node in nodes)
    return {
        "num_nodes": len(nodes),
        "num_up": sum(node["state"] == "up" for node in nodes),
        "unit": "gpus" if gpus else "cpus",
        "num_used": used,
        "num_total": gpus or sum(node["num_cpus"] for node in nodes),
        "queues": queues,
        "jobs": jobs,
    }


def _flat(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if not isinstance(value, list)}


def _text(spec: dict[str, Any]) -> str:
    share = spec["num_used"] / spec["num_total"] if spec["num_total"] else 0.0
    bar = "█" * round(30 * share)
    lines = [
        f"nodes {spec['num_up']}/{spec['num_nodes']} up   "
        f"{spec['unit']} {spec['num_used']:g}/{spec['num_total']} {bar:<30} {share:.0%}",
        "",
        f"{'queue':<20} {'used':>8} {'waiting':>8} {'running':>8}",
    ]
    lines += [
        f"{one['name']:<20} {one['used']:>8g} {one['num_waiting']:>8} {one['num_running']:>8}"
        for one in spec["queues"]
    ]
    lines += ["", f"{'job':<10} {'name':<24} {'state':<12} {'queue':<16} reason"]
    lines += [
        f"{job['job_id']:<10} {job['name'][:24]:<24} {job['state']:<12} "
        f"{job['queue'][:16]:<16} {job['reason'] or ','.join(job['nodes'])[:40]}"
        for job in spec["jobs"]
    ]
    return "\n".join(lines)


def _used(node: dict[str, Any]) -> float:
    found: float = node["num_gpus_used"] if "num_gpus_used" in node else node["num_cpus_used"]
    return found
