"""AWS's own list of good habits, applied to all stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aws_cdk import App, CfnResource, CloudFormationValidatePlugin, Stack, Validations
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from app import build
from tests.meshcert.mesh.mesh_slips import changed
from tests.meshcert.mesh.test_trust_domains import PARTNER
from tests.stacks.synthesis import CONTEXT as OF_ALL

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = OF_ALL | {"@aws-cdk/core:validateAgainstDefaultRules": True}
"""What the CDK's own rules for templates find is an error, and not a warning."""


def test_neither_cdk_nag_nor_the_cdk_finds_anything_that_is_not_accepted_with_a_reason(tmp_path: Path) -> None:
    """
    A finding of AwsSolutions that is neither mended nor accepted (stacks/findings.py) stops the synthesis.

    The mesh writes revocation lists, asks a bundle endpoint and publishes its own bundle for everybody, too: that adds
    resources and takes none away.
    """
    mesh = tmp_path / "mesh.yaml"
    mesh.write_bytes(
        changed(
            ("hierarchies.colorteller.revocation", "crl"),
            ("trust_domains", PARTNER),
            ("mesh.trust_domain", "color.example"),
            ("mesh.published_bundle", {"hierarchies": ["colorteller"], "public": True}),
        )
    )
    app = build(App(outdir=str(tmp_path / "out"), context={**CONTEXT, "mesh": str(mesh)}))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), CloudFormationValidatePlugin())

    app.synth()


def test_cdk_nag_would_find_an_unacceptable_resource(tmp_path: Path) -> None:
    """A plain queue is refused: the check above can fail."""
    app = App(outdir=str(tmp_path), context=CONTEXT)
    sqs.Queue(Stack(app, "Careless"), "Plain")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        app.synth()


def test_the_cdk_would_find_a_property_that_cloudformation_does_not_know(tmp_path: Path) -> None:
    """A queue with a misspelt property is refused: the check above can fail."""
    app = App(outdir=str(tmp_path), context=CONTEXT)
    CfnResource(Stack(app, "Careless"), "Plain", type="AWS::SQS::Queue", properties={"QueueNam": "plain"})
    Validations.of(app).add_plugins(CloudFormationValidatePlugin())

    with pytest.raises(RuntimeError, match="QueueNam"):
        app.synth()
