"""``docs/deploying.md`` says which services a deploy needs, what a mesh costs, and which alarms wake somebody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from local.aws.replacing_properties import REPLACING
from meshcert.cli.costs.offline import OfflinePlan, offline_plan
from meshcert.mesh import read_mesh
from stacks.runbook import alarms
from tests.docs.pages import PAGES, rows
from tests.stacks.test_sizes import mesh_of

if TYPE_CHECKING:
    from meshcert.mesh import Mesh

PAGE = "docs/deploying.md"
PREFIXES = {
    "ACMPCA": "acm-pca",
    "CertificateManager": "acm",
    "ElasticLoadBalancingV2": "elasticloadbalancing",
    "ServiceDiscovery": "servicediscovery",
}
"""Services whose actions are called otherwise than their resources."""


def test_the_deployers_policy_covers_every_type_of_the_stacks() -> None:
    """A type of a service that is not in it would be refused in the middle of a deploy."""
    covered = set(re.findall(r'"([a-z0-9-]+):\*"', PAGES[PAGE]))
    names = {kind.split("::")[1] for kind in REPLACING if kind.startswith("AWS::") and kind != "AWS::CDK::Metadata"}

    assert {PREFIXES.get(name, name.lower()) for name in names} <= covered


@pytest.mark.parametrize(("services", "meshes"), [(12, 1), (50, 1), (100, 2)])
def test_the_costs_are_those_that_the_plan_says(services: int, meshes: int) -> None:
    """One gateway and its nodes, two tasks each."""
    (told,) = (
        cells[1:]
        for cells in rows(PAGE, "| services | meshcert adds a month | tasks, network and load balancer a month |")
        if cells[0].split(",")[0] == str(services)
    )
    planned = _planned(services // meshes)

    assert told == [f"${meshes * planned.month.dollars:,.0f}", f"${meshes * planned.workload_dollars:,.0f}"]


def test_alarms_that_wake_somebody_exist() -> None:
    """By their names, which a rule elsewhere repeats."""
    (sentence,) = re.findall(r"Worth waking somebody are (.+?);", PAGES[PAGE])

    told = set(re.findall(r"`(\w+)`", sentence))
    assert told
    assert told <= {alarm.name for alarm in alarms("NAME")}


def _planned(services: int) -> OfflinePlan:
    mesh: Mesh | None = read_mesh(yaml.safe_dump(mesh_of([f"service-{i}" for i in range(services)])).encode()).mesh
    assert mesh is not None
    return offline_plan(mesh)
