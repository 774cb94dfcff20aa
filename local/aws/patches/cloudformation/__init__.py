"""CloudFormation resource types that MiniStack lacks or gets wrong, and long ones kept off its event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.aws.patches.cloudformation import certificates, network, resource_type, storage

if TYPE_CHECKING:
    from local.aws.config import Config


def install(config: Config) -> None:
    """Register all of them."""
    del config
    resource_type.install()
    certificates.install()
    network.install()
    storage.install()
