"""`clusterwright study`: the commands that compare ways of running a centre.

A study is a row of `STUDIES`. Like every command it is loaded when it is called.
"""

from collections.abc import Sequence

STUDIES: Sequence[tuple[str, str, str]] = (
    # name, what it does, examples; run by the function of that name in cli.study_<name>
    (
        "energy",
        "Say what waiting for cheap or clean hours saves a design, and what it could save at most.",
        "clusterwright study energy build --demand centre.yaml --zones DE-LU\n"
        "clusterwright study energy build --demand centre.yaml --signal carbon",
    ),
    (
        "learning",
        "Hold an order by predicted run times against others, on a later period.",
        "clusterwright study learning jobs.csv.gz --from 14d --queues queues.csv\n"
        "clusterwright study learning jobs.csv --from 7d --queues queues.csv -o json",
    ),
    (
        "packing",
        "Fill nodes with pods that share accelerators, by several placements.",
        "clusterwright study packing --nodes nodes.csv --trace pods.csv\n"
        "clusterwright study packing --nodes nodes.csv --trace pods.csv --seeds 3",
    ),
    (
        "tune",
        "Search a policy for an objective under limits, and say what it gains on a later period.",
        "clusterwright study tune jobs.csv --queues queues.csv --from 14d --out p.yaml\n"
        'clusterwright study tune jobs.csv --nodes 8 --from 7d --limit "p99_wait<=2d"',
    ),
    (
        "starts",
        "Say how often waiting jobs started when they were foretold to start.",
        "clusterwright study starts jobs.csv.gz --queues queues.csv --from 14d\n"
        "clusterwright study starts jobs.csv --queues queues.csv --policy fair -o json",
    ),
)
