"""`clusterwright check`: faults of a demand, lints of a design."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any, Literal

import yaml
from cyclopts import Parameter

from clusterwright import __version__, documents, plan
from clusterwright import check as lints
from clusterwright.check import RULES, Finding
from clusterwright.cli import files, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode, Fault, InvalidInput
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design

FAULT_RULE = "CW0001"
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def check(
    file: Annotated[FileName, Parameter(name=["--file", "-f"])],
    *,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    common: Common | None = None,
) -> int:
    """Look for faults in a demand or a design.

    Exit code 1 says that there are errors; warnings and notes leave 0. `-o sarif` prints
    SARIF 2.1.0 for code scanners.

    Parameters
    ----------
    file
        A demand, a design, the directory of a design, or `-` for stdin.
    catalog
        Directory of your own parts, laid over the catalogue.
    """
    common = common or Common()
    file = load.design_file(file)
    text = files.read_bytes(file)
    kind = kind_of_text(text)
    try:
        if kind == "Design":
            design = documents.read(text, Design, file=file)
            findings = [_row(finding, file) for finding in lints.check(design)]
        else:
            demand, places = documents.read_with_places(text, Demand, file=file)
            plan.resolve(demand, load.the_catalog(catalog), file=file, places=places)
            findings = []
    except InvalidInput as error:
        findings = [_fault(fault) for fault in error.faults]
    if common.output == "sarif":
        sys.stdout.write(json.dumps(_sarif(findings), indent=2, ensure_ascii=False) + "\n")
    else:
        emit(_answer(findings), common)
    return ExitCode.NO if any(row["level"] == "error" for row in findings) else ExitCode.OK


def kind_of_text(text: bytes) -> Literal["Demand", "Design"]:
    """Return what kind of document a text says that it is; a demand when it does not say."""
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.ScalarEvent) and event.value in {"Demand", "Design"}:
                return "Design" if event.value == "Design" else "Demand"
    except (yaml.YAMLError, UnicodeError, ValueError):
        pass  # the reader proper says what is wrong with it, and where
    return "Demand"


def _row(finding: Finding, file: str) -> dict[str, Any]:
    return {**asdict(finding), "file": file, "line": None, "column": None}


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "rule_id": FAULT_RULE,
        "level": "error",
        "path": fault.path,
        "message": f"{fault.message}. {fault.remedy}".strip(),
        "file": fault.file,
        "line": fault.line,
        "column": fault.column,
    }


def _answer(findings: list[dict[str, Any]]) -> Answer:
    errors = sum(row["level"] == "error" for row in findings)
    return Answer(
        document=items_document("FindingList", findings, num_errors=errors),
        rows=findings,
        columns=("rule_id", "level", "file", "line", "path", "message"),
        text="" if findings else "no findings",
        key="rule_id",
    )


def _sarif(findings: list[dict[str, Any]]) -> dict[str, Any]:
    described = [
        {
            "id": FAULT_RULE,
            "shortDescription": {"text": "A document can be read."},
            "defaultConfiguration": {"level": "error"},
        },
        *(
            {
                "id": rule.rule_id,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.why},
                "help": {"text": rule.remedy},
                "defaultConfiguration": {"level": rule.level},
            }
            for rule in RULES
        ),
    ]
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "clusterwright",
                        "version": __version__,
                        "rules": described,
                    }
                },
                "results": [_result(row) for row in findings],
            }
        ],
    }


def _result(row: dict[str, Any]) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": row["file"]}}
    if row["line"]:
        place["region"] = {"startLine": row["line"], "startColumn": row["column"] or 1}
    return {
        "ruleId": row["rule_id"],
        "level": row["level"],
        "message": {"text": row["message"]},
        "locations": [
            {
                "physicalLocation": place,
                "logicalLocations": [{"fullyQualifiedName": row["path"]}],
            }
        ],
    }
