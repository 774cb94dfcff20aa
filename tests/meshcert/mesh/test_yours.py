"""What is wrong with things of yours is told by ``meshcert check``, as far as the file alone tells."""

from __future__ import annotations

from typing import Any

import pytest

from meshcert.mesh.cells.slices import in_cell
from tests.meshcert.mesh.cells.yelb import BACKEND, FRONTEND, reading
from tests.meshcert.mesh.mesh_slips import changed, faults_of

BALANCER = "services.colorgateway.load_balancer"
SUBNETS = {"us-west-1a": "subnet-0aaaaaaaaaaaaaaaa"}
NETWORK = {"existing": {"vpc": "vpc-0123456789abcdef0", "cidrs": ["172.16.0.0/16"], "subnets": SUBNETS}}
IN_IRELAND = {"existing": {**NETWORK["existing"], "subnets": {"eu-west-1a": "subnet-0aaaaaaaaaaaaaaaa"}}}
CA = "arn:aws:acm-pca:{}:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
GROUP = "arn:aws:elasticloadbalancing:{}:111122223333:targetgroup/edge/0123456789abcdef"
OWN = "111122223333"
CLUSTER = "arn:aws:ecs:{}:{}:cluster/shop"
TELLER = "services.colorteller"
ATTACHED = {"service": "teller", "container": "app", "security_group": "sg-0123456789abcdef0"}
KEY = "arn:aws:kms:{}:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
LOGS = "arn:aws:logs:{}:111122223333:log-group:/shop/tasks"
CERTIFICATE = "arn:aws:acm:{}:111122223333:certificate/1"


def hierarchy(region: str) -> dict[str, Any]:
    """The teller's, under a CA of somebody's."""
    return {"existing": {"arn": CA.format(region), "root": "root.pem"}, "key_algorithm": "RSA_2048"}


@pytest.mark.parametrize(
    ("at", "value", "place"),
    [
        ("hierarchies.colorteller", hierarchy("eu-west-1"), "hierarchies.colorteller.existing.arn"),
        ("cluster", {"existing": "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"}, "cluster.existing"),
        ("mesh.secrets_key", KEY.format("eu-west-1"), "mesh.secrets_key"),
        ("logs", {"existing": LOGS.format("eu-west-1")}, "logs.existing"),
        (f"{TELLER}.attached", {**ATTACHED, "cluster": CLUSTER.format("eu-west-1", OWN)}, f"{TELLER}.attached.cluster"),
        (BALANCER, {"target_groups": {8443: GROUP.format("eu-west-1")}}, f"{BALANCER}.target_groups.8443"),
    ],
    ids=["a CA", "a cluster", "a key", "a log group", "an attached service", "a target group"],
)
def test_all_that_is_yours_is_in_one_region(at: str, value: Any, place: str) -> None:
    """The zones of the VPC say in which; a CA signs nothing for another one."""
    faults = faults_of(changed(("network", NETWORK), (at, value)))

    (fault,) = [each for each in faults if each.place == place]
    assert "in eu-west-1, and network.existing.subnets.us-west-1a in us-west-1" in fault.problem
    assert "Name one in us-west-1" in fault.remedy


@pytest.mark.parametrize(
    ("at", "value", "place"),
    [
        (
            f"{TELLER}.attached",
            {**ATTACHED, "cluster": CLUSTER.format("us-west-1", "9" * 12)},
            f"{TELLER}.attached.cluster",
        ),
        ("mesh.secrets_key", KEY.format("us-west-1").replace(OWN, "9" * 12), "mesh.secrets_key"),
        (
            BALANCER,
            {"target_groups": {8443: GROUP.format("us-west-1").replace(OWN, "9" * 12)}},
            f"{BALANCER}.target_groups.8443",
        ),
    ],
    ids=["an attached service", "a key", "a target group"],
)
def test_all_that_is_yours_is_of_one_account(at: str, value: Any, place: str) -> None:
    """But for a CA, which another account may share."""
    cluster = {"existing": CLUSTER.format("us-west-1", OWN)}

    (fault,) = [
        each
        for each in faults_of(changed(("network", NETWORK), ("cluster", cluster), (at, value)))
        if "account" in each.problem
    ]

    assert fault.place == place
    assert f"it is of account {'9' * 12}, and cluster.existing of account {OWN}" in fault.problem
    assert f"Name one of account {OWN}" in fault.remedy


def test_in_one_region_there_is_no_fault() -> None:
    """A cluster by its name alone may be in any."""
    for at, value, region in (("network", NETWORK, "us-west-1"), ("cluster", {"existing": "shop"}, "eu-west-1")):
        assert faults_of(changed((at, value), ("hierarchies.colorteller", hierarchy(region)))) == ()


def test_cells_have_keys_of_their_own() -> None:
    """A key is of one account and region."""
    (fault,) = reading(("mesh.secrets_key", KEY.format("eu-west-1"))).faults

    assert (fault.place, "each cell" in fault.problem) == ("mesh.secrets_key", True)


@pytest.mark.parametrize(
    ("logs", "place", "words"),
    [
        ({"keep_made": True}, "logs.keep_made", "Remove it"),
        ({"existing": "/shop", "group_per_service": True}, "logs.group_per_service", "add keep_made: true"),
        ({"existing": "a group"}, "logs.existing", "match pattern"),
    ],
    ids=["nothing to keep", "groups of services", "no name of a log group"],
)
def test_a_log_group_of_yours_is_one_for_all(logs: dict[str, Any], place: str, words: str) -> None:
    """What was made may stay beside it."""
    (fault,) = faults_of(changed(("logs", logs)))

    assert (fault.place, words in fault.remedy) == (place, True)


def test_cells_have_log_groups_of_their_own() -> None:
    """One name in each account, or one that the cell says; an ARN is of one account and region."""
    name = LOGS.format("eu-west-1")
    faults = [
        reading(change).faults
        for change in (
            ("logs", {"existing": "/shop/tasks"}),
            ("logs", {"existing": name}),
            ("cells.frontend.logs", {"existing": "/ui"}),
            ("cells.frontend.logs", {"existing": name}),
            ("cells.frontend.logs", {"keep_made": True}),
        )
    ]

    places = [[fault.place for fault in each] for each in faults]
    assert places == [[], ["logs.existing"], [], ["cells.frontend.logs.existing"], ["cells.frontend.logs.keep_made"]]


def test_a_cell_writes_to_the_log_group_that_it_says() -> None:
    """Others to the mesh's own, of their accounts."""
    mesh = reading(("cells.frontend.logs", {"existing": "/ui"})).mesh
    assert mesh

    assert in_cell(mesh, "frontend").logs.existing_name == "/ui"
    assert in_cell(mesh, "backend").log_place("redis") == ("/meshcert/yelb", "redis/")


def test_a_cell_runs_in_the_cluster_under_the_key_and_in_the_namespace_that_it_says() -> None:
    """Others in what the mesh says of all, or in what their deploys make."""
    place, cluster = "cells.frontend", CLUSTER.format("eu-west-1", FRONTEND)
    read = reading(
        ("cluster", {"existing": CLUSTER.format("eu-west-1", BACKEND)}),
        (f"{place}.cluster", {"existing": cluster}),
        (f"{place}.secrets_key", KEY.format("eu-west-1").replace(OWN, FRONTEND)),
        (f"{place}.namespace_id", "ns-0123456789abcdef"),
        (f"{place}.network", IN_IRELAND),
    )
    assert read.mesh, read.faults

    frontend, backend = in_cell(read.mesh, "frontend"), in_cell(read.mesh, "backend")

    assert (frontend.cluster.existing, frontend.cluster_name) == (cluster, "shop")
    assert (frontend.about.namespace_id, frontend.namespace_owner) == ("ns-0123456789abcdef", "")
    assert frontend.about.secrets_key.endswith(KEY[-36:])
    assert (backend.about.secrets_key, backend.about.namespace_id) == ("", "")
    assert read.mesh.ecs_places | backend.ecs_places | frontend.ecs_places == read.mesh.ecs_places


def test_clusters_of_one_name_are_one_in_each_account() -> None:
    """A service of yours in one cell is not that of the other."""
    attached = {"attached": {**ATTACHED, "cluster": "own"}, "application": {"port": 6380}}
    services = [
        (f"services.{name}", {"cell": cell, "virtual_node": name, **attached})
        for name, cell in (("ui", "frontend"), ("redis", "backend"))
    ]

    told = [fault.problem for fault in reading(*services).faults]

    assert not [each for each in told if "already" in each], told


def test_a_namespace_of_the_one_cell_with_services_is_in_that_cells_vpc() -> None:
    """It may say its VPC, or the mesh."""
    services = [(f"services.{name}.cell", "frontend") for name in ("appserver", "redis", "postgres")]
    named = (*services, ("mesh.namespace_id", "ns-0123456789abcdef"), ("cells.frontend.namespace", "yelb.internal"))

    told = [
        {fault.place for fault in reading(*named, *more).faults} & {"mesh.namespace_id"}
        for more in ([], [("cells.frontend.network", IN_IRELAND)])
    ]

    assert told == [{"mesh.namespace_id"}, set()]


def test_an_application_load_balancer_stands_in_two_zones() -> None:
    """A network load balancer may stand in one."""
    balancer = {"type": "application", "certificate": CERTIFICATE.format("us-west-1")}

    (fault,) = faults_of(changed(("network", NETWORK), (BALANCER, balancer)))

    assert fault.place == "network.existing.subnets"
    assert "two or more" in fault.problem
    assert faults_of(changed(("network", NETWORK), (BALANCER, True))) == ()


def test_a_target_group_is_for_one_port() -> None:
    """Else requests for either port come to both."""
    tls = {"certificate": {"identity": "colorgateway"}}
    listeners = [{"port_mapping": {"port": port, "protocol": "http"}, "tls": tls} for port in (8443, 8444)]
    groups = dict.fromkeys((8443, 8444), GROUP.format("us-west-1"))
    gateway = "virtual_gateways.colorgateway.listeners"

    (fault,) = faults_of(changed(("network", NETWORK), (gateway, listeners), (BALANCER, {"target_groups": groups})))

    assert fault.place == f"{BALANCER}.target_groups.8444"
    assert "either port" in fault.problem
