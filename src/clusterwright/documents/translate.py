"""Pydantic's errors in our words: place, what is wrong, what is allowed, what to write."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from clusterwright.documents.kinds import TaggedByKey, hints_of, nested, outward_names
from clusterwright.documents.places import Path, Places
from clusterwright.errors import Fault, nearest
from clusterwright.units import DIMENSIONS, unit_of

_LINE = 60  # characters of a seen value that are shown
_PLAIN_TYPES = frozenset({"str", "int", "float", "bool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    """One of pydantic's errors, led back to the data."""

    path: Path
    labels: tuple[tuple[Path, str], ...]
    """Union branches that pydantic names on the way, each with the path of the union."""
    details: ErrorDetails
    raw: Any
    """The value at the path; None when it is missing."""


def faults_of(
    error: ValidationError, value: Any, noun: type, places: Places, *, people: bool
) -> list[Fault]:
    """Return the faults behind a validation error."""
    tags = frozenset(tag for _, tag in nested(noun) if tag)
    found = [_located(one, value, tags) for one in error.errors(include_url=False)]
    faults = [
        _fault(one, value, noun, places, people=people) for one in _without_noise(found, value)
    ]
    return list(dict.fromkeys(faults))


def _located(details: ErrorDetails, value: Any, tags: frozenset[str]) -> _Error:
    path: list[str | int] = []
    labels: list[tuple[Path, str]] = []
    here = value
    steps = details["loc"]
    for place, step in enumerate(steps):
        last = place == len(steps) - 1
        if isinstance(here, list) and isinstance(step, int) and step < len(here):
            path.append(step)
            here = here[step]
        elif isinstance(here, dict) and _is_key(here, steps, place, tags):
            key = next(key for key in here if _spelled(key) == str(step))
            path.append(str(key))
            here = here[key]
        elif last and details["type"] == "missing" and isinstance(here, dict):
            path.append(str(step))
            here = None
        else:
            labels.append((tuple(path), str(step)))
    return _Error(path=tuple(path), labels=tuple(labels), details=details, raw=here)


def _is_key(
    here: dict[Any, Any], steps: Sequence[str | int], place: int, tags: frozenset[str]
) -> bool:
    """Return whether a step of pydantic's location is a key here, and not a union's label.

    A union told by its key puts that key into the location as the label of the branch; the key's
    own value is a name, so a location that goes on below it means the label.
    """
    step = str(steps[place])
    found = [key for key in here if _spelled(key) == step]
    if not found:
        return False
    goes_on = place < len(steps) - 1
    return not (goes_on and step in tags and not isinstance(here[found[0]], dict | list))


def _spelled(key: Any) -> str:
    """Return a key as pydantic saw it: JSON spells null, true and numbers its own way."""
    return key if isinstance(key, str) else json.dumps(key)


def _without_noise(found: list[_Error], value: Any) -> list[_Error]:
    """Keep, of a union that failed in every branch, the branch that the writer meant."""
    unions: dict[Path, set[str]] = {}
    for one in found:
        for path, label in one.labels:
            unions.setdefault(path, set()).add(label)
    kept = [one for one in found if all(_meant(p, label, unions, value) for p, label in one.labels)]
    quantities = {one.path for one in kept if one.details["type"] == "quantity"}
    return [
        one
        for one in kept or found
        if one.details["type"] != "literal_error" or one.path not in quantities
    ]


def _meant(path: Path, label: str, unions: Mapping[Path, set[str]], value: Any) -> bool:
    """Return whether a branch of a union is the one that the writer had in mind."""
    branches = unions[path]
    if len(branches) == 1:
        return True
    if isinstance(_at(value, path), dict):
        return _is_noun(label)
    scalars = {branch for branch in branches if not _is_noun(branch)}
    best = scalars - _PLAIN_TYPES or scalars or branches
    return label in best


def _is_noun(label: str) -> bool:
    return label.isidentifier() and label not in _PLAIN_TYPES


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(value, list) and isinstance(step, int):
            value = value[step]
        elif isinstance(value, dict):
            value = next((item for key, item in value.items() if _spelled(key) == str(step)), None)
        else:
            return None
    return value


def _fault(one: _Error, value: Any, noun: type, places: Places, *, people: bool) -> Fault:
    kind = one.details["type"]
    context = one.details.get("ctx", {})
    known, annotation = _type_at(noun, one.path, value, people=people)
    match kind:
        case "missing":
            return places.fault(
                one.path[:-1],
                f"{one.path[-1]} is missing",
                f"add `{one.path[-1]}: {_example(annotation)}`",
            )
        case "unexpected_keyword_argument" | "extra_forbidden":
            hints = nearest(str(one.path[-1]), known)
            near = f"did you mean {' or '.join(hints)}? " if hints else ""
            return places.fault(
                one.path,
                f"{one.path[-1]} is not a field here",
                f"{near}Fields: {', '.join(known)}".strip(),
                key=True,
            )
        case "literal_error":
            allowed = [str(name) for name in _literals(annotation)]
            hints = nearest(str(one.raw), allowed)
            near = f"did you mean {hints[0]}? " if hints else ""
            return places.fault(
                one.path,
                f"{_shown(one.raw)} is not allowed",
                f"{near}Allowed: {', '.join(allowed)}",
            )
        case "quantity" | "tagged_by_key":
            message = str(one.details["msg"])
            what, _, remedy = message.partition("; ")
            also = [str(name) for name in _literals(annotation)]
            if also and kind == "quantity":
                remedy += f" or {', '.join(also)}"
            return places.fault(one.path, what, remedy)
        case "value_error":
            reason = str(context.get("error", one.details["msg"]))
            what, _, remedy = reason.partition("; ")
            return places.fault(one.path, what, remedy)
        case _:
            wanted = _wanted(kind)
            return places.fault(
                one.path,
                f"{_shown(one.raw)} is {_a(one.raw)}, where {wanted} is wanted",
                f"write for example `{_example(annotation)}`",
            )


def _type_at(
    noun: type, path: Path, value: Any, *, people: bool
) -> tuple[list[str], object | None]:
    """Return the fields beside the last step of a path, and the annotation of that step."""
    known: list[str] = []
    annotation: object = noun
    here = value
    for step in path:
        cls, tag = _dataclass_in(annotation, here)
        if cls is not None:
            names = _names(cls, tag, people=people)
            known = list(names.values())
            field = next((name for name, shown in names.items() if shown == step), None)
            annotation = hints_of(cls)[field] if field else None
        else:
            annotation = _item_type(annotation)
        here = _at(here, (step,))
    return known, annotation


def _names(cls: type, tag: str | None, *, people: bool) -> Mapping[str, str]:
    if people:
        return outward_names(cls, tag=tag)
    return {one.name: one.name for one in fields(cls)}


def _dataclass_in(annotation: object, here: Any) -> tuple[type | None, str | None]:
    """Return the dataclass that a value here is read as, and the key that names it."""
    if isinstance(annotation, type) and is_dataclass(annotation):
        return annotation, None
    for marker in getattr(annotation, "__metadata__", ()):
        if isinstance(marker, TaggedByKey) and isinstance(here, dict):
            found = ((cls, tag) for tag, cls in marker.variants.items() if tag in here)
            return next(found, (None, None))
    if get_origin(annotation) in (tuple, list) or _is_mapping(annotation):
        return None, None
    for part in get_args(annotation):
        cls, tag = _dataclass_in(part, here)
        if cls is not None:
            return cls, tag
    return None, None


def _is_mapping(annotation: object) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _item_type(annotation: object) -> object | None:
    if get_origin(annotation) in (tuple, list):
        first: object = get_args(annotation)[0]
        return first
    if _is_mapping(annotation):
        second: object = get_args(annotation)[1]
        return second
    for part in get_args(annotation):
        found = _item_type(part)
        if found is not None:
            return found
    return None


def _literals(annotation: object) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (tuple, list) or _is_mapping(annotation):
        return ()
    return tuple(name for part in get_args(annotation) for name in _literals(part))


def _wanted(kind: str) -> str:
    names = {
        "string_type": "a text",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "int_parsing": "a whole number",
        "bool_type": "true or false",
        "tuple_type": "a list",
        "list_type": "a list",
        "dict_type": "a mapping",
        "mapping_type": "a mapping",
        "dataclass_type": "a mapping of fields",
        "dataclass_exact_type": "a mapping of fields",
        "none_required": "nothing",
    }
    return names.get(kind, "something else")


def _example(annotation: object) -> str:
    unit = unit_of(annotation)
    if unit is not None:
        return DIMENSIONS[unit.dimension].example.split(" or ")[0]
    literals = _literals(annotation)
    if literals:
        return str(literals[0])
    for part in (annotation, *get_args(annotation)):
        if part is int:
            return "8"
        if part is bool:
            return "true"
        if part is str:
            return "some-name"
    if get_origin(annotation) in (tuple, list):
        return "[…]"
    return "{…}" if annotation is not None and get_origin(annotation) is not Union else "…"


def _a(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a truth value"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _LINE else text[:_LINE] + "…"
