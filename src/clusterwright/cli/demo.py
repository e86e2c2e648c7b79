"""`clusterwright demo`: the main job from end to end."""

import json
from typing import Annotated

from cyclopts import Parameter

from clusterwright import documents, plan, report, sched, twin
from clusterwright.cli import demo_live, examples, files, load
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, emit
from clusterwright.cli.progress import Progress
from clusterwright.cli.simulate import run_design
from clusterwright.errors import ExitCode
from clusterwright.twin import Setting

_DAYS = 30.0
_POLICY = sched.with_changes(sched.policy_of("fifo"), placement="leaf", backfill="easy")


def demo(
    *,
    out: Annotated[str, Parameter(name="--out")] = "demo-out",
    lang: str = "en",
    seed: int = 0,
    live: bool = True,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common | None = None,
) -> int:
    """Plan the worked case, run its month in the twin, then run a real gang and kill a node.

    Parameters
    ----------
    out
        Directory for design.yaml, report.html, bom.csv, cabling.csv and month.json.
    lang
        Language of summary and report: en or zh.
    seed
        Seed of the month.
    live
        Start a control plane over emulated servers of the design, and run a training on it.
    dry_run
        Plan and run in full, write nothing; no control plane is started.
    """
    common = common or Common()
    progress = Progress(common)
    language = report.check_language(lang)
    path = examples.path_of("autonomous-driving")
    with progress.step("reading the demand and the catalogue"):
        parts = load.the_catalog(None)
        demand, places = load.demand(str(path))
    with progress.step("planning the centre"):
        design = plan.plan(demand, parts, file=str(path), places=places)
    played = run_design(
        design,
        demand,
        parts,
        progress,
        days=_DAYS,
        setting=Setting(policy=_POLICY, seed=seed),
        failures=True,
        hourly=False,
    )
    run, recording = played.run, twin.record(played.outcome)
    where = "Nothing was written."
    if not dry_run:
        with progress.step(f"writing {out}"):
            written = files.write_directory(
                out,
                {
                    "design.yaml": documents.dump(design),
                    "report.html": report.html(design, run, recording, lang=language),
                    "bom.csv": report.bom_csv(design),
                    "cabling.csv": report.cabling_csv(plan.cables(design, parts)),
                    "month.json": documents.dump(run, format="json"),
                },
            )
        where = f"Report: {(written / 'report.html').resolve().as_uri()}"
    text = f"{report.summary(design, run, lang=language)}\n\n{where}"
    if live and not dry_run:
        shown = demo_live.run(design, parts, progress)
        (written / "live.json").write_text(json.dumps(shown.document(), indent=2) + "\n")
        text += f"\n\n{shown.text()}"
    emit(Answer(document=documents.as_dict(design), text=text), common)
    return ExitCode.OK if design.status.feasible else ExitCode.NO
