"""
The names of what a mesh has in AWS.

They are deterministic, so that stacks need no exports of secrets or certificates and policies can name roles before
they exist. The mesh file limits lengths so that every name fits (role names: 64 characters, iam:CreateRole).
"""

from __future__ import annotations

EXPORT_ROLE = "export"
EXECUTION_ROLE = "execution"
TAG = "meshcert:mesh"
"""Every resource of a mesh carries its mesh's name under this tag; the functions' rights are limited by it."""


def identity_secret(mesh: str, identity: str) -> str:
    """The secret with an identity's material."""
    return f"meshcert/{mesh}/identity/{identity}"


def trust_bundle_secret(mesh: str, hierarchy: str) -> str:
    """The secret with a hierarchy's trust bundle."""
    return f"meshcert/{mesh}/trust/{hierarchy}"


def role(mesh: str, region: str, owner: str) -> str:
    """The role of a service's tasks or of a function; the region keeps meshes of two regions apart."""
    return f"meshcert-{mesh}-{region}-{owner}"


BOOTSTRAP_QUALIFIER = "hnb659fds"
"""The CDK's own, unless an app chooses another (``@aws-cdk/core:bootstrapQualifier``)."""


def deploy_role(qualifier: str, account: str, region: str) -> str:
    """The role that CloudFormation deploys with, as ``cdk bootstrap`` makes it."""
    return f"cdk-{qualifier}-cfn-exec-role-{account}-{region}"


def function(mesh: str, name: str) -> str:
    """A Lambda function."""
    return f"meshcert-{mesh}-{name}"


def identities_table(mesh: str) -> str:
    """The DynamoDB table of declared identities."""
    return f"meshcert-{mesh}-identities"


IDENTITIES_BY_CERTIFICATE = "by-certificate"
"""The table's index from an ACM certificate's ARN to its identity."""


def cluster(mesh: str) -> str:
    """The ECS cluster."""
    return f"meshcert-{mesh}"


def key_alias(mesh: str) -> str:
    """The KMS key that encrypts the mesh's secrets."""
    return f"alias/meshcert-{mesh}"


def log_group(mesh: str, owner: str) -> str:
    """The log group of a service's tasks or of a function."""
    return f"/meshcert/{mesh}/{owner}"
