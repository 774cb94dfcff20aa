"""Yelb over three accounts, as far as templates say: as the example is, and with all that a cell can have."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aws_cdk import App, Environment, Stage

from evidence.fixtures.pki import Hierarchy
from meshcert.mesh import load_mesh
from stacks.cells import add_cell
from stacks.meshes import add_stacks
from stacks.runtime import Platform
from tests.meshcert.mesh.cells.yelb import (
    AUTHORITIES,
    BACKEND,
    DEPLOYED,
    FRONTEND,
    IN_ONE_NAMESPACE,
    LISTED,
    SHARED,
    text,
)
from tests.stacks.isolation.deployed import DeployedCell
from tests.stacks.synthesis import CONTEXT, WITHOUT_COPIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.stacks.isolation.widenings import Stacks

REGION = "eu-west-1"
MORE = (
    *LISTED,
    ("mesh.trust_domain", "yelb.example"),
    ("mesh.published_bundle", {"hierarchies": ["inner"]}),
    ("identities.appserver.issuer", "acm-pca"),
    ("identities.appserver.spiffe_id", "spiffe://yelb.example/appserver"),
    (
        "identities.partner",
        {
            "cell": "frontend",
            "hierarchy": "edge",
            "dns_names": ["partner.example.com"],
            "key_algorithm": "EC_prime256v1",
            "client": {"principals": [f"arn:aws:iam::{FRONTEND}:role/batch"], "trust": ["edge"]},
        },
    ),
    (
        "services.ui.application.secrets",
        {
            "PASSWORD": f"arn:aws:secretsmanager:eu-west-1:{FRONTEND}:secret:shop/db-AbCdEf:password::",
            "LEVEL": f"arn:aws:ssm:eu-west-1:{FRONTEND}:parameter/shop/level",
        },
    ),
    (
        "services.postgres",
        {
            "cell": "backend",
            "virtual_node": "postgres",
            "application": {"port": 5433},
            "attached": {
                "cluster": "data",
                "service": "postgres",
                "container": "app",
                "security_group": "sg-0123456789abcdef0",
            },
            "rotation": "redeploy",
        },
    ),
)
"""Lists, an identity of Private CA, a client outside the mesh, fetched secrets, an attached service, a bundle."""


@lru_cache(maxsize=3)
def deployed(*, more: bool = False, one_namespace: bool = False) -> tuple[DeployedCell, ...]:
    """
    All cells, after the first deploy of the one with the CAs.

    Args:
        more: Whether the mesh has all that a cell can have.
        one_namespace: Whether their services register in a namespace that the account with the CAs shares.
    """
    changes = (*DEPLOYED, *(MORE if more else ()), *(IN_ONE_NAMESPACE if one_namespace else ()))
    owner, sharing = (SHARED, (FRONTEND, BACKEND)) if one_namespace else ("", ())
    with TemporaryDirectory() as folder:
        file = Path(folder) / "mesh.yaml"
        for name in AUTHORITIES:
            file.with_name(f"{name}.pem").write_text(Hierarchy().root_pem)
        file.write_bytes(text(*changes))
        app = App(outdir=f"{folder}/out", context={**CONTEXT, **WITHOUT_COPIES, "mesh": str(file)})
        mesh = load_mesh(file)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("stacks.identities.ROOT", file.parent)
            for cell in mesh.cells:
                assert not add_cell(app, mesh, cell, Platform.from_context(app.node))
        stacks = {stack.stack_name: stack.template for stack in app.synth().stacks_recursively}
    return tuple(
        DeployedCell(
            name,
            place.account,
            place.region,
            {stack: template for stack, template in stacks.items() if stack.startswith(f"yelb-{name}-")},
            {f"{hierarchy}Root": arn for hierarchy, arn in AUTHORITIES.items() if name == "shared"},
            owner,
            sharing,
        )
        for name, place in mesh.cells.items()
    )


def in_one_account() -> DeployedCell:
    """The same services and identities as a mesh without cells."""
    values = yaml.safe_load(re.sub(r"\b(frontend|backend)\.yelb\.internal", "yelb.internal", text().decode()))
    del values["cells"]
    for kind in ("hierarchies", "services"):
        for declared in values[kind].values():
            del declared["cell"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "mesh.yaml"
        file.write_text(yaml.safe_dump(values, sort_keys=False))
        app = App(outdir=f"{folder}/out", context={**CONTEXT, **WITHOUT_COPIES, "mesh": str(file)})
        stage = Stage(app, "yelb", env=Environment(account=FRONTEND, region=REGION))
        add_stacks(stage, "", load_mesh(file), Platform.from_context(app.node))
        stacks = {stack.stack_name: stack.template for stack in app.synth().stacks_recursively}
    return DeployedCell("", FRONTEND, REGION, stacks, {})


def changed(cells: Iterable[DeployedCell], change: Callable[[Stacks], None]) -> tuple[DeployedCell, ...]:
    """The cells with their templates changed; those that are not are the same as before."""
    cells = tuple(cells)
    stacks: dict[str, Any] = {name: copy.deepcopy(stack) for cell in cells for name, stack in cell.stacks.items()}
    change(stacks)
    return tuple(
        cell if own == cell.stacks else replace(cell, stacks=own)
        for cell in cells
        for own in [{name: stacks[name] for name in cell.stacks}]
    )
