"""The commands of the centre: nodes, drain, undrain, queues, token, backup and restore."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from clusterwright import client, units
from clusterwright.cli.common import Common, stderr
from clusterwright.cli.jobs import ContextName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode, UsageError
from clusterwright.units import Seconds


def nodes(*, context: ContextName = None, common: Common | None = None) -> int:
    """List the nodes: state, what is used, who runs there.

    Parameters
    ----------
    context
        Which centre is meant.
    """
    with client.connect(context) as centre:
        found = centre.nodes()
    rows = [
        {
            **one,
            "gpu_model": "/".join(filter(None, (one["gpu_model"], one["mig_profile"]))),
            "jobs": ",".join(one["jobs"]),
        }
        for one in found
    ]
    used = "num_gpus_used" if any("num_gpus_used" in row for row in rows) else "num_cpus_used"
    emit(
        Answer(
            document=items_document("NodeList", found),
            rows=rows,
            columns=("name", "state", "gpu_model", "num_gpus", "num_cpus", used, "jobs", "reason"),
        ),
        common or Common(),
    )
    return ExitCode.OK


def drain(
    node: str,
    *,
    why: str = "",
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative=())] = False,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Let no new work on a node; what runs there goes on.

    Parameters
    ----------
    node
        Its name.
    why
        Reason, shown to everybody.
    dry_run
        Say what would happen; change nothing.
    context
        Which centre is meant.
    """
    with client.connect(context) as centre:
        found = centre.drain(node, why, dry_run=dry_run)
    text = f"node {node} {'would be' if dry_run else 'is'} drained"
    if found["jobs"]:
        text += f"; jobs {', '.join(found['jobs'])} go on there"
    return _node(found, text, common)


def undrain(
    node: str,
    *,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative=())] = False,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Let work on a node again.

    Parameters
    ----------
    node
        Its name.
    dry_run
        Say what would happen; change nothing.
    context
        Which centre is meant.
    """
    with client.connect(context) as centre:
        found = centre.undrain(node, dry_run=dry_run)
    return _node(found, f"node {node} {'would take' if dry_run else 'takes'} work again", common)


def queues(*, context: ContextName = None, common: Common | None = None) -> int:
    """List the queues: what each is owed and allowed, what it uses, who waits.

    Parameters
    ----------
    context
        Which centre is meant.
    """
    with client.connect(context) as centre:
        found = centre.queues()
    emit(
        Answer(
            document=items_document("QueueList", found),
            rows=found,
            columns=(
                *("name", "parent", "guarantee", "deserved", "limit"),
                *("used", "num_waiting", "num_running"),
            ),
        ),
        common or Common(),
    )
    return ExitCode.OK


def token(
    verb: str = "list",
    name: str | None = None,
    *,
    role: str = "user",
    project: Annotated[tuple[str, ...], Parameter(name="--project", negative=())] = (),
    expires: str | None = None,
    context: ContextName = None,
    common: Common | None = None,
) -> int:
    """Hand out tokens: add NAME, revoke NAME, list.

    Parameters
    ----------
    verb
        add, revoke or list.
    name
        Who is meant by the token.
    role
        viewer, user, operator or admin.
    project
        Project that it may see and work in; may be given several times; * for all.
    expires
        How long it holds, as "30 days"; absent, until it is revoked.
    context
        Which centre is meant.
    """
    common = common or Common()
    if verb not in ("add", "revoke", "list"):
        msg = f"token {verb}: add, revoke or list"
        raise UsageError(msg)
    if verb != "list" and not name:
        msg = f"token {verb}: name whose token"
        raise UsageError(msg)
    with client.connect(context) as centre:
        if verb == "list":
            return _tokens(centre.tokens(), common)
        assert name is not None
        if verb == "revoke":
            centre.revoke_token(name)
            stderr(common).print(f"token {name} holds no more")
            return ExitCode.OK
        life_s = None if expires is None else units.parse(expires, Seconds)
        made = centre.add_token(name, role, projects=list(project), expires_s=life_s)
    document = {"apiVersion": "clusterwright/v1", "kind": "Token", "name": name, "spec": made}
    if common.output == "table":
        stderr(common).print("This is the only time that it is shown:")
    emit(Answer(document=document, rows=[made], text=made["token"], key="token"), common)
    return ExitCode.OK


def backup(
    out: Path,
    *,
    state_dir: Path | None = None,
    journal: str = "",
    common: Common | None = None,
) -> int:
    """Copy the journal into a new file, checked entry by entry; the server must be down.

    Parameters
    ----------
    out
        The new file.
    state_dir
        Directory of the journal; absent, the data directory of this user.
    journal
        URL of the journal, where it is not in the state directory.
    """
    from clusterwright.control.journal import Journal
    from clusterwright.control.server import alone

    state = (state_dir or client.where("data") / "centre").absolute()
    with alone(state), Journal(journal or str(state / "journal.sqlite")) as source:
        count = source.backup(out)
    return _counted(f"{out} holds {count:,} entries", count, common)


def restore(
    backup: Path,
    *,
    state_dir: Path | None = None,
    journal: str = "",
    common: Common | None = None,
) -> int:
    """Write a backup into an empty journal; the server must be down.

    Parameters
    ----------
    backup
        File that `backup` has written.
    state_dir
        Directory of the journal; absent, the data directory of this user.
    journal
        URL of the journal, where it is not in the state directory.
    """
    from clusterwright.control.journal import Journal, copy
    from clusterwright.control.server import alone

    if not backup.is_file():
        msg = f"{backup} is not there"
        raise UsageError(msg)
    state = (state_dir or client.where("data") / "centre").absolute()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        alone(state),
        Journal(str(backup)) as source,
        Journal(journal or str(state / "journal.sqlite")) as target,
    ):
        count = copy(source, target)
    return _counted(f"{count:,} entries are back", count, common)


def _counted(text: str, count: int, common: Common | None) -> int:
    spec = {"num_entries": count}
    document = {"apiVersion": "clusterwright/v1", "kind": "Journal", "spec": spec}
    emit(Answer(document=document, rows=[spec], text=text), common or Common())
    return ExitCode.OK


def _node(found: dict[str, Any], text: str, common: Common | None) -> int:
    document = {
        "apiVersion": "clusterwright/v1",
        "kind": "Node",
        "name": found["name"],
        "spec": found,
    }
    emit(Answer(document=document, rows=[found], text=text), common or Common())
    return ExitCode.OK


def _tokens(found: list[dict[str, Any]], common: Common) -> int:
    rows = [{**one, "projects": ",".join(one["projects"])} for one in found]
    emit(
        Answer(
            document=items_document("TokenList", found),
            rows=rows,
            columns=("name", "role", "projects", "created", "expires", "id"),
        ),
        common,
    )
    return ExitCode.OK
