"""What a noun looks like from outside: its fields with their docstrings, and its JSON Schema."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, get_args, get_origin

from clusterwright.documents.kinds import (
    API_VERSION,
    TaggedByKey,
    adapter,
    hints_of,
    kind_of,
    nested,
    outward_names,
)
from clusterwright.units import unit_of

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """One field of a document as a reader of its reference sees it."""

    path: str
    """Dotted path; `[]` stands for each item of a list."""
    annotation: object
    """Its type with its unit."""
    default: object
    """Its default; `dataclasses.MISSING` when it must be given."""
    doc: str
    """What it means."""
    variant: str
    """Key of the variant that it belongs to; empty outside of unions."""


def fields(noun: type) -> Iterator[FieldInfo]:
    """Yield every field of a noun's document, depth first, in the order of the document."""
    kind = kind_of(noun)
    people = kind is None or kind.layout == "flat"
    yield from _fields(noun, "", "", people=people)


def _fields(cls: type, above: str, variant: str, *, people: bool) -> Iterator[FieldInfo]:
    names: Mapping[str, str] = (
        outward_names(cls, tag=variant or None)
        if people
        else {one.name: one.name for one in dataclasses.fields(cls)}
    )
    docs = docstrings(cls)
    for one in dataclasses.fields(cls):
        annotation = hints_of(cls)[one.name]
        path = f"{above}.{names[one.name]}" if above else names[one.name]
        yield FieldInfo(
            path=path,
            annotation=annotation,
            default=one.default,
            doc=docs.get(one.name, ""),
            variant=variant,
        )
        for inner, tag, listed in _inside(annotation):
            yield from _fields(inner, path + ("[]" if listed else ""), tag or "", people=people)


def _inside(annotation: object, *, listed: bool = False) -> Iterator[tuple[type, str | None, bool]]:
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        yield annotation, None, listed
        return
    for marker in getattr(annotation, "__metadata__", ()):
        if isinstance(marker, TaggedByKey):
            for tag, cls in marker.variants.items():
                yield cls, tag, listed
            return
    for part in get_args(annotation):
        yield from _inside(part, listed=listed or get_origin(annotation) is tuple)


@cache
def docstrings(cls: type) -> Mapping[str, str]:
    """Return the docstring under each field of a dataclass, those it inherits included."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if dataclasses.is_dataclass(one):
            found.update(_own_docstrings(one))
    return found


def _own_docstrings(cls: type) -> Mapping[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        statement.target.id: " ".join(after.value.value.split())
        for statement, after in pairwise(body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


def schema(noun: type) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a noun's document, descriptions included.

    Raises
    ------
    TypeError
        If the noun is not that of a kind of document.
    """
    kind = kind_of(noun)
    if kind is None:
        msg = f"{noun.__name__} is not the noun of a kind of document"
        raise TypeError(msg)
    people = kind.layout == "flat"
    document = adapter(noun, people=people).json_schema(by_alias=people)
    definitions = document.setdefault("$defs", {})
    for cls, tag in nested(noun):
        holder = document if cls is noun else definitions.get(cls.__name__, {})
        _describe(holder, cls, tag, people=people)
    if not people:
        _plain(document)
    properties = {
        "apiVersion": {"const": API_VERSION, "description": "Version of the document."},
        "kind": {"const": kind.name, "description": "Kind of the document."},
        **document.get("properties", {}),
    }
    return {
        "$schema": _DRAFT,
        **document,
        "title": kind.name,
        "properties": properties,
        "required": ["apiVersion", "kind", *document.get("required", [])],
        "additionalProperties": False,
    }


def _describe(holder: dict[str, Any], cls: type, tag: str | None, *, people: bool) -> None:
    names = outward_names(cls, tag=tag) if people else {}
    docs = docstrings(cls)
    if cls.__doc__:
        holder["description"] = cls.__doc__.strip().splitlines()[0]
    properties = holder.get("properties", {})
    for one in dataclasses.fields(cls):
        shown = names.get(one.name, one.name)
        if shown in properties:
            unit = unit_of(hints_of(cls)[one.name])
            basis = f" Unit: {unit.symbol}." if unit is not None and unit.symbol else ""
            properties[shown]["description"] = docs.get(one.name, "") + ("" if people else basis)
            properties[shown].pop("title", None)
            if properties[shown].get("default", "") is None:
                properties[shown].pop("default")


def _plain(schema: Any) -> None:
    """Turn quantities into numbers, as stands in what we write."""
    if isinstance(schema, dict):
        if schema.get("type") == "string" and "examples" in schema:
            del schema["examples"]
            schema["type"] = "number"
        if isinstance(schema.get("anyOf"), list):
            numbers = [one for one in schema["anyOf"] if one.get("type") == "number"]
            if numbers and any("examples" in one for one in schema["anyOf"]):
                schema.update(schema.pop("anyOf")[0])
        for part in schema.values():
            _plain(part)
    elif isinstance(schema, list):
        for part in schema:
            _plain(part)
