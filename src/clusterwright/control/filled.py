"""What a centre leaves to the catalogue: the draw of its nodes, the peak of its accelerators."""

from dataclasses import replace

from clusterwright.catalog import Catalog, load
from clusterwright.errors import UnknownName
from clusterwright.model.centre import Centre, Nodes, Rates
from clusterwright.units import FlopPerSecond, Fraction


def filled(centre: Centre) -> Centre:
    """Return a centre that says itself what the catalogue knows of it."""
    rates = centre.rates
    drawn = rates.idle_fraction is not None and rates.busy_fraction is not None
    unknown = [one for one in centre.nodes if one.gpu_model and not one.gpu_peak_flop_per_s]
    if drawn and not unknown:
        return centre
    parts = load()
    nodes = tuple(
        replace(one, gpu_peak_flop_per_s=_peak(one, parts)) if one in unknown else one
        for one in centre.nodes
    )
    return replace(centre, nodes=nodes, rates=_with_draws(rates, parts))


def _with_draws(rates: Rates, parts: Catalog) -> Rates:
    idle, busy = rates.idle_fraction, rates.busy_fraction
    return replace(
        rates,
        idle_fraction=parts.default("plan.idle_power", Fraction) if idle is None else idle,
        busy_fraction=parts.default("plan.busy_power", Fraction) if busy is None else busy,
    )


def _peak(group: Nodes, parts: Catalog) -> FlopPerSecond:
    """Return the dense peak in 16 bits, of a slice its part; 0 where nobody knows it."""
    try:
        peaks = parts.accelerator(group.gpu_model).peak_flop_per_s
    except UnknownName:
        return 0.0
    return (peaks.get("bf16") or peaks.get("fp16") or 0.0) * group.gpu_fraction
