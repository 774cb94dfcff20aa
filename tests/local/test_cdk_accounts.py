"""The CDK CLI over two accounts, as `cdk bootstrap --trust` has it: one deployer, a stack in each account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_acmpca as acmpca
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ram as ram
from aws_cdk import cx_api

from local.cdk import CdkCli, CdkFailed
from tests.local.aws.shared_authorities import OTHER, InAccount, organize

if TYPE_CHECKING:
    from local.running_aws import LocalAws

KEY, SIGNING = "EC_prime256v1", "SHA256WITHECDSA"


def assembled(app: cdk.App) -> Path:
    """The folder of an app's cloud assembly."""
    # jsii finds the type of what it returns only if its module has been imported.
    assembly: cx_api.CloudAssembly = app.synth()
    return Path(assembly.directory)


def shared_account(folder: Path, account: str, region: str) -> Path:
    """A CA that another account may issue from."""
    app = cdk.App(outdir=str(folder))
    stack = cdk.Stack(app, "pki", env=cdk.Environment(account=account, region=region))
    root = acmpca.CfnCertificateAuthority(
        stack,
        "Root",
        type="ROOT",
        subject=acmpca.CfnCertificateAuthority.SubjectProperty(common_name="Root"),
        key_algorithm=KEY,
        signing_algorithm=SIGNING,
    )
    certificate = acmpca.CfnCertificate(
        stack,
        "Certificate",
        certificate_authority_arn=root.attr_arn,
        certificate_signing_request=root.attr_certificate_signing_request,
        signing_algorithm=SIGNING,
        template_arn="arn:aws:acm-pca:::template/RootCACertificate/V1",
        validity=acmpca.CfnCertificate.ValidityProperty(type="YEARS", value=10),
    )
    acmpca.CfnCertificateAuthorityActivation(
        stack, "Activation", certificate_authority_arn=root.attr_arn, certificate=certificate.attr_certificate
    )
    ram.CfnResourceShare(
        stack, "Share", name="mesh", principals=[OTHER], resource_arns=[root.attr_arn], allow_external_principals=False
    )
    cdk.CfnOutput(stack, "Authority", value=root.attr_arn)
    return assembled(app)


def using_account(folder: Path, region: str, authority: str) -> Path:
    """A certificate of that CA."""
    app = cdk.App(outdir=str(folder))
    stack = cdk.Stack(app, "leaf", env=cdk.Environment(account=OTHER, region=region))
    acm.CfnCertificate(
        stack,
        "Leaf",
        domain_name="teller.color.local",
        certificate_authority_arn=authority,
        key_algorithm=KEY,
    )
    return assembled(app)


def test_one_deployer_deploys_into_two_accounts(fresh_aws: LocalAws, tmp_path: Path) -> None:
    """The bootstrap's roles are assumed across accounts where they trust the deployer, and only there."""
    organize(fresh_aws)
    own, theirs = CdkCli(fresh_aws.environment()), CdkCli(fresh_aws.environment(OTHER))
    there = InAccount(fresh_aws).client("cloudformation")

    # Without the CLI, which the demo has deploy into one account.
    fresh_aws.deploy(shared_account(tmp_path / "pki", fresh_aws.account, fresh_aws.region))
    (stack,) = fresh_aws.client("cloudformation").describe_stacks(StackName="pki")["Stacks"]
    leaf = using_account(tmp_path / "leaf", fresh_aws.region, stack["Outputs"][0]["OutputValue"])
    with pytest.raises(CdkFailed, match=OTHER):
        own.deploy(leaf)
    theirs.bootstrap_trusting(fresh_aws.account)
    own.deploy(leaf)

    assert there.describe_stacks(StackName="leaf")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    (certificate,) = (
        InAccount(fresh_aws).client("acm").list_certificates(Includes={"keyTypes": [KEY]})["CertificateSummaryList"]
    )
    assert certificate["Status"] == "ISSUED"
