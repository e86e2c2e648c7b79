"""Jobs on a Slurm cluster, through its own commands."""

from clusterwright.engines.slurm.engine import SlurmEngine
from clusterwright.engines.slurm.script import Script, read_sbatch
from clusterwright.engines.slurm.settings import Settings

__all__ = ["Script", "Settings", "SlurmEngine", "read_sbatch"]
