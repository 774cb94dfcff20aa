"""The choices of a deploy about its machines: processor architecture and the functions' Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_

from meshcert.errors import Fault, MeshInvalid

if TYPE_CHECKING:
    from constructs import Node

# manylinux tags of the wheels, newest first. manylinux2014 is glibc 2.17, 2_28 is AL2023's floor.
WHEEL_PLATFORMS = {
    "arm64": ("manylinux_2_28_aarch64", "manylinux2014_aarch64"),
    "x86_64": ("manylinux_2_28_x86_64", "manylinux2014_x86_64"),
}
# Lambda's runtimes on Amazon Linux 2023, whose C library our wheels need: 3.11 runs on Amazon Linux 2, glibc 2.26
# (Lambda developer guide, "Lambda runtimes").
PYTHONS = ("3.12", "3.13", "3.14")
GLIBC = (2, 34)
"""Version of the C library in every one of these runtimes."""


@dataclass(frozen=True)
class Platform:
    """
    The platform that functions and tasks run on.

    Args:
        architecture: ``arm64`` (the default in cdk.json: cheaper) or ``x86_64``.
        python: Version of the functions' runtime, for example ``3.13``.
    """

    architecture: str
    python: str

    @classmethod
    def from_context(cls, node: Node) -> Platform:
        """
        Read the context values ``architecture`` and ``python``.

        With ``any-python`` the version is not compared with Lambda's runtimes: a local AWS runs functions with the
        Python of its machine.

        Raises:
            MeshInvalid: If the architecture is neither of the two, or Lambda has no such Python that suits.
        """
        architecture, python = node.get_context("architecture"), node.get_context("python")
        if python not in PYTHONS and not node.try_get_context("any-python"):
            problem = f"Lambda has no runtime python{python} on Amazon Linux 2023, which the functions' wheels need"
            fault = Fault("python", problem, f"Use one of {', '.join(PYTHONS)}")
            raise MeshInvalid("context of the deploy", (fault,))
        if architecture not in WHEEL_PLATFORMS:
            fault = Fault("architecture", f"{architecture!r} is unknown", f"Use one of {', '.join(WHEEL_PLATFORMS)}")
            raise MeshInvalid("context of the deploy", (fault,))
        return cls(architecture, python)

    @property
    def runtime(self) -> lambda_.Runtime:
        """The functions' runtime."""
        return lambda_.Runtime(f"python{self.python}", lambda_.RuntimeFamily.PYTHON, supports_inline_code=True)

    @property
    def lambda_architecture(self) -> lambda_.Architecture:
        """The functions' processor."""
        return lambda_.Architecture.ARM_64 if self.architecture == "arm64" else lambda_.Architecture.X86_64

    @property
    def ecs_architecture(self) -> ecs.CpuArchitecture:
        """The tasks' processor."""
        return ecs.CpuArchitecture.ARM64 if self.architecture == "arm64" else ecs.CpuArchitecture.X86_64

    @property
    def image_platform(self) -> ecr_assets.Platform:
        """The platform that images are built for."""
        return ecr_assets.Platform.LINUX_ARM64 if self.architecture == "arm64" else ecr_assets.Platform.LINUX_AMD64
