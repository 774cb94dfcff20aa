"""
The names of a mesh's resources in AWS.

They are deterministic, so stacks need not export secrets or certificates, and policies can name roles before they
exist. The mesh file limits lengths so that every name fits (role names: 64 characters, iam:CreateRole).
"""

from __future__ import annotations

EXPORT_ROLE = "export"
RENEWAL_ROLE = "renewal"
DISPATCH_ROLE = "dispatch"
VERIFY_ROLE = "verify"
FEDERATE_ROLE = "federate"
PUBLISHER_ROLE = "publisher"
OPERATOR_ROLE = "operator"
EXECUTION_ROLE = "execution"
TAG = "meshcert:mesh"
"""Every resource of a mesh carries its mesh's name under this tag; the functions' rights are limited by it."""
SIGNS_TAG, SIGNS_CERTIFICATES = "meshcert:signs", "certificates"
"""A mesh's CA that signs certificates of workloads carries this tag and value; a root above an issuing CA does not."""


def identity_secret(mesh: str, identity: str) -> str:
    """Name of the secret with an identity's material."""
    return f"meshcert/{mesh}/identity/{identity}"


def trust_bundle_secret(mesh: str, hierarchy: str) -> str:
    """Name of the secret with a hierarchy's trust bundle."""
    return f"meshcert/{mesh}/trust/{hierarchy}"


def foreign_bundle_secret(mesh: str, trust_domain: str) -> str:
    """Name of the secret with the bundle of a foreign trust domain."""
    return f"meshcert/{mesh}/federation/{trust_domain}"


def bundle_bucket(mesh: str, account: str, region: str) -> str:
    """Name of the S3 bucket with the mesh's own SPIFFE bundle; it is unique over all accounts, as S3 requires."""
    return f"meshcert-{mesh}-bundle-{account}-{region}"


BUNDLE_OBJECT = "bundle.json"
"""The one object in it."""


def bundle_url(bucket: str, region: str, suffix: str) -> str:
    """
    The https URL of the mesh's own SPIFFE bundle at Amazon S3.

    Args:
        bucket: Of :func:`bundle_bucket`.
        suffix: The partition's DNS suffix, ``amazonaws.com``.
    """
    return f"https://{bucket}.s3.{region}.{suffix}/{BUNDLE_OBJECT}"


def revocation_bucket(mesh: str, account: str, region: str) -> str:
    """Name of the S3 bucket with the CAs' revocation lists; it is unique over all accounts, as S3 requires."""
    return f"meshcert-{mesh}-crl-{account}-{region}"


def revocation_list(certificate_authority: str) -> str:
    """
    The key under which AWS Private CA writes a CA's revocation list (user guide, "CRL structure").

    Args:
        certificate_authority: The id at the end of the CA's ARN.
    """
    return f"crl/{certificate_authority}.crl"


def role(mesh: str, region: str, owner: str) -> str:
    """Name of the role of a service's tasks or of a function; the region keeps meshes of two regions apart."""
    return f"meshcert-{mesh}-{region}-{owner}"


def own_execution_role(mesh: str, region: str, service: str) -> str:
    """
    Name of the role with which ECS starts one service's tasks, where it fetches secrets for them.

    No service is called so, since names have no dot; a longer end would not fit.
    """
    return role(mesh, region, f"{service}.ex")


def client_role(mesh: str, region: str, identity: str) -> str:
    """Name of the role with which a client outside the mesh fetches an identity; no service is called so either."""
    return role(mesh, region, f"{identity}.cl")


def discovery_role(mesh: str, region: str) -> str:
    """Name of the role with which callers in other cells find the tasks of this one; no service is called so either."""
    return role(mesh, region, "cells.discovery")


_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
}


def partition(region: str) -> str:
    """The partition of a region, for ARNs of other accounts; no principal crosses from one into another."""
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")


def role_arn(region: str, account: str, name: str) -> str:
    """
    ARN of a role of another account.

    Args:
        region: Any of the partition that the account is in.
    """
    return f"arn:{partition(region)}:iam::{account}:role/{name}"


BOOTSTRAP_QUALIFIER = "hnb659fds"
"""The CDK's default, unless an app chooses another (``@aws-cdk/core:bootstrapQualifier``)."""


def deploy_role(qualifier: str, account: str, region: str) -> str:
    """Name of the role that CloudFormation deploys with, as ``cdk bootstrap`` creates it."""
    return f"cdk-{qualifier}-cfn-exec-role-{account}-{region}"


def image_repository(qualifier: str, account: str, region: str) -> str:
    """Name of the ECR repository that ``cdk bootstrap`` creates for images built at a deploy."""
    return f"cdk-{qualifier}-container-assets-{account}-{region}"


def function(mesh: str, name: str) -> str:
    """Name of a Lambda function."""
    return f"meshcert-{mesh}-{name}"


def identities_table(mesh: str) -> str:
    """Name of the DynamoDB table of declared identities."""
    return f"meshcert-{mesh}-identities"


IDENTITIES_BY_CERTIFICATE = "by-certificate"
"""The table's index from an ACM certificate's ARN to its identity."""


def lifecycle_table(mesh: str) -> str:
    """Name of the DynamoDB table with the memory of each identity and its lease."""
    return f"meshcert-{mesh}-lifecycle"


LIFECYCLE_UNSETTLED = "unsettled"
"""The table's sparse index of identities that the next tick has to look at."""


def issuances_table(mesh: str) -> str:
    """Name of the DynamoDB table of requests to AWS Private CA; a mesh without identities of its own keys has none."""
    return f"meshcert-{mesh}-issuances"


def issuance_parameter(mesh: str, identity: str) -> str:
    """Name of the Systems Manager parameter with the terms of an identity's certificates of AWS Private CA."""
    return f"/meshcert/{mesh}/issuance/{identity}"


def sidecar_image(mesh: str, architecture: str | None = None) -> str:
    """
    Name of the Systems Manager parameter with the image of Envoy, for task definitions of the user's.

    Args:
        architecture: ``arm64`` or ``x86_64``; None for that of the mesh's deploy.
    """
    return f"/meshcert/{mesh}/sidecar/image" + (f"/{architecture}" if architecture else "")


def sidecar_registry(mesh: str, service: str) -> str:
    """Name of the Systems Manager parameter with the ARN of the Cloud Map service of an attached service."""
    return f"/meshcert/{mesh}/sidecar/{service}/registry"


def resource_share(mesh: str, hierarchy: str, purpose: str) -> str:
    """
    Name of a RAM share of a hierarchy's CAs, and of its permission if that is the mesh's own.

    Args:
        purpose: ``issue`` or ``read``.
    """
    return f"meshcert-{mesh}-{hierarchy}-{purpose}"


def leaf_template(partition: str) -> str:
    """
    ARN of the template that certificates of workloads are issued with; names come from the signing request.

    Args:
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
    """
    return f"arn:{partition}:acm-pca:::template/EndEntityCertificate/V1"


def bundle_fetches_table(mesh: str) -> str:
    """Name of the DynamoDB table of what bundle endpoints gave last; a mesh that declares none has none."""
    return f"meshcert-{mesh}-bundle-fetches"


def acknowledgements_table(mesh: str) -> str:
    """Name of the DynamoDB table in which each task reports what its Envoy serves."""
    return f"meshcert-{mesh}-acknowledgements"


def routes_table(mesh: str) -> str:
    """Name of the DynamoDB table with the route table of each service; a mesh without any has none."""
    return f"meshcert-{mesh}-routes"


def callers_parameter(mesh: str) -> str:
    """Name of the parameter with the id of the security group that callers of much-called services share."""
    return f"/meshcert/{mesh}/callers"


def group_parameter(mesh: str, service: str) -> str:
    """Name of the Systems Manager parameter with the id of the security group of a service's tasks."""
    return f"/meshcert/{mesh}/group/{service}"


def queue(mesh: str, name: str) -> str:
    """Name of an SQS queue: ``looks``, ``orders``, ``dispatch``, their ``-dead-letters``, or ``undelivered``."""
    return f"meshcert-{mesh}-{name}"


def schedule(mesh: str, name: str) -> str:
    """Name of an EventBridge Scheduler schedule: ``tick``, ``sweep``, or a part of it, ``sweep-1``."""
    return f"meshcert-{mesh}-{name}"


def topic(mesh: str) -> str:
    """Name of the SNS topic of the alarms."""
    return f"meshcert-{mesh}-alarms"


def alarm(mesh: str, name: str) -> str:
    """Name of a CloudWatch alarm."""
    return f"meshcert-{mesh}-{name}"


def dashboard(mesh: str, region: str) -> str:
    """Name of the CloudWatch dashboard; dashboards are not regional, so the region keeps them apart."""
    return f"meshcert-{mesh}-{region}"


ENVOY_CONTAINER = "envoy"
"""The container of a task that runs the proxy: ECS shows its exit code under this name."""
APPLICATION_CONTAINER = "application"
"""The container of a virtual node's task behind its proxy."""
AGENT_CONTAINER = "agent"
"""Name of the container of the user's that fills Envoy's volumes."""
READINESS_CONTAINER = "readiness"
"""The container of such a task that reports when the application answers, and drains."""

AUDIT = "audit"
"""The log group with a line for every action; see :func:`log_group`."""

IDENTITY_TAG = "meshcert:identity"
"""A certificate carries the name of its identity under this tag; CloudFormation sets it with the request."""

IDENTITY_TAG_PREFIX = "meshcert:identity/"
"""An ECS service carries a tag with this key prefix for each identity its proxy holds; ECS events find them by it."""


def cluster(mesh: str) -> str:
    """Name of the ECS cluster."""
    return f"meshcert-{mesh}"


def key_alias(mesh: str) -> str:
    """Alias of the KMS key that encrypts the mesh's secrets."""
    return f"alias/meshcert-{mesh}"


def log_group(mesh: str, owner: str) -> str:
    """Name of the log group of a function, or of a service's tasks where each service has a group of its own."""
    return f"/meshcert/{mesh}/{owner}"


def tasks_log_group(mesh: str) -> str:
    """Name of the log group of all tasks of a mesh, whose streams :func:`log_stream_prefix` tells apart."""
    return f"/meshcert/{mesh}"


def log_stream_prefix(service: str) -> str:
    """What the names of a service's streams begin with in :func:`tasks_log_group`: SERVICE/CONTAINER/TASK."""
    return f"{service}/"
