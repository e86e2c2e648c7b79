"""`clusterwright plan`: a demand becomes a design."""

from typing import Annotated

from cyclopts import Parameter

from clusterwright import documents, report
from clusterwright import plan as planning
from clusterwright.catalog import Catalog
from clusterwright.cli import files, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode
from clusterwright.model.design import Design


def plan(
    file: Annotated[FileName, Parameter(name=["--file", "-f"])],
    *,
    out: Annotated[str | None, Parameter(name="--out")] = None,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    lang: str = "en",
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common | None = None,
) -> int:
    """Turn a demand into a complete design, with the reason for every choice.

    Exit code 1 says that no design meets the demand: the answer then holds the limits that
    conflict and what would mend it.

    Parameters
    ----------
    file
        The demand (`centre.yaml`), or `-` for stdin.
    out
        Directory for design.yaml, report.html, bom.csv and cabling.csv.
    catalog
        Directory of your own parts, laid over the catalogue.
    lang
        Language of summary and report: en or zh.
    dry_run
        Plan in full, write nothing.
    """
    common = common or Common()
    progress = Progress(common)
    report.check_language(lang)
    with progress.step("reading demand and catalogue"):
        parts = load.the_catalog(catalog)
        demand, places = load.demand(file)
    with progress.step("planning"):
        design = planning.plan(demand, parts, file=file, places=places)
    if out is not None and not dry_run:
        with progress.step(f"writing {out}"):
            files.write_directory(out, design_files(design, parts, lang=lang))
    emit(answer(design, lang=lang), common)
    return ExitCode.OK if design.status.feasible else ExitCode.NO


def design_files(design: Design, parts: Catalog, *, lang: str) -> dict[str, str]:
    """Return the files of a design by name."""
    return {
        "design.yaml": documents.dump(design),
        "report.html": report.html(design, lang=report.check_language(lang)),
        "bom.csv": report.bom_csv(design),
        "cabling.csv": report.cabling_csv(planning.cables(design, parts)),
    }


def answer(design: Design, *, lang: str) -> Answer:
    """Return a design as an answer: the document, the summary, and the pools as rows."""
    rows = [
        {
            "name": pool.name,
            "role": pool.role,
            "accelerator": pool.accelerator,
            "num_accelerators": pool.num_accelerators,
            "server": pool.server,
            "num_servers": pool.num_servers,
            "num_racks": pool.num_racks,
            "power_w": pool.power_w,
        }
        for pool in design.spec.compute.pools
    ]
    return Answer(
        document=documents.as_dict(design),
        rows=rows,
        columns=("name", "role", "accelerator", "num_accelerators", "server", "num_servers"),
        text=report.summary(design, lang=report.check_language(lang)),
    )
