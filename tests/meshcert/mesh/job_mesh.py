"""The example's mesh of services of the user's, with a job beside them."""

from __future__ import annotations

from typing import Any

import yaml

from tests.stacks.synthesis import ROOT

FILE = ROOT / "examples" / "own-cdk-app" / "mesh.yaml"


def mesh_with_a_job() -> dict[str, Any]:
    """The mesh file's document, with the job ``report``, which calls ``stock`` at port 15100 of its own loopback."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    found["identities"]["report"] = {**found["identities"]["stock"], "dns_names": ["report.shop.internal"]}
    trusted = {
        "trust": {"hierarchy": "internal"},
        "subject_alternative_names": {"match": {"exact": ["stock.shop.internal"]}},
    }
    policy = {"tls": {"certificate": {"identity": "report"}, "validation": trusted}}
    found["virtual_nodes"]["report"] = {
        "backends": [{"virtual_node": "stock", "local_port": 15100, "client_policy": policy}]
    }
    admitted = found["virtual_nodes"]["stock"]["listeners"][0]["tls"]["validation"]["subject_alternative_names"]
    admitted["match"]["exact"].append("report.shop.internal")
    found["services"]["report"] = {
        "virtual_node": "report",
        "attached": {
            "job": True,
            "task_definition": "nightly-report",
            "container": "app",
            "security_group": "sg-0123456789abcdef0",
        },
    }
    return found
