"""Virtual services: names that callers use, and who answers for them."""

from __future__ import annotations

from meshcert.mesh.part import Part


class Provider(Part):
    """Who answers for a virtual service: exactly one of them."""

    virtual_node: str = ""
    """Name of a virtual node; or virtual_router."""
    virtual_router: str = ""
    """Name of a virtual router; or virtual_node."""


class VirtualService(Part):
    """A name that callers use."""

    provider: Provider
    """Who answers."""
