"""
Revocation lists of CAs that the mesh does not make: whether this account may read them, asked before they count.

A container that may not read a list goes on without any under ``fail_open``, and says so in its log alone. The deploy
that names the list is refused instead, with the line that its owner adds to the bucket's policy. Only the first deploy
that names it asks: what is published already is the tasks' to tell of, and an owner who closes a bucket must not keep
this account from a deploy, or from going back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from meshcert.deploying.properties import read_named_lists
from meshcert.errors import AccessDenied, Fault, IdentityMissing, RevocationListsUnusable
from meshcert.material import ListSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcert.publishing.trust_bundles import TrustBundleRequest


class ListBuckets(Protocol):
    """Amazon S3, for buckets of others with revocation lists."""

    def look(self, bucket: str, key: str) -> None:
        """
        Look whether an object may be read; that it is not there yet is no fault.

        Raises:
            AccessDenied: If it may not be read, or whether it is there may not be asked.
            IdentityMissing: If there is no such bucket.
        """
        ...


def newly_named(order: TrustBundleRequest, event: Mapping[str, Any]) -> tuple[ListSource, ...]:
    """
    The lists in buckets that the bundle did not name when CloudFormation last asked for it; all of them at a Create.

    Lists of web servers are not among them: tasks reach those, or tell.
    """
    before = read_named_lists(event.get("OldResourceProperties", {}).get("NamedLists")) or ()
    named = {location for each in before for location in each.locations}
    sources = (ListSource.at(location) for each in order.named_lists for location in each.locations)
    return tuple(source for source in sources if not source.url and source.location not in named)


def require_readable(order: TrustBundleRequest, sources: Iterable[ListSource], buckets: ListBuckets) -> None:
    """
    Refuse lists that this account may not read.

    A CA writes its first list only when it has issued something, so a missing one is told by the tasks alone.

    Raises:
        AccessDenied: If a bucket does not admit this account, or not yet.
        RevocationListsUnusable: If a bucket does not exist.
        MeshcertError: If Amazon S3 does not answer.
    """
    for source in sources:
        try:
            buckets.look(source.bucket, source.key)
        except IdentityMissing as error:
            fault = Fault(source.location, "there is no such bucket", "Write where the CA's owner keeps its list")
            raise RevocationListsUnusable(_subject(order), (fault,)) from error


def refuse_unreadable(order: TrustBundleRequest, sources: Iterable[ListSource], denied: AccessDenied) -> NoReturn:
    """
    Say what the owner of lists that this account may not read adds to the policies of their buckets.

    Args:
        sources: Those that were asked for.
        denied: What Amazon S3 said.

    Raises:
        RevocationListsUnusable: With a line for each bucket.
    """
    account = order.secret_id.split(":")[4]
    partition = order.secret_id.split(":")[1]
    by_bucket: dict[str, list[str]] = {}
    for source in sources:
        by_bucket.setdefault(source.bucket, []).append(source.key)
    faults = (
        Fault(
            f"s3://{bucket}",
            f"account {account} may not read {', '.join(keys)} ({denied.operation})",
            f"Have its owner add to the bucket's policy: {policy_line(partition, account, bucket, keys)}",
        )
        for bucket, keys in by_bucket.items()
    )
    raise RevocationListsUnusable(_subject(order), tuple(faults)) from denied


def policy_line(partition: str, account: str, bucket: str, keys: Iterable[str]) -> str:
    """
    The statement of a bucket's policy that lets an account read lists there, as JSON.

    s3:ListBucket tells a list that is not there yet from one that is denied (S3 API reference, GetObject).
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [arn, *(f"{arn}/{key}" for key in keys)],
    }
    return json.dumps(statement)


def _subject(order: TrustBundleRequest) -> str:
    return f"revocation lists of the trust bundle of {order.hierarchy}"
