"""AWS's own list of good habits, applied to all stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from app import build
from tests.meshcert.mesh.mesh_slips import changed
from tests.meshcert.mesh.test_trust_domains import PARTNER
from tests.stacks.synthesis import CONTEXT

if TYPE_CHECKING:
    from pathlib import Path


def test_cdk_nag_finds_nothing_that_is_not_accepted_with_a_reason(tmp_path: Path) -> None:
    """
    AwsSolutions: a finding that is neither mended nor accepted (stacks/findings.py) stops the synthesis.

    The mesh writes revocation lists and asks a bundle endpoint too, which adds resources and takes none away.
    """
    mesh = tmp_path / "mesh.yaml"
    mesh.write_bytes(changed(("hierarchies.colorteller.revocation", "crl"), ("trust_domains", PARTNER)))
    app = build(App(outdir=str(tmp_path / "out"), context={**CONTEXT, "mesh": str(mesh)}))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    app.synth()


def test_cdk_nag_would_find_an_unacceptable_resource(tmp_path: Path) -> None:
    """A plain queue is refused: the check above can fail."""
    app = App(outdir=str(tmp_path), context=CONTEXT)
    sqs.Queue(Stack(app, "Careless"), "Plain")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        app.synth()
