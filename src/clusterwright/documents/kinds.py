"""How nouns are written: kinds with their header, outward names, unions told apart by a key."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, Strict, TypeAdapter
from pydantic_core import PydanticCustomError
from pydantic_core import core_schema as cs

from clusterwright.errors import nearest
from clusterwright.units import unit_of

API_VERSION = "clusterwright/v1"
Layout = Literal["flat", "spec"]
WholeKey = Annotated[int, Strict(False)]
T = TypeVar("T", bound=type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How documents of one noun are written."""

    name: str
    """What stands under `kind`."""
    layout: Layout
    """`flat` for what people write, `spec` for what we write."""


_KINDS: dict[type, Kind] = {}
_ADAPTERS: dict[tuple[type, bool], TypeAdapter[Any]] = {}


def kind(name: str, *, layout: Layout) -> Callable[[T], T]:
    """Register a dataclass as the noun of a kind of document."""

    def register(cls: T) -> T:
        _KINDS[cls] = Kind(name=name, layout=layout)
        return cls

    return register


def kind_of(cls: type) -> Kind | None:
    """Return how documents of a noun are written; None for a noun that is part of others."""
    return _KINDS.get(cls)


def outward_name(name: str, annotation: object) -> str:
    """Return the name that people write for a field.

    Examples
    --------
    >>> from clusterwright.units import Watts
    >>> outward_name("rack_power_w", Watts)
    'rack_power'
    >>> outward_name("num_people", int)
    'people'
    """
    unit = unit_of(annotation)
    short = unit.outward(name) if unit is not None else name
    return short.removeprefix("num_") or short


@dataclass(frozen=True, slots=True)
class TaggedByKey:
    """A union whose variant is told by which key is there; its value is the variant's name."""

    variants: Mapping[str, type]
    """Variant by key; each has a field `name` that is written under the key."""

    def __hash__(self) -> int:
        """Hash by the keys, as a marker in an annotation must."""
        return hash(tuple(self.variants))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> cs.CoreSchema:
        """Build a union that picks its variant by key."""
        del source
        return cs.no_info_before_validator_function(
            self._one_key,
            cs.tagged_union_schema(
                choices={tag: handler.generate_schema(cls) for tag, cls in self.variants.items()},
                discriminator=self._tag,
            ),
        )

    def _tag(self, value: Any) -> str | None:
        if isinstance(value, Mapping):
            return next((tag for tag in self.variants if tag in value), None)
        return next((tag for tag, cls in self.variants.items() if isinstance(value, cls)), None)

    def _one_key(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return self._refuse("is not a mapping")
        found = [tag for tag in self.variants if tag in value]
        if len(found) != 1:
            return self._refuse(
                f"has {' and '.join(found)} at once" if found else self._lacks(value)
            )
        return value

    def _lacks(self, value: Mapping[object, object]) -> str:
        near = ((str(key), hint) for key in value for hint in nearest(str(key), self.variants))
        key, hint = next(near, ("", ""))
        meant = f" ({key!r} looks like {hint!r})" if hint else ""
        return f"does not say what it is{meant}"

    def _refuse(self, why: str) -> Any:
        raise PydanticCustomError(
            "tagged_by_key",
            "{why}; begin it with exactly one of: {tags}",
            {"why": why, "tags": ", ".join(self.variants)},
        )


def marker_of(annotation: object) -> TaggedByKey | None:
    """Return the union marker in an annotation, also inside tuples and optionals."""
    for part in (*getattr(annotation, "__metadata__", ()), *get_args(annotation)):
        if isinstance(part, TaggedByKey):
            return part
        found = marker_of(part)
        if found is not None:
            return found
    return None


@cache
def hints_of(cls: type) -> Mapping[str, Any]:
    """Return the annotations of a dataclass with their markers."""
    return get_type_hints(cls, include_extras=True)


def nested(cls: type) -> Iterator[tuple[type, str | None]]:
    """Yield every dataclass inside a dataclass, itself first, with the key that names it."""
    seen: set[type] = set()
    waiting: list[tuple[type, str | None]] = [(cls, None)]
    while waiting:
        one, tag = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield one, tag
        for annotation in hints_of(one).values():
            waiting.extend(_classes(annotation))


def _classes(annotation: object) -> Iterator[tuple[type, str | None]]:
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        yield annotation, None
    marker = next(
        (m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, TaggedByKey)), None
    )
    if marker is not None:
        yield from ((cls, tag) for tag, cls in marker.variants.items())
        return
    for part in get_args(annotation):
        yield from _classes(part)


@cache
def outward_names(cls: type, *, tag: str | None = None) -> Mapping[str, str]:
    """Return what people write for each field of a noun, by field name.

    Raises
    ------
    TypeError
        If two fields would be written alike.
    """
    names = {
        one.name: tag
        if tag is not None and one.name == "name"
        else outward_name(one.name, hints_of(cls)[one.name])
        for one in dataclasses.fields(cls)
    }
    if len(set(names.values())) < len(names):
        msg = f"{cls.__name__}: two fields would be written alike: {sorted(names.values())}"
        raise TypeError(msg)
    return names


def adapter(cls: type, *, people: bool) -> TypeAdapter[Any]:
    """Return the reader and writer of a noun, unknown fields forbidden.

    The configuration stands on the classes because pydantic gives a nested dataclass no other
    place for it; people's and machine's spelling of one noun therefore never mix in one process
    without a new adapter, which is built from the configuration set here.
    """
    if (cls, people) in _ADAPTERS:
        return _ADAPTERS[cls, people]
    touched = list(nested(cls))
    for one, tag in touched:
        names = outward_names(one, tag=tag) if people else {}
        config = ConfigDict(
            extra="forbid",
            strict=True,
            alias_generator=(lambda name, names=names: names.get(name, name)) if names else None,
            arbitrary_types_allowed=False,
        )
        one.__pydantic_config__ = config  # type: ignore[attr-defined]  # pydantic's documented hook
    _ADAPTERS[cls, people] = TypeAdapter(cls)
    return _ADAPTERS[cls, people]
