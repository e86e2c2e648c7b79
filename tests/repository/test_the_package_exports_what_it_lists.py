"""`from clusterwright import …` gives what `__all__` lists, and the types come along."""

import importlib
import pkgutil
import re
from importlib import metadata, resources

import pytest

import clusterwright

ROOMS = sorted(found.name for found in pkgutil.iter_modules(clusterwright.__path__))


@pytest.mark.parametrize("name", clusterwright.__all__)
def test_package_gives(name):
    assert hasattr(clusterwright, name)


@pytest.mark.parametrize("room", ROOMS)
def test_every_listed_name_is_there_in_room(room):
    module = importlib.import_module(f"clusterwright.{room}")
    absent = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
    assert not absent


def test_version_is_the_installed_one():
    assert clusterwright.__version__ == metadata.version("clusterwright")
    assert re.match(r"\d+\.\d+\.\d+", clusterwright.__version__)


def test_types_are_shipped():
    assert resources.files("clusterwright").joinpath("py.typed").is_file()
