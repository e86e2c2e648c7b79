"""The commands of jobs: submit, run, ps, why, cancel, hold, release, requeue, renew, wait."""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from clusterwright import client, documents
from clusterwright.cli import files, foretold
from clusterwright.cli.common import Common, FileName, stderr
from clusterwright.cli.output import API_VERSION, Answer, emit, items_document
from clusterwright.errors import ExitCode, UsageError
from clusterwright.model.jobspec import JobSpec

ContextName = Annotated[str | None, Parameter(name="--context")]
"""Which centre is meant; absent, CLUSTERWRIGHT_URL or the current context."""

_COLUMNS = ("job_id", "name", "state", "queue", "owner", "gpus", "nodes", "since", "reason")
_AGAIN_S = 2.0  # a second Ctrl-C within this time asks `run` to cancel


def submit(
    file: FileName,
    *,
    set: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    key: str = "",
    hold: Annotated[bool, Parameter(name="--hold", negative=())] = False,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative=())] = False,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Submit a job: a job.yaml, or an sbatch script as it stands.

    Parameters
    ----------
    file
        The job (kind Job), or a script with #SBATCH lines; - for stdin.
    set
        A field of the job to change, as nodes=4 or queue=prod; may be given several times.
    key
        Idempotency key: the same submission with the same key counts once.
    hold
        Submit it on hold.
    dry_run
        Check everything; say whether it fits, by when it will start and what it will cost; submit
        nothing.
    context
        Which centre is meant.
    """
    common = common or Common()
    spec = _spec(file, set, common)
    if hold:
        spec = replace(spec, hold=True)
    with client.connect(context) as centre:
        made = centre.submit(spec, key=key, dry_run=dry_run)
    if dry_run:
        fits = made["spec"]["fits"]
        text = (
            f"it fits this centre\n{foretold.trial(made['spec'])}"
            if fits
            else f"it never fits: {made['spec']['reasons'][0]}"
        )
        emit(Answer(document=made, rows=[made["spec"]], text=text), common)
        return ExitCode.OK if fits else ExitCode.NO
    emit(_answer(made, f"submitted job {_id(made)}"), common)
    return ExitCode.OK


def run(
    file: FileName,
    *,
    set: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    rank: int = 0,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Submit a job, follow the log of a rank, and leave with 0 if it completed, 1 if it did not.

    Ctrl-C lets go of it; a second one within two seconds asks to cancel it.

    Parameters
    ----------
    file
        The job (kind Job), or a script with #SBATCH lines; - for stdin.
    set
        A field of the job to change, as nodes=4; may be given several times.
    rank
        Whose log to follow.
    context
        Which centre is meant.
    """
    common = common or Common()
    spec = _spec(file, set, common)
    if spec.array is not None:
        msg = "`run` follows one job; submit an array and `wait` for it"
        raise UsageError(msg)
    with client.connect(context) as centre:
        job = _id(centre.submit(spec))
        say = stderr(common)
        if not common.quiet:
            say.print(f"submitted job {job}")
        try:
            _follow(centre, job, rank, common)
            made = centre.wait(job)
        except KeyboardInterrupt:
            return _let_go(centre, job, common)
    state = made["spec"]["state"]
    if not common.quiet:
        say.print(f"job {job}: {state} {made['spec']['message']}".rstrip())
    if common.output != "table":
        emit(_answer(made, ""), common)
    return ExitCode.OK if state == "COMPLETED" else ExitCode.NO


def ps(
    *,
    all: Annotated[bool, Parameter(name=["--all", "-a"], negative=())] = False,
    state: tuple[str, ...] = (),
    queue: str | None = None,
    project: str | None = None,
    owner: str | None = None,
    limit: int = 1000,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """List jobs, the latest first.

    Parameters
    ----------
    all
        Those that are through as well.
    state
        Only in this state; may be given several times.
    queue
        Only of this queue.
    project
        Only of this project.
    owner
        Only of this owner.
    limit
        At most so many.
    context
        Which centre is meant.
    """
    common = common or Common()
    rows: list[dict[str, Any]] = []
    with client.connect(context) as centre:
        found = centre.jobs(
            active=not all and not state,
            state=[one.upper() for one in state],
            queue=queue,
            project=project,
            owner=owner,
            limit=min(limit, 1000),
        )
        for job in found:
            if len(rows) == limit:
                stderr(common).print(f"only the latest {limit} are shown; --limit shows more")
                break
            rows.append(job)
    shown = [_row(job) for job in rows]
    emit(
        Answer(
            document=items_document("JobList", rows),
            rows=shown,
            columns=_COLUMNS,
            text="" if rows else "no jobs",
            key="job_id",
        ),
        common,
    )
    return ExitCode.OK


def why(job: str, *, context: ContextName = None, common: Common | None = None) -> int:
    """Say why a job is where it is: one dominant reason, its evidence, and by when it will start.

    Parameters
    ----------
    job
        Its id.
    context
        Which centre is meant.
    """
    with client.connect(context) as centre:
        found = centre.why(job, start=True)
    reason = f" {found['reason']}" if found["reason"] else ""
    text = f"job {job} is {found['state']}{reason}"
    if found["message"]:
        text += f": {found['message']}"
    if "start" in found:
        text += f"\n{foretold.start(found['start'])}"
    document = {"apiVersion": API_VERSION, "kind": "Why", "name": job, "spec": found}
    emit(Answer(document=document, rows=[found], text=text, key="reason"), common or Common())
    return ExitCode.OK


def cancel(
    *jobs: str,
    why: str = "",
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Take jobs back, whether they wait or run.

    Parameters
    ----------
    jobs
        Their ids; that of an array means all of its tasks.
    why
        Reason, for the audit.
    context
        Which centre is meant.
    """
    return _change("cancel", jobs, why, context, common)


def hold(
    *jobs: str,
    why: str = "",
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Hold jobs that wait.

    Parameters
    ----------
    jobs
        Their ids.
    why
        Reason, for the audit.
    context
        Which centre is meant.
    """
    return _change("hold", jobs, why, context, common)


def release(
    *jobs: str,
    why: str = "",
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Let held jobs go on waiting.

    Parameters
    ----------
    jobs
        Their ids.
    why
        Reason, for the audit.
    context
        Which centre is meant.
    """
    return _change("release", jobs, why, context, common)


def requeue(
    *jobs: str,
    why: str = "",
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Stop running jobs after their warning, and queue them again.

    Parameters
    ----------
    jobs
        Their ids.
    why
        Reason, for the audit.
    context
        Which centre is meant.
    """
    return _change("requeue", jobs, why, context, common)


def renew(
    *jobs: str,
    why: str = "",
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Let the leases of running sessions begin anew.

    Parameters
    ----------
    jobs
        Their ids.
    why
        Reason, for the audit.
    context
        Which centre is meant.
    """
    return _change("renew", jobs, why, context, common)


def wait(
    *jobs: str,
    timeout: float | None = None,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Wait until jobs are through; leave with 0 if all completed, 1 if not, 124 out of time.

    Parameters
    ----------
    jobs
        Their ids.
    timeout
        Seconds to wait at most; absent, for ever.
    context
        Which centre is meant.
    """
    common = common or Common()
    end = None if timeout is None else time.monotonic() + timeout
    rows: list[dict[str, Any]] = []
    with client.connect(context) as centre:
        try:
            for job in _some(jobs):
                left = None if end is None else max(0.0, end - time.monotonic())
                found = centre.wait(job, timeout_s=left)
                rows += found["items"] if "items" in found else [found["spec"]]
        except KeyboardInterrupt:
            stderr(common).print(f"they go on; wait again: clusterwright wait {' '.join(jobs)}")
            return ExitCode.INTERRUPTED
    emit(
        Answer(
            document=items_document("JobList", rows),
            rows=[_row(row) for row in rows],
            columns=_COLUMNS,
            key="job_id",
        ),
        common,
    )
    good = all(row["state"] == "COMPLETED" for row in rows)
    return ExitCode.OK if good else ExitCode.NO


def _change(
    verb: Literal["cancel", "hold", "release", "requeue", "renew"],
    jobs: Sequence[str],
    why: str,
    context: str | None,
    common: Common | None,
) -> int:
    common = common or Common()
    rows: list[dict[str, Any]] = []
    with client.connect(context) as centre:
        for job in _some(jobs):
            found = centre.change(job, verb, why)
            rows += found["items"] if "items" in found else [found["spec"]]
    emit(
        Answer(
            document=items_document("JobList", rows),
            rows=[_row(row) for row in rows],
            columns=("job_id", "name", "state", "message"),
            key="job_id",
        ),
        common,
    )
    return ExitCode.OK


def _some(jobs: Sequence[str]) -> Sequence[str]:
    if not jobs:
        msg = "name a job by its id; `clusterwright ps` lists them"
        raise UsageError(msg)
    return jobs


def _spec(file: str, changes: Sequence[str], common: Common) -> JobSpec:
    """Return the job of a file, with changes of the command line."""
    content = files.read_bytes(file)
    if content.startswith(b"#!"):
        from clusterwright.engines.slurm import read_sbatch

        script = read_sbatch(content.decode("utf-8", "replace"), file=file)
        spec = script.spec
        if not common.quiet:
            for told in script.told:
                stderr(common).print(str(told), markup=False)
    else:
        spec = documents.read(content, JobSpec, file=file)
    if spec.workdir is not None and not Path(spec.workdir).is_absolute():
        # The server does not know where the user stands; what they wrote is meant from the file.
        here = Path.cwd() if file == "-" else Path(file).absolute().parent
        spec = replace(spec, workdir=str((here / spec.workdir).resolve()))
    if not changes:
        return spec
    document = documents.as_dict(spec)
    for change in changes:
        path, sign, text = change.partition("=")
        if not sign:
            msg = f"--set {change}: write field=value, as nodes=4"
            raise UsageError(msg)
        value, _ = documents.parse_yaml(text, file=f"--set {path}")
        *above, last = path.split(".")
        part = document
        for step in above:
            part = part.setdefault(step, {})
        part[last] = value
    return documents.read_value(document, JobSpec, file=file)


def _follow(centre: client.Client, job: str, rank: int, common: Common) -> None:
    """Print the log of a rank as it comes, attempt after attempt, until the job is through."""
    seen = 0
    while True:
        spec = centre.job(job)["spec"]
        started = [one["attempt"] for one in spec["attempts"] if one["started"] or one["end"]]
        fresh = [number for number in started if number > seen]
        if fresh:
            if seen and not common.quiet:
                stderr(common).print(f"attempt {fresh[0]} goes on")
            seen = fresh[0]
            with contextlib.suppress(client.Refused):  # it may never have got to write anything
                for text in centre.follow_log(job, rank=rank, attempt=seen):
                    sys.stdout.write(text)
                    sys.stdout.flush()
            continue
        if spec["ended"] is not None:
            return
        time.sleep(0.1)


def _let_go(centre: client.Client, job: str, common: Common) -> int:
    say = stderr(common)
    say.print(
        f"job {job} goes on; follow it again: clusterwright logs {job} --follow\n"
        f"cancel it: clusterwright cancel {job}, or Ctrl-C once more now"
    )
    try:
        time.sleep(_AGAIN_S)
    except KeyboardInterrupt:
        centre.change(job, "cancel", "interrupted")
        say.print(f"job {job} is cancelled")
    return ExitCode.INTERRUPTED


def _answer(made: dict[str, Any], text: str) -> Answer:
    rows = made["items"] if "items" in made else [made["spec"]]
    return Answer(document=made, rows=[_row(row) for row in rows], text=text, key="job_id")


def _row(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job as a line of a table: short names, nodes as words."""
    shown = {key: value for key, value in job.items() if key not in ("spec", "attempts", "labels")}
    shown["gpus"] = f"{job['num_gpus']:g}"
    shown["nodes"] = ",".join(job["nodes"])
    shown["reason"] = job["reason"] or job["message"]
    return shown


def _id(made: dict[str, Any]) -> str:
    return str(made["name"] if "items" in made else made["spec"]["job_id"])
