"""`clusterwright study`: the group of commands that compare ways of running a centre.

A study is a row of `STUDIES`. Like every command it is loaded when it is called.
"""

from collections.abc import Sequence

from cyclopts import App

STUDIES: Sequence[tuple[str, str, str]] = (
    # name, what it does, examples; run by the function of that name in cli.study_<name>
    (
        "packing",
        "Fill nodes with pods that share accelerators, by several placements.",
        "clusterwright study packing --nodes nodes.csv --trace pods.csv\n"
        "clusterwright study packing --nodes nodes.csv --trace pods.csv --placement "
        "foresight,fgd -o json",
    ),
)


def group(about: str, epilogue: str) -> App:
    """Return the group with every study named and none loaded."""
    studies = App(name="study", help=about, help_epilogue=epilogue, help_format="plaintext")
    for name, does, examples in STUDIES:
        shown = "\n".join(f"  {line}" for line in examples.splitlines())
        studies.command(
            f"clusterwright.cli.study_{name}:{name}",
            name=name,
            help=does,
            help_epilogue=f"Examples:\n{shown}",
        )
    return studies
