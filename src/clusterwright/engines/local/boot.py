"""The program that an agent is: `python -I -S boot.py ROOT NODE` detaches and becomes it.

The packages above are stood in for by empty ones that only know their folder, so that the agent
loads its own modules and none of what the packages load: it is small and there at once.
"""

import os
import sys
from pathlib import Path
from types import ModuleType


def stand_in() -> None:
    """Put empty packages in place of those above this folder."""
    here = Path(__file__).resolve().parent
    for name, place in (
        ("clusterwright", here.parent.parent),
        ("clusterwright.engines", here.parent),
        ("clusterwright.engines.local", here),
    ):
        package = ModuleType(name)
        package.__path__ = [str(place)]
        sys.modules[name] = package


def main() -> None:
    """Leave the caller at once; what goes on is a child in a session of its own."""
    stand_in()
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    from clusterwright.engines.local import agent

    agent.main(Path(sys.argv[1]), sys.argv[2])


if __name__ == "__main__":
    main()
