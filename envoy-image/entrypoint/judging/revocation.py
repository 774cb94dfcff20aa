"""
The revocation lists of a trust bundle: fetched, checked, and kept while they are valid.

A CA makes a new list long before the old one expires, so it does not matter if none can be fetched for a while. Only
when a CA has no valid list left does the policy decide: ``fail_open`` removes *all* lists of the bundle, since Envoy
would refuse even good peers of a CA without a valid list; ``fail_closed`` lets Envoy do that.
"""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING, NamedTuple, Protocol

from entrypoint.judging.revocation_list import RevocationList, read_revocation_list
from entrypoint.log import iso_time
from meshcert.errors import AwsRefused, AwsUnavailable
from meshcert.proxy import Revocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.aws.object_storage import StoredObject
    from entrypoint.aws.signed_connection import Session
    from meshcert.material import ListSource, TrustBundle

_SKEW_S = 300.0
"""Longest time by which a CA's clock may be ahead of this host's, seconds."""


class Storage(Protocol):
    """Stores lists; :class:`entrypoint.aws.object_storage.ObjectStorage` in the container."""

    def read(self, bucket: str, key: str, entity_tag: str = "") -> StoredObject | None:
        """An object, or None if it still has this entity tag."""


class Web(Protocol):
    """Web servers with lists; :class:`entrypoint.aws.http_objects.HttpObjects` in the container."""

    def read(self, url: str, entity_tag: str = "") -> StoredObject | None:
        """An object, or None if it still has this entity tag."""


def revocation_lists(
    environ: Mapping[str, str], region: str, session: Session, now: Callable[[], float]
) -> RevocationLists:
    """
    The source of revocation lists, read from S3 with this container's credentials, and from web servers with none.

    Args:
        environ: May name Amazon S3's endpoint.
        region: The bucket's region.
        now: Returns seconds since 1970, UTC.
    """
    from entrypoint.aws.http_objects import HttpObjects  # tests have storage of their own
    from entrypoint.aws.object_storage import ObjectStorage
    from entrypoint.aws.signed_connection import SignedConnection

    storage = ObjectStorage(region, environ, lambda endpoint: SignedConnection(endpoint, region, "s3", session))
    return RevocationLists(storage, now, HttpObjects())


class UsableLists(NamedTuple):
    """
    The lists that Envoy is handed with a trust bundle.

    Args:
        pem: The lists, one after the other; empty if Envoy should use none.
        problem: For the log; empty if every CA has a valid list, or no lists are wanted.
    """

    pem: str = ""
    problem: str = ""

    def version(self, bundle: str) -> str:
        """
        The ``version_info`` under which Envoy is handed the bundle with these lists.

        Args:
            bundle: VersionId of the bundle's secret.
        """
        return f"{bundle}.{hashlib.sha256(self.pem.encode()).hexdigest()[:16]}" if self.pem else bundle


class _Kept(NamedTuple):
    revocation_list: RevocationList
    entity_tag: str


class RevocationLists:
    """
    Fetches lists and remembers the valid ones.

    Args:
        now: Returns seconds since 1970, UTC.
        web: Reads lists of web servers; None if a bundle names none.
    """

    def __init__(self, storage: Storage, now: Callable[[], float], web: Web | None = None) -> None:
        self._storage = storage
        self._web = web
        self._now = now
        self._kept: dict[ListSource, _Kept] = {}

    def current(self, bundle: TrustBundle, revocation: Revocation, subject: str) -> UsableLists:
        """
        The current lists of all CAs of a bundle.

        Args:
            bundle: Says where the lists are.
            revocation: The policy for a CA that has no valid list.
            subject: The bundle's name, for the error.

        Raises:
            AwsUnavailable: If peers must be refused without lists, and there is none: Envoy would admit everyone.
        """
        if revocation is Revocation.NONE:
            return UsableLists()
        problems = [] if bundle.lists else ["the trust bundle does not say where lists lie: deploy the stacks again"]
        usable, found = not problems, []
        outages: dict[str, str] = {}
        for source in bundle.lists:
            # Once S3 has kept this look waiting, its other lists are not fetched: other secrets have to be looked at.
            server = source.url.partition("://")[2].partition("/")[0]
            problem = outages[server] if server in outages else self._refresh(source, server, outages)
            kept = self._kept.get(source)
            if kept is None:
                usable = False
            else:
                found.append(kept.revocation_list.pem)
                if kept.revocation_list.next_update <= self._now():
                    usable = False
                    problem += f"; the list at hand ended on {iso_time(kept.revocation_list.next_update)}"
            if problem:
                problems.append(f"{source.location}: {problem.removeprefix('; ')}")
        if revocation is Revocation.FAIL_OPEN and not usable:
            return UsableLists("", f"revoked peers pass: {'; '.join(problems)}")
        if not found:
            raise AwsUnavailable("s3:GetObject", subject, f"no revocation list (fail_closed): {'; '.join(problems)}")
        effect = "" if usable else "peers of these CAs are refused: "
        return UsableLists("".join(found), f"{effect}{'; '.join(problems)}" if problems else "")

    def _refresh(self, source: ListSource, server: str, outages: dict[str, str]) -> str:
        """
        Fetch a newer list.

        Args:
            server: The web server that has it; empty for S3.
            outages: What went wrong with servers that did not answer; this one is added.

        Returns:
            What went wrong; empty if nothing did.
        """
        kept = self._kept.get(source)
        tag = kept.entity_tag if kept else ""
        try:
            stored = self._read(source, tag)
        except AwsUnavailable as error:
            outages[server] = error.reason
            return error.reason
        except AwsRefused as error:
            return error.code
        return self._take_over(source, stored, kept) if stored else ""

    def _read(self, source: ListSource, entity_tag: str) -> StoredObject | None:
        if source.url and self._web:
            return self._web.read(source.url, entity_tag)
        return self._storage.read(source.bucket, source.key, entity_tag)

    def _take_over(self, source: ListSource, stored: StoredObject, kept: _Kept | None) -> str:
        """Keep what was fetched. Returns what is wrong with it; empty if nothing is."""
        try:
            newer = read_revocation_list(stored.body, ssl.PEM_cert_to_DER_cert(source.authority.strip()))
        except ValueError as error:
            return str(error)
        if newer.this_update > self._now() + _SKEW_S:
            return (
                f"it is of {iso_time(newer.this_update)}, which is not yet: check the clocks of this host and of the CA"
            )
        if kept and newer.number < kept.revocation_list.number:
            return f"its number {newer.number} is older than {kept.revocation_list.number}, which is kept"
        self._kept[source] = _Kept(newer, stored.entity_tag)
        return ""
