"""The trust domain's own SPIFFE bundle, published for partners (SPIFFE standard ``SPIFFE_Federation.md``)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from meshcert.material.foreign_bundle import LONGEST_HINT_S, SHORTEST_HINT_S
from meshcert.mesh.part import Part

DISTRIBUTION = r"arn:aws[a-z-]*:cloudfront::[0-9]{12}:distribution/[A-Z0-9]{1,32}"
"""ARN of a CloudFront distribution."""


class PublishedBundle(Part):
    """The roots by which partners believe this mesh's SPIFFE IDs, and who may read them."""

    hierarchies: tuple[str, ...] = Field(min_length=1, examples=[["color"]])
    """The hierarchies whose roots are in it, and those of their `also_trust`."""
    refresh_hint_s: Annotated[int, Strict(), Field(ge=SHORTEST_HINT_S, le=LONGEST_HINT_S)] = SHORTEST_HINT_S
    """Seconds after which partners ask again; a new root waits for three of them before its first certificate."""
    public: Annotated[bool, Strict()] = False
    """`true`: everybody may read it, at its URL of Amazon S3. `false`: nobody outside this account's own rights."""
    distribution: Annotated[str, Field(pattern=f"^({DISTRIBUTION})?$")] = ""
    """ARN of a CloudFront distribution of yours that may read it, by an origin access control; or public."""
