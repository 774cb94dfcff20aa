"""Services of a CDK app and of a template of somebody's own join a mesh under load, are rotated, and leave again."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

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

    from local.gateway_client import Asked

ANSWER = "yellow"
PAUSE_S = 0.03
ROTATIONS = 3
ENOUGH = 250
"""Requests of each client."""
TO_STRICT = (
    ("mode: PERMISSIVE", "mode: STRICT"),
    ("        permissive_from: [{cidr: 172.16.0.0/16}]\n", ""),
)
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
    """
    No request fails, by their own load balancers in plain text or through the mesh; nobody sets their number of tasks.

    Both join while they are asked. Certificates are renewed three times, one of them goes bad and back, and the mesh
    file goes from PERMISSIVE to STRICT without a deployment of their owners.
    """
    running, seen = own.running, own.aws.requests_seen
    beside = [SteadyClient(own.balancer(name), ANSWER, seen, PAUSE_S, name, kept_s=1) for name in SERVICES]
    with ExitStack() as asking:
        for client in beside:
            asking.enter_context(client)
        own.deploy_mesh()
        own.hurry()
        own.deploy_cdk_app(joined=True)
        own.deploy_template(joined=True)
        running.wait_until_steady([*SERVICES, "edge"], within_s=90)
        for name in SERVICES:
            wait_until(partial(answers, own.through_the_mesh(name)), f"{name} through the mesh", within_s=30)
        inside = [SteadyClient(own.through_the_mesh(name), ANSWER, seen, PAUSE_S, name, kept_s=1) for name in SERVICES]
        with Ticking(own.aws, "shop"), ExitStack() as through:
            for client in inside:
                through.enter_context(client)
            for _ in range(ROTATIONS):
                rotate(own)
            roll_back(own, "stock")
            assert answers_in_plain_text(own)
            own.deploy_mesh(*TO_STRICT)
            wait_until(lambda: not answers_in_plain_text(own), "plain text refused", within_s=60)
            running.wait_until_steady(list(SERVICES), within_s=60)
        own.deploy_cdk_app(joined=False)
        own.deploy_template(joined=False)
        running.wait_until_steady(list(SERVICES), within_s=60)

    assert {client.name: client.failures for client in beside} == {"orders": [], "stock": []}
    assert {client.name: client.failures for client in inside} == {"orders": [], "stock": []}
    assert min(client.requests for client in (*beside, *inside)) >= ENOUGH
    assert counts(own) == {"orders": 2, "stock": 2}


def rotate(own: OwnServices) -> None:
    """Have ACM renew both certificates, and wait until every task serves the new ones and they are proven."""
    before = {name: proven_after(own, name, set()) for name in SERVICES}
    for name in SERVICES:
        own.aws.client("acm").renew_certificate(CertificateArn=own.running.certificate(name)["CertificateArn"])
    for name in SERVICES:
        proven_after(own, name, {before[name]})
        assert own.running.served_by_all(name) == {own.running.serial(name)}


def roll_back(own: OwnServices, name: str) -> None:
    """Plant a version that Envoy cannot open: its first task fails, the label goes back, and a fresh one follows."""
    good, bad = proven_after(own, name, set()), plant_unreadable(own.running, name)
    dispatch(own.aws, "shop", "sweep")
    wait_until(lambda: own.running.version_labelled(name, QUARANTINED) == bad, "the label's return", within_s=90)
    proven_after(own, name, {good, bad})


def proven_after(own: OwnServices, name: str, others: set[str]) -> str:
    """Wait for a version that every task serves and that is proven, and is none of these."""

    def proven() -> str:
        version = own.running.proven_version(name)
        return "" if version in others else version

    return wait_until(proven, f"another version of {name} proven", within_s=120)


def answers(whom: Asked[Any, Any]) -> bool:
    """Whether somebody gives the right answer."""
    client = whom.client()
    try:
        return whom.said(whom.ask(client)) == ANSWER
    except (httpx.HTTPError, OSError):
        return False
    finally:
        client.close()


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
