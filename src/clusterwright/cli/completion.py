"""`clusterwright completion`: the completion script of a shell."""

import sys
from typing import Literal

from clusterwright.errors import ExitCode


def completion(shell: Literal["bash", "zsh", "fish"]) -> int:
    """Print the completion script of a shell.

    Parameters
    ----------
    shell
        bash, zsh or fish.
    """
    from clusterwright.cli.main import build_app

    sys.stdout.write(build_app().generate_completion(shell=shell))
    return ExitCode.OK
