"""A server that launches attempts and is killed while it does."""

import json
import os
import sys
from pathlib import Path

from clusterwright.engines.protocol import Attempt, Launch, Share
from clusterwright.engines.slurm.engine import SlurmEngine
from clusterwright.engines.slurm.settings import Settings
from clusterwright.model.jobspec import JobSpec


def order(job_id: str, folder: str) -> Launch:
    return Launch(
        attempt=Attempt(job_id, 1),
        spec=JobSpec(name="once", command=f'echo "$SLURM_JOB_ID" >> {folder}/{job_id}'),
        shares=(Share(node="n1", num_cpus=1),),
    )


def main() -> None:
    root, folder, env, job_ids = (json.loads(word) for word in sys.argv[1:])
    engine = SlurmEngine(Settings(root=Path(root), environment=env))
    engine.open()
    os.write(1, b"open\n")
    for job_id in job_ids:
        engine.launch(order(job_id, folder))


if __name__ == "__main__":
    main()
