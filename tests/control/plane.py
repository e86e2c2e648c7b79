"""A served control plane over a world, with a token for every role, for tests of the API."""

import contextlib
from dataclasses import dataclass

import httpx
import pytest
from tests.control.world import conducted, world_of

from clusterwright.control import auth
from clusterwright.control.api import create_app


@dataclass
class Served:
    """A control plane and how to talk to it."""

    conductor: object
    world: object
    app: object
    tokens: dict

    def client(self, who="admin"):
        """Return a client that speaks to the application with the token of a role."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return _Client(self.app, headers)


class _Client:
    """Requests to the application in this process, one event loop for each."""

    def __init__(self, app, headers):
        self._app, self._headers = app, headers

    def request(self, method, path, **more):
        import asyncio

        async def ask():
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test", headers=self._headers
            ) as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)


ROLES = {
    "viewer": ("viewer", ["vision"]),
    "user": ("user", ["vision"]),
    "stranger": ("user", ["speech"]),
    "operator": ("operator", []),
    "admin": ("admin", ["*"]),
}


@contextlib.contextmanager
def served(path, centre):
    """Serve a centre over a world, with a token for each of `ROLES`."""
    world = world_of(centre)
    conductor = conducted(path, world, centre)
    tokens = {}
    try:
        for name, (role, projects) in ROLES.items():
            _, tokens[name] = auth.new_token()
            conductor.ask(
                lambda book, now, name=name, role=role, projects=projects: auth.add_token(
                    book, tokens[name], name, role, projects, now
                )
            )
        yield Served(conductor, world, create_app(conductor), tokens)
    finally:
        conductor.stop()


JOB = {
    "apiVersion": "clusterwright/v1",
    "kind": "Job",
    "name": "train",
    "project": "vision",
    "command": ["true"],
    "gpus_per_node": 4,
    "nodes": 2,
}


@pytest.fixture
def plane(tmp_path):
    from tests.control.world import centre

    with served(tmp_path, centre()) as found:
        yield found
