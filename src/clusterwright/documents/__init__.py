"""Text to nouns and back, with the place of every fault.

A document is one object: `apiVersion`, `kind`, `name`, and then, for what people write, its fields
flat beside them, with unit strings; for what we write, `spec` and `status`, with plain numbers in
base units. This room knows no noun; it knows how nouns are written.
"""

from clusterwright.documents.describe import FieldInfo, fields, schema
from clusterwright.documents.kinds import API_VERSION, TaggedByKey, WholeKey, kind
from clusterwright.documents.places import Places
from clusterwright.documents.reading import (
    read,
    read_part,
    read_plain,
    read_value,
    read_with_places,
)
from clusterwright.documents.writing import as_dict, dump, plain
from clusterwright.documents.yaml12 import parse_yaml

__all__ = [
    "API_VERSION",
    "FieldInfo",
    "Places",
    "TaggedByKey",
    "WholeKey",
    "as_dict",
    "dump",
    "fields",
    "kind",
    "parse_yaml",
    "plain",
    "read",
    "read_part",
    "read_plain",
    "read_value",
    "read_with_places",
    "schema",
]
