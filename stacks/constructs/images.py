"""The container images, built by the CDK CLI from this repository."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_cdk import Aws, IgnoreMode
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ssm as ssm

from meshcert import naming

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constructs import Construct

    from stacks.runtime import Platform

ROOT = Path(__file__).resolve().parent.parent.parent
ECR_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)[:@](.+)")
# Everything the Envoy image's Dockerfile copies. Listed as "all but", so that an edit elsewhere rebuilds nothing.
ENVOY_CONTEXT = [
    "**",
    "!envoy-image",
    "!envoy-image/**",
    "!meshcert",
    "!meshcert/**",
    "**/__pycache__",
    "**/ruff.toml",
    "**/.ruff_cache",
    "meshcert/aws",
    "meshcert/mesh",
]


NOT_IN_APPLICATIONS = ["**/__pycache__"]
"""What Python leaves beside a program that was run here: with it, the image would be another one."""


def envoy_image(platform: Platform) -> ecs.ContainerImage:
    """The image with Envoy and our entrypoint, the same for every service."""
    return ecs.ContainerImage.from_asset(str(ROOT), **_envoy(platform))


def name_envoy_image(scope: Construct, mesh: str, platform: Platform, architectures: Iterable[str | None]) -> None:
    """
    Name the same image in Amazon ECR for task definitions of yours, in a parameter of Systems Manager.

    Args:
        platform: The one that the deploy's own tasks run on.
        architectures: Those that services of yours run on, None for the deploy's own; each gets a parameter of its own.
    """
    for architecture in architectures:
        built = replace(platform, architecture=architecture) if architecture else platform
        suffix = architecture or ""
        asset = ecr_assets.DockerImageAsset(scope, f"EnvoyImage{suffix}", directory=str(ROOT), **_envoy(built))
        ssm.StringParameter(
            scope,
            f"SidecarImage{suffix}",
            parameter_name=naming.sidecar_image(mesh, architecture),
            string_value=asset.image_uri,
        )


def _envoy(platform: Platform) -> dict[str, Any]:
    return {
        "file": "envoy-image/Dockerfile",
        "exclude": ENVOY_CONTEXT,
        "ignore_mode": IgnoreMode.DOCKER,
        "asset_name": "envoy",
        "platform": platform.image_platform,
    }


def application_image(image: str, platform: Platform) -> ecs.ContainerImage:
    """
    The image of an application.

    Args:
        image: A folder of this repository with a Dockerfile, an image in Amazon ECR, or an image in a public registry.
        platform: The platform that a folder's image is built for.
    """
    context = ROOT / image
    if context.is_dir():
        return ecs.ContainerImage.from_asset(
            str(context),
            exclude=NOT_IN_APPLICATIONS,
            ignore_mode=IgnoreMode.DOCKER,
            platform=platform.image_platform,
        )
    return ecs.ContainerImage.from_registry(image)


def repositories(scope: Construct, images: Iterable[str]) -> list[str]:
    """
    ARNs of the repositories in Amazon ECR that containers are pulled from: the deploy's own, and those of images.

    Args:
        images: As :func:`application_image` takes them.
    """
    qualifier = scope.node.try_get_context("@aws-cdk/core:bootstrapQualifier") or naming.BOOTSTRAP_QUALIFIER
    own = naming.image_repository(qualifier, Aws.ACCOUNT_ID, Aws.REGION)
    arns = [f"arn:{Aws.PARTITION}:ecr:{Aws.REGION}:{Aws.ACCOUNT_ID}:repository/{own}"]
    found = (ECR_IMAGE.fullmatch(image) for image in images if not (ROOT / image).is_dir())
    arns += [f"arn:{Aws.PARTITION}:ecr:{each[2]}:{each[1]}:repository/{each[3]}" for each in found if each]
    return list(dict.fromkeys(arns))
