"""A training in miniature: steps, checkpoints by rank 0, a last one when it is warned."""

import os
import signal
import sys
import time
from pathlib import Path

from clusterwright.engines import checkpoints

FOLDER = Path(os.environ["CLUSTERWRIGHT_CHECKPOINT_DIR"])
RESUMED = os.environ["CLUSTERWRIGHT_RESUME_FROM"]
RANK = os.environ["RANK"]


def main() -> int:
    warned = []
    signal.signal(signal.SIGUSR1, lambda *_: warned.append(True))
    first = next((one.step for one in checkpoints.complete(FOLDER) if str(one.path) == RESUMED), 0)
    sys.stdout.write(f"rank {RANK} begins at step {first} on {os.environ['SLURMD_NODENAME']}\n")
    sys.stdout.flush()
    last = int(sys.argv[1])
    for step in range(first + 1, last + 1):
        time.sleep(0.05)
        if RANK == "0" and (step % 10 == 0 or warned):
            _save(step)
        if warned:
            return 0
    return 0


def _save(step: int) -> None:
    path = FOLDER / f"step-{step}-{os.environ['CLUSTERWRIGHT_ATTEMPT']}"
    path.mkdir(parents=True)
    (path / "weights").write_text(str(step))
    checkpoints.mark(path, step)


if __name__ == "__main__":
    sys.exit(main())
