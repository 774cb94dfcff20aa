"""What the entrypoint would have delivered to an Envoy that runs without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshcert.envoy import discovery_response, identity_name, identity_resource, trust_name, trust_resource
from meshcert.envoy.secrets import file_name

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.material import Material, TrustBundle
    from meshcert.proxy import ProxySettings


def deliver(folder: Path, settings: ProxySettings, material: Material, trust: TrustBundle) -> None:
    """
    Write the SDS file of each identity and of each trust bundle.

    Args:
        folder: Made here.
        settings: Of the proxy.
        material: Of every identity.
        trust: Every trust bundle's roots.
    """
    folder.mkdir()
    for name in map(identity_name, settings.identities):
        resource = identity_resource(name, material)
        (folder / file_name(name)).write_text(json.dumps(discovery_response(resource, material.version_id)))
    for name in map(trust_name, settings.trust_bundles):
        resource = trust_resource(name, trust)
        (folder / file_name(name)).write_text(json.dumps(discovery_response(resource, trust.version_id)))
