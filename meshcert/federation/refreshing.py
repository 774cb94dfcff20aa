"""
Ask the bundle endpoints that are due, and make what they give what proxies read.

Whatever goes wrong, the last good bundle stays: a secret's ``AWSCURRENT`` moves on to a bundle that was checked, or not
at all. After a failure the next look comes at the refresh hint, as SPIFFE_Federation section 5.2 has it.
"""

from __future__ import annotations

import datetime as dt
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.errors import (
    BundleContradicted,
    BundleLookFailed,
    BundleRefused,
    BundleWentBack,
    MeshcertError,
    SecretMalformed,
    SecretNotPublished,
)
from meshcert.federation.bundle_document import read_bundle
from meshcert.federation.ports import FetchNote
from meshcert.material import split_certificates
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.publishing.publication import publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcert.clock import Clock
    from meshcert.federation.endpoints import DeclaredEndpoint
    from meshcert.federation.ports import BundleEndpoints, FetchNotes
    from meshcert.publishing.ports import CurrentValue, PublishedValues, SecretVault

logger = logging.getLogger(__name__)

EVERY_S = 300
"""How often the endpoints that are due are asked: the shortest refresh hint, seconds."""
_EARLY_S = 30
"""A look may come that much before its time: schedules are not exact, and a whole interval would be lost."""


@dataclass(frozen=True)
class FederationPorts:
    """Everything that a run needs."""

    mesh: str
    endpoints: BundleEndpoints
    vault: SecretVault
    values: PublishedValues
    notes: FetchNotes
    clock: Clock


class Refreshed(StrEnum):
    """What came of one endpoint in one run."""

    NOT_DUE = "not_due"
    UNCHANGED = "unchanged"
    PUBLISHED = "published"
    FAILED = "failed"


@dataclass(frozen=True)
class EndpointResult:
    """
    One endpoint after a run.

    Args:
        note: What is remembered of it now.
        error: What failed in this run; None if nothing did.
        remarks: What is odd about its document, for people.
    """

    endpoint: DeclaredEndpoint
    refreshed: Refreshed
    note: FetchNote
    error: MeshcertError | None = None
    remarks: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether the last look, in this run or before it, found what is not believed."""
        return self.note.problem in REFUSALS


def _names(kind: type[Exception]) -> frozenset[str]:
    return frozenset({kind.__name__}).union(*(_names(below) for below in kind.__subclasses__()))


REFUSALS = _names(BundleRefused)
"""Names of the errors about what an endpoint gives."""


def refresh(endpoints: Sequence[DeclaredEndpoint], ports: FederationPorts) -> list[EndpointResult]:
    """
    Ask every endpoint that is due, all at once, and publish what is new.

    Returns:
        A result for each endpoint, in their order.

    Raises:
        MeshcertError: If notes can be neither read nor written; what was published stays, and so do other notes.
    """
    now = ports.clock.now()
    looks = [_Look(each, ports.notes.find(each.trust_domain), ports, now) for each in endpoints]
    for look in looks:
        look.begin()
    # Only this part at once: it takes as long as a partner pleases, and boto3's resources are for one thread.
    if asked := [look for look in looks if look.is_going_on]:
        with ThreadPoolExecutor(max_workers=len(asked)) as pool:
            list(pool.map(_Look.ask, asked))
    results = [look.end() for look in looks]
    _remember(results, ports.notes)
    return results


def _remember(results: Sequence[EndpointResult], notes: FetchNotes) -> None:
    """
    Write the notes of all looks; one that cannot be written keeps no other from being written.

    Raises:
        MeshcertError: The first failure, after the last note.
    """
    lost = None
    for result in results:
        try:
            if result.refreshed is not Refreshed.NOT_DUE:
                notes.write(result.note)
        except MeshcertError as error:
            lost = lost or error
    if lost:
        raise lost


class _Look:
    """
    A look at one endpoint, in three parts; the first that fails keeps the others from doing anything.

    Args:
        before: What was remembered of the endpoint.
    """

    def __init__(
        self, endpoint: DeclaredEndpoint, before: FetchNote | None, ports: FederationPorts, now: dt.datetime
    ) -> None:
        self._endpoint = endpoint
        self._ports = ports
        self._secret = naming.foreign_bundle_secret(ports.mesh, endpoint.trust_domain)
        self._before = before
        domain = endpoint.trust_domain
        self._note = replace(before, looked_at=now) if before else FetchNote(domain, since=now, looked_at=now)
        self._error: MeshcertError | None = None
        self._document = b""

    @property
    def _is_due(self) -> bool:
        before = self._before
        return before is None or self._note.looked_at >= before.looked_at + dt.timedelta(
            seconds=before.refresh_hint_s - _EARLY_S
        )

    @property
    def is_going_on(self) -> bool:
        """Whether the endpoint is to be asked."""
        return self._is_due and self._error is None

    def begin(self) -> None:
        """Read what is believed, before the endpoint is asked: see the argument ``seen`` of publish."""
        if not self._is_due:
            return
        with self._whatever_fails():
            self._seen = self._ports.vault.labels(self._secret)
            self._current = self._ports.values.current_value(self._secret)

    def ask(self) -> None:
        """Fetch the document."""
        with self._whatever_fails():
            self._document = self._ports.endpoints.fetch(self._endpoint)

    def end(self) -> EndpointResult:
        """Check and publish what was fetched."""
        if not self._is_due:
            return EndpointResult(self._endpoint, Refreshed.NOT_DUE, self._note)
        result = None
        if self._error is None:
            with self._whatever_fails():
                result = self._taken_over()
        if result is None:
            logger.warning("%s", self._error)
            note = replace(self._note, problem=type(self._error).__name__)
            result = EndpointResult(self._endpoint, Refreshed.FAILED, note, self._error)
        return result

    @contextmanager
    def _whatever_fails(self) -> Iterator[None]:
        """Remember what fails in the block: whatever a partner sends, others are asked and believed all the same."""
        try:
            yield
        except MeshcertError as error:
            self._error = error
        except Exception as error:
            domain = self._endpoint.trust_domain
            logger.exception("the look at the bundle of %s failed unexpectedly", domain)
            self._error = BundleLookFailed(domain, type(error).__name__)

    def _taken_over(self) -> EndpointResult:
        """
        The result of a look that found a bundle to be believed.

        Raises:
            BundleRefused: If it is not.
            PublicationRaced: If another run has published meanwhile.
            MeshcertError: If AWS is unavailable or denies a call.
        """
        note, current = self._note, self._current
        read = read_bundle(self._document, self._endpoint.trust_domain, note.looked_at)
        seen = note.sequence if note.version == current.version_id else None
        is_new = _require_forward(read.bundle, _believed(current, self._secret), seen)
        version = read.bundle.version_id if is_new else current.version_id
        if is_new:
            publish(self._ports.vault, self._secret, version, read.bundle.dumps(), self._seen)
        note = replace(
            note,
            fetched_at=note.looked_at,
            refresh_hint_s=read.bundle.refresh_hint_s,
            sequence=read.bundle.sequence,
            version=version,
            problem="",
        )
        refreshed = Refreshed.PUBLISHED if is_new else Refreshed.UNCHANGED
        return EndpointResult(self._endpoint, refreshed, note, remarks=read.remarks)


def _believed(current: CurrentValue, secret: str) -> ForeignBundle | None:
    """What proxies read now; None if they can read nothing, so that everything is newer."""
    try:
        return ForeignBundle.loads(current.value, secret)
    except (SecretNotPublished, SecretMalformed) as error:
        logger.warning("%s", error)
        return None


def _require_forward(bundle: ForeignBundle, believed: ForeignBundle | None, seen: int | None) -> bool:
    """
    Refuse a bundle that went back, and return whether it has other certificates than the one that is believed.

    A bundle with the same certificates is not published again, whatever its number: the note keeps that.

    Args:
        seen: The number of the note; None if it has none for what is believed.

    Raises:
        BundleWentBack: If its number is smaller than one before, or gone.
        BundleContradicted: If it has other certificates under the same number.
    """
    is_new = believed is None or _certificates(bundle) != _certificates(believed)
    numbers = [number for number in (believed.sequence if believed else None, seen) if number is not None]
    if not numbers:
        return is_new
    highest = max(numbers)
    if bundle.sequence is None or bundle.sequence < highest:
        raise BundleWentBack(bundle.trust_domain, bundle.sequence, highest)
    if is_new and believed is not None and bundle.sequence == highest:
        raise BundleContradicted(bundle.trust_domain, highest)
    return is_new


def _certificates(bundle: ForeignBundle) -> frozenset[str]:
    return frozenset(split_certificates(bundle.certificates))
