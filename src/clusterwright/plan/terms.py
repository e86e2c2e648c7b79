"""The demand made complete: every value in force, whether the demand states it, and its source.

What the demand leaves open is taken from the catalogue's defaults. Names that the catalogue does
not know are faults of the demand, told all at once with their places.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from clusterwright import compute, facility, storage
from clusterwright.catalog import Catalog
from clusterwright.documents import Places
from clusterwright.errors import Fault, InvalidInput, UnknownName, UsageError
from clusterwright.model.demand import Demand
from clusterwright.model.design import Assumption
from clusterwright.model.market import Region
from clusterwright.model.parts import Accelerator, Cooling
from clusterwright.model.work import Experiments, Inference, Seats, Training
from clusterwright.units import (
    Bytes,
    Fraction,
    GramsPerJoule,
    Ratio,
    Seconds,
    UsdPerJoule,
    Watts,
    parse,
)
from clusterwright.units import (
    format as show,
)

FabricKind = Literal["infiniband", "ethernet"]
T = TypeVar("T")
_STATED = "the demand states it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A demand with every value that it leaves open filled in."""

    demand: Demand
    """The demand as written."""
    region: Region
    """Where the centre stands."""
    cooling: Cooling
    """How it is cooled."""
    rack_power_w: Watts
    """What one rack can be fed and cooled."""
    rack_units: int
    """Usable units of a rack."""
    pue_ratio: Ratio
    """Facility energy over IT energy."""
    supply: facility.Supply
    """Price and carbon of the electricity."""
    depreciation_s: Seconds
    """Life of the equipment."""
    discount_fraction: Fraction
    """Yearly discount rate."""
    scheme: storage.Scheme
    """Erasure code of the lake."""
    retain_s: Seconds
    """How long raw data stays."""
    sample_bytes: Bytes
    """One training sample."""
    allowed: tuple[Accelerator, ...]
    """Accelerators that the limits allow."""
    fabrics: tuple[FabricKind, ...]
    """Kinds of compute fabric that the limits allow."""
    utilization_fraction: Fraction
    """Share of the accelerator-hours that the centre is planned to use."""
    assumptions: tuple[Assumption, ...]
    """Every value in force, with its source."""


def resolve(
    demand: Demand, catalog: Catalog, *, file: str = "-", places: Places | None = None
) -> Terms:
    """Return the demand made complete.

    Parameters
    ----------
    demand
        As read.
    catalog
        What can be bought, and the defaults.
    file
        Name of the demand's file for messages.
    places
        Where its values stand; without it, faults name their path alone.

    Raises
    ------
    InvalidInput
        With every name that the catalogue does not know.
    """
    taking = _Taking(catalog, places or Places(file=file, values={}, keys={}))
    site, data, money, limits = demand.site, demand.data, demand.money, demand.limits
    region = taking.part("site.region", site.region, catalog.region)
    cooling_name = taking.text("site.cooling", site.cooling)
    rack_power = taking.number("site.rack_power", site.rack_power_w, Watts)
    scheme = taking.parsed("data.scheme", data.scheme, storage.parse_scheme)
    _check_names(demand, catalog, taking)
    allowed = _allowed(demand, catalog, taking)
    platform = taking.text("platform", demand.platform)
    del platform  # recorded among the assumptions; rendering will ask for it
    terms = (
        taking.number("money.depreciation", money.depreciation_s, Seconds),
        taking.number("money.discount", money.discount_fraction, Fraction),
        taking.number("data.retain", data.retain_s, Seconds),
        taking.number("data.sample", data.sample_bytes, Bytes),
        taking.number("plan.utilization", None, Fraction),
    )
    fabric = taking.text("limits.fabric", limits.fabric)
    if taking.faults or region is None or scheme is None:
        raise InvalidInput(taking.faults)
    cooling = catalog.cooling[cooling_name]
    supply = _supply(demand, region, catalog, taking)
    pue = _pue(demand, cooling, catalog, taking)
    kinds: tuple[FabricKind, ...] = ("infiniband", "ethernet")
    return Terms(
        demand=demand,
        region=region,
        cooling=cooling,
        rack_power_w=rack_power,
        rack_units=int(catalog.default("plan.rack_units")),
        pue_ratio=pue,
        supply=supply,
        depreciation_s=terms[0],
        discount_fraction=terms[1],
        scheme=scheme,
        retain_s=terms[2],
        sample_bytes=terms[3],
        allowed=allowed,
        fabrics=kinds if fabric == "any" else tuple(kind for kind in kinds if kind == fabric),
        utilization_fraction=terms[4],
        assumptions=tuple(taking.assumptions),
    )


class _Taking:
    """Takes values from the demand or the defaults, and writes down which and why."""

    def __init__(self, catalog: Catalog, places: Places) -> None:
        self.catalog = catalog
        self.places = places
        self.assumptions: list[Assumption] = []
        self.faults: list[Fault] = []

    def number(self, path: str, stated: float | None, alias: object) -> float:
        if stated is not None:
            self.note(path, show(stated, alias), stated=True)
            return stated
        self._default(path)
        return parse(self.catalog.default_text(path), alias)

    def text(self, path: str, stated: str | None) -> str:
        if stated is not None:
            self.note(path, stated, stated=True)
            return stated
        self._default(path)
        return self.catalog.default_text(path)

    def part(self, path: str, stated: str | None, find: Callable[[str], T]) -> T | None:
        name = self.text(path, stated)
        try:
            return find(name)
        except UnknownName as error:
            self.fault(tuple(path.split(".")), str(error))
            return None

    def parsed(self, path: str, stated: str | None, read: Callable[[str], T]) -> T | None:
        try:
            return read(self.text(path, stated))
        except UsageError as error:
            self.fault(tuple(path.split(".")), str(error))
            return None

    def fault(self, path: tuple[str | int, ...], message: str) -> None:
        what, _, remedy = message.partition("; ")
        self.faults.append(self.places.fault(path, what, remedy))

    def note(
        self, path: str, value: str, *, stated: bool, reason: str = _STATED, source: str = "demand"
    ) -> None:
        self.assumptions.append(
            Assumption(path=path, value=value, stated=stated, reason=reason, source=source)
        )

    def _default(self, path: str) -> None:
        default = self.catalog.defaults[path]
        self.note(
            path,
            default.value,
            stated=False,
            reason=default.reason,
            source=self.catalog.cite(default.provenance),
        )


def _check_names(demand: Demand, catalog: Catalog, taking: _Taking) -> None:
    for number, work in enumerate(demand.workloads):
        where: tuple[str | int, ...] = ("workloads", number)
        if isinstance(work, Training | Inference) and isinstance(work.model, str):
            _known(taking, (*where, "model"), work.model, catalog.preset)
        if isinstance(work, Inference) and work.accelerator is not None:
            _known(taking, (*where, "accelerator"), work.accelerator, catalog.accelerator)
        if isinstance(work, Training):
            _check_training(work, catalog, taking, where)
        if isinstance(work, Seats):
            _check_profile(work.gpu, catalog, taking, (*where, "gpu"))
    for number, given in enumerate(demand.fleet):
        _known(taking, ("fleet", number, "accelerator"), given.accelerator, catalog.accelerator)
    if demand.money.currency is not None and not demand.money.currency.isalpha():
        taking.fault(("money", "currency"), "is no currency; write a code such as USD, EUR or CNY")


def _check_training(
    work: Training, catalog: Catalog, taking: _Taking, where: tuple[str | int, ...]
) -> None:
    known = {name for part in catalog.accelerators.values() for name in part.peak_flop_per_s}
    if work.precision is not None and work.precision not in known:
        taking.fault((*where, "precision"), f"nothing trains in {work.precision}; write bf16")
    if work.parallel is None:
        return
    try:
        model = catalog.preset(work.model) if isinstance(work.model, str) else work.model
    except UnknownName:
        return  # told already
    for name, why in compute.unfit(work.parallel, model, work.num_accelerators):
        taking.fault((*where, "parallel", name), why)


def _check_profile(
    name: str, catalog: Catalog, taking: _Taking, where: tuple[str | int, ...]
) -> None:
    profiles = {one.name for part in catalog.accelerators.values() for one in part.mig} | {"whole"}
    if name not in profiles:
        taking.fault(where, str(UnknownName.of("MIG profile", name, sorted(profiles))))


def _known(
    taking: _Taking, where: tuple[str | int, ...], name: str, find: Callable[[str], object]
) -> None:
    try:
        find(name)
    except UnknownName as error:
        taking.fault(where, str(error))


def _allowed(demand: Demand, catalog: Catalog, taking: _Taking) -> tuple[Accelerator, ...]:
    """Return the accelerators that the limits allow; a limit that allows none is a fault."""
    limits = demand.limits
    vendors = {vendor.casefold(): vendor for vendor in catalog.vendors()}
    for field, names in (
        ("vendors", limits.vendors),
        ("excluded_vendors", limits.excluded_vendors),
    ):
        for number, name in enumerate(names or ()):
            if name.casefold() not in vendors:
                message = str(UnknownName.of("vendor", name, catalog.vendors()))
                taking.fault(("limits", field, number), message)
    found: list[Accelerator] = []
    if limits.accelerators is None:
        found = list(catalog.accelerators.values())
    for number, name in enumerate(limits.accelerators or ()):
        try:
            found.append(catalog.accelerator(name))
        except UnknownName as error:
            taking.fault(("limits", "accelerators", number), str(error))
    wanted = None if limits.vendors is None else {name.casefold() for name in limits.vendors}
    unwanted = {name.casefold() for name in limits.excluded_vendors}
    left = tuple(
        one
        for one in dict.fromkeys(found_name.name for found_name in found)
        if (wanted is None or catalog.accelerators[one].vendor.casefold() in wanted)
        and catalog.accelerators[one].vendor.casefold() not in unwanted
    )
    if not left and not taking.faults:
        taking.fault(("limits",), "allows no accelerator; name one, or allow its vendor")
    return tuple(catalog.accelerators[name] for name in left)


def _supply(demand: Demand, region: Region, catalog: Catalog, taking: _Taking) -> facility.Supply:
    cited = catalog.cite(region.provenance)
    price, carbon = demand.site.power_price_usd_per_j, demand.site.carbon_g_per_j
    hourly = None
    if price == "hourly":
        series = catalog.series.get(region.series)
        if series is None:
            known = sorted(
                one.name for one in catalog.regions.values() if one.series in catalog.series
            )
            taking.fault(
                ("site", "power_price"),
                f"no hourly series for {region.name}; give a flat price, or take one of: "
                f"{', '.join(known)}",
            )
            raise InvalidInput(taking.faults)
        hourly = series.price_usd_per_j
    flat = region.power_price_usd_per_j if price is None or price == "hourly" else price
    supply = facility.supply_of(
        flat, region.carbon_g_per_j if carbon is None else carbon, hourly, source=cited
    )
    taking.note(
        "site.power_price",
        show(supply.price_usd_per_j, UsdPerJoule),
        stated=price is not None,
        reason=_STATED if price is not None else f"average of {region.title}",
        source="demand" if price not in (None, "hourly") else cited,
    )
    taking.note(
        "site.carbon",
        show(supply.carbon_g_per_j, GramsPerJoule),
        stated=carbon is not None,
        reason=_STATED if carbon is not None else f"average of {region.title}",
        source="demand" if carbon is not None else cited,
    )
    return supply


def _pue(demand: Demand, cooling: Cooling, catalog: Catalog, taking: _Taking) -> float:
    stated = demand.site.pue_ratio
    value = cooling.pue_ratio if stated is None else stated
    taking.note(
        "site.pue",
        show(value, Ratio),
        stated=stated is not None,
        reason=_STATED if stated is not None else f"design value of {cooling.name} cooling",
        source="demand" if stated is not None else catalog.cite(cooling.provenance),
    )
    return value


def streams(demand: Demand) -> tuple[Experiments, ...]:
    """Return the experiments of a demand."""
    return tuple(work for work in demand.workloads if isinstance(work, Experiments))
