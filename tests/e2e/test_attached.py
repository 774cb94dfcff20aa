"""Services of a CDK app and of a template of somebody's own join a mesh under load, are rotated, and leave again."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.attached_services import counts, join_and_leave, own_services
from meshcert.mesh import load_mesh
from tools.aws_checks import attached
from tools.aws_checks.account import Account
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.own_services import OwnServices

ENOUGH = 250
"""Requests of each client."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServices]:
    """Both services as they were before."""
    with own_services(tmp_path_factory.mktemp("attached")) as found:
        yield found


@pytest.mark.timeout(400)
def test_services_of_somebodys_own_join_are_rotated_and_rolled_back_and_leave(own: OwnServices) -> None:
    """
    No request fails, by their own load balancers in plain text or through the mesh; nobody sets their number of tasks.

    Both join while they are asked. Certificates are renewed, one goes bad and back, and the mesh file goes from
    PERMISSIVE to STRICT without a deployment of their owners; ``make verify-aws`` finds the sidecars as they are
    printed, and the ways past them. The benchmark ``attached`` does more of it.
    """
    found: dict[tuple[str, str], tuple[Verdict, str]] = {}

    asked = join_and_leave(
        own, rotations=1, rolled_back=["stock"], say=print, when_strict=lambda: found.update(verified(own))
    )

    assert {name: each.failures for name, each in asked.items()} == {"orders": (), "stock": ()}
    assert min(each.fewest for each in asked.values()) >= ENOUGH
    assert counts(own) == {"orders": 2, "stock": 2}
    for name in asked:
        for check in ("sidecar-deployed", "sidecar-rollouts", "sidecar-steady"):
            assert found[check, name][0] is Verdict.CONFIRMED, found[check, name]
        verdict, said = found["strict-effective", name]
        assert verdict is Verdict.CONTRADICTED, said
        assert all(words in said for words in ("STRICT is not effective", "admits 172.16.0.0/16", "target group")), said


def verified(own: OwnServices) -> dict[tuple[str, str], tuple[Verdict, str]]:
    """What ``make verify-aws`` says of them: check and service to verdict and words."""
    deployment = Deployment.find(load_mesh(own.file), Account(own.aws.client), own.aws.region, dt.datetime.now(dt.UTC))
    findings = [finding for check in attached.CHECKS for finding in check.findings(deployment)]
    return {(each.check, each.subject): (each.verdict, each.seen) for each in findings}
