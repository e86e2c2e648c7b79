"""The contracts of import-linter name every room, so that none escapes them unnoticed."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "clusterwright"
IMPURE = frozenset({"engines", "study", "report", "traces", "control", "client", "cli", "console"})
"""Rooms that gather facts or carry decisions out; all others take values and return values."""


def contracts() -> dict[str, dict]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        linter = tomllib.load(file)["tool"]["importlinter"]
    return {contract["type"]: contract for contract in linter["contracts"]}


def rooms() -> set[str]:
    """Return the folders that hold Python; empty ones and caches are no rooms."""
    return {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}


def names_in(lines: list[str]) -> set[str]:
    return set(re.findall(r"clusterwright\.(\w+)", "\n".join(lines)))


def test_layers_name_every_room():
    absent = rooms() - names_in(contracts()["layers"]["layers"])
    assert not absent, f"add to the layers in pyproject.toml, at their height: {sorted(absent)}"


def test_layers_forgive_only_rooms_that_are_missing():
    layers = "\n".join(contracts()["layers"]["layers"])
    forgiven = set(re.findall(r"\(clusterwright\.(\w+)\)", layers))
    present = forgiven & rooms()
    assert not present, f"these rooms exist; take the parentheses off in pyproject.toml: {present}"


def test_every_pure_room_is_kept_from_the_outside():
    listed = names_in(contracts()["forbidden"]["source_modules"])
    pure = rooms() - IMPURE
    assert listed == pure, (
        "source_modules of the pure rooms in pyproject.toml: "
        f"add {sorted(pure - listed)}, take out {sorted(listed - pure)}"
    )


@pytest.mark.parametrize("module", ["socket", "subprocess", "asyncio", "sqlite3", "urllib"])
def test_the_outside_includes(module):
    assert module in contracts()["forbidden"]["forbidden_modules"]


def test_no_module_stands_outside_the_rooms():
    """A module beside the rooms would belong to no layer."""
    beside = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert not beside
