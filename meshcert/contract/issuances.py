"""The rows of the table ``issuances``: requests to AWS Private CA."""

from __future__ import annotations

IDENTITY, REPLACES, EXPIRES = "identity", "replaces", "expires"
"""Partition key, sort key, and the attribute after which DynamoDB deletes a row."""
CONTEXT = ("meshcert:identity", "meshcert:epoch")
"""Keys of the context that the private key in a row is encrypted with (KMS developer guide, "Encryption context")."""
