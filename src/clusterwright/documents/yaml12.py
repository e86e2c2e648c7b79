"""YAML 1.2 on PyYAML's C parser: events to plain values, with the place of each.

PyYAML resolves YAML 1.1, where `no` is a boolean and `1:30` a number; here only what YAML 1.2's
core schema says is one. The tree is built from events without recursion, so depth and size are
bounded by choice and not by the interpreter's stack.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from clusterwright.documents.places import Path, Place, Places
from clusterwright.errors import Fault, InvalidInput

_DEEPEST = 64  # levels; documents of ours have about eight
_MOST_NODES = 2_000_000  # a design of 100,000 accelerators has some 100,000
_MOST_ALIASED = 10_000  # nodes that aliases may repeat
_MOST_DIGITS = 400  # of an integer; beyond that a float could not hold it

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = {".nan": "nan", ".inf": "inf", "+.inf": "inf", "-.inf": "-inf"}
_CORE = "tag:yaml.org,2002:"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is being filled."""

    value: Any
    path: Path
    place: Place
    anchor: str | None
    key: Any = None
    has_key: bool = False
    nodes: int = 1


@dataclass(slots=True)
class _Builder:
    """The state of reading one document."""

    file: str
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    root: Any = None
    nodes: int = 0
    aliased: int = 0

    def fault(self, place: Place, path: Path, message: str, remedy: str) -> None:
        one = Places(file=self.file, values={path: place}, keys={})
        self.faults.append(one.fault(path, message, remedy))


def parse_yaml(text: str | bytes, *, file: str = "-") -> tuple[Any, Places]:
    """Return the value of a YAML 1.2 (or JSON) text and the place of everything in it.

    Raises
    ------
    InvalidInput
        With every fault found: syntax, duplicate keys, merge keys, tags of other languages,
        several documents, too deep, too large, not UTF-8.
    """
    builder = _Builder(file)
    source = _decoded(text, builder)
    documents = 0
    for event in _events(source, builder):
        match event:
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    builder.fault(
                        _place(event), (), "holds several documents", "keep one document per file"
                    )
                    break
            case yaml.ScalarEvent():
                _add(builder, _scalar(event, builder), _place(event), event.anchor)
            case yaml.AliasEvent():
                _alias(builder, event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                _open(builder, event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                _close(builder)
        if builder.nodes > _MOST_NODES:
            builder.fault(_place(event), (), "is too large", "split it or write less")
            break
        if len(builder.stack) > _DEEPEST:
            builder.fault(
                _place(event), (), f"is nested more than {_DEEPEST} levels deep", "flatten it"
            )
            break
    if builder.faults:
        raise InvalidInput(builder.faults)
    return builder.root, Places(file=file, values=builder.values, keys=builder.keys)


def _decoded(text: str | bytes, builder: _Builder) -> str:
    try:
        source = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        source.encode("utf-8")  # a lone surrogate cannot stand in a file
    except UnicodeError as error:
        builder.fault((1, 1), (), "is not UTF-8 text", "save it as UTF-8")
        raise InvalidInput(builder.faults) from error
    return source


def _events(source: str, builder: _Builder) -> Iterator[Any]:
    try:
        yield from yaml.parse(source, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        context = f" {error.context}" if error.context else ""
        builder.fault(
            place, (), f"is not YAML: {error.problem}{context}", "mend the line or quote the text"
        )
    except yaml.reader.ReaderError as error:
        line = source.count("\n", 0, error.position) + 1
        builder.fault(
            (line, 1), (), f"holds a character that YAML forbids ({error.reason})", "remove it"
        )
    except (yaml.YAMLError, ValueError) as error:
        builder.fault((1, 1), (), f"is not YAML: {error}", "mend the text")


def _place(event: Any) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1)


def _path(builder: _Builder) -> Path:
    if not builder.stack:
        return ()
    top = builder.stack[-1]
    if isinstance(top.value, dict):
        return (*top.path, _step(top.key))
    return (*top.path, len(top.value))


def _step(key: Any) -> str | int:
    return key if isinstance(key, str) else str(key)


def _open(builder: _Builder, event: Any) -> None:
    mapping = isinstance(event, yaml.MappingStartEvent)
    _tag(builder, event, "map" if mapping else "seq")
    place = _place(event)
    if builder.stack and _wants_key(builder.stack[-1]):
        builder.fault(
            place, builder.stack[-1].path, "has a key that is no scalar", "use a text key"
        )
    builder.stack.append(_Open({} if mapping else [], _path(builder), place, event.anchor))


def _close(builder: _Builder) -> None:
    done = builder.stack.pop()
    if done.anchor:
        builder.anchors[done.anchor] = (done.value, done.nodes)
    _add(builder, done.value, done.place, None, nodes=done.nodes)


def _wants_key(top: _Open) -> bool:
    return isinstance(top.value, dict) and not top.has_key


def _add(
    builder: _Builder, value: Any, place: Place, anchor: str | None, *, nodes: int = 1
) -> None:
    builder.nodes += 1
    if anchor:
        builder.anchors[anchor] = (value, nodes)
    if not builder.stack:
        builder.root = value
        builder.values[()] = place
        return
    top = builder.stack[-1]
    top.nodes += nodes
    if not isinstance(top.value, dict):
        builder.values[(*top.path, len(top.value))] = place
        top.value.append(value)
    elif not top.has_key:
        _take_key(builder, top, value, place)
    else:
        builder.values[(*top.path, _step(top.key))] = place
        top.value.setdefault(top.key, value)
        top.has_key = False


def _take_key(builder: _Builder, top: _Open, key: Any, place: Place) -> None:
    top.has_key = True
    if isinstance(key, dict | list):
        key = f"<key at line {place[0]}>"  # told as a fault where it began
    path = (*top.path, _step(key))
    if key == "<<":
        builder.fault(place, path, "merge keys are not in YAML 1.2", "write the fields out")
    elif any(_step(known) == _step(key) for known in _same_key(top.value, key)):
        first = builder.keys.get(path, place)[0]
        builder.fault(place, path, f"stands twice, first in line {first}", "keep one of them")
    else:
        builder.keys[path] = place
    top.key = key


def _same_key(mapping: dict[Any, Any], key: Any) -> list[Any]:
    if key in mapping:
        return [key]
    text = _step(key)
    return [text] if text in mapping else []


def _alias(builder: _Builder, event: Any) -> None:
    place = _place(event)
    if event.anchor not in builder.anchors:
        builder.fault(place, _path(builder), f"*{event.anchor} has no anchor", "define it before")
        _add(builder, None, place, None)
        return
    value, nodes = builder.anchors[event.anchor]
    builder.aliased += nodes
    if builder.aliased > _MOST_ALIASED:
        builder.fault(place, _path(builder), "aliases repeat too much", "write less by aliases")
        value = None
    _add(builder, value, place, None, nodes=nodes)


def _tag(builder: _Builder, event: Any, natural: str) -> str:
    if event.tag is None or event.tag == "!":
        return natural if event.tag is None else "str"
    name = str(event.tag)
    short = name.removeprefix(_CORE)
    scalars = {"str", "int", "float", "bool", "null"}
    if not name.startswith(_CORE) or (
        short != natural if natural in {"map", "seq"} else short not in scalars
    ):
        builder.fault(
            _place(event), _path(builder), f"has the tag {name[:60]}", "write it untagged"
        )
        return natural
    return short


def _scalar(event: Any, builder: _Builder) -> Any:
    text: str = event.value
    kind = _tag(builder, event, "plain" if event.implicit[0] else "str")
    if kind == "str":
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if len(text) > _MOST_DIGITS and (_INTEGER.match(text) or _FLOAT.match(text)):
        builder.fault(_place(event), _path(builder), "is a number too long to mean", "shorten it")
        return 0
    if _INTEGER.match(text):
        return int(text)
    if _OCTAL.match(text):
        return int(text[2:], 8)
    if _HEX.match(text):
        return int(text[2:], 16)
    if _FLOAT.match(text):
        return float(text)
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    return text
