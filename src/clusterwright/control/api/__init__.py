"""The HTTP API of a centre: `/api/v1`, for the command line, the console and programs."""

from clusterwright.control.api.app import create_app

__all__ = ["create_app"]
