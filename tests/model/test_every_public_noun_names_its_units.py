"""A walk over every public dataclass: floats carry a unit alias and a name that says the unit."""

import dataclasses
import importlib
import pkgutil
from typing import get_args

import pytest

from clusterwright import model
from clusterwright.documents.describe import docstrings
from clusterwright.documents.kinds import hints_of
from clusterwright.units import Unit, unit_of


def nouns():
    for module in pkgutil.iter_modules(model.__path__):
        loaded = importlib.import_module(f"clusterwright.model.{module.name}")
        for name, value in vars(loaded).items():
            here = getattr(value, "__module__", "") == loaded.__name__
            if here and not name.startswith("_") and dataclasses.is_dataclass(value):
                yield value


NOUNS = sorted(nouns(), key=lambda noun: f"{noun.__module__}.{noun.__name__}")
FIELDS = [(noun, field.name) for noun in NOUNS for field in dataclasses.fields(noun)]


def has_float(annotation):
    if annotation is float:
        return True
    return any(has_float(part) for part in get_args(annotation) if not isinstance(part, Unit))


@pytest.mark.parametrize(("noun", "field"), FIELDS, ids=lambda one: getattr(one, "__name__", one))
def test_a_float_has_a_unit_and_its_name_says_it(noun, field):
    annotation = hints_of(noun)[field]
    if not has_float(annotation):
        return
    unit = unit_of(annotation)
    assert unit is not None, f"{noun.__name__}.{field} is a float without a unit"
    if unit.dimension == "in_unit":
        assert "unit" in hints_of(noun), f"{noun.__name__}.{field}: in which unit?"
    else:
        assert unit.named(field), f"{noun.__name__}.{field} does not say {unit.suffix}"


@pytest.mark.parametrize(("noun", "field"), FIELDS, ids=lambda one: getattr(one, "__name__", one))
def test_a_field_has_a_docstring(noun, field):
    assert docstrings(noun).get(field), f"{noun.__name__}.{field}"


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_a_noun_is_frozen_and_takes_names_only(noun):
    assert noun.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(noun))
    assert hasattr(noun, "__slots__")
