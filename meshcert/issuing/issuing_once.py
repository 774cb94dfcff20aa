"""
Have a certificate issued, and pay for it once.

An *epoch* follows one certificate: it ends when another one has taken its place. Its request is stored whole before its
first use, so whoever comes second, after a crash or at the same time, sends the identical one. AWS Private CA issues
once for an idempotency token in five minutes, and cannot list what it has issued. So a request that is sent again later
than that may cost a second certificate: this is counted, and comes ever more rarely, at last at the pace of the budget.
A budget of each day bounds the epochs; requests that were never answered do not use it up.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from meshcert.errors import (
    AwsUnavailable,
    CertificateRequestInvalid,
    DeployUnderWay,
    Fault,
    IssuanceBudgetSpent,
    MeshcertError,
)
from meshcert.issuing.epochs import Epoch
from meshcert.issuing.issuance_terms import make_request
from meshcert.issuing.private_ca import is_certificate_of
from meshcert.issuing.private_ca_lives import PUTS_OF_AN_EPOCH, certificates_a_day

if TYPE_CHECKING:
    from meshcert.clock import Clock
    from meshcert.issuing.certificate_request import CertificateRequest
    from meshcert.issuing.epochs import Epochs
    from meshcert.issuing.issuance_terms import IssuanceTerms
    from meshcert.san import San

logger = logging.getLogger(__name__)

TOKEN_LIVES = dt.timedelta(minutes=5)
"""How long Private CA keeps an idempotency token (acm-pca:IssueCertificate)."""
_DAY = dt.timedelta(days=1)
_MOST_DOUBLINGS = 16


class SigningAuthority(Protocol):
    """AWS Private CA, as far as it issues."""

    def issue(self, request: CertificateRequest) -> str:
        """
        Ask for a certificate (acm-pca:IssueCertificate); it is issued a little later.

        Returns:
            Its ARN, which is the same for every repetition within :data:`TOKEN_LIVES`.
        """
        ...


class Declarations(Protocol):
    """What may be asked for: what CloudFormation alone writes."""

    def terms(self, identity: str) -> IssuanceTerms:
        """
        The terms of an identity's certificates.

        Raises:
            IdentityMissing: If no mesh file declares it.
            CertificateRequestInvalid: If they make no sense.
        """
        ...


class Asked(NamedTuple):
    """
    What became of a request.

    Args:
        paid_again: Its epoch may have been paid for more than once, which every run says until the row is written.
        dropped: A stored request was dropped for a new one.
    """

    certificate_arn: str
    paid_again: bool = False
    dropped: bool = False


@dataclass(frozen=True)
class Issuing:
    """
    Everything that is needed to have certificates issued.

    Args:
        mesh: Name of the mesh.
    """

    mesh: str
    declarations: Declarations
    epochs: Epochs
    authority: SigningAuthority
    clock: Clock

    def terms(self, identity: str, names: tuple[San, ...]) -> IssuanceTerms:
        """
        The terms of an identity, which its row must not contradict.

        Args:
            names: From the row.

        Raises:
            DeployUnderWay: If the row has other names: a deploy has changed one of the two, and not the other yet.
            IdentityMissing: If no mesh file declares the identity.
        """
        terms = self.declarations.terms(identity)
        if set(terms.names) != set(names):
            raise DeployUnderWay(identity)
        return terms

    def replace(self, identity: str, replaces: str, terms: IssuanceTerms) -> Asked:
        """
        Ask for the certificate that takes the place of another one. To repeat this costs nothing within five minutes.

        Args:
            replaces: ARN of that one, or :data:`FIRST`.

        Raises:
            IssuanceBudgetSpent: If so many were asked for within a day that this must be a loop. Nothing is sent.
            AwsUnavailable: If AWS does not answer; or did not, and it is too soon to ask again. Nothing is sent then.
            CertificateRequestInvalid: If no certificate can be asked for with these terms. Nothing is sent.
            MeshcertError: If AWS refuses.
        """
        now, epochs = self.clock.now(), self.epochs.of(identity)
        found = next((epoch for epoch in epochs if epoch.replaces == replaces), None)
        if found and found.published:
            # The caller has read its row before another run wrote it anew.
            return Asked(found.certificate_arn)
        request = self._usable(found, terms, now) if found else None
        if found is None or request is None:
            _require_budget(identity, epochs, terms, now)
            begun, request, ours = self._begin(identity, replaces, terms, found)
            long_ago = now - _pause(begun.asked - 1, terms)
            arn = self._counted(begun, request, long_ago) if ours else self._certificate_of(begun, request)
            return Asked(arn, dropped=found is not None)
        if not found.certificate_arn and now - found.asked_at >= TOKEN_LIVES:
            again_at = found.asked_at + _pause(found.asked, terms)
            if now < again_at:
                reason = f"no answer to {found.asked} requests; the next one is sent at {again_at:%Y-%m-%d %H:%M} UTC"
                raise AwsUnavailable("acm-pca:IssueCertificate", terms.authority_arn, reason, without_effect=True)
            if self.epochs.ask_again(found, now):
                again = replace(found, asked=found.asked + 1, asked_at=now)
                return Asked(self._counted(again, request, found.asked_at), paid_again=again.asked > 1)
        # Who has counted it and was ended, or got no answer, has not told it.
        return Asked(self._certificate_of(found, request), paid_again=found.asked > 1)

    def request_of(self, identity: str, certificate_arn: str) -> CertificateRequest:
        """
        The request that a certificate came of, with its key.

        Raises:
            CertificateRequestInvalid: If it is not stored any more.
        """
        for epoch in self.epochs.of(identity):
            if epoch.certificate_arn == certificate_arn:
                return self.epochs.request(epoch)
        problem = f"no request that {certificate_arn} came of is stored, so nobody has its key"
        faults = (
            Fault("stored request", problem, "Nothing: another one is asked for in time, now with `meshcert renew`"),
        )
        raise CertificateRequestInvalid(f"certificate of identity {identity}", faults)

    def has_request(self, identity: str, certificate_arn: str) -> bool:
        """True if the request that a certificate came of is stored, and so its key."""
        return any(
            epoch.certificate_arn == certificate_arn and not epoch.published for epoch in self.epochs.of(identity)
        )

    def published(self, identity: str, certificate_arn: str) -> None:
        """Delete the request that a published certificate came of: nobody needs its key any more."""
        for epoch in self.epochs.of(identity):
            if epoch.certificate_arn == certificate_arn:
                self.epochs.forget_request(epoch)

    def is_known(self, identity: str, authority_arn: str, serial_number: str) -> bool:
        """True if a certificate of a CA, with this serial number, came of a request of this identity."""
        epochs = self.epochs.of(identity)
        return any(is_certificate_of(each.certificate_arn, authority_arn, serial_number) for each in epochs)

    def latest(self, identity: str) -> str:
        """ARN of the certificate that was asked for last, if that is stored; empty otherwise."""
        epochs = [epoch for epoch in self.epochs.of(identity) if epoch.certificate_arn]
        return max(epochs, key=lambda epoch: epoch.asked_at).certificate_arn if epochs else ""

    def _certificate_of(self, epoch: Epoch, request: CertificateRequest) -> str:
        """ARN of the certificate that a stored request has come to, or comes to now."""
        if epoch.certificate_arn:
            return epoch.certificate_arn
        arn = self.authority.issue(request)
        self.epochs.issued(epoch, arn)
        return arn

    def _counted(self, epoch: Epoch, request: CertificateRequest, asked_before: dt.datetime) -> str:
        """
        The same for a run that has counted the certificate itself.

        Neither an outage nor a CA that is disabled uses up the budget, whatever they last: the identity would be stuck.
        """
        try:
            arn = self.authority.issue(request)
        except MeshcertError as error:
            if not isinstance(error, AwsUnavailable) or error.without_effect:
                self.epochs.not_issued(epoch, asked_before)
            raise
        self.epochs.issued(epoch, arn)
        return arn

    def _usable(self, epoch: Epoch, terms: IssuanceTerms, now: dt.datetime) -> CertificateRequest | None:
        """The stored request, if it asks for what is declared and enough of its life is left."""
        try:
            request = self.epochs.request(epoch)
        except CertificateRequestInvalid as error:
            logger.warning("%s", error)
            return None
        if terms.asked_by(request) and not request.is_outdated(now):
            return request
        logger.info("%s: request %s of its epoch is dropped for a new one", epoch.identity, epoch.number)
        return None

    def _begin(
        self, identity: str, replaces: str, terms: IssuanceTerms, dropped: Epoch | None
    ) -> tuple[Epoch, CertificateRequest, bool]:
        """The epoch, its request, and whether they are this run's; another one may have been quicker."""
        number = dropped.number + 1 if dropped else 1
        request = make_request(terms, self.mesh, identity, f"{replaces} {number}", self.clock.now())
        asked = dropped.asked + 1 if dropped else 1
        epoch = Epoch(identity, replaces, number, request.made_at, asked)
        if self.epochs.begin(request, epoch, dropped.number if dropped else 0):
            return epoch, request, True
        winner = next(each for each in self.epochs.of(identity) if each.replaces == replaces)
        return winner, self.epochs.request(winner), False


def _require_budget(identity: str, epochs: tuple[Epoch, ...], terms: IssuanceTerms, now: dt.datetime) -> None:
    """Refuse one more certificate in a day in which the budget is spent, unless it comes at the budget's pace."""
    lately = [epoch for epoch in epochs if now - epoch.asked_at < _DAY]
    # What was sent again without an answer is bounded by its pauses. It must not keep the next epoch waiting.
    spent = sum(min(epoch.asked, epoch.number + PUTS_OF_AN_EPOCH - 1) for epoch in lately)
    if spent >= certificates_a_day(terms.life) and now - max(epoch.asked_at for epoch in lately) < _pace(terms):
        raise IssuanceBudgetSpent(identity, spent)


def _pause(asked: int, terms: IssuanceTerms) -> dt.timedelta:
    """How long a request that may have been paid for so often waits before it is sent once more: ever longer."""
    doubled = TOKEN_LIVES * (1 << min(max(asked - 1, 0), _MOST_DOUBLINGS))
    return min(doubled, max(TOKEN_LIVES, _pace(terms)))


def _pace(terms: IssuanceTerms) -> dt.timedelta:
    """The time between two certificates if a day's budget is spent evenly: four hours for a life of a day."""
    return _DAY / certificates_a_day(terms.life)
