"""A centre from Python, with the words of the command line: submit, why, logs, cancel and so on."""

from clusterwright.client.client import Client, Refused, connect
from clusterwright.client.contexts import Context, context_named, keep, where

__all__ = ["Client", "Context", "Refused", "connect", "context_named", "keep", "where"]
