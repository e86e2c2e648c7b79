"""What every test shares: markers for parts of the machine, and the list of what was not tested.

A test marked with a group of `dev.PARTS` (`@pytest.mark.browser`) runs where the program of that
group is installed, and is skipped with the command that installs it where it is not.
"""

import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

import dev

# How long an example takes depends on what else the machine does; a slow minute is no failure.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_configure(config):
    for group, part in dev.PARTS.items():
        config.addinivalue_line("markers", f"{group}: needs {part.program}; {part.purpose}")


def pytest_collection_modifyitems(items):
    for group, part in dev.PARTS.items():
        if shutil.which(part.program):
            continue
        reason = f"{part.program} is not installed; to enable: python3 dev.py parts {group}"
        for item in items:
            if item.get_closest_marker(group):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    """Say before the closing line what was not tested, and what would enable it."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.write_sep("=", "not tested on this machine")
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} x {reason}")


def _reason(report) -> str:
    where = report.longrepr
    text = where[2] if isinstance(where, tuple) else str(where)
    return text.removeprefix("Skipped: ")
