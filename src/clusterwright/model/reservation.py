"""Nodes that are kept: for some jobs, or for nobody while people work on them."""

from dataclasses import dataclass

from clusterwright.model.job import Job
from clusterwright.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Some nodes from one time to another."""

    name: str
    """Its name."""
    start_s: Seconds
    """From when, from the start of the run."""
    end_s: Seconds
    """Until when; later than the start."""
    nodes: tuple[int, ...]
    """Numbers of the nodes in the cluster; at least one."""
    queues: tuple[str, ...] = ()
    """Queues whose jobs may use them."""
    users: tuple[str, ...] = ()
    """Users whose jobs may use them."""
    projects: tuple[str, ...] = ()
    """Projects whose jobs may use them."""
    jobs: tuple[str, ...] = ()
    """Names of jobs that may use them; with no queue, user, project or job nobody may."""
    stops: bool = False
    """True when jobs of others that are still there at its start are stopped and queued again;
    else they end in peace."""

    def __post_init__(self) -> None:
        """Refuse a reservation of no time or of no nodes."""
        if not 0 <= self.start_s < self.end_s:
            msg = (
                f"{self.name} lasts from {self.start_s:g} s to {self.end_s:g} s; it must end later"
            )
            raise ValueError(msg)
        if not self.nodes:
            msg = f"{self.name} keeps no nodes"
            raise ValueError(msg)

    def admits(self, job: Job) -> bool:
        """Return whether a job may use what is kept."""
        return (
            job.queue in self.queues
            or job.user in self.users
            or job.project in self.projects
            or job.job_id in self.jobs
        )
