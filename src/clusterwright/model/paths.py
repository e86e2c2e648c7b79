"""Dotted paths into documents: `spec.compute.pools[0].num_servers`.

A named item of a tuple may also be called by its name: `spec.compute.pools[training].power_w`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass

from clusterwright.errors import UnknownName

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)|\[([^\[\]]+)\]")


def value_at(document: object, path: str) -> object:
    """Return the value at a path of a document.

    Raises
    ------
    UnknownName
        If a step of the path is not there; the message names what is.
    """
    value = document
    gone = ""
    for name, index in _steps(path):
        if name:
            value = _field(value, name, gone, path)
            gone = f"{gone}.{name}" if gone else name
        else:
            value = _item(value, index, gone, path)
            gone = f"{gone}[{index}]"
    return value


def leaves(document: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield path and value of every leaf: numbers, texts, flags and absences.

    Items that carry a `name` are addressed by it, so that two documents can be held side by side
    although one has an item more.
    """
    if is_dataclass(document) and not isinstance(document, type):
        for one in fields(document):
            yield from leaves(
                getattr(document, one.name), f"{path}.{one.name}" if path else one.name
            )
    elif isinstance(document, Mapping):
        for key, value in document.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(document, Sequence) and not isinstance(document, str | bytes):
        for index, value in enumerate(document):
            yield from leaves(value, f"{path}[{_label(value, index, document)}]")
    else:
        yield path, document


def _label(value: object, index: int, siblings: Sequence[object]) -> str:
    name = getattr(value, "name", None)
    if not isinstance(name, str) or not name:
        return str(index)
    alone = sum(getattr(other, "name", None) == name for other in siblings) == 1
    return name if alone else str(index)


def _steps(path: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(path):
        if path[position] == ".":
            position += 1
        match = _STEP.match(path, position)
        if match is None:
            msg = f"{path}: not a path; write steps like spec.compute.pools[0].num_servers"
            raise UnknownName(msg)
        yield match.group(1) or "", match.group(2) or ""
        position = match.end()


def _field(value: object, name: str, gone: str, path: str) -> object:
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        known = [str(key) for key in value]
    elif is_dataclass(value) and not isinstance(value, type):
        known = [one.name for one in fields(value)]
        if name in known:
            return getattr(value, name)
    else:
        known = []
    raise UnknownName.of(f"field of {gone or 'the document'} in {path}", name, known)


def _item(value: object, index: str, gone: str, path: str) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise UnknownName.of(f"item of {gone} in {path}", index, [])
    if index.isdigit() and int(index) < len(value):
        return value[int(index)]
    for item in value:
        if getattr(item, "name", None) == index:
            return item
    names = [getattr(item, "name", str(place)) for place, item in enumerate(value)]
    raise UnknownName.of(f"item of {gone} in {path}", index, names)
