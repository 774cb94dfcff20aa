"""Identities go from ACM to AWS Private CA and back, step by step, under a mesh that answers all the while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.moving_mesh import DNS, SERVICES, SPIFFE, MovingMesh, synthesised
from local.demo.scene import ANSWER, GATEWAY, TELLER
from local.gateway_client import SteadyClient
from local.running_aws import LocalAws
from local.ticking import Ticking

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(1800)
def test_identities_move_to_private_ca_and_back_and_no_request_fails(tmp_path: Path) -> None:
    """Trust first, then leaves, then names; steps done too early are refused, and a refused deploy is no obstacle."""
    with LocalAws(tmp_path / "aws") as aws:
        steps = ("before", "added", "moved", "spiffe", "renamed", "dropped")
        mesh = MovingMesh(aws, synthesised(steps, aws, tmp_path), "before")
        with SteadyClient(mesh.gateway, ANSWER, aws.requests_seen) as client, Ticking(aws, "color"):
            mesh.wait_until_proven()
            first = mesh.of_acm()
            # The gateway's certificate is issued and published, and then everything goes back.
            mesh.deploy_in_vain("moved", "Do it in three")
            assert (mesh.of_acm(), mesh.declared_for_private_ca()) == (first, set())

            mesh.deploy("added")
            mesh.deploy_in_vain("renamed", f"adds {SPIFFE[TELLER]} and removes {DNS[TELLER]}")
            mesh.deploy_in_vain("spiffe", f"its peers accept {SPIFFE[GATEWAY]} alone")

            mesh.deploy("moved")
            assert (mesh.of_acm(), mesh.declared_for_private_ca()) == (set(), set(SERVICES))
            assert {name: mesh.names(name) for name in SERVICES} == {name: {DNS[name], SPIFFE[name]} for name in DNS}
            mesh.deploy("spiffe")
            mesh.deploy_in_vain("dropped", "take it out in the next deploy")

            mesh.deploy("moved")
            mesh.deploy("added")
            assert len(mesh.of_acm() - first) == len(SERVICES)
            assert not mesh.declared_for_private_ca()
            assert not mesh.keeps_requests()

    assert not client.failures, "\n".join(client.failures)
    assert client.connections > 100
