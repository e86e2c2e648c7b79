"""What holds for every file under version control."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 500
# Homes, scratch folders and work folders of one machine; written so that this file has none itself.
MACHINE_PATH = re.compile(rb"(?<![\w.~/-])/(?:home|root|Users|work|tmp)/[\w.-]+")
# A path that every machine has, or that belongs to the machine the text is about.
ALLOWED = (b"/tmp/clusterwright",)


def tracked(*patterns: str) -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout; to enable: clone the repository with git")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, check=True
    )
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_in_src_is_longer_than_500_lines():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in tracked("src/*.py")
    }
    assert lengths
    long = {name: length for name, length in lengths.items() if length > MOST_LINES}
    assert not long, f"look for a second subject inside: {long}"


def test_no_file_names_a_path_of_one_machine():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.decode()}"
        for path in tracked()
        for number, line in enumerate(path.read_bytes().splitlines(), start=1)
        for match in MACHINE_PATH.findall(line)
        if not match.startswith(ALLOWED)
    ]
    assert not found


def test_test_folders_have_no_init():
    assert not tracked("tests/__init__.py", "tests/**/__init__.py")


def test_changelog_fragments_have_a_known_kind():
    names = [path.name for path in tracked("changelog.d/*") if path.name != "README.md"]
    wrong = [
        name
        for name in names
        if not re.fullmatch(r"[\w-]+\.(added|changed|fixed|removed)\.md", name)
    ]
    assert not wrong
