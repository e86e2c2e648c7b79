"""From a text to a noun: every fault at once, each with its place and its remedy."""

import json
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from clusterwright.documents.kinds import API_VERSION, adapter, kind_of
from clusterwright.documents.places import Places
from clusterwright.documents.translate import faults_of
from clusterwright.documents.yaml12 import parse_yaml
from clusterwright.errors import Fault, InvalidInput, nearest

T = TypeVar("T")
WrittenBy = Literal["people", "machine"]

_HEADER = ("apiVersion", "kind")


def read(
    text: str | bytes, noun: type[T], *, file: str = "-", written_by: WrittenBy | None = None
) -> T:
    """Return the noun that a document holds.

    Parameters
    ----------
    text
        YAML 1.2 or JSON.
    noun
        A dataclass registered with `kind`.
    file
        Name shown in messages.
    written_by
        Whether quantities are texts with units or plain numbers; what the kind says by default.

    Raises
    ------
    InvalidInput
        With every fault at once.
    """
    return read_with_places(text, noun, file=file, written_by=written_by)[0]


def read_with_places(
    text: str | bytes, noun: type[T], *, file: str = "-", written_by: WrittenBy | None = None
) -> tuple[T, Places]:
    """Return the noun that a document holds, and where everything in it stands.

    Raises
    ------
    InvalidInput
        With every fault at once.
    """
    kind = kind_of(noun)
    if kind is None:
        msg = f"{noun.__name__} is not the noun of a kind of document"
        raise TypeError(msg)
    value, places = parse_yaml(text, file=file)
    faults = _header_faults(value, kind.name, places)
    if not isinstance(value, dict):
        raise InvalidInput(faults)
    body = {key: item for key, item in value.items() if key not in _HEADER}
    people = (written_by or ("people" if kind.layout == "flat" else "machine")) == "people"
    found, more = _validated(body, noun, places, people=people)
    if faults or more:
        raise InvalidInput([*faults, *more])
    return found, places


def read_value(value: Any, noun: type[T], *, file: str = "-") -> T:
    """Return the noun of a document that is parsed already, such as one that came as JSON.

    Raises
    ------
    InvalidInput
        With every fault at once; places are missing.
    """
    kind = kind_of(noun)
    assert kind is not None, "only nouns of kinds have documents"
    places = Places(file=file, values={}, keys={})
    faults = _header_faults(value, kind.name, places)
    if not isinstance(value, dict):
        raise InvalidInput(faults)
    body = {key: item for key, item in value.items() if key not in _HEADER}
    found, more = _validated(body, noun, places, people=kind.layout == "flat")
    if faults or more:
        raise InvalidInput([*faults, *more])
    return found


def read_part(value: Any, noun: type[T], places: Places | None = None, *, people: bool = True) -> T:
    """Return a noun from a parsed mapping without a header, such as one part of a list.

    Without `places` the faults have paths alone, as those of a value that came over a wire.

    Raises
    ------
    InvalidInput
        With every fault at once; places are those of `value`'s own paths.
    """
    where = places if places is not None else Places(values={}, keys={})
    found, faults = _validated(value, noun, where, people=people)
    if faults:
        raise InvalidInput(faults)
    return found


def read_plain(text: str, noun: type[T]) -> T:
    """Return a noun from the JSON of what `plain` gave, without a detour over parsed values.

    Raises
    ------
    InvalidInput
        With every fault at once.
    """
    try:
        found: T = adapter(noun, people=False).validate_json(
            text, context={"written_by": "machine"}
        )
    except ValidationError:
        return read_part(json.loads(text), noun, people=False)  # tells what is wrong
    return found


def _validated(value: Any, noun: type[T], places: Places, *, people: bool) -> tuple[T, list[Fault]]:
    reader = adapter(noun, people=people)
    context = {"written_by": "people" if people else "machine"}
    try:
        found = reader.validate_json(json.dumps(value, ensure_ascii=True), context=context)
    except ValidationError as error:
        return None, faults_of(error, value, noun, places, people=people)  # type: ignore[return-value]  # faults say there is none
    except InvalidInput as error:  # a noun that checks itself names its fields as people write them
        return None, [_placed(fault, places) for fault in error.faults]  # type: ignore[return-value]  # as above
    except RecursionError:  # an alias of itself cannot occur, but a foreign value might nest
        return None, [places.fault((), "is nested too deep", "flatten it")]  # type: ignore[return-value]  # as above
    return found, []


def _placed(fault: Fault, places: Places) -> Fault:
    return places.fault(tuple(fault.path.split(".")), fault.message, fault.remedy)


def _header_faults(value: Any, name: str, places: Places) -> list[Fault]:
    if not isinstance(value, dict):
        seen = "is empty" if value is None else f"holds {_shape(value)}"
        return [
            places.fault(
                (), seen, f"begin with `apiVersion: {API_VERSION}`, `kind: {name}` and a name"
            )
        ]
    faults = []
    for key, wanted in (("apiVersion", API_VERSION), ("kind", name)):
        if key not in value:
            hint = nearest(key, [str(one) for one in value])
            near = f"; {hint[0]} stands there" if hint else ""
            faults.append(places.fault((), f"{key} is missing{near}", f"write `{key}: {wanted}`"))
        elif value[key] != wanted:
            faults.append(
                places.fault(
                    (key,), f"{_shown(value[key])} is not {wanted}", f"write `{key}: {wanted}`"
                )
            )
    return faults


def _shape(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return f"only {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
