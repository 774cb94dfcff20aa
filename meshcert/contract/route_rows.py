"""
The table ``routes``: a row for each service whose proxy has a route table, and for the settings of each attached one.

The deploy function writes it, tasks read their own. It holds the newest document and the one before, so that tasks of
an older task definition find one whose targets they all have, also while a deploy goes back.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

SERVICE = "service"
"""The partition key: name of the service in the mesh file; of its settings, behind :data:`SETTINGS_PREFIX`."""
SETTINGS_PREFIX = "settings/"
ROW_SCHEME = "dynamodb://"
"""So begins the name of a row in ``MESHCERT_PROXY_FROM``."""
SCHEMA = "schema"
OWNER = "owner"
"""The CloudFormation resource that declares it."""
NEWEST = "newest"
"""A map of the two fields below: the document of the last deploy."""
BEFORE = "before"
"""The same of the deploy before it; missing after the first."""

VERSION = "version"
"""SHA-256 of the document as JSON, lower-case hex."""
DOCUMENT = "document"
"""
The document as :meth:`meshcert.documents.route_table.RouteTable.packed` writes it, or
:func:`meshcert.documents.stored_settings.packed_settings`.
"""
