"""The table ``identities`` in DynamoDB."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from meshcert.aws.errors import aws_errors
from meshcert.aws.tables.rows import every_row, forget_owned, set_attributes
from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.errors import IdentityUnreadable
from meshcert.identity import IDENTITY_SCHEMA, Identity, IssuerName, ServiceUse
from meshcert.naming import IDENTITIES_BY_CERTIFICATE
from meshcert.proxy import RotationMode
from meshcert.publishing.ownership import is_identity_secret
from meshcert.san import parse_sans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)

_LONGEST_TEXT = 2048
"""Of an ARN (IAM reference, "Amazon Resource Names")."""
_LONGEST_REASON = 200
_LONGEST_POLL_INTERVAL_S = CERTIFICATE_DAYS * 86400.0
"""Nobody polls as rarely as certificates end; a longer interval, which a mesh file may have, counts as this one."""


class Identities:
    """
    :class:`meshcert.identity.IdentityTable`.

    Args:
        table: boto3's DynamoDB ``Table``; partition key ``name``, index ``by-certificate`` on ``certificate_arn``.
        mesh: Name of the mesh. A row that names a secret other than its identity's own is not believed.
    """

    def __init__(self, table: Any, mesh: str) -> None:
        self._table = table
        self._mesh = mesh

    def remember(self, identity: Identity, before: str | None = None) -> None:
        """See :meth:`meshcert.identity.IdentityTable.remember`."""
        row: dict[str, Any] = {
            "certificate_arn": identity.certificate_arn,
            "secret_id": identity.secret_id,
            "root_certificate_authority_arn": identity.root_certificate_authority_arn,
            "names": [str(name) for name in identity.names],
            "peer_names": [[str(name) for name in rule] for rule in identity.peer_rules],
            "owner": identity.owner,
            "certificate_authority_arns": list(identity.certificate_authority_arns),
            "services": [_service_row(use) for use in identity.services],
            "jobs": list(identity.jobs),
            "issuer": str(identity.issuer),
            "issued_by_deploy": identity.issued_by_deploy,
            "has_existing_authority": identity.has_existing_authority,
            "schema": IDENTITY_SCHEMA,
        }
        # UpdateItem and not PutItem: other programs keep attributes of their own in the row.
        latest = None if before is None else ("certificate_arn", before)
        set_attributes(self._table, {"name": identity.name}, row, identity.name, latest)

    def reissued(self, name: str, certificate_arn: str, before: str) -> None:
        """See :meth:`meshcert.identity.IdentityTable.reissued`."""
        row = {"certificate_arn": certificate_arn, "issued_by_deploy": False}
        set_attributes(self._table, {"name": name}, row, name, ("certificate_arn", before))

    def forget(self, name: str, owner: str) -> None:
        """See :meth:`meshcert.identity.IdentityTable.forget`."""
        forget_owned(self._table, {"name": name}, owner, name)

    def find(self, name: str) -> Identity | None:
        """See :meth:`meshcert.identity.Declared.find`."""
        with aws_errors("dynamodb:GetItem", name):
            row = self._table.get_item(Key={"name": name}, ConsistentRead=True).get("Item")
        return _read(name, row, self._mesh) if row else None

    def find_by_certificate(self, certificate_arn: str) -> Identity | None:
        """See :meth:`meshcert.identity.Declared.find_by_certificate`."""
        with aws_errors("dynamodb:Query", certificate_arn):
            rows = self._table.query(
                IndexName=IDENTITIES_BY_CERTIFICATE,
                KeyConditionExpression="#arn = :arn",
                ExpressionAttributeNames={"#arn": "certificate_arn"},
                ExpressionAttributeValues={":arn": certificate_arn},
            )["Items"]
        # The index lags behind and may carry keys only; the row itself decides.
        found = (self._find_readable(row["name"]) for row in rows)
        return next((row for row in found if row and row.certificate_arn == certificate_arn), None)

    def _find_readable(self, name: str) -> Identity | None:
        try:
            return self.find(name)
        except IdentityUnreadable as error:
            # A sweep looks at it too, and that is told.
            logger.warning("%s", error)
            return None

    def names(self) -> Iterator[str]:
        """See :meth:`meshcert.identity.Declared.names`."""
        rows = every_row(
            self._table,
            "identities",
            ProjectionExpression="#name, #schema",
            ExpressionAttributeNames={"#name": "name", "#schema": "schema"},
        )
        # Rows of an unknown schema belong to another version of meshcert.
        yield from (row["name"] for row in rows if row.get("schema") == IDENTITY_SCHEMA)

    def all(self) -> Iterator[Identity | IdentityUnreadable]:
        """See :meth:`meshcert.identity.DeclaredAtOnce.all`."""
        for row in every_row(self._table, "identities"):
            if row.get("schema") == IDENTITY_SCHEMA:
                try:
                    yield _read(row["name"], row, self._mesh)
                except IdentityUnreadable as error:
                    yield error


def _service_row(use: ServiceUse) -> dict[str, Any]:
    # DynamoDB stores decimals; boto3 refuses floats.
    row = {"name": use.name, "rotation": str(use.rotation), "poll_interval_s": Decimal(str(use.poll_interval_s))}
    return {**row, **({"place": use.place} if use.place else {}), **({"attached": True} if use.attached else {})}


def _read(name: str, row: Mapping[str, Any], mesh: str) -> Identity:
    if row.get("schema") != IDENTITY_SCHEMA:
        raise IdentityUnreadable(name, "it is of another version of meshcert")
    try:
        identity = Identity(
            name=_text(row["name"]),
            certificate_arn=_text(row["certificate_arn"]),
            secret_id=_text(row["secret_id"]),
            root_certificate_authority_arn=_text(row["root_certificate_authority_arn"]),
            names=parse_sans(row["names"], "names"),
            peer_rules=tuple(
                parse_sans(rule, f"peer_names[{number}]") for number, rule in enumerate(row["peer_names"])
            ),
            owner=_text(row["owner"]),
            # Rows of earlier versions lack these fields until the next deploy.
            certificate_authority_arns=tuple(map(_text, row.get("certificate_authority_arns", ()))),
            services=tuple(_service(use) for use in row.get("services", ())),
            jobs=tuple(map(_text, row.get("jobs", ()))),
            issuer=IssuerName(row.get("issuer", IssuerName.ACM)),
            issued_by_deploy=row.get("issued_by_deploy") is True,
            has_existing_authority=row.get("has_existing_authority") is True,
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as exc:
        raise IdentityUnreadable(name, f"{type(exc).__name__}: {exc}"[:_LONGEST_REASON]) from None
    if identity.name == name and is_identity_secret(identity.secret_id, mesh, name):
        return identity
    raise IdentityUnreadable(name, "it names a secret that is not the identity's own")


def _service(use: Mapping[str, Any]) -> ServiceUse:
    poll_interval_s = float(use["poll_interval_s"])
    if not poll_interval_s > 0:
        raise ValueError("a poll interval of more than 0 seconds was expected")
    return ServiceUse(
        _text(use["name"]),
        RotationMode(use["rotation"]),
        min(poll_interval_s, _LONGEST_POLL_INTERVAL_S),
        _text(use.get("place", "")),
        use.get("attached") is True,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise TypeError(f"{type(value).__name__} is no text of a name's length")
    return value
