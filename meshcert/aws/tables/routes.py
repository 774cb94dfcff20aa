"""The table ``routes`` in DynamoDB, as the deploy function writes it and the renewal function reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.aws.tables.rows import forget_owned, set_attributes
from meshcert.contract import route_rows as field

if TYPE_CHECKING:
    from meshcert.deploying.routes import PublishedRoutes


class RouteTableRows:
    """
    :class:`meshcert.deploying.routes.RouteRows` and :class:`meshcert.lifecycle.ports.SettingsTable`.

    Args:
        table: boto3's DynamoDB ``Table``; partition key ``service``.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def publish(self, routes: PublishedRoutes) -> None:
        """See :meth:`meshcert.deploying.routes.RouteRows.publish`."""
        key = {field.SERVICE: routes.service}
        with aws_errors("dynamodb:GetItem", routes.service):
            row = self._table.get_item(Key=key, ConsistentRead=True).get("Item", {})
        newest = row.get(field.NEWEST) if row.get(field.SCHEMA) == field.SCHEMA_VERSION else None
        values: dict[str, Any] = {
            field.SCHEMA: field.SCHEMA_VERSION,
            field.OWNER: routes.owner,
            field.NEWEST: {field.VERSION: routes.version, field.DOCUMENT: routes.document},
        }
        if newest and newest.get(field.VERSION) != routes.version:
            values[field.BEFORE] = newest
        set_attributes(self._table, key, values, routes.service)

    def forget(self, service: str, owner: str) -> None:
        """See :meth:`meshcert.deploying.routes.RouteRows.forget`."""
        forget_owned(self._table, {field.SERVICE: service}, owner, service)

    def version(self, service: str) -> str:
        """See :meth:`meshcert.lifecycle.ports.SettingsTable.version`."""
        key = {field.SERVICE: field.SETTINGS_PREFIX + service}
        with aws_errors("dynamodb:GetItem", service):
            row = self._table.get_item(Key=key, ConsistentRead=True).get("Item", {})
        newest = row.get(field.NEWEST) if row.get(field.SCHEMA) == field.SCHEMA_VERSION else None
        version = newest.get(field.VERSION) if isinstance(newest, dict) else None
        return version if isinstance(version, str) else ""
