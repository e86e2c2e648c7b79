"""`clusterwright explain`: what a field means and where its value comes from."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from cyclopts import Parameter

from clusterwright import documents, plan
from clusterwright.catalog import Catalog
from clusterwright.cli import files, load
from clusterwright.cli.check import kind_of_text
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.documents import FieldInfo
from clusterwright.errors import ExitCode, UnknownName
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.paths import value_at
from clusterwright.units import DIMENSIONS, unit_of

_WORDS: Mapping[object, str] = {str: "text", int: "whole number", bool: "true | false"}
_COLUMNS = ("path", "value", "stated", "reason", "source")


def explain(
    path: str = "",
    *,
    file: Annotated[FileName | None, Parameter(name=["--file", "-f"])] = None,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    common: Common | None = None,
) -> int:
    """Say what a field means, which value is in force, and where that comes from.

    Without a file: the field of the demand language, its form, its default and the default's
    source. With a demand: the value in force and which of demand and default won. With a design:
    the figure, how it came about, and the choice behind it.

    Parameters
    ----------
    path
        Dotted path, such as `site.cooling` or `spec.fabric.planes.compute.num_leaf`; the beginning
        of a path shows all below it, nothing shows everything.
    file
        A demand or a design, or `-` for stdin.
    catalog
        Directory of your own parts, laid over the catalogue.
    """
    parts = load.the_catalog(catalog)
    if file is None:
        rows = _language_rows(path, parts)
    else:
        file = load.design_file(file)
        text = files.read_bytes(file)
        if kind_of_text(text) == "Design":
            rows = _design_rows(path, documents.read(text, Design, file=file))
        else:
            demand, places = documents.read_with_places(text, Demand, file=file)
            rows = _demand_rows(path, plan.resolve(demand, parts, file=file, places=places))
    columns = tuple(rows[0]) if rows else _COLUMNS
    document = items_document("ExplanationList", rows)
    emit(
        Answer(document=document, rows=rows, columns=columns, text=_prose(rows), key="path"),
        common or Common(),
    )
    return ExitCode.OK


def _language_rows(path: str, parts: Catalog) -> list[dict[str, Any]]:
    wanted = path.removeprefix("workloads[].").removeprefix("workloads.")
    rows = []
    for info in documents.fields(Demand):
        shown = info.path.replace("[]", "")
        short = f"{info.variant}.{info.path.split('[].', 1)[-1]}" if info.variant else shown
        if not path or _below(shown, path) or _below(short, wanted):
            rows.append(_field_row(info, short, parts))
    for name, default in parts.defaults.items():
        if name.startswith("plan.") and (not path or _below(name, path)):
            rows.append(
                {
                    "path": name,
                    "form": "rule of the plan",
                    "default": default.value,
                    "meaning": default.reason,
                    "source": parts.cite(default.provenance),
                }
            )
    if not rows:
        known = [info.path.replace("[]", "") for info in documents.fields(Demand)]
        raise UnknownName.of("path of the demand", path, known)
    return rows


def _field_row(info: FieldInfo, short: str, parts: Catalog) -> dict[str, Any]:
    default = parts.defaults.get(short) or parts.defaults.get(info.path.replace("[]", ""))
    if default is not None:
        shown, source = default.value, parts.cite(default.provenance)
    elif info.default is dataclasses.MISSING:
        shown, source = "must be given", ""
    else:
        shown, source = "none" if info.default is None else _plain(info.default), ""
    return {
        "path": short,
        "form": form_of(info.annotation),
        "default": shown,
        "meaning": info.doc,
        "source": source,
    }


def _plain(value: object) -> str:
    return "all its defaults" if dataclasses.is_dataclass(value) else str(value)


def form_of(annotation: object) -> str:
    """Return how a value is written: an example of a quantity, the allowed words, or the type."""
    unit = unit_of(annotation)
    if unit is not None and get_origin(annotation) not in (tuple, Mapping):
        words = _literals(annotation)
        return " | ".join([DIMENSIONS[unit.dimension].example, *words])
    literals = _literals(annotation)
    if literals:
        return " | ".join(literals)
    if get_origin(annotation) is tuple:
        return f"list of {form_of(get_args(annotation)[0])}"
    if get_origin(annotation) is Mapping:
        key, value = get_args(annotation)
        return f"mapping of {form_of(key)} to {form_of(value)}"
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if hasattr(annotation, "__metadata__"):
        inner = inner[:1]
    if inner:
        return " | ".join(dict.fromkeys(form_of(part) for part in inner))
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def _literals(annotation: object) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    return [name for part in get_args(annotation) for name in _literals(part)]


def _demand_rows(path: str, terms: plan.Terms) -> list[dict[str, Any]]:
    rows = [
        {name: getattr(one, name) for name in _COLUMNS}
        for one in terms.assumptions
        if not path or _below(one.path, path)
    ]
    if not rows:
        known = [one.path for one in terms.assumptions]
        raise UnknownName.of("value in force", path, known)
    return rows


def _design_rows(path: str, design: Design) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if path:
        value = value_at(design, path)
        if isinstance(value, str | int | float | bool | None):
            rows.append({"path": path, "value": value, "why": "", "source": ""})
    rows += [
        {
            "path": one.path,
            "value": _value(design, one.path),
            "why": one.formula,
            "source": one.source,
        }
        for one in design.spec.derivations
        if not path or _below(one.path, path) or _below(path, one.path)
    ]
    if any(row["why"] for row in rows):
        rows = [row for row in rows if row["why"] or row["path"] != path] or rows
    return rows


def _value(design: Design, path: str) -> Any:
    value = value_at(design, path)
    return value if isinstance(value, str | int | float | bool | None) else ""


def _below(path: str, above: str) -> bool:
    return path == above or path.startswith((f"{above}.", f"{above}["))


def _prose(rows: list[dict[str, Any]]) -> str:
    """Return the rows as short paragraphs, which read better than a table of sentences."""
    blocks = []
    for row in rows:
        head = str(row["path"])
        lines = [
            f"  {name}: {value}"
            for name, value in row.items()
            if name not in {"path", "stated"} and value not in ("", None)
        ]
        blocks.append("\n".join([head, *lines]))
    return "\n\n".join(blocks)
