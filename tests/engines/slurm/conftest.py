"""One real cluster for all tests of this folder; most of what they cost is starting it."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engines.slurm.cluster import Cluster


@pytest.fixture(scope="session")
def cluster():
    with _short_folder() as folder:
        made = Cluster(folder, num_nodes=4)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture
def short_folder():
    with _short_folder() as folder:
        yield folder


@contextmanager
def _short_folder():
    """Make a folder; not in pytest's own, because names of sockets have little room."""
    folder = Path(tempfile.mkdtemp(prefix="cw-slurm-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
