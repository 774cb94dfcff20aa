"""
Identities go from ACM to AWS Private CA and back, under a mesh that answers all the while.

Every step, and those that are refused: ``evidence/soak/long/test_moving.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.moving_mesh import DNS, SERVICES, SPIFFE, MovingMesh, synthesised
from local.demo.scene import ANSWER
from local.gateway_client import SteadyClient
from local.running_aws import LocalAws
from local.ticking import Ticking

if TYPE_CHECKING:
    from pathlib import Path

PAUSE_S = 0.05
"""Between two requests: without it, asking alone takes a core for minutes."""


@pytest.mark.timeout(900)
def test_identities_move_to_private_ca_and_back_and_no_request_fails(tmp_path: Path) -> None:
    """
    The teller under another hierarchy, the gateway under its own; both get a SPIFFE ID beside their DNS name.

    ACM's certificate goes when the next one is published. On the way back everything of Private CA goes.
    """
    with LocalAws(tmp_path / "aws") as aws:
        mesh = MovingMesh(aws, synthesised(("added", "moved"), aws, tmp_path), "added")
        with SteadyClient(mesh.gateway, ANSWER, aws.requests_seen, PAUSE_S) as client, Ticking(aws, "color"):
            mesh.wait_until_proven()
            first = mesh.of_acm()

            mesh.deploy("moved")
            assert (mesh.of_acm(), mesh.declared_for_private_ca()) == (set(), set(SERVICES))
            assert {name: mesh.names(name) for name in SERVICES} == {name: {DNS[name], SPIFFE[name]} for name in DNS}

            mesh.deploy("added")
            assert len(mesh.of_acm() - first) == len(SERVICES)
            assert not mesh.declared_for_private_ca()
            assert not mesh.keeps_requests()

    assert not client.failures, "\n".join(client.failures)
    assert client.connections > 100
