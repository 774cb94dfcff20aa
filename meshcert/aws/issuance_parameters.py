"""What may be asked for of AWS Private CA: Systems Manager parameters, which CloudFormation alone writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.issuing.issuance_terms import read_terms
from meshcert.naming import issuance_parameter

if TYPE_CHECKING:
    from meshcert.issuing.issuance_terms import IssuanceTerms


class IssuanceParameters:
    """
    :class:`meshcert.issuing.issuing_once.Declarations`.

    Args:
        client: boto3's ``ssm`` client.
        mesh: Name of the mesh.
    """

    def __init__(self, client: Any, mesh: str) -> None:
        self._client = client
        self._mesh = mesh

    def terms(self, identity: str) -> IssuanceTerms:
        """See :meth:`meshcert.issuing.issuing_once.Declarations.terms`."""
        name = issuance_parameter(self._mesh, identity)
        with aws_errors("ssm:GetParameter", name):
            answer = self._client.get_parameter(Name=name)
        return read_terms(answer["Parameter"]["Value"], identity)
