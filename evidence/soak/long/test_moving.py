"""Identities go from ACM to AWS Private CA and back, under a mesh that answers all the while."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from local.assembly import DeploymentFailed
from local.cdk import ROOT
from local.demo.scene import ANSWER, GATEWAY, MUTUAL, TELLER
from local.gateway_client import Gateway, SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.material.certificate_facts import load_certificates, sans_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT = "short"
SERVICES = [GATEWAY, TELLER]
PROVEN_WITHIN_S = 180
"""The local AWS ends a run whose function's code or settings change, which AWS does not; its lease of 135 s runs out."""
DNS = {name: f"{name}.mtls.svc.cluster.local" for name in SERVICES}
SPIFFE = {name: f"spiffe://color.example/{name}" for name in SERVICES}


def _meshes() -> dict[str, Any]:
    """The mesh file after each deploy, and those that are refused."""
    before = yaml.safe_load(MUTUAL.read_text())
    before["services"][TELLER]["rotation"] = "reload"

    added = copy.deepcopy(before)
    added["hierarchies"][SHORT] = {"tiers": 1, "usage": "short_lived", "key_algorithm": "EC_prime256v1"}
    added["hierarchies"][TELLER]["also_trust"] = [SHORT]

    moved = copy.deepcopy(added)
    moved["mesh"]["trust_domain"] = "color.example"
    for name, identity in moved["identities"].items():
        identity |= {"issuer": "acm-pca", "validity": "24h", "spiffe_id": SPIFFE[name]}
    # The gateway's stays under its CA: another issuer is all that changes.
    moved["identities"][TELLER]["hierarchy"] = SHORT
    _accept(moved, lambda name: [DNS[name], SPIFFE[name]])

    spiffe = copy.deepcopy(moved)
    _accept(spiffe, lambda name: [SPIFFE[name]])

    renamed = copy.deepcopy(spiffe)
    del renamed["identities"][TELLER]["dns_names"]
    _accept(renamed, lambda name: [DNS[name], SPIFFE[name]] if name == GATEWAY else [SPIFFE[name]])

    dropped = copy.deepcopy(spiffe)
    del dropped["hierarchies"][TELLER]["also_trust"]
    _policy(dropped)["trust"]["hierarchy"] = SHORT
    return {
        "before": before,
        "added": added,
        "moved": moved,
        "spiffe": spiffe,
        "renamed": renamed,
        "dropped": dropped,
    }


def _policy(mesh: dict[str, Any]) -> dict[str, Any]:
    (backend,) = mesh["virtual_gateways"][GATEWAY]["backends"]
    return backend["client_policy"]["tls"]["validation"]


def _accept(mesh: dict[str, Any], names: Any) -> None:
    (listener,) = mesh["virtual_nodes"][TELLER]["listeners"]
    for validation, peer in ((_policy(mesh), TELLER), (listener["tls"]["validation"], GATEWAY)):
        validation["subject_alternative_names"]["match"]["exact"] = names(peer)


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[LocalAws]:
    """A local AWS of its own."""
    with LocalAws(tmp_path / "aws") as running:
        yield running


@pytest.fixture
def assemblies(aws: LocalAws, tmp_path: Path) -> dict[str, Path]:
    """The cloud assembly of each mesh file."""
    meshes = _meshes()
    files = {name: tmp_path / f"{name}.yaml" for name in meshes}
    for name, file in files.items():
        file.write_text(yaml.safe_dump(meshes[name], sort_keys=False))
    subprocess.run(
        [sys.executable, "-m", "tests.e2e.assemblies", str(tmp_path), *map(str, files.values())],
        cwd=ROOT,
        env=os.environ | aws.environment(),
        check=True,
    )
    return {name: tmp_path / name for name in meshes}


@pytest.mark.timeout(1800)
def test_identities_move_to_private_ca_and_back_and_no_request_fails(
    aws: LocalAws, assemblies: dict[str, Path]
) -> None:
    """Trust first, then leaves, then names; steps done too early are refused, and a refused deploy is no obstacle."""
    mesh = RunningMesh(aws, "color", aws.resolve)
    aws.deploy(assemblies["before"])
    mesh.wait_until_steady(SERVICES)
    gateway = Gateway(mesh.gateway_address(GATEWAY), 8443, DNS[GATEWAY], mesh.trust_bundle(GATEWAY))
    with SteadyClient(gateway, ANSWER, aws.requests_seen) as client, Ticking(aws, mesh.name):
        _wait_until_proven(mesh)
        first = _of_acm(mesh)
        # The gateway's certificate is issued and published, and then everything goes back.
        _deploy_in_vain(mesh, assemblies["moved"], "Do it in three")
        assert (_of_acm(mesh), _declared(mesh)) == (first, set())

        _deploy(mesh, assemblies["added"])
        _deploy_in_vain(mesh, assemblies["renamed"], f"adds {SPIFFE[TELLER]} and removes {DNS[TELLER]}")
        _deploy_in_vain(mesh, assemblies["spiffe"], f"its peers accept {SPIFFE[GATEWAY]} alone")

        _deploy(mesh, assemblies["moved"])
        assert (_of_acm(mesh), _declared(mesh)) == (set(), set(SERVICES))
        assert {name: _names(mesh, name) for name in SERVICES} == {n: {DNS[n], SPIFFE[n]} for n in SERVICES}
        assert all(_published_before_the_old_one_went(mesh, name) for name in SERVICES)

        _deploy(mesh, assemblies["spiffe"])
        _deploy_in_vain(mesh, assemblies["dropped"], "take it out in the next deploy")

        _deploy(mesh, assemblies["moved"])
        _deploy(mesh, assemblies["added"])
        assert len(_of_acm(mesh) - first) == len(SERVICES)
        assert _declared(mesh) == set()
        assert naming.issuances_table(mesh.name) not in mesh.client("dynamodb").list_tables()["TableNames"]

    assert client.failures == []
    assert client.connections > 100


def _deploy(mesh: RunningMesh, assembly: Path) -> None:
    """Deploy a step, and go on when every task serves what was published."""
    import time; t = time.time()
    mesh.aws.deploy(assembly)
    t1=time.time()
    mesh.wait_until_steady(SERVICES)
    t2=time.time()
    _wait_until_proven(mesh)
    print(assembly.name, "deploy", t1-t, "steady", t2-t1, "proven", time.time()-t2, flush=True)


def _deploy_in_vain(mesh: RunningMesh, assembly: Path, words: str) -> None:
    """A deploy that is refused with these words; then everything is as it was."""
    before = {name: mesh.current_version(name) for name in SERVICES}
    with pytest.raises(DeploymentFailed, match=words):
        mesh.aws.deploy(assembly)
    assert {name: mesh.current_version(name) for name in SERVICES} == before
    _wait_until_proven(mesh)


def _wait_until_proven(mesh: RunningMesh) -> None:
    for name in SERVICES:
        wait_until(partial(_is_proven, mesh, name), f"{name} served and proven", within_s=PROVEN_WITHIN_S)


def _is_proven(mesh: RunningMesh, identity: str) -> bool:
    current = mesh.proven_version(identity)
    return bool(current) and mesh.served_by_all(identity) == {mesh.serial_of(identity, current)}


def _of_acm(mesh: RunningMesh) -> set[str]:
    """The certificates that ACM has."""
    kinds = {"keyTypes": ["RSA_2048", "EC_prime256v1"]}
    listed = mesh.client("acm").list_certificates(Includes=kinds)["CertificateSummaryList"]
    return {each["CertificateArn"] for each in listed}


def _declared(mesh: RunningMesh) -> set[str]:
    """The identities for which a parameter says what Private CA may be asked for; their rows say the same."""
    parameters = {each["Name"].rpartition("/") for each in mesh.client("ssm").describe_parameters()["Parameters"]}
    declared = {name for folder, _, name in parameters if f"{folder}/" == naming.issuance_parameter(mesh.name, "")}
    rows = mesh.client("dynamodb").scan(TableName=naming.identities_table(mesh.name), ConsistentRead=True)["Items"]
    assert declared == {row["name"]["S"] for row in rows if row["issuer"] == {"S": "acm-pca"}}
    return declared


def _names(mesh: RunningMesh, identity: str) -> set[str]:
    """The names in the certificate that is published."""
    (leaf,) = load_certificates(mesh.material(identity).certificate)
    return set(map(str, sans_of(leaf)))


def _published_before_the_old_one_went(mesh: RunningMesh, identity: str) -> bool:
    """Whether CloudFormation has deleted ACM's certificate only after the custom resource had published the next."""
    events = mesh.client("cloudformation").describe_stack_events(StackName=f"{mesh.name}-identities")["StackEvents"]
    told = [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]
    published, gone = (
        max(place for place, (resource, status) in enumerate(told) if resource.startswith(f"Identity{identity}{what}") and status == end)
        for what, end in (("Published", "UPDATE_COMPLETE"), ("Certificate", "DELETE_IN_PROGRESS"))
    )
    return published < gone
