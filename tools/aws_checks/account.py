"""The one way this command asks AWS anything: a short list of calls that change nothing and show no key."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import NoRegionError

from meshcert.aws.errors import aws_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

READS = frozenset(
    {
        "acm-pca:DescribeCertificateAuthority",
        "acm-pca:GetCertificate",
        "acm-pca:GetCertificateAuthorityCertificate",
        "acm-pca:ListPermissions",
        "acm-pca:ListTags",
        "acm:DescribeCertificate",
        "acm:GetAccountConfiguration",
        "acm:GetCertificate",
        "acm:ListTagsForCertificate",
        "cloudformation:DescribeStacks",
        "cloudformation:GetTemplate",
        "cloudformation:ListStackResources",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricStatistics",
        "dynamodb:GetItem",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcEndpoints",
        "ec2:DescribeVpcs",
        "ecs:DescribeClusters",
        "ecs:DescribeServices",
        "ecs:DescribeTaskDefinition",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "events:DescribeRule",
        "events:ListTargetsByRule",
        "iam:SimulateCustomPolicy",
        "iam:SimulatePrincipalPolicy",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "lambda:GetFunctionConfiguration",
        "lambda:ListEventSourceMappings",
        "logs:DescribeLogGroups",
        "route53:GetHostedZone",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetObject",
        "scheduler:GetSchedule",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy",
        "secretsmanager:ListSecretVersionIds",
        "servicediscovery:DiscoverInstances",
        "servicediscovery:GetNamespace",
        "servicediscovery:GetService",
        "servicediscovery:ListServices",
        "sns:GetTopicAttributes",
        "sqs:GetQueueAttributes",
        "sts:GetCallerIdentity",
    }
)
"""All calls that this command can make, by their IAM names. None of them returns a private key or a passphrase."""

_CLIENTS = {"elasticloadbalancing": "elbv2"}
_METHODS = {"s3:GetBucketPublicAccessBlock": "get_public_access_block"}


def signed_in(profile: str | None, region: str | None) -> tuple[Callable[[str], Any], str]:
    """
    What makes the boto3 client of a service, and the region.

    Args:
        profile: Of the AWS configuration; None takes the current credentials.
        region: None takes that of the environment, or the profile's.

    Raises:
        NoRegionError: If there is no region.
        ProfileNotFound: If there is no such profile.
    """
    # The CDK CLI, which deploys, reads AWS_REGION; boto3 alone does not.
    session = boto3.Session(profile_name=profile, region_name=region or os.environ.get("AWS_REGION"))
    if session.region_name is None:
        raise NoRegionError
    retries = Config(retries={"mode": "standard", "total_max_attempts": 5})

    def client(service: str) -> Any:
        return session.client(service, config=retries)

    return client, session.region_name


class CallNotListed(Exception):
    """A check made a call that is not in :data:`READS`: a mistake in this program, which its tests find."""


class Account:
    """
    Read access to an AWS account in one region.

    Args:
        client: Makes the boto3 client of a service.
    """

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._make_client = client
        self._clients: dict[str, Any] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}

    def read(self, action: str, **arguments: Any) -> Mapping[str, Any]:
        """
        The answer of AWS, all pages of it; a question that was asked before is not asked again.

        Args:
            action: One of :data:`READS`.
            **arguments: As boto3 takes them.

        Raises:
            CallNotListed: If the call is not in the list, which keeps this command from doing anything else.
            MeshcertError: If AWS gives no answer; see :mod:`meshcert.aws`.
        """
        if action not in READS:
            raise CallNotListed(action)
        question = json.dumps([action, arguments], sort_keys=True, default=str)
        if question not in self._answers:
            named = (each for value in arguments.values() for each in (value if isinstance(value, list) else [value]))
            about = next((each for each in named if isinstance(each, str)), "this account")
            with aws_errors(action, about):
                self._answers[question] = self._ask(action, arguments)
        return self._answers[question]

    def _ask(self, action: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        prefix, _, operation = action.partition(":")
        service = _CLIENTS.get(prefix, prefix)
        if service not in self._clients:
            self._clients[service] = self._make_client(service)
        client, method = self._clients[service], _METHODS.get(action, xform_name(operation))
        answer: Mapping[str, Any]
        if client.can_paginate(method):
            answer = client.get_paginator(method).paginate(**arguments).build_full_result()
        else:
            answer = getattr(client, method)(**arguments)
        return answer
