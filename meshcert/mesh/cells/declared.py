"""A cell as the mesh file declares it, and what it says of CAs that another cell has made."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshcert.issuing.existing_authority import AUTHORITY_ARN
from meshcert.mesh.network import Network
from meshcert.mesh.part import Part


class Cell(Part):
    """One account and region: certificates, secrets, tables, functions and services of its own."""

    account: Annotated[str, Field(pattern=r"^\d{12}$", examples=["111122223333"])]
    """Its account, twelve digits, in quotes."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", examples=["eu-west-1"])]
    """Its region."""
    namespace: str = Field(default="", examples=["frontend.yelb.internal"])
    """Cloud Map namespace of its services. Left out: that of the mesh; no two cells that call each other share one."""
    network: Network | None = None
    """The VPC of its services, with addresses that no cell has that it calls. Left out: that of the mesh."""


class SharedAuthority(Part):
    """A CA that the deploy of its cell has made, as `meshcert authorities` prints it: other cells issue from it."""

    arn: Annotated[
        str,
        Field(
            pattern=f"^{AUTHORITY_ARN}$",
            examples=[
                "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
            ],
        ),
    ]
    """ARN of the CA that signs the certificates."""
    root: str = Field(min_length=1, max_length=255, examples=["yelb-edge-root.pem"])
    """PEM file with the root certificate, from the repository's root: what peers trust."""
