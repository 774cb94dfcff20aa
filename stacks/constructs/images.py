"""The container images, built by the CDK CLI from this repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import IgnoreMode  # noqa: TID251 -- stacks/ is where the CDK lives
from aws_cdk import aws_ecs as ecs  # noqa: TID251

if TYPE_CHECKING:
    from stacks.platform import Platform

ROOT = Path(__file__).resolve().parent.parent.parent
# Everything the Envoy image's Dockerfile copies. Listed as "all but", so that an edit elsewhere rebuilds nothing.
ENVOY_CONTEXT = [
    "**",
    "!constraints.txt",
    "!envoy-image",
    "!envoy-image/**",
    "!meshcert",
    "!meshcert/**",
    "**/__pycache__",
    "meshcert/aws",
    "meshcert/mesh",
]


def envoy_image(platform: Platform) -> ecs.ContainerImage:
    """Envoy with our entrypoint: the same image for every service."""
    return ecs.ContainerImage.from_asset(
        str(ROOT),
        file="envoy-image/Dockerfile",
        exclude=ENVOY_CONTEXT,
        ignore_mode=IgnoreMode.DOCKER,
        asset_name="envoy",
        platform=platform.image_platform,
    )


def application_image(folder: str, platform: Platform) -> ecs.ContainerImage:
    """
    An application.

    Args:
        folder: A folder of this repository with a Dockerfile, or else an image reference to pull.
        platform: What it is built for.
    """
    context = ROOT / folder
    if context.is_dir():
        return ecs.ContainerImage.from_asset(str(context), platform=platform.image_platform)
    return ecs.ContainerImage.from_registry(folder)
