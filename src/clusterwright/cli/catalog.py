"""`clusterwright catalog`: what can be bought, with its sources."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from clusterwright.catalog import Catalog
from clusterwright.cli import load
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode, UnknownName, UsageError
from clusterwright.model.encoder import Encoder
from clusterwright.model.parts import Provenance
from clusterwright.units import Count, unit_of
from clusterwright.units import format as show

KINDS: Mapping[str, tuple[str, ...]] = {
    "accelerators": ("name", "vendor", "memory", "memory_speed", "bf16", "tdp", "certainty"),
    "servers": ("name", "accelerator", "accelerators", "max_power", "rack_units", "price_low"),
    "switches": ("name", "kind", "ports", "port", "max_power", "price_low", "price_high"),
    "links": ("name", "medium", "port", "reach", "price_low", "price_high"),
    "storage_systems": ("name", "tier", "raw", "read", "write", "max_power", "price_low"),
    "cooling": ("name", "pue_low", "pue", "pue_high", "max_rack_power"),
    "regions": ("name", "title", "country", "power_price", "carbon", "construction"),
    "cloud_offers": ("name", "accelerator", "provider", "year", "usd_per_accelerator_hour"),
    "failure_rates": ("name", "events", "accelerators", "observed"),
    "failure_effects": ("name", "component", "share", "hits", "detect", "repair_median"),
    "inference": ("name", "output"),
    "presets": ("name", "family", "parameters", "active_parameters", "layers", "hidden"),
    "encoders": ("name", "title", "family", "sample"),
    "encoder_operators": (
        *("name", "kind", "repeats", "images", "in_channels", "out_channels", "kernel", "stride"),
        *("height", "width", "tokens", "heads"),
    ),
    "software": ("name", "title", "released", "family"),
    "training_systems": ("name", "title", "nic"),
    "step_factors": ("name", "unit", "value", "prior", "spread", "meaning"),
    "step_errors": ("name", "rows", "families", "median", "bar", "least", "most"),
    "defaults": ("name", "value", "reason", "source"),
    "sources": ("name", "title", "publisher", "read_on"),
}
MIG = "mig"


def catalog(
    kind: str = "",
    name: str = "",
    *,
    seat: str | None = None,
    overlay: Annotated[str | None, Parameter(name="--catalog")] = None,
    common: Common | None = None,
) -> int:
    """Show what can be bought, with its sources; `mig` shows how an accelerator can be cut.

    Parameters
    ----------
    kind
        Kind of part; nothing lists the kinds. `mig` lists the full layouts of the accelerator NAME.
    name
        One part by its name or by a name that people use for it.
    seat
        With `mig`: memory of one person, such as "9 GB"; tells how many fit, and how.
    overlay
        Directory of your own parts, laid over the catalogue.
    """
    parts = load.the_catalog(overlay)
    common = common or Common()
    if not kind:
        rows = [{"name": one, "num_parts": len(getattr(parts, one))} for one in KINDS]
        emit(Answer(document=items_document("CatalogKindList", rows), rows=rows), common)
        return ExitCode.OK
    if kind == MIG:
        from clusterwright.cli import mig

        return mig.show(parts, name, seat, common)
    if seat is not None:
        msg = "--seat tells how many people fit on a cut accelerator: catalog mig NAME --seat 9GB"
        raise UsageError(msg)
    if kind not in KINDS:
        raise UnknownName.of("kind of part", kind, [*KINDS, MIG])
    table: Mapping[str, Any] = getattr(parts, kind)
    chosen = [_found(parts, kind, table, name)] if name else list(table.values())
    rows = [part_row(part, parts) for part in chosen]
    columns = KINDS[kind] if not name else ()
    emit(
        Answer(
            document=items_document(f"Catalog{kind.title().replace('_', '')}", rows),
            rows=rows,
            columns=columns,
            text=_sheet(rows[0]) + _operators(chosen[0], parts) if name else "",
        ),
        common,
    )
    return ExitCode.OK


def _found(parts: Catalog, kind: str, table: Mapping[str, Any], name: str) -> Any:
    singular = {
        "accelerators": parts.accelerator,
        "servers": parts.server,
        "presets": parts.preset,
        "encoders": parts.encoder,
    }
    if kind in singular:
        return singular[kind](name)
    if name not in table:
        raise UnknownName.of(kind.removesuffix("s"), name, table)
    return table[name]


def _operators(part: Any, parts: Catalog) -> str:
    """Return the operators of an encoder under its sheet, with what they count for one sample."""
    if not isinstance(part, Encoder):
        return ""
    from clusterwright.compute import encoders, operators

    listed = operators.operators(parts.operators_of(part.name))
    rows = [
        (
            *(str(row["operator"]), str(row["kind"]), str(row["repeats"])),
            show(float(str(row["macs_per_sample"])), Count),
            show(float(str(row["parameters"])), Count),
        )
        for row in encoders.breakdown(part.name, listed, parts)
    ]
    macs, held = operators.macs_per_sample(listed), operators.parameters(listed)
    rows.append(("in all", "", "", show(float(macs), Count), show(float(held), Count)))
    table = [("operator", "kind", "repeats", "MACs", "parameters"), *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)
    return "\n\n" + "\n".join(lines)


def part_row(part: Any, parts: Catalog) -> dict[str, Any]:
    """Return a part as a row of a table, figures as people write them."""
    row: dict[str, Any] = {}
    hints = {one.name: one.type for one in dataclasses.fields(part)}
    for name, annotation in hints.items():
        value = getattr(part, name)
        unit = unit_of(annotation)
        if isinstance(value, Provenance):
            row["certainty"] = value.certainty
            row["uncertain"] = ", ".join(value.uncertain)
            row["source"] = parts.cite(value)
        elif name == "peak_flop_per_s":
            row.update({precision: show(peak, annotation) for precision, peak in value.items()})
        elif name == "mig":
            row["mig"] = ", ".join(profile.name for profile in value)
        elif unit is not None and isinstance(value, float):
            row[unit.outward(name).removeprefix("num_")] = show(value, annotation, digits=4)
        else:
            row[name.removeprefix("num_")] = value
    return row


def _sheet(row: Mapping[str, Any]) -> str:
    width = max(len(name) for name in row)
    return "\n".join(
        f"{name:<{width}}  {value}" for name, value in row.items() if value not in ("", None)
    )
