"""What became of each job, in columns; one row is put together when somebody asks for it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.model.job import Job

Column = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one job."""

    submit_s: float
    """When it was submitted."""
    first_start_s: float
    """When it first started; nan if it never did."""
    end_s: float
    """When it was through; nan if it was not."""
    waited_s: float
    """Time in the queue, all times it waited together."""
    held_s: float
    """Time on its nodes, all attempts together."""
    lost_s: float
    """Time on its nodes that moved nothing forward for good: lost work, restarts, checkpoints."""
    num_interruptions: int
    """How often a lost node stopped it."""
    num_preemptions: int
    """How often it was stopped for another."""


class Records:
    """The records of all jobs of a run."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Begin with jobs that have not been submitted."""
        count = len(jobs)
        self.submit_s = [job.submit_s for job in jobs]
        self.first_start_s = [math.nan] * count
        self.end_s = [math.nan] * count
        self.queued_s = [job.submit_s for job in jobs]
        self.waited_s = [0.0] * count
        self.held_s = [0.0] * count
        self.held_quanta_s = [0.0] * count
        self.lost_s = [0.0] * count
        self.lost_quanta_s = [0.0] * count
        self.num_interruptions = [0] * count
        self.num_preemptions = [0] * count

    def __len__(self) -> int:
        """Return how many jobs there are."""
        return len(self.submit_s)

    def __getitem__(self, index: int) -> Record:
        """Return the record of one job."""
        return Record(
            submit_s=self.submit_s[index],
            first_start_s=self.first_start_s[index],
            end_s=self.end_s[index],
            waited_s=self.waited_s[index],
            held_s=self.held_s[index],
            lost_s=self.lost_s[index],
            num_interruptions=self.num_interruptions[index],
            num_preemptions=self.num_preemptions[index],
        )

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in the order of the jobs."""
        return (self[index] for index in range(len(self)))

    def start(self, index: int, now_s: float) -> None:
        """Book that a job starts."""
        self.waited_s[index] += now_s - self.queued_s[index]
        if math.isnan(self.first_start_s[index]):
            self.first_start_s[index] = now_s

    def stop(self, index: int, ran_s: float, lost_s: float, quanta: int) -> None:
        """Book time on nodes, and how much of it was vain."""
        self.held_s[index] += ran_s
        self.held_quanta_s[index] += ran_s * quanta
        self.lost_s[index] += lost_s
        self.lost_quanta_s[index] += lost_s * quanta

    def column(self, name: str) -> Column:
        """Return one column, shape (num_jobs,)."""
        return np.array(getattr(self, name), dtype=np.float64)
