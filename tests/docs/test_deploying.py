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
MOST_WITHOUT_SHARDS = 77
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


@pytest.mark.parametrize("services", [12, 50, 100])
def test_the_costs_are_those_that_the_plan_says(services: int) -> None:
    """One gateway and its nodes, two tasks each, by issuer and life."""
    heading = (
        "| services | with ACM, meshcert adds a month | `acm-pca`, short-lived, 7 days | the same, 24 hours "
        "| tasks, network and load balancer a month |"
    )
    (told,) = (cells[1:] for cells in rows(PAGE, heading) if cells[0].split(",")[0] == str(services))
    planned = [_planned(services, life) for life in ("", "7d", "24h")]

    dollars = [plan.month.dollars for plan in planned] + [planned[0].workload_dollars]
    assert told == [f"${each:,.0f}" for each in dollars]


def test_alarms_that_wake_somebody_exist() -> None:
    """By their names, which a rule elsewhere repeats."""
    (sentence,) = re.findall(r"Worth waking somebody are (.+?);", PAGES[PAGE])

    told = set(re.findall(r"`(\w+)`", sentence))
    assert told
    assert told <= {alarm.name for alarm in alarms("NAME")}


def _planned(services: int, life: str) -> OfflinePlan:
    """The plan of a mesh whose certificates a short-lived CA issues for a life, or ACM if there is none."""
    names = [f"service-{number}" for number in range(services)]
    values = mesh_of(names)
    if services > MOST_WITHOUT_SHARDS:
        values["shards"] = {"others": names[2::2]}
    if life:
        values["hierarchies"]["only"]["usage"] = "short_lived"
        for identity in values["identities"].values():
            identity |= {"issuer": "acm-pca", "validity": life}
    mesh: Mesh | None = read_mesh(yaml.safe_dump(values).encode()).mesh
    assert mesh is not None
    return offline_plan(mesh)
