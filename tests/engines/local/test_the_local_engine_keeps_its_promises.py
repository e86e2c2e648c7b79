"""The local engine held to the promises of every engine."""

from tests.engines.protocol_suite import Promises


class TestLocal(Promises):
    """All of them."""
