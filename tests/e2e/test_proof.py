"""``make demo MESH=FILE``: the proof of a mesh file with several services, on a local AWS of its own."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from rich.console import Console

from evidence.bench.slow_start import slow_application
from local.cdk import ROOT
from local.demo.proof import PairsCounted, Proof
from local.demo.stage import Stage
from local.running_aws import LocalAws
from tests.e2e.deploying import ThroughTheApi

if TYPE_CHECKING:
    from pathlib import Path

STARTS_AFTER_S = 5.0


@pytest.mark.timeout(900)
def test_a_mesh_files_proof_is_derived_from_it(tmp_path: Path) -> None:
    """
    The shop, with one listener that names nobody, and two tasks whose application takes a while to listen and calls.

    Every declared pair talks, in HTTP, HTTP/2 and gRPC, as a client outside the mesh and as the application of a node;
    every other pair is refused, except those that this listener trusts, which are told; every identity is renewed, the
    slow tasks' by a new deployment, and no request fails or comes twice.
    """
    values = yaml.safe_load((ROOT / "examples" / "shop.yaml").read_text())
    del values["virtual_nodes"]["search"]["listeners"][0]["tls"]["validation"]["subject_alternative_names"]
    _let_orders_call_the_catalog(values)
    orders = values["services"]["orders"]
    assert orders["rotation"] == "redeploy"
    orders["desired_count"] = 2
    orders["application"]["image"] = str(slow_application(tmp_path, STARTS_AFTER_S))
    file = tmp_path / "nameless.yaml"
    file.write_text(yaml.safe_dump(values))
    folder = tmp_path / "folder"
    folder.mkdir()
    printed = io.StringIO()
    stage = Stage(started=time.time(), console=Console(file=printed, width=160))

    with LocalAws(tmp_path / "aws", certificates=Proof.TIMES) as aws:
        proof = Proof(stage, aws, folder, file)
        proof.cdk = ThroughTheApi(aws.environment(), aws=aws)
        result = proof.play()

    said = printed.getvalue()
    assert result.proven, said
    assert result.pairs == PairsCounted(declared=5, talk=5, undeclared=11, refused=8, trusted_undeclared=3)
    assert (result.failed, result.twice) == (0, 0)
    assert result.renewed == 5
    assert "catalog: registry.example.com/shop/catalog:1.4 is not a folder here; a stand-in that speaks grpc" in said
    assert "orders → catalog:9443, mutual TLS: answer 200" in said
    assert "2 through the caller's own egress listener, too: refused there (403)" in said
    assert (
        "trusted, though nobody declared it: catalog, orders, partner → search:9443\n    its listener names nobody"
        in said
    )


def _let_orders_call_the_catalog(values: dict[str, Any]) -> None:
    """A node as caller, with tasks that are replaced: over gRPC, and of a hierarchy that is trusted beside the edge."""
    values["hierarchies"]["edge"]["also_trust"] = ["inner"]
    nodes = values["virtual_nodes"]
    tls = {"certificate": {"identity": "orders"}, "validation": {"trust": {"hierarchy": "inner"}}}
    nodes["orders"]["backends"] = [{"virtual_node": "catalog", "client_policy": {"tls": tls}}]
    names = nodes["catalog"]["listeners"][0]["tls"]["validation"]["subject_alternative_names"]
    names["match"]["exact"].append("orders.shop.internal")
