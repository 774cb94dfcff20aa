"""AWS Private CA as it issues for keys of others, and the table of requests, in memory; certificates are real."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cryptography import x509

from evidence.simulation.root import SimulatedRoot
from local.aws.certificates import x509_signing as signing
from meshcert.errors import AwsRefused, CertificatePending, CertificateRequestInvalid, Fault, IdentityMissing
from meshcert.issuing.certificate_request import read_stored_request
from meshcert.issuing.issuing_once import TOKEN_LIVES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.clock import Clock
    from meshcert.errors import MeshcertError
    from meshcert.issuing.certificate_request import CertificateRequest
    from meshcert.issuing.epochs import Epoch
    from meshcert.issuing.issuance_terms import IssuanceTerms
    from meshcert.material import PrivateKey

AUTHORITY = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555"


class SimulatedPrivateCa(SimulatedRoot):
    """
    One root CA that issues leaves.

    One token with the same parameters gives the same certificate for five minutes; with others it is refused.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, "color root", dt.timedelta(days=1))
        self.issued: dict[str, str] = {}
        self.pending_looks = 0
        """How many times the next certificates are looked at before they are there."""
        self._refusal: MeshcertError | None = None
        self._clock = clock
        self._tokens: dict[str, tuple[dt.datetime, dict[str, Any], str]] = {}
        self._pending: dict[str, int] = {}

    @contextlib.contextmanager
    def refusing(self, error: MeshcertError) -> Iterator[None]:
        """Issue nothing meanwhile, and raise this."""
        self._refusal = error
        try:
            yield
        finally:
            self._refusal = None

    def issue(self, request: CertificateRequest) -> str:
        """IssueCertificate."""
        if self._refusal:
            raise self._refusal
        parameters, now = request.parameters(), self._clock.now()
        known = self._tokens.get(request.token)
        if known and now - known[0] < TOKEN_LIVES:
            if known[1] != parameters:
                raise AwsRefused(
                    "acm-pca:IssueCertificate", request.identity, "InvalidArgsException", "another request"
                )
            return known[2]
        csr = x509.load_pem_x509_csr(request.csr.encode())
        leaf = self.sign(csr, "EndEntityCertificate", request.not_before, request.not_after)
        arn = f"{request.authority_arn}/certificate/{leaf.serial_number:032x}"
        self.issued[arn], self._pending[arn] = signing.pem(leaf), self.pending_looks
        self._tokens[request.token] = (now, parameters, arn)
        return arn

    def leaf(self, certificate_arn: str) -> tuple[str, str]:
        """GetCertificate."""
        if certificate_arn not in self.issued:
            raise IdentityMissing(certificate_arn, "Deploy the stacks again")
        if self._pending[certificate_arn]:
            self._pending[certificate_arn] -= 1
            raise CertificatePending(certificate_arn, "being issued")
        return self.issued[certificate_arn], self.root_pem


@dataclass
class _Row:
    epoch: Epoch
    name: str
    request: str
    private_key: PrivateKey | None


class InMemoryEpochs:
    """The table ``issuances``: :class:`meshcert.issuing.epochs.Epochs`."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], _Row] = {}
        self._of: dict[str, dict[str, None]] = {}

    def of(self, identity: str) -> tuple[Epoch, ...]:
        """Query."""
        return tuple(self.rows[identity, replaces].epoch for replaces in self._of.get(identity, ()))

    def begin(self, request: CertificateRequest, epoch: Epoch, dropping: int) -> bool:
        """PutItem on condition."""
        row = self.rows.get(_key(epoch))
        if (row.epoch.number if row else 0) != dropping:
            return False
        self.rows[_key(epoch)] = _Row(epoch, request.epoch, request.to_json(), request.private_key)
        self._of.setdefault(epoch.identity, {})[epoch.replaces] = None
        return True

    def request(self, epoch: Epoch) -> CertificateRequest:
        """GetItem, and Decrypt."""
        row = self.rows.get(_key(epoch))
        if row is None or row.private_key is None:
            faults = (Fault("stored request", "it is not stored any more", "Nothing"),)
            raise CertificateRequestInvalid(f"request for identity {epoch.identity}", faults)
        return read_stored_request(row.request, row.private_key, epoch.identity, row.name)

    def ask_again(self, epoch: Epoch, now: dt.datetime) -> bool:
        """UpdateItem on condition."""
        row = self.rows[_key(epoch)]
        if (row.epoch.number, row.epoch.asked) != (epoch.number, epoch.asked):
            return False
        row.epoch = replace(row.epoch, asked=epoch.asked + 1, asked_at=now)
        return True

    def not_issued(self, epoch: Epoch, asked_at: dt.datetime) -> None:
        """UpdateItem on condition."""
        row = self.rows[_key(epoch)]
        if (row.epoch.number, row.epoch.asked, row.epoch.certificate_arn) == (epoch.number, epoch.asked, ""):
            row.epoch = replace(row.epoch, asked=epoch.asked - 1, asked_at=asked_at)

    def issued(self, epoch: Epoch, certificate_arn: str) -> None:
        """UpdateItem on condition."""
        row = self.rows[_key(epoch)]
        if row.epoch.number == epoch.number:
            row.epoch = replace(row.epoch, certificate_arn=certificate_arn)

    def forget_request(self, epoch: Epoch) -> None:
        """UpdateItem on condition."""
        row = self.rows[_key(epoch)]
        if row.epoch.number == epoch.number:
            row.epoch, row.private_key = replace(row.epoch, published=True), None


def _key(epoch: Epoch) -> tuple[str, str]:
    return epoch.identity, epoch.replaces


@dataclass
class InMemoryDeclarations:
    """The parameters of Systems Manager: :class:`meshcert.issuing.issuing_once.Declarations`."""

    declared: dict[str, IssuanceTerms] = field(default_factory=dict)

    def terms(self, identity: str) -> IssuanceTerms:
        """GetParameter."""
        if identity not in self.declared:
            raise IdentityMissing(f"/meshcert/color/issuance/{identity}", "Deploy the stacks again")
        return self.declared[identity]
