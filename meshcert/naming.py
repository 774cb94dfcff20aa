"""
The names of what a mesh has in AWS.

They are deterministic, so that stacks need no exports of secrets or certificates and policies can name roles before
they exist. The mesh file limits lengths so that every name fits (role names: 64 characters, iam:CreateRole).
"""

from __future__ import annotations

EXPORT_ROLE = "export"
RENEWAL_ROLE = "renewal"
DISPATCH_ROLE = "dispatch"
VERIFY_ROLE = "verify"
OPERATOR_ROLE = "operator"
EXECUTION_ROLE = "execution"
TAG = "meshcert:mesh"
"""Every resource of a mesh carries its mesh's name under this tag; the functions' rights are limited by it."""


def identity_secret(mesh: str, identity: str) -> str:
    """The secret with an identity's material."""
    return f"meshcert/{mesh}/identity/{identity}"


def trust_bundle_secret(mesh: str, hierarchy: str) -> str:
    """The secret with a hierarchy's trust bundle."""
    return f"meshcert/{mesh}/trust/{hierarchy}"


def revocation_bucket(mesh: str, account: str, region: str) -> str:
    """The S3 bucket with the CAs' revocation lists; buckets of all accounts share their names."""
    return f"meshcert-{mesh}-crl-{account}-{region}"


def revocation_list(certificate_authority: str) -> str:
    """The key under which AWS Private CA writes a CA's list (user guide, "CRL structure"); by the id in its ARN."""
    return f"crl/{certificate_authority}.crl"


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


def lifecycle_table(mesh: str) -> str:
    """The DynamoDB table with what the renewal function remembers of each identity."""
    return f"meshcert-{mesh}-lifecycle"


LIFECYCLE_UNSETTLED = "unsettled"
"""The table's sparse index of identities that the next tick has to look at."""


def acknowledgements_table(mesh: str) -> str:
    """The DynamoDB table in which each task says what its Envoy serves."""
    return f"meshcert-{mesh}-acknowledgements"


def queue(mesh: str, name: str) -> str:
    """An SQS queue: ``looks``, ``orders``, ``dispatch``, their ``-dead-letters``, or ``undelivered``."""
    return f"meshcert-{mesh}-{name}"


def schedule(mesh: str, name: str) -> str:
    """An EventBridge Scheduler schedule: ``tick`` or ``sweep``."""
    return f"meshcert-{mesh}-{name}"


def topic(mesh: str) -> str:
    """The SNS topic of the alarms."""
    return f"meshcert-{mesh}-alarms"


def alarm(mesh: str, name: str) -> str:
    """A CloudWatch alarm."""
    return f"meshcert-{mesh}-{name}"


def dashboard(mesh: str, region: str) -> str:
    """The CloudWatch dashboard; dashboards are not regional, so the region keeps them apart."""
    return f"meshcert-{mesh}-{region}"


ENVOY_CONTAINER = "envoy"
"""The container of a task that runs the proxy: ECS tells its exit code by this name."""

AUDIT = "audit"
"""The log group with a line for every action; see :func:`log_group`."""

IDENTITY_TAG_PREFIX = "meshcert:identity/"
"""An ECS service carries a tag with this key prefix for each identity its proxy holds; ECS events find them by it."""


def cluster(mesh: str) -> str:
    """The ECS cluster."""
    return f"meshcert-{mesh}"


def key_alias(mesh: str) -> str:
    """The KMS key that encrypts the mesh's secrets."""
    return f"alias/meshcert-{mesh}"


def log_group(mesh: str, owner: str) -> str:
    """The log group of a service's tasks or of a function."""
    return f"/meshcert/{mesh}/{owner}"
