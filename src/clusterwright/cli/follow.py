"""The commands that follow: logs of a rank, events of the centre."""

import json
import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from clusterwright import client
from clusterwright.cli.common import Common, stderr
from clusterwright.cli.jobs import ContextName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode


def logs(
    job: str,
    *,
    rank: int = 0,
    stream: Literal["out", "err"] = "out",
    attempt: int | None = None,
    tail: int | None = None,
    follow: Annotated[bool, Parameter(name=["--follow", "-F"], negative=())] = False,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Print what a rank of a job has written.

    Ctrl-C stops following; the job goes on.

    Parameters
    ----------
    job
        Its id.
    rank
        Which rank.
    stream
        Its output or its errors.
    attempt
        Which start of the job; absent, the latest.
    tail
        Only so many last lines.
    follow
        Stay until the attempt is over.
    context
        Which centre is meant.
    """
    common = common or Common()
    with client.connect(context) as centre:
        if not follow:
            text = centre.log(job, rank=rank, stream=stream, attempt=attempt, tail=tail)
            if common.output == "json":
                spec = {"job_id": job, "rank": rank, "stream": stream, "text": text}
                document = {"apiVersion": "clusterwright/v1", "kind": "Log", "spec": spec}
                emit(Answer(document=document), common)
            else:
                sys.stdout.write(text)
            return ExitCode.OK
        try:
            for text in centre.follow_log(job, rank=rank, stream=stream, attempt=attempt):
                sys.stdout.write(text)
                sys.stdout.flush()
        except KeyboardInterrupt:
            stderr(common).print(
                f"\njob {job} goes on; follow again: clusterwright logs {job} --follow; "
                f"cancel it: clusterwright cancel {job}"
            )
            return ExitCode.INTERRUPTED
    return ExitCode.OK


def events(
    job: str | None = None,
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-F"], negative=())] = False,
    after: int | None = None,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """List what has happened to a job, or follow what happens in the centre.

    Parameters
    ----------
    job
        Its id; absent, the whole centre is followed.
    follow
        Stay for what comes.
    after
        Number of the entry after which to begin.
    context
        Which centre is meant.
    """
    common = common or Common()
    with client.connect(context) as centre:
        if job is not None and not follow:
            found = centre.events(job)
            rows = [{**one, "body": json.dumps(one["body"])} for one in found]
            emit(
                Answer(
                    document=items_document("EventList", found),
                    rows=rows,
                    columns=("seq", "time", "kind", "node", "who", "body"),
                    key="seq",
                ),
                common,
            )
            return ExitCode.OK
        try:
            for event in centre.follow_events(after):
                if job is None or event["job_id"] == job:
                    sys.stdout.write(_line(event, common) + "\n")
                    sys.stdout.flush()
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
    return ExitCode.OK


def _line(event: dict[str, object], common: Common) -> str:
    if common.output in ("json", "jsonl"):
        return json.dumps(event)
    about = event["job_id"] or event["node"] or ""
    return (
        f"{event['seq']:>6} {event['time']} {event['kind']:<12} {about} {json.dumps(event['body'])}"
    )
