"""A task for tests that kill: counts on from its checkpoint, and tells when it is not alone.

python -I -S counting_task.py FOLDER JOB
"""

import fcntl
import os
import sys
import time
from pathlib import Path

STEPS = 40
STEP_S = 0.01


def main(folder: Path, job: str) -> None:
    """Count to the end, one file for each rank of the job."""
    rank = os.environ["RANK"]
    attempt = os.environ["CLUSTERWRIGHT_ATTEMPT"]

    def tell(word: str) -> None:
        handle = os.open(folder / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{attempt} {rank} {word}\n".encode())
        os.close(handle)

    tell("started")
    lock = os.open(folder / f"lock.{job}.{rank}", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell("overlap")
        sys.exit(1)
    saved = folder / f"step.{job}.{rank}"
    step = int(saved.read_text()) if saved.exists() else 0
    while step < STEPS:
        time.sleep(STEP_S)
        step += 1
        fresh = saved.with_suffix(f".{rank}.new")
        fresh.write_text(str(step))
        fresh.rename(saved)
    tell("finished")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
