"""One real cluster for all tests of this folder; most of what they cost is starting it."""

import shutil
import tempfile
from pathlib import Path

import pytest
from tests.engines.slurm.cluster import Cluster


@pytest.fixture(scope="session")
def cluster():
    # Not pytest's folder: names of sockets have little room.
    made = Cluster(Path(tempfile.mkdtemp(prefix="cw-slurm-")), num_nodes=4, num_defined=128)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)
