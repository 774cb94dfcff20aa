"""Identities go from ACM to AWS Private CA and back, under a mesh that answers all the while."""

from __future__ import annotations

import copy
import json
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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT = "short"
SERVICES = [GATEWAY, TELLER]
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
        with pytest.raises(DeploymentFailed, match="Do it in three"):
            aws.deploy(assemblies["moved"])
        print("events", _events(mesh))

        _deploy(mesh, assemblies["added"])
        requested = _requested(mesh)
        with pytest.raises(DeploymentFailed, match="Do it in two"):
            aws.deploy(assemblies["renamed"])
        print("events", _events(mesh))
        print(client.failures)
        _wait_until_proven(mesh)
        print(_state(mesh))

        _deploy(mesh, assemblies["moved"])
        print("events", _events(mesh))
        print(_state(mesh))
        print(client.failures)
        _deploy(mesh, assemblies["spiffe"])
        with pytest.raises(DeploymentFailed, match="take it out in the next deploy"):
            aws.deploy(assemblies["dropped"])
        print(client.failures)
        _deploy(mesh, assemblies["moved"])
        _deploy(mesh, assemblies["added"])
        print("events", _events(mesh))
        print(_state(mesh))
    print(client.requests, client.connections)
    assert client.failures == []


def _deploy(mesh: RunningMesh, assembly: Path) -> None:
    import time

    t = time.time()
    mesh.aws.deploy(assembly)
    t1 = time.time()
    mesh.wait_until_steady(SERVICES)
    t2 = time.time()
    _wait_until_proven(mesh)
    print(assembly.name, "deploy", t1 - t, "steady", t2 - t1, "proven", time.time() - t2)


def _wait_until_proven(mesh: RunningMesh) -> None:
    for name in SERVICES:
        wait_until(partial(_is_proven, mesh, name), f"{name} served and proven", within_s=180)


def _is_proven(mesh: RunningMesh, identity: str) -> bool:
    return bool(mesh.proven_version(identity)) and mesh.served_by_all(identity) == {mesh.serial(identity)}


def _requested(mesh: RunningMesh) -> set[str]:
    return {
        each["CertificateArn"]
        for each in mesh.client("acm").list_certificates(Includes={"keyTypes": ["RSA_2048", "EC_prime256v1"]})[
            "CertificateSummaryList"
        ]
    }


def _events(mesh: RunningMesh) -> list[str]:
    events = mesh.client("cloudformation").describe_stack_events(StackName="color-identities")["StackEvents"]
    events.sort(key=lambda event: event["Timestamp"])
    return "\n".join(
        f"{e['Timestamp']} {e['LogicalResourceId']} {e['ResourceStatus']} {e.get('ResourceStatusReason', '')[:80]}"
        for e in events[-40:]
    )


def _state(mesh: RunningMesh) -> str:
    rows = mesh.client("dynamodb").scan(TableName=naming.identities_table(mesh.name))["Items"]
    out = [json.dumps(rows)]
    try:
        for r in mesh.client("dynamodb").scan(TableName=naming.issuances_table(mesh.name))["Items"]:
            out.append(str({k: v for k, v in r.items() if k not in ("request", "private_key")}))
    except Exception as e:
        out.append(str(e))
    out.append(str(mesh.client("ssm").describe_parameters()["Parameters"]))
    out.append(str(_requested(mesh)))
    out.append(str(mesh.aws.control("GET", "/_local/acm-pca/issued")))
    return "\n".join(out)
