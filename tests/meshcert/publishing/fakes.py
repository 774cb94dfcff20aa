"""
Working ports in memory: they keep state and obey AWS's rules, so tests speak about outcomes and not about calls.

Those that benchmarks need too are in :mod:`simulation`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evidence.fixtures.pki import encrypt_again
from meshcert.errors import AccessDenied, AwsRefused, AwsUnavailable, CertificatePending, IdentityMissing
from meshcert.issuing.issuer import IssuedCertificate
from meshcert.material import split_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.pki import Hierarchy
    from local.pkcs8 import KeyEncryption
    from meshcert.errors import MeshcertError
    from meshcert.issuing.existing_authority import SeenAuthority
    from meshcert.material import Material, Passphrase


UNANSWERED: dict[str, Callable[[str, str], MeshcertError]] = {
    "its share has ended": lambda call, arn: AccessDenied(call, arn, "AccessDeniedException"),
    "it is disabled": lambda call, arn: AwsRefused(call, arn, "InvalidStateException"),
    "it is throttled, or out": lambda call, arn: AwsUnavailable(call, arn, "ThrottlingException", without_effect=True),
    "it is deleted": lambda _, arn: IdentityMissing(arn, "Deploy the stacks again"),
}
"""Why a CA does not answer: the error, by the call and the CA's ARN."""


@dataclass
class FakeClock:
    """Time that passes only when somebody sleeps, or when a test says so."""

    time: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def now(self) -> dt.datetime:
        """The time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Pass some."""
        self.time += dt.timedelta(seconds=seconds)


class InMemoryCertificates:
    """ACM: issues at once unless told, re-encrypts on every export, renews only what has been exported since."""

    def __init__(self) -> None:
        self._issued: dict[str, Material] = {}
        self._renewable: dict[str, bool] = {}
        self._pending_looks: dict[str, int] = {}
        self.owners: dict[str, str] = {}
        self.key_encryption: KeyEncryption = "pbes2-sha1"

    def issue(self, certificate_arn: str, material: Material, *, pending_looks: int = 0) -> None:
        """A new certificate, or a renewed one under the same ARN; ``pending_looks`` looks see it not issued yet."""
        self._issued[certificate_arn] = material
        self._renewable[certificate_arn] = False
        self._pending_looks[certificate_arn] = pending_looks

    def is_renewable(self, certificate_arn: str) -> bool:
        """RenewalEligibility."""
        return self._renewable[certificate_arn]

    def forget_export(self, certificate_arn: str) -> None:
        """What ACM reports when the export after a renewal never reached it."""
        self._renewable[certificate_arn] = False

    def look(self, certificate_arn: str) -> IssuedCertificate:
        """DescribeCertificate and GetCertificate."""
        material = self._find(certificate_arn)
        return IssuedCertificate(
            material.certificate, material.certificate_chain, to_take_out=not self._renewable[certificate_arn]
        )

    def owner(self, certificate_arn: str) -> str:
        """ListTagsForCertificate: the tag with which CloudFormation requested the certificate."""
        return self.owners.get(certificate_arn, "colorteller")

    def published(self, identity: str, certificate_arn: str) -> None:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.published`."""

    def export(self, certificate_arn: str, passphrase: Passphrase) -> Material:
        """ExportCertificate."""
        material = self._find(certificate_arn)
        self._renewable[certificate_arn] = True
        return encrypt_again(material, passphrase, self.key_encryption)

    def _find(self, certificate_arn: str) -> Material:
        if certificate_arn not in self._issued:
            raise IdentityMissing(certificate_arn, "Deploy the stacks again")
        if self._pending_looks[certificate_arn]:
            self._pending_looks[certificate_arn] -= 1
            raise CertificatePending(certificate_arn, "PENDING_VALIDATION")
        return self._issued[certificate_arn]


@dataclass
class InMemoryAuthorities:
    """Private CA."""

    hierarchies: dict[str, Hierarchy] = field(default_factory=dict)
    owned_by_others: dict[str, SeenAuthority] = field(default_factory=dict)
    unshared: set[str] = field(default_factory=set)
    silent: dict[str, Callable[[str, str], MeshcertError]] = field(default_factory=dict)

    def certificate(self, certificate_authority_arn: str) -> str:
        """GetCertificateAuthorityCertificate of a root."""
        self._require_shared("acm-pca:GetCertificateAuthorityCertificate", certificate_authority_arn)
        if certificate_authority_arn not in self.hierarchies:
            raise IdentityMissing(certificate_authority_arn, "Deploy the stacks again")
        return self.hierarchies[certificate_authority_arn].root_pem

    root = certificate

    def chain(self, certificate_authority_arn: str) -> tuple[str, ...]:
        """GetCertificateAuthorityCertificate of the CA that signs."""
        self.certificate(certificate_authority_arn)
        return tuple(split_certificates(self.hierarchies[certificate_authority_arn].certificate_chain))

    def seen(self, certificate_authority_arn: str) -> SeenAuthority:
        """DescribeCertificateAuthority and ListPermissions."""
        self._require_shared("acm-pca:DescribeCertificateAuthority", certificate_authority_arn)
        if certificate_authority_arn not in self.owned_by_others:
            raise IdentityMissing(certificate_authority_arn, "Deploy the stacks again")
        return self.owned_by_others[certificate_authority_arn]

    def _require_shared(self, operation: str, certificate_authority_arn: str) -> None:
        if certificate_authority_arn in self.silent:
            raise self.silent[certificate_authority_arn](operation, certificate_authority_arn)
        if certificate_authority_arn in self.unshared:
            raise AccessDenied(operation, certificate_authority_arn, "AccessDeniedException", "")


@dataclass
class InMemoryListBuckets:
    """Buckets of others with revocation lists."""

    admitting: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def look(self, bucket: str, key: str) -> None:
        """GetObject."""
        self.asked.append(f"{bucket}/{key}")
        if bucket not in self.admitting:
            raise AccessDenied("s3:GetObject", f"s3://{bucket}/{key}", "AccessDenied", "")


class InMemoryMarks:
    """The table ``lifecycle``, for who only asks that an identity be looked at."""

    def __init__(self) -> None:
        self.wanted: list[str] = []
        self.error: MeshcertError | None = None

    def want(self, identity: str, now: dt.datetime) -> None:
        """UpdateItem; fails when told."""
        assert now.tzinfo
        if self.error:
            raise self.error
        self.wanted.append(identity)


class Crash(BaseException):
    """The function ends here: no ``except`` of ours may catch it."""


class CrashAfter:
    """
    Lets calls through to several ports, and crashes at the one of the given number.

    Args:
        call: Number of the call, from 1.
        lands: Whether the crashing call still takes effect: AWS did it, and the answer never came.
    """

    def __init__(self, call: int, *, lands: bool) -> None:
        self._left = call
        self._lands = lands

    @property
    def happened(self) -> bool:
        """Whether the call of that number was made."""
        return self._left <= 0

    def around(self, port: Any) -> Any:
        """The same port, counted."""
        return _Counted(port, self)

    def call(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call to any of the ports."""
        self._left -= 1
        if self._left != 0:
            return method(*args, **kwargs)
        if self._lands:
            method(*args, **kwargs)
        raise Crash


class _Counted:
    def __init__(self, port: Any, crash: CrashAfter) -> None:
        self._port = port
        self._crash = crash

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *args, **kwargs: self._crash.call(method, args, kwargs)
