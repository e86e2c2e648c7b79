"""What the words of a row tell: which software ran it, and on which machine."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from clusterwright.catalog import Catalog
from clusterwright.errors import UnknownName
from clusterwright.model.market import Software, TrainingSystem
from clusterwright.model.parts import Accelerator

_OLD_ARCHITECTURES = ("volta", "turing", "ampere")


class _Worded(Protocol):
    @property
    def words(self) -> str: ...


_W = TypeVar("_W", bound=_Worded)


def accelerator_of(text: str, catalog: Catalog, filled: list[str]) -> Accelerator:
    """Return an accelerator; of several that a name may mean, the one with the largest memory.

    Published runs that say `A100` alone used the larger one; `filled` is told so.

    Raises
    ------
    UnknownName
        If the catalogue has none of that name.
    """
    try:
        return catalog.accelerator(text)
    except UnknownName:
        meant = catalog.aliases.get(text.casefold(), ())
        if not meant:
            raise
        largest = max(meant, key=lambda one: catalog.accelerators[one].memory_bytes)
        filled.append(f"gpu {largest} (of {' or '.join(meant)})")
        return catalog.accelerators[largest]


def software_named(name: str, catalog: Catalog) -> Software:
    """Return a software of the catalogue.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    if name not in catalog.software:
        raise UnknownName.of("software", name, catalog.software)
    return catalog.software[name]


def software_of(row: Mapping[str, str], accelerator: Accelerator, catalog: Catalog) -> Software:
    """Return the software that a row names, or that its source tells, or a stated default.

    Raises
    ------
    UnknownName
        If the row has a column `software` with a name that the catalogue does not have.
    """
    named = row.get("software", "").strip()
    if named:
        return software_named(named, catalog)
    told = _told(row)
    best = _best(told, catalog.software)
    if best is not None:
        return best
    new = accelerator.architecture not in _OLD_ARCHITECTURES
    if "fsdp" in told:
        return catalog.software["torchtitan-2024" if new else "llm-foundry-2023"]
    return catalog.software["megatron-core-2024" if new else "megatron-lm-2022"]


def system_of(row: Mapping[str, str], catalog: Catalog) -> TrainingSystem | None:
    """Return the machine that a row's source tells, if the catalogue knows it."""
    return _best(_told(row), catalog.training_systems)


def _told(row: Mapping[str, str]) -> str:
    return " ".join(row.get(name, "") for name in ("source", "notes", "family", "id")).casefold()


def _best(told: str, table: Mapping[str, _W]) -> _W | None:
    """Return the entry with the longest alternative of which every word is told."""
    best, longest = None, 0
    for entry in table.values():
        for alternative in entry.words.split("|"):
            if len(alternative) > longest and all(word in told for word in alternative.split("&")):
                best, longest = entry, len(alternative)
    return best
