"""``make demo MESH=FILE``: the proof of a mesh file with several services, on a local AWS of its own."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

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
    The shop, with one listener that names nobody, and two tasks whose application takes a while to listen.

    Every declared pair talks, in HTTP, HTTP/2 and gRPC and as a client outside the mesh; every other pair is refused,
    except the one that this listener trusts, which is told; every identity is renewed, the slow tasks' by a new
    deployment, and no request fails or comes twice.
    """
    values = yaml.safe_load((ROOT / "examples" / "shop.yaml").read_text())
    del values["virtual_nodes"]["search"]["listeners"][0]["tls"]["validation"]["subject_alternative_names"]
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
    assert result.pairs == PairsCounted(declared=4, talk=4, undeclared=12, refused=11, trusted_undeclared=1)
    assert (result.failed, result.twice) == (0, 0)
    assert result.renewed == 5
    assert "catalog: registry.example.com/shop/catalog:1.4 is not a folder here; a stand-in that speaks grpc" in said
    assert "trusted, though nobody declared it: partner → search:9443\n    its listener names nobody" in said
