"""The lock covers what pyproject asks for, pins every file by hash and names no place."""

import re
import tomllib
from pathlib import Path

import pytest

import dev

ROOT = Path(__file__).parents[2]
LOCK = dev.LOCK.read_text()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def entries() -> dict[str, str]:
    """Return each locked package with the text of its hashes."""
    found = re.findall(r"^([\w.-]+)==\S+.*((?:\n .*)*)", LOCK, re.MULTILINE)
    return {canonical(name): hashes for name, hashes in found}


def asked_for() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        tables = tomllib.load(file)
    project = tables["project"]
    optional = project["optional-dependencies"]
    wanted = [*tables["build-system"]["requires"], *project["dependencies"]]
    wanted += [line for extra in dev.EXTRAS for line in optional[extra]]
    return sorted({canonical(re.match(r"[\w.-]+", line).group()) for line in wanted})


@pytest.mark.parametrize("name", asked_for())
def test_lock_holds(name):
    assert name in entries(), "run python3 dev.py lock"


def test_lock_names_no_place():
    places = re.findall(r"(?i)\b\w+://\S+|^\s*-\S*(?:index|find-links|trusted).*", LOCK, re.M)
    assert not places


def test_every_line_is_a_comment_a_pin_or_a_hash():
    pattern = r"#.*|[\w.-]+==[\w.!+-]+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?"
    strange = [line for line in LOCK.splitlines() if not re.fullmatch(pattern, line)]
    assert not strange


def test_every_package_has_a_hash():
    assert all("--hash=sha256:" in hashes for hashes in entries().values())


def test_the_header_says_for_which_python():
    assert LOCK.startswith(dev.LOCK_HEADER)
    assert "Python 3.11" in dev.LOCK_HEADER
