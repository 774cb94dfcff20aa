"""
From mutual TLS to plain text and back, deploy by deploy, with old clients and new side by side: no request fails.

The way out is the runbook's (docs/operating.md), the way in has the five steps of docs/from-app-mesh.md.
"""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from local.cdk import ROOT
from local.demo.calling_tasks import CallingTasks
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.gateway_client import ASK_TIMEOUT_S, Gateway, SteadyClient
from local.requests_seen import HEADER
from local.running_mesh import wait_until
from local.ticking import Ticking
from meshcert.mesh import load_mesh
from tests.e2e.terminal import OperatorTerminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.running_mesh import RunningMesh

PORT = 9443
PAUSE_S = 0.05
"""Between two requests: without it, asking alone takes a core."""
TOLD_WITHIN_S = 60.0


def _meshes() -> dict[str, dict[str, Any]]:
    """The mesh files of the steps, each with one pair: the gateway calls the teller."""
    both = yaml.safe_load(MUTUAL.read_text())
    (listener,) = both["virtual_nodes"][TELLER]["listeners"]
    listener["tls"]["mode"] = "PERMISSIVE"
    listener["permissive_from"] = [{"cidr": "10.20.0.0/16"}]
    without_policy = copy.deepcopy(both)
    del without_policy["virtual_gateways"][GATEWAY]["backends"][0]["client_policy"]
    plain = copy.deepcopy(without_policy)
    (listener,) = plain["virtual_nodes"][TELLER]["listeners"]
    del listener["tls"], listener["permissive_from"]
    return {"permissive": both, "without_policy": without_policy, "plain": plain}


@pytest.fixture(scope="module")
def assemblies(
    fresh_mesh: RunningMesh, color_assembly: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Their cloud assemblies, and that of the mesh as it is."""
    folder, meshes = tmp_path_factory.mktemp("moving"), _meshes()
    files = {name: folder / f"{name}.yaml" for name in meshes}
    for name, file in files.items():
        file.write_text(yaml.safe_dump(meshes[name], sort_keys=False))
        load_mesh(file)
    subprocess.run(
        [sys.executable, "-m", "tests.e2e.assemblies", str(folder), *map(str, files.values())],
        cwd=ROOT,
        env=os.environ | fresh_mesh.aws.environment(),
        check=True,
    )
    return {"strict": color_assembly, **{name: folder / name for name in meshes}}


@dataclass(frozen=True)
class OldClient:
    """
    A client outside the mesh that knows no TLS: it asks tasks of the teller straight, each time over a new connection.

    As a client with a resolver does, it takes another address when nobody listens at one.
    """

    address_of: Callable[[], str]

    def client(self) -> httpx.Client:
        """A client that keeps no connection."""
        return httpx.Client(timeout=ASK_TIMEOUT_S, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        """One request with this id; raises httpx.HTTPError or LookupError when it gets no answer."""
        deadline = time.monotonic() + ASK_TIMEOUT_S
        while True:
            try:
                return client.get(f"http://{self.address_of()}:{PORT}/color", headers={HEADER: request_id})
            except (httpx.ConnectError, LookupError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)

    def said(self, response: httpx.Response) -> str:
        """The text of a good answer, or the status and the beginning of another one."""
        return response.text.strip() if response.status_code == httpx.codes.OK else f"{response.status_code}"


@pytest.fixture
def asking(fresh_mesh: RunningMesh) -> Iterator[SteadyClient]:
    """A client of the gateway that asks all through the test; it must not have seen a failure at the end."""
    gateway = Gateway(
        fresh_mesh.gateway_address(GATEWAY), 8443, f"{GATEWAY}.mtls.svc.cluster.local", fresh_mesh.trust_bundle(GATEWAY)
    )
    with (
        SteadyClient(gateway, ANSWER, fresh_mesh.aws.requests_seen, PAUSE_S) as client,
        Ticking(fresh_mesh.aws, fresh_mesh.name),
    ):
        yield client
    assert client.requests > 100
    assert client.failures == []


@pytest.fixture
def old_client(fresh_mesh: RunningMesh) -> SteadyClient:
    """A client in plain text that has not begun."""
    teller = OldClient(CallingTasks(fresh_mesh).address_of(TELLER))
    return SteadyClient(teller, ANSWER, fresh_mesh.aws.requests_seen, PAUSE_S)


class Moved:
    """
    The pair's state after one deploy and another.

    Args:
        mesh: The mesh.
        assemblies: By step.
    """

    def __init__(self, mesh: RunningMesh, assemblies: dict[str, Path]) -> None:
        self._mesh, self._assemblies = mesh, assemblies

    def deploy(self, step: str) -> None:
        """Deploy a step's mesh file, and wait until its tasks have taken the old ones' place."""
        self._mesh.aws.deploy(self._assemblies[step])
        self._mesh.wait_until_steady([GATEWAY, TELLER])
        wait_until(lambda: self._mesh.none_is_stopping(TELLER), "the old tasks gone", within_s=TOLD_WITHIN_S)

    def counted(self) -> tuple[int, int]:
        """Requests over TLS and in plain text, as the teller's Envoy counts them now."""
        found = self._mesh.counters(TELLER, rf"http\.ingress_{PORT}_(tls|plain)\.downstream_rq_total")
        return tuple(found.get(f"http.ingress_{PORT}_{way}.downstream_rq_total", 0) for way in ("tls", "plain"))  # type: ignore[return-value]  # two

    def wait_until_told(self, words: str) -> None:
        """Until an operator sees words of the listener, which a regular expression describes."""

        def told() -> bool:
            seen = " ".join(OperatorTerminal(self._mesh.aws, self._mesh.name).run("status", TELLER).out.split())
            return bool(re.search(rf" at {PORT} {words}", seen))

        wait_until(told, f"{words!r} in the status", within_s=TOLD_WITHIN_S, every_s=1.0)

    def only_over_tls(self, requests: SteadyClient, count: int = 40) -> bool:
        """Whether so many further requests bring TLS alone."""
        (tls, plain), until = self.counted(), requests.requests + count
        wait_until(lambda: requests.requests >= until, "further requests", within_s=TOLD_WITHIN_S)
        return self.counted()[0] > tls and self.counted()[1] == plain


@pytest.fixture
def moved(fresh_mesh: RunningMesh, assemblies: dict[str, Path]) -> Moved:
    """The pair."""
    return Moved(fresh_mesh, assemblies)


@pytest.mark.timeout(900)
def test_at_night_one_pair_leaves_tls_in_two_deploys_and_no_request_fails(asking: SteadyClient, moved: Moved) -> None:
    """First the callee takes plain text as well, then the caller's policy goes; the status tells of both."""
    moved.deploy("permissive")
    moved.wait_until_told("0 in plain text, .*: STRICT would have refused none of them")
    assert moved.only_over_tls(asking)

    moved.deploy("without_policy")
    moved.wait_until_told("[1-9].* in plain text, .*: STRICT would have refused [1-9]")
    assert moved.counted()[1] > 0


@pytest.mark.timeout(900)
def test_five_steps_lead_from_plain_text_to_mutual_tls_and_no_request_fails(
    asking: SteadyClient, old_client: SteadyClient, moved: Moved
) -> None:
    """An old client in plain text goes on beside the gateway until the listener is to become STRICT."""
    moved.deploy("plain")  # 1: as it was before
    with old_client:
        moved.deploy("without_policy")  # 2: PERMISSIVE
        assert moved.counted()[1] > 0
        moved.deploy("permissive")  # 3: the gateway gets its policy, and the certificate to present
        moved.wait_until_told("[1-9].* in plain text, [1-9].* over TLS, .*: STRICT would have refused [1-9]")  # 4
        assert not moved.only_over_tls(asking)
    assert old_client.failures == []
    assert old_client.requests > 50
    wait_until(lambda: moved.only_over_tls(asking), "nobody in plain text any more", within_s=TOLD_WITHIN_S)

    moved.deploy("strict")  # 5: STRICT, with validation


def test_an_old_client_that_has_been_forgotten_is_refused(fresh_mesh: RunningMesh) -> None:
    """And the teller's log says who it was and what it spoke."""
    address = fresh_mesh.task(TELLER).address

    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{address}:{PORT}/color", timeout=ASK_TIMEOUT_S, trust_env=False)

    def told() -> bool:
        return any(line.get("cause") == "plain-text" for line in fresh_mesh.log_lines(TELLER))

    wait_until(told, "the refusal in the log", within_s=TOLD_WITHIN_S)
    with Ticking(fresh_mesh.aws, fresh_mesh.name):
        proven = fresh_mesh.proven_version
        wait_until(lambda: all(map(proven, (GATEWAY, TELLER))), "a quiet end", within_s=TOLD_WITHIN_S)
