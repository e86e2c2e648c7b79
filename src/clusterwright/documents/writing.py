"""From a noun to a text, the same text for the same noun."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from clusterwright.documents.kinds import API_VERSION, adapter, kind_of


def as_dict(noun: Any) -> dict[str, Any]:
    """Return a noun as the plain object that stands in its document.

    Raises
    ------
    TypeError
        If the noun is not that of a kind of document.
    """
    kind = kind_of(type(noun))
    if kind is None:
        msg = f"{type(noun).__name__} is not the noun of a kind of document"
        raise TypeError(msg)
    people = kind.layout == "flat"
    body = adapter(type(noun), people=people).dump_python(
        noun,
        mode="json",
        by_alias=people,
        exclude_defaults=people,
        context={"written_by": "people" if people else "machine"},
    )
    return {"apiVersion": API_VERSION, "kind": kind.name, **body}


def plain(noun: Any) -> dict[str, Any]:
    """Return a noun as plain numbers and texts without what is left at its default.

    `read_part` with `people=False` turns it back into an equal noun.
    """
    body: dict[str, Any] = adapter(type(noun), people=False).dump_python(
        noun, mode="json", exclude_defaults=True, context={"written_by": "machine"}
    )
    return body


def dump(noun: Any, *, format: Literal["yaml", "json"] = "yaml") -> str:
    """Return a noun as the text of its document; `read` turns it back into an equal noun."""
    document = as_dict(noun)
    if format == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # C or Python, the same interface
    """Block style without anchors; texts that YAML 1.2 would read as something else are quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if _odd(text) else None)


def _odd(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in "+-.~" or text.lower() in {"true", "false", "null", ""}


def _number(dumper: Any, value: float) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


def _mapping(dumper: Any, mapping: Mapping[str, Any]) -> Any:
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items())


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
_Dumper.add_representer(dict, _mapping)
