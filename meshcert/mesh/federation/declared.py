"""Foreign SPIFFE trust domains, and where their bundles are (SPIFFE standard ``SPIFFE_Federation.md``)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from meshcert.federation.endpoints import DeclaredEndpoint
from meshcert.mesh.part import FILE_NAME, TRUST_DOMAIN_SCHEMA, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_URL = 1024
"""Characters of a bundle endpoint's URL."""
TRUST_DOMAIN_KEYS: dict[str, Any] = {"propertyNames": {**TRUST_DOMAIN_SCHEMA, "minLength": 1}}


class EndpointProfile(StrEnum):
    """How a bundle endpoint proves who it is (SPIFFE_Federation section 5.2)."""

    HTTPS_WEB = "https_web"
    """By a certificate of a public CA for its host."""
    HTTPS_SPIFFE = "https_spiffe"
    """By an X509-SVID. A mesh file may not say it; the checks tell why."""


class BundleEndpoint(Part):
    """Where a foreign trust domain publishes its bundle."""

    url: Annotated[str, Field(max_length=LONGEST_URL)] = Field(examples=["https://partner.example/bundle.json"])
    """Its URL, https."""
    profile: EndpointProfile = Field(examples=["https_web"], json_schema_extra={"enum": ["https_web"]})
    """How it proves who it is: `https_web`, by a certificate of a public CA for its host."""


class DeclaredTrustDomain(Part, title="TrustDomain"):
    """Where the bundle of a foreign trust domain comes from: exactly one of them."""

    bundle_endpoint: BundleEndpoint | None = None
    """A bundle endpoint, asked again and again; or file."""
    file: Annotated[str, Field(pattern=f"{FILE_NAME}|^$", max_length=255, examples=["partner.json"])] = ""
    """A SPIFFE bundle, from the repository's root, read at each deploy; or bundle_endpoint."""


def declared_endpoints(trust_domains: Mapping[str, DeclaredTrustDomain]) -> tuple[DeclaredEndpoint, ...]:
    """The bundle endpoints of trust domains that are fetched and not read from files."""
    return tuple(
        DeclaredEndpoint(name, declared.bundle_endpoint.url)
        for name, declared in trust_domains.items()
        if declared.bundle_endpoint
    )
