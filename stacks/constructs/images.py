"""The container images, built by the CDK CLI from this repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import Aws, IgnoreMode
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs

if TYPE_CHECKING:
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


def envoy_image(platform: Platform) -> ecs.ContainerImage:
    """The image with Envoy and our entrypoint, the same for every service."""
    return ecs.ContainerImage.from_asset(
        str(ROOT),
        file="envoy-image/Dockerfile",
        exclude=ENVOY_CONTEXT,
        ignore_mode=IgnoreMode.DOCKER,
        asset_name="envoy",
        platform=platform.image_platform,
    )


def envoy_asset(scope: Construct, platform: Platform) -> ecr_assets.DockerImageAsset:
    """The same image by its name in Amazon ECR, for task definitions that are not of this stack."""
    return ecr_assets.DockerImageAsset(
        scope,
        "EnvoyImage",
        directory=str(ROOT),
        file="envoy-image/Dockerfile",
        exclude=ENVOY_CONTEXT,
        ignore_mode=IgnoreMode.DOCKER,
        asset_name="envoy",
        platform=platform.image_platform,
    )


def application_image(scope: Construct, image: str, platform: Platform) -> ecs.ContainerImage:
    """
    The image of an application.

    Args:
        image: A folder of this repository with a Dockerfile, an image in Amazon ECR, or an image in a public registry.
        platform: The platform that a folder's image is built for.
    """
    context = ROOT / image
    if context.is_dir():
        return ecs.ContainerImage.from_asset(str(context), platform=platform.image_platform)
    if found := ECR_IMAGE.fullmatch(image):
        account, region, name, version = found.groups()
        # By its repository, so that the CDK grants the execution role to pull from it.
        repository = ecr.Repository.from_repository_attributes(
            scope,
            "Repository",
            repository_arn=f"arn:{Aws.PARTITION}:ecr:{region}:{account}:repository/{name}",
            repository_name=name,
        )
        return ecs.ContainerImage.from_ecr_repository(repository, version)
    return ecs.ContainerImage.from_registry(image)
