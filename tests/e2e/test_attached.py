"""Services of a CDK app and of a template of somebody's own join a mesh under load, are rotated, and leave again."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from local.demo.rollback import plant_unreadable
from local.gateway_client import SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import wait_until
from local.ticking import Ticking, dispatch
from meshcert.contract.staging_labels import QUARANTINED
from tests.e2e.own_services import SERVICES, OwnServices, PlainText

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = "yellow"
PAUSE_S = 0.03
ROTATIONS = 3
MESH_PORT = 9443


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServices]:
    """Both services as they were before, behind their own load balancers."""
    folder = tmp_path_factory.mktemp("attached")
    with LocalAws(folder / "aws") as aws:
        work = folder / "work"
        work.mkdir()
        found = OwnServices(aws, work)
        found.deploy_cdk_app(joined=False)
        found.deploy_template(joined=False)
        found.running.wait_until_steady(list(SERVICES), within_s=60)
        yield found


@pytest.mark.timeout(400)
def test_services_of_somebodys_own_join_are_rotated_and_rolled_back_and_leave(own: OwnServices) -> None:
    """No request fails, in plain text by their own load balancers or through the mesh; nobody sets their count."""

    def lap(what, t=[time.time()]):
        print(f"{time.time() - t[0]:6.1f} {what}", flush=True)

    running, seen = own.running, own.aws.requests_seen
    beside = [SteadyClient(own.balancer(name), ANSWER, seen, PAUSE_S, name, kept_s=1) for name in SERVICES]
    with ExitStack() as asking:
        for client in beside:
            asking.enter_context(client)
        own.deploy_mesh()
        own.hurry()
        lap("mesh")
        own.deploy_cdk_app(joined=True)
        own.deploy_template(joined=True)
        running.wait_until_steady([*SERVICES, "edge"], within_s=90)
        lap("joined")
        inside = [SteadyClient(own.through_the_mesh(name), ANSWER, seen, PAUSE_S, name, kept_s=1) for name in SERVICES]
        with Ticking(own.aws, "shop"), ExitStack() as through:
            for client in inside:
                through.enter_context(client)
            for _ in range(ROTATIONS):
                rotate(own)
                lap("rotated")
            roll_back(own, "stock")
            lap("rolled back")
            assert answers_in_plain_text(own)
            own.deploy_mesh(
                ("mode: PERMISSIVE", "mode: STRICT"), ("        permissive_from: [{cidr: 172.16.0.0/16}]\n", "")
            )
            lap("deployed strict")
            wait_until(lambda: not answers_in_plain_text(own), "plain text refused", within_s=60)
            running.wait_until_steady(list(SERVICES), within_s=60)
            lap("strict")
        own.deploy_cdk_app(joined=False)
        own.deploy_template(joined=False)
        running.wait_until_steady(list(SERVICES), within_s=60)
        lap("left")

    for client in (*beside, *inside):
        print(client.requests, client.failures[:3])
    assert [client.failures for client in (*beside, *inside)] == [[], [], [], []]
    assert all(client.requests > 100 for client in (*beside, *inside))
    assert counts(own) == {"orders": 2, "stock": 2}


def rotate(own: OwnServices) -> None:
    """Have ACM renew both certificates, and wait until every task serves the new ones and they are proven."""
    before = {
        name: own.running.proven_version(name)
        or wait_until(lambda n=name: own.running.proven_version(n), "proven", within_s=60)
        for name in SERVICES
    }
    for name in SERVICES:
        own.aws.client("acm").renew_certificate(CertificateArn=own.running.certificate(name)["CertificateArn"])
    for name in SERVICES:
        wait_until(lambda n=name: own.running.proven_version(n) not in {"", before[n]}, f"{name} rotated", within_s=90)
        assert own.running.served_by_all(name) == {own.running.serial(name)}


def roll_back(own: OwnServices, name: str) -> None:
    """Plant a version that Envoy cannot open: its first task fails, the label goes back, and a fresh one follows."""
    good, bad = own.running.proven_version(name), plant_unreadable(own.running, name)
    dispatch(own.aws, "shop", "sweep")
    wait_until(lambda: own.running.version_labelled(name, QUARANTINED) == bad, "the label's return", within_s=90)
    wait_until(lambda: own.running.proven_version(name) not in {"", bad}, "another version proven", within_s=120)
    assert good


def answers_in_plain_text(own: OwnServices) -> bool:
    """Whether an Envoy of ``orders`` takes a request in plain text at the mesh's port."""
    for task in own.running.tasks("orders"):
        plain = PlainText(task.address, MESH_PORT)
        with plain.client() as client:
            try:
                if plain.said(plain.ask(client)) == ANSWER:
                    return True
            except httpx.HTTPError:
                continue
    return False


def counts(own: OwnServices) -> dict[str, int]:
    """The number of tasks that each service is to have."""
    ecs = own.aws.client("ecs")
    found = ecs.describe_services(cluster="own", services=list(SERVICES))["services"]
    return {service["serviceName"]: service["desiredCount"] for service in found}
