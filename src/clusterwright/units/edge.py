"""Units at the edge: how pydantic reads and writes a field that carries one."""

from typing import Any

from pydantic_core import PydanticCustomError
from pydantic_core import core_schema as cs

from clusterwright.units.parsing import UnitError, parse_text
from clusterwright.units.printing import exact_text
from clusterwright.units.unit import DIMENSIONS, Unit

WRITTEN_BY = "written_by"


def core_schema(unit: Unit) -> cs.CoreSchema:
    """Return the schema that reads a quantity."""

    def read(value: Any, info: cs.ValidationInfo) -> float:
        by_machine = (info.context or {}).get(WRITTEN_BY) == "machine"
        return _read(value, unit, by_machine=by_machine)

    def write(value: float, info: cs.SerializationInfo) -> Any:
        by_people = (info.context or {}).get(WRITTEN_BY) == "people"
        if by_people and not unit.plain:
            return exact_text(value, unit)
        if by_people and unit.dimension == "fraction":
            return exact_text(value, unit)
        return _plain_number(value)

    return cs.with_info_plain_validator_function(
        read,
        serialization=cs.plain_serializer_function_ser_schema(write, info_arg=True),
    )


def json_schema(unit: Unit) -> dict[str, Any]:
    """Return the fragment of JSON Schema for a quantity that people write."""
    example = DIMENSIONS[unit.dimension].example.split(" or ")[0]
    text: dict[str, Any] = {"type": "string", "examples": [example]}
    if not unit.plain:
        return text
    bounds: dict[str, Any] = {"type": "number"}
    if not unit.signed:
        bounds["minimum"] = 0
    if unit.dimension == "fraction":
        bounds["maximum"] = 1
    return {"anyOf": [bounds, text]}


def _read(value: Any, unit: Unit, *, by_machine: bool) -> float:
    if isinstance(value, str) and not by_machine:
        try:
            return parse_text(value, unit)
        except UnitError as error:
            raise PydanticCustomError("quantity", "{why}", {"why": str(error)}) from error
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, unit, "is no quantity")
    try:
        number = float(value)
    except OverflowError as error:
        raise _wrong(value, unit, "is too large") from error
    if not by_machine and not unit.plain:
        raise _wrong(value, unit, "has no unit")
    problem = unit.problem(number)
    if problem is not None:
        raise _wrong(value, unit, problem)
    return number


def _wrong(value: Any, unit: Unit, why: str) -> PydanticCustomError:
    shown = _short(value)
    example = DIMENSIONS[unit.dimension].example
    return PydanticCustomError(
        "quantity",
        "{shown} {why}; write for example `{example}`",
        {"shown": shown, "why": why, "example": example},
    )


def _short(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _plain_number(value: float) -> float | int:
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else value
