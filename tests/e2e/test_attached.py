"""Services of somebody's own CDK app and own template join a mesh under load, are rotated and rolled back, and leave."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aws_cdk import App

from local.cdk import ROOT, app_context
from local.gateway_client import Gateway, SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from meshcert.cli.__main__ import main
from meshcert.mesh import load_mesh
from tests.e2e.deploying import ThroughTheApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "examples" / "own-cdk-app"
ANSWER = "yellow"


@dataclass(frozen=True)
class PlainText:
    """The application's own load balancer, in plain text."""

    address: str
    port: int = 80

    def client(self) -> httpx.Client:
        """A client with no connection yet."""
        return httpx.Client(base_url=f"http://{self.address}:{self.port}", timeout=20, trust_env=False)

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        """One request with this id."""
        return client.get("/", headers={"meshcert-request-id": request_id})

    def said(self, response: httpx.Response) -> str:
        """What it says."""
        return response.text.strip()


class OwnCdkApp:
    """The example's CDK app, and the mesh that its service joins."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.cdk = ThroughTheApi(aws.environment(), aws=aws)
        self.file = folder / "mesh.yaml"
        self.running = RunningMesh(aws, "shop", aws.resolve, {"orders": "own/orders"})

    def deploy(self, **context: str) -> None:
        """Deploy the app as its user does."""
        out = self.folder / f"own-{len(list(self.folder.iterdir()))}"
        spec = importlib.util.spec_from_file_location("own_cdk_app", FOLDER / "app.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.build(App(outdir=str(out), context=context)).synth()
        self.aws.deploy(out)

    def output(self, name: str) -> str:
        """An output of the app's stack."""
        (stack,) = self.aws.client("cloudformation").describe_stacks(StackName="own")["Stacks"]
        return str(next(each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == f"Own{name}"))

    def write_mesh(self, **changes: str) -> None:
        """The example's mesh file with the ids of this network."""
        text = (FOLDER / "mesh.yaml").read_text()
        text = text.replace("vpc-0123456789abcdef0", self.output("Vpc")).replace("us-west-1a", self.output("Zone"))
        text = text.replace("subnet-0123456789abcdef0", self.output("Subnet"))
        text = text.replace("sg-0123456789abcdef0", self.output("Group"))
        text = text.replace("rotation: reload", "rotation: reload\n    poll_interval_s: 1")
        for old, new in changes.items():
            text = text.replace(old, new)
        self.file.write_text(text)

    def deploy_mesh(self, name: str) -> None:
        """Deploy the mesh."""
        self.cdk.deploy(self.cdk.synth(self.file, self.folder / name))

    def steady(self, *services: str) -> None:
        """Wait for them."""
        self.running.wait_until_steady(list(services), within_s=120)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCdkApp]:
    """The app as it was before."""
    folder = tmp_path_factory.mktemp("attached")
    with LocalAws(folder / "aws") as aws:
        work = folder / "work"
        work.mkdir()
        yield OwnCdkApp(aws, work)


def test_skeleton(own: OwnCdkApp) -> None:
    """One attached service."""
    import time
    t=time.time()
    def lap(x):
        print(f"{time.time()-t:.1f} {x}", flush=True)
    own.deploy()
    own.steady("orders")
    lap("own")
    own.write_mesh()
    plain = SteadyClient(PlainText(own.aws.resolve(own.output("Address"))), ANSWER, own.aws.requests_seen, 0.02, kept_s=1)
    with plain:
        own.deploy_mesh("first")
        lap("mesh")
        own.deploy(mesh=str(own.file))
        lap("sidecar")
        own.steady("orders", "edge")
        lap("steady")
        gateway = Gateway(own.running.gateway_address("edge"), 8443, "edge.shop.internal", own.running.trust_bundle("internal"))
        inside = SteadyClient(gateway, ANSWER, own.aws.requests_seen, 0.02, kept_s=1)
        with inside, Ticking(own.aws, "shop"):
            wait_until(lambda: own.running.proven_version("orders"), "proven", within_s=60)
            lap("proven")
            wait_until(lambda: inside.requests > 100, "requests", within_s=60)
            lap("asked")
    print(plain.requests, plain.failures[:3], inside.requests, inside.failures[:3])
    assert not plain.failures and not inside.failures
