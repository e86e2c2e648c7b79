"""Write the generated reference pages from the code: run it after a change of what they describe.

python tools/write_reference.py            write the pages
python tools/write_reference.py --check    leave with 1 when a page is not what the code says
"""

import ast
import dataclasses
import inspect
import io
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path

from clusterwright import catalog, documents, sched, traces
from clusterwright.check import RULES
from clusterwright.cli.catalog import KINDS, part_row
from clusterwright.cli.explain import form_of
from clusterwright.cli.main import COMMANDS, SUBCOMMANDS, run
from clusterwright.control.api.app import openapi
from clusterwright.control.entries import SCHEDULING, Fact
from clusterwright.documents import FieldInfo
from clusterwright.documents.describe import docstrings
from clusterwright.model.centre import Centre
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.event import EventKind
from clusterwright.model.jobspec import JobSpec
from clusterwright.model.run import Run
from clusterwright.report import chrome, run_tables
from clusterwright.report.sections import month
from clusterwright.sched.packing import PACKINGS
from clusterwright.twin import Recording, log, recording

DOCS = Path(__file__).resolve().parents[1] / "docs" / "reference"
GENERATED = (
    "<!-- Written by `python3 dev.py docs` from the code; change the code, not this page. -->\n"
)


def main(arguments: Sequence[str]) -> int:
    """Write every page, or check them."""
    pages = {
        "cli.md": command_line(),
        "demand.md": fields_page("The demand file", Demand),
        "job.md": fields_page("The job file", JobSpec),
        "centre.md": fields_page("The file of a running centre", Centre),
        "api.md": api(),
        "design.md": fields_page("The design file", Design),
        "simulation.md": fields_page("The answer of `simulate -o json`", Run),
        "run-files.md": run_files(),
        "catalogue.md": catalogue(),
        "policies.md": policies(),
        "traces.md": trace_formats(),
        "rules/index.md": rules_index(),
        "schema/demand.schema.json": schema(Demand),
        "schema/design.schema.json": schema(Design),
        "schema/job.schema.json": schema(JobSpec),
        "schema/centre.schema.json": schema(Centre),
        "schema/simulation.schema.json": schema(Run),
        **{f"rules/{rule.rule_id}.md": rule_page(rule) for rule in RULES},
    }
    stale = []
    for name, text in pages.items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{'stale' if '--check' in arguments else 'wrote'}: docs/reference/{name}")
    return 1 if stale and "--check" in arguments else 0


def schema(noun: type) -> str:
    """Return the JSON Schema of a noun."""
    return json.dumps(documents.schema(noun), indent=2, ensure_ascii=False) + "\n"


def command_line() -> str:
    """Return the page of all commands, as their help says."""
    parts = [
        GENERATED,
        "# Command line\n",
        "stdout is the answer, stderr the conversation; with `-o json|yaml|csv|name` stdout holds "
        "the payload alone.\n",
        table(
            ("exit code", "meaning"),
            (
                ("0", "done, and the answer is yes"),
                ("1", "done, and the answer is no: infeasible, findings, a difference"),
                ("2", "wrong use, or an input file that is not valid"),
                ("3", "a target is missing or refused"),
                ("4", "conflict: it is there already"),
                ("70", "a fault of clusterwright; a report is written and its path printed"),
                ("130", "interrupted"),
            ),
        ),
    ]
    for name, _, _ in COMMANDS:
        parts.append(f"## {name}\n\n```text\n{helped(name)}```\n")
        for verb, _, _ in SUBCOMMANDS.get(name, ()):
            parts.append(f"### {name} {verb}\n\n```text\n{helped(name, verb)}```\n")
    return "\n".join(parts)


def helped(*command: str) -> str:
    """Return the help of a command without boxes and with a fixed width."""
    os.environ["COLUMNS"] = "90"  # the same page on every terminal
    out = io.StringIO()
    with redirect_stdout(out):
        run([*command, "--help"])
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def fields_page(title: str, noun: type) -> str:
    """Return the page of a document's fields."""
    rows = [
        (
            f"`{info.variant + ': ' if info.variant else ''}{info.path}`",
            form_of(info.annotation),
            absent(info),
            info.doc,
        )
        for info in documents.fields(noun)
    ]
    summary = (noun.__doc__ or "").strip().splitlines()[0]
    head = f"{GENERATED}\n# {title}\n\n{summary}\n"
    return f"{head}\n{table(('field', 'form', 'when absent', 'meaning'), rows)}"


def absent(info: FieldInfo) -> str:
    """Return what the absence of a field means, in a word."""
    if info.default is dataclasses.MISSING:
        return "must be given"
    if info.default is None:
        return "see meaning"
    return "all defaults" if dataclasses.is_dataclass(info.default) else f"`{info.default}`"


def catalogue() -> str:
    """Return the page of all parts."""
    parts = catalog.load()
    blocks = [
        GENERATED,
        "# Catalogue\n",
        "Every figure has a source; `uncertain` names the fields that are estimated or recalled "
        "although the rest is not. Your own parts go into a directory of the same layout: "
        "`--catalog DIR`.\n",
    ]
    for kind, columns in KINDS.items():
        rows = [part_row(part, parts) for part in getattr(parts, kind).values()]
        shown = [*columns]
        for extra in ("certainty", "uncertain", "source"):
            if rows and extra in rows[0] and extra not in shown:
                shown.append(extra)
        blocks.append(f"## {kind}\n")
        blocks.append(table(shown, ([row.get(name, "") for name in shown] for row in rows)))
    return "\n".join(blocks)


def run_files() -> str:
    """Return the page of the files of a run and their columns."""
    named = docstrings(Recording)
    events = [
        ("`format`", f"the text `{recording.FORMAT}`"),
        ("`kind_name`", "name of each kind of event, shape (num_kinds,)"),
        *((f"`{name}`", text) for name, text in log.COLUMNS.items()),
        *((f"`{name}`", text) for name, text in named.items() if name != "log"),
    ]
    kinds = ", ".join(f"{kind.value} `{kind.name}`" for kind in EventKind)
    jobs, hours = (
        [(f"`{name}`", text) for name, text in columns.items()]
        for columns in (run_tables.JOB_COLUMNS, run_tables.SERIES_COLUMNS)
    )
    limits = (
        f"Up to {chrome.MOST_NODES:,} nodes a track is a node, beyond it is a leaf switch; beyond "
        f"{chrome.MOST_SLICES:,} slices the shortest are left out, and `otherData` says how many."
    )
    head = ("column", "what it says")
    return (
        f"{GENERATED}\n# The files of a run\n\n"
        "`clusterwright simulate … --out DIR` writes them; "
        "[look at a run](../how-to/look-at-a-run.md) says what each is for.\n\n"
        "## run.json\n\nThe [answer of `simulate -o json`](simulation.md).\n\n"
        "## events.npz\n\nAll events, compressed, one array a column. "
        "`clusterwright.twin.read_recording` reads it, and so does `numpy.load`.\n\n"
        f"{table(head, events)}\n"
        f"Kinds, in the order in which events of one moment are taken: {kinds}.\n\n"
        f"## jobs.csv\n\n{table(head, jobs)}\n## series.csv\n\n{table(head, hours)}\n"
        "## trace.json.gz\n\nThe trace event format, phases X, C and M, times in microseconds. "
        f"{limits}\n\n"
        "## month.html\n\nThe run in pictures. Rows of the heat map are nodes up to "
        f"{month.MOST_ROWS} of them, else leaf switches, else blocks of neighbouring nodes.\n"
    )


def policies() -> str:
    """Return the page of policies and placements."""
    rows = [
        (f"`{one.name}`", one.rule, ", ".join(one.order), ", ".join(one.preempt))
        for one in sched.POLICIES.values()
    ]
    orders = [(f"`{one.name}`", one.rule) for one in sched.ORDERS.values()]
    places = [
        (f"`{name}`", (one.__doc__ or "").splitlines()[0]) for name, one in sched.PLACEMENTS.items()
    ]
    shares = [(f"`{one.name}`", one.rule) for one in PACKINGS.values()]
    return (
        f"{GENERATED}\n# Policies and placements\n\n## Policies\n\n"
        f"{table(('policy', 'rule', 'order', 'may stop jobs'), rows)}\n## Order keys\n\n"
        f"{table(('key', 'goes first'), orders)}\n## Placements\n\n"
        f"{table(('placement', 'what it returns'), places)}\n"
        f"## Placements of shares\n\nFor `study packing`.\n\n"
        f"{table(('placement', 'where a request goes'), shares)}"
    )


def trace_formats() -> str:
    """Return the page of trace formats and of what becomes of their rows."""
    blocks = [
        f"{GENERATED}\n# Traces\n\nWhat `simulate --trace` and `trace` read. A format is told by "
        "the content or named by `--format`; plain or gzip. What is not listed is not read.\n",
    ]
    for one in traces.FORMATS.values():
        queues = ", ".join(f"`{name}`" for name in one.queues)
        blocks.append(f"## {one.name}\n\nHolds {one.title}. `--queue-from`: {queues}.\n")
        blocks.append(table(("column or field", "what becomes of it"), one.columns.items()))
    blocks.append(
        "## What becomes of rows\n\nEvery row is a job, dropped with one of these causes, or no "
        "job of its own and only counted; a job may be repaired besides.\n"
    )
    causes = [(f"`{cause.name}`", cause.value) for cause in traces.Cause]
    blocks.append(table(("cause", "meaning"), causes))
    return "\n".join(blocks)


def api() -> str:
    """Return the page of the HTTP API: its routes, its errors, and what its journal holds."""
    rows = []
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            rows.append((f"`{method.upper()} {path}`", operation["description"].split("\n\n")[0]))
    facts = [(f"`{one.value}`", docstring_of(Fact, one.name)) for one in Fact]
    events = [
        (f"`{name}`", docstring_of(EventKind, kind.name)) for name, kind in SCHEDULING.items()
    ]
    return "\n".join(
        (
            GENERATED,
            "# HTTP API\n",
            "Everything under `/api/v1` takes `Authorization: Bearer TOKEN`. The OpenAPI document "
            "is at `/api/openapi.json`.\n",
            table(("route", "what it does"), rows),
            "",
            "- Jobs and centres are sent as people write them, as JSON or with "
            "`Content-Type: application/yaml`.",
            "- An error is a problem (RFC 9457): `title`, `status`, `detail`, and `faults` with "
            "the path, the place and the remedy of each.",
            "- `Idempotency-Key` on a submission makes a repeated request count once. A job's "
            "`ETag` may come back as `If-Match` on a change: 412 says that it has changed since.",
            "- Streams are server-sent events; `Last-Event-ID` takes them up where they broke off.",
            "- `traceparent` is taken up and handed back.",
            "- What a token may not see looks as if it were not there (404).\n",
            "## Events\n",
            "`GET /api/v1/events` streams the entries of the journal. Scheduling events:\n",
            table(("kind", "what happened"), events),
            "",
            "Facts beside them:\n",
            table(("kind", "what it says"), facts),
            "",
        )
    )


def docstring_of(cls: type, name: str) -> str:
    """Return the docstring under a member of an enumeration."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body  # type: ignore[attr-defined]  # a class
    for statement, after in pairwise(body):
        if isinstance(statement, ast.Assign) and statement.targets[0].id == name:  # type: ignore[attr-defined]  # a name
            return " ".join(after.value.value.split())  # type: ignore[attr-defined]  # a docstring
    return ""


def rules_index() -> str:
    """Return the list of rules."""
    rows = [(f"[{rule.rule_id}]({rule.rule_id}.md)", rule.level, rule.title) for rule in RULES]
    return f"{GENERATED}\n# Rules of `check`\n\n{table(('rule', 'level', 'demands'), rows)}"


def rule_page(rule: object) -> str:
    """Return the page of one rule."""
    return (
        f"{GENERATED}\n# {rule.rule_id}: {rule.title}\n\nLevel: {rule.level}\n\n"
        f"Why: {rule.why}\n\nHow to mend it: {rule.remedy}\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    lines += [f"| {' | '.join(cell(one) for one in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(value: object) -> str:
    """Return a value as a cell."""
    return str("" if value is None else value).replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
