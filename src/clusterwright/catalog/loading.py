"""Reading the catalogue's files, and a user's own laid over them, with all faults at once.

The only place below the edges that reads files. A table is a CSV file: a row is a part, a column is
a field as people write it (`10.2 kW`), `source`, `certainty` and `uncertain` say where it is from.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from clusterwright import documents
from clusterwright.catalog.catalog import Catalog, HourlySeries
from clusterwright.catalog.generic import with_generic_servers
from clusterwright.documents import Places
from clusterwright.errors import Fault, InvalidInput, nearest
from clusterwright.model import encoder, market, parts
from clusterwright.units import GramsPerJoule, UsdPerJoule, parse, unit_of

_TABLES: Mapping[str, type] = {
    "sources": parts.Source,
    "accelerators": parts.Accelerator,
    "servers": parts.Server,
    "switches": parts.Switch,
    "links": parts.Link,
    "storage_systems": parts.StorageSystem,
    "cooling": parts.Cooling,
    "regions": market.Region,
    "cloud_offers": market.CloudOffer,
    "failure_rates": parts.FailureRate,
    "failure_effects": parts.FailureEffect,
    "inference": market.InferenceThroughput,
    "presets": market.Preset,
    "encoders": encoder.Encoder,
    "encoder_operators": encoder.EncoderOperator,
    "software": market.Software,
    "training_systems": market.TrainingSystem,
    "step_factors": market.StepFactor,
    "step_errors": market.StepError,
    "defaults": market.Default,
}
_ROUNDING = 1e-6  # how far shares may sum from 1
_PROVENANCE = ("source", "certainty", "uncertain")


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    tables: dict[str, dict[str, Any]]
    aliases: dict[str, tuple[str, ...]]
    series: dict[str, HourlySeries]
    faults: list[Fault]
    digest: Any


def load(overlay: Path | None = None) -> Catalog:
    """Return the catalogue, with a user's directory of the same layout over it.

    Raises
    ------
    InvalidInput
        With every fault of every file.
    """
    reading = _Reading({name: {} for name in _TABLES}, {}, {}, [], hashlib.sha256())
    _read_folder(
        Path(str(resources.files("clusterwright"))) / "catalog" / "data", reading, ours=True
    )
    if overlay is not None:
        _read_folder(overlay, reading, ours=False)
    _check_sources(reading)
    _check_operators(reading)
    _check_effects(reading)
    if reading.faults:
        raise InvalidInput(reading.faults)
    catalog = Catalog(
        digest=reading.digest.hexdigest(),
        aliases=reading.aliases,
        series=reading.series,
        **reading.tables,
    )
    return with_generic_servers(catalog)


def _read_folder(folder: Path, reading: _Reading, *, ours: bool) -> None:
    known = {*_TABLES, "aliases"}
    for path in sorted(folder.glob("*.csv")):
        shown = path.name if ours else str(path)
        if path.stem not in known:
            reading.faults.append(
                Fault(
                    file=shown,
                    message=f"{path.stem} is no table of the catalogue",
                    remedy=f"tables: {', '.join(sorted(known))}",
                )
            )
            continue
        content = path.read_bytes()
        reading.digest.update(path.name.encode() + content)
        if path.stem == "aliases":
            _read_aliases(content, reading)
        else:
            _read_table(path.stem, content, shown, reading)
    for path in sorted(folder.glob("series/*.csv.gz")):
        content = gzip.decompress(path.read_bytes())
        reading.digest.update(path.name.encode() + content)
        reading.series[path.name.removesuffix(".csv.gz")] = _series(content)


def _read_table(table: str, content: bytes, shown: str, reading: _Reading) -> None:
    noun = _TABLES[table]
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    header = next(rows, [])
    wanted = _wanted(noun)
    for line, cells in enumerate(rows, start=2):
        if not cells:
            continue
        row = dict(zip(header, cells, strict=False))
        places = Places(
            file=shown,
            values={(): (line, 1), **{(name,): (line, 1) for name in row}},
            keys={(name,): (line, 1) for name in row},
        )
        try:
            part: Any = documents.read_part(_value_of(row, noun, wanted), noun, places)
        except InvalidInput as error:
            reading.faults.extend(error.faults)
        else:
            reading.tables[table][row["name"]] = part


def _wanted(noun: type) -> Mapping[str, object]:
    from clusterwright.documents.kinds import hints_of, outward_names

    return {outward: hints_of(noun)[name] for name, outward in outward_names(noun).items()}


def _value_of(row: Mapping[str, str], noun: type, wanted: Mapping[str, object]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    has_provenance = any(one.name == "provenance" for one in fields(noun))
    for name, cell in row.items():
        if has_provenance and name in _PROVENANCE:
            continue
        if name.startswith("peak_"):
            if cell:
                value.setdefault("peak", {})[name.removeprefix("peak_")] = cell
        elif name == "mig":
            value["mig"] = [_mig(text) for text in cell.split(";") if text]
        elif cell or wanted.get(name) is str:
            value[name] = _cell(cell, wanted.get(name))
    if has_provenance:
        value["provenance"] = {
            "source": row.get("source", ""),
            "certainty": row.get("certainty", ""),
            "uncertain": [name for name in row.get("uncertain", "").split(";") if name],
        }
    return value


def _cell(cell: str, annotation: object) -> Any:
    if annotation is bool:
        return {"yes": True, "no": False}.get(cell, cell)
    takes_whole = annotation is int or int in get_args(annotation)
    if takes_whole and unit_of(annotation) is None and cell.lstrip("-").isdigit():
        return int(cell)
    return cell


def _mig(text: str) -> dict[str, Any]:
    cells = [*text.split(":"), *[""] * 5]
    whole = dict(zip(("compute_slices", "instances", "memory_slices"), cells[2:5], strict=True))
    return {
        "name": cells[0],
        "memory": cells[1],
        **{key: int(cell) if cell.isdigit() else cell for key, cell in whole.items()},
        "starts": [int(cell) if cell.isdigit() else cell for cell in cells[5].split("/") if cell],
    }


def _read_aliases(content: bytes, reading: _Reading) -> None:
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"))):
        key = row["alias"].casefold()
        found = reading.aliases.get(key, ())
        reading.aliases[key] = tuple(dict.fromkeys((*found, row["name"])))


def _series(content: bytes) -> HourlySeries:
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    usd_per_mwh = parse("1 USD/MWh", UsdPerJoule)
    g_per_kwh = parse("1 g/kWh", GramsPerJoule)
    return HourlySeries(
        price_usd_per_j=tuple(float(row["price_usd_per_mwh"]) * usd_per_mwh for row in rows),
        carbon_g_per_j=tuple(float(row["carbon_lifecycle_g_per_kwh"]) * g_per_kwh for row in rows),
    )


def _check_sources(reading: _Reading) -> None:
    """Refuse parts whose source nobody has written down."""
    for table, rows in reading.tables.items():
        for name, part in rows.items():
            provenance = getattr(part, "provenance", None)
            if provenance is None:
                continue
            for key in provenance.source.split("+"):
                if key not in reading.tables["sources"]:
                    reading.faults.append(
                        Fault(
                            file=f"{table}.csv",
                            path=name,
                            message=f"source {key!r} is not in sources.csv",
                            remedy="add a row there, or name one that is",
                        )
                    )


def _check_operators(reading: _Reading) -> None:
    """Refuse operators of no encoder, and encoders without operators."""
    encoders = reading.tables["encoders"]
    served: set[str] = set()
    for name, operator in reading.tables["encoder_operators"].items():
        served.add(operator.encoder)
        if operator.encoder not in encoders:
            near = nearest(operator.encoder, encoders)
            reading.faults.append(
                Fault(
                    file="encoder_operators.csv",
                    path=name,
                    message=f"encoder {operator.encoder!r} is not in encoders.csv",
                    remedy=f"did you mean {' or '.join(near)}?" if near else "add a row there",
                )
            )
    for name in encoders:
        if name not in served:
            reading.faults.append(
                Fault(
                    file="encoders.csv",
                    path=name,
                    message="has no operators",
                    remedy="give each a row in encoder_operators.csv",
                )
            )


def _check_effects(reading: _Reading) -> None:
    """Refuse effects of no component, and shares that are not the whole of its failures."""
    rates = reading.tables["failure_rates"]
    shares: dict[str, float] = {}
    for name, effect in reading.tables["failure_effects"].items():
        shares[effect.component] = shares.get(effect.component, 0.0) + effect.share_fraction
        if effect.component not in rates:
            near = nearest(effect.component, rates)
            reading.faults.append(
                Fault(
                    file="failure_effects.csv",
                    path=name,
                    message=f"component {effect.component!r} is not in failure_rates.csv",
                    remedy=f"did you mean {' or '.join(near)}?" if near else "add a row there",
                )
            )
    for component, share in shares.items():
        if abs(share - 1) > _ROUNDING:
            reading.faults.append(
                Fault(
                    file="failure_effects.csv",
                    path=component,
                    message=f"the shares of its failures sum to {share:.4g}",
                    remedy="make them sum to 100 %",
                )
            )
