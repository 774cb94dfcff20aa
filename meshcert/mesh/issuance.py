"""The CAs and the certificates they sign: hierarchies and identities."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, Strict

from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.identity import IssuerName
from meshcert.issuing.existing_authority import AUTHORITY_ARN
from meshcert.issuing.private_ca_lives import LONGEST_SHORT_LIVED
from meshcert.material import LIST_LOCATION
from meshcert.mesh.part import DNS_NAMES_SCHEMA, FILE_NAME, SPIFFE_ID_SCHEMA, AnyName, DnsName, Life, Part, Years
from meshcert.proxy import Revocation

if TYPE_CHECKING:
    from meshcert.san import San

MOST_NAMES = 10
"""Names in one certificate: ACM's quota unless AWS raises it."""


class KeyAlgorithm(StrEnum):
    """Key algorithms that ACM issues private certificates for (acm:RequestCertificate)."""

    RSA_2048 = "RSA_2048"
    EC_PRIME256V1 = "EC_prime256v1"
    EC_SECP384R1 = "EC_secp384r1"


class CaKeyAlgorithm(StrEnum):
    """Key algorithms of the CAs; each signs certificates of its own family only."""

    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"
    EC_PRIME256V1 = "EC_prime256v1"
    EC_SECP384R1 = "EC_secp384r1"


def family(algorithm: str) -> str:
    """``RSA`` or ``EC``: a CA signs certificates of its own family only."""
    return algorithm.partition("_")[0]


class Usage(StrEnum):
    """What AWS Private CA lets a CA issue (CreateCertificateAuthority, UsageMode)."""

    GENERAL_PURPOSE = "general_purpose"
    """$400 a month."""
    SHORT_LIVED = "short_lived"
    """$50 a month: certificates of seven days at most, and none for ACM."""


class Subject(Part):
    """
    Who the CAs of a hierarchy belong to.

    A changed subject is a new CA with a new trust root.
    """

    organization: str | None = Field(default=None, min_length=1, max_length=64)
    """X.509 O."""
    organizational_unit: str | None = Field(default=None, min_length=1, max_length=64)
    """X.509 OU."""
    country: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    """X.509 C: two capital letters."""


ListLocation = Annotated[
    str, Field(pattern=f"^({LIST_LOCATION})$", max_length=300, examples=["s3://corporate-pki/crl/issuing.crl"])
]
"""The place of a revocation list."""


class ExistingAuthority(Part):
    """A CA of yours: nobody looks it up or changes it; a first deploy and `make verify-aws` say what is amiss there."""

    arn: Annotated[
        str,
        Field(
            pattern=f"^{AUTHORITY_ARN}$",
            examples=[
                "arn:aws:acm-pca:us-west-1:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
            ],
        ),
    ]
    """ARN of the CA that signs the certificates, of this account or shared with it by AWS RAM; of this region."""
    root: Annotated[str, Field(pattern=FILE_NAME, max_length=255)] = Field(examples=["corporate-root.pem"])
    """PEM file with the root certificate that its chain ends in, from the repository's root: what peers trust."""
    lists: tuple[ListLocation, ...] = ()
    """With `revocation: crl`: lists of the CAs of its chain, its own first, its root's last; `s3://…` or `http://…`."""
    permit_acm: Annotated[bool, Strict()] = False
    """`true`: a deploy gives ACM the permission to renew under a CA of this account. Left out: it has it already."""

    @property
    def account(self) -> str:
        """The account that owns it, twelve digits."""
        return self.arn.split(":")[4]


class RemoteAuthority(ExistingAuthority):
    """A CA of another region, as a cell sees it: it signs nothing there, and nobody asks it; the file has its root."""


class SharedAuthority(Part):
    """A CA that the deploy of its cell has made, as `make deploy-cell` prints it: other cells issue from it."""

    arn: Annotated[
        str,
        Field(
            pattern=f"^{AUTHORITY_ARN}$",
            examples=[
                "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
            ],
        ),
    ]
    """ARN of the CA that signs the certificates."""
    root: Annotated[str, Field(pattern=FILE_NAME, max_length=255)] = Field(examples=["yelb-edge-root.pem"])
    """PEM file with the root certificate, from the repository's root: what peers trust."""
    lists: tuple[ListLocation, ...] = ()
    """With `revocation: crl`: where its cell keeps the lists of the CAs of its chain, its own first."""

    @property
    def place(self) -> tuple[str, str]:
        """Region and account of the CA."""
        _, _, _, region, account, _ = self.arn.split(":", 5)
        return region, account


class Hierarchy(Part):
    """A root CA, and the issuing CA below it if there are two tiers; or a CA of yours."""

    tiers: Literal[1, 2] | None = Field(default=None, examples=[2])
    """1: the root signs the certificates itself; 2: an issuing CA does. Left out with `existing` alone."""
    cell: str = ""
    """The cell that makes its CAs, in a mesh with cells."""
    authority: SharedAuthority | None = None
    """What the deploy of its cell has made and printed: other cells issue from it. Left out before a first deploy."""
    existing: ExistingAuthority | None = None
    """A CA of yours signs the certificates; then a deploy makes none."""
    key_algorithm: CaKeyAlgorithm = Field(examples=["EC_prime256v1"])
    """Key algorithm of its CAs, made or yours; with `acm`, identities' keys must be of the same family, RSA or EC."""
    usage: Usage = Usage.GENERAL_PURPOSE
    """Of the CA that signs certificates: `short_lived` costs an eighth, for issuer `acm-pca` alone; 7 days at most."""
    subject: Subject = Subject()
    """Who the CAs belong to."""
    root_validity_years: Years = 10
    """Lifetime of the root's certificate."""
    issuing_validity_years: Years = 5
    """Lifetime of the issuing CA's certificate, if there are two tiers; shorter than the root's."""
    reissue: Annotated[int, Strict(), Field(ge=1)] = 1
    """Raise it by one to issue the CA certificates again with the same keys, before they run out."""
    also_trust: tuple[str, ...] = Field(default=(), json_schema_extra={"uniqueItems": True})
    """Hierarchies that everybody who trusts this one trusts besides, while one takes the place of the other."""
    revocation: Literal["none", "crl"] = "none"
    """`crl`: its CAs write revocation lists, and whoever trusts it refuses peers that are in them."""
    stale_lists: Literal["fail_open", "fail_closed"] = "fail_open"
    """Without a list that is still good: `fail_open`: peers pass and the proxies say so; `fail_closed`: refused."""

    @property
    def made(self) -> int:
        """How many CAs a deploy makes for it."""
        return 0 if self.existing else self.tiers or 0

    @property
    def is_remote(self) -> bool:
        """Whether its CA is in another region than the cell whose part of a mesh this is."""
        return isinstance(self.existing, RemoteAuthority)

    @property
    def signing_algorithm(self) -> str:
        """The algorithm its CAs sign with, by AWS Private CA's name."""
        digest = "SHA384" if self.key_algorithm is CaKeyAlgorithm.EC_SECP384R1 else "SHA256"
        return f"{digest}WITH{'RSA' if family(self.key_algorithm) == 'RSA' else 'ECDSA'}"

    @property
    def signing_years(self) -> int:
        """Lifetime of the CA that signs leaf certificates, years: of the issuing CA, or of a single tier's root."""
        return self.root_validity_years if self.tiers == 1 else self.issuing_validity_years

    @property
    def writes_lists(self) -> bool:
        """True if its CAs write revocation lists."""
        return self.revocation == "crl"

    @property
    def revocation_policy(self) -> Revocation:
        """The rule for revoked peers in proxies that trust it."""
        return Revocation(self.stale_lists) if self.writes_lists else Revocation.NONE


class DeclaredClient(Part, title="Client"):
    """Who may fetch an identity's certificate and key, for a client outside the mesh."""

    principals: tuple[str, ...] = Field(
        min_length=1,
        max_length=10,
        examples=[["arn:aws:iam::111122223333:role/batch"]],
        json_schema_extra={"uniqueItems": True},
    )
    """ARNs of the roles and users of IAM that may assume the role which reads its secret; they exist already."""
    trust: tuple[str, ...] = Field(default=(), json_schema_extra={"uniqueItems": True})
    """Hierarchies whose roots that role may read, too: those of the listeners that the client calls."""


class DeclaredIdentity(Part, title="Identity"):
    """The names one workload proves: one secret, and its certificates."""

    cell: str = ""
    """The cell it is issued in, in a mesh with cells; an identity that a service uses follows it."""
    hierarchy: str = Field(examples=["colorteller"])
    """The hierarchy that signs its certificate."""
    issuer: IssuerName = IssuerName.ACM
    """`acm`, or `acm-pca`: certificates straight from AWS Private CA, for keys of meshcert's own."""
    validity: Life | None = None
    """Life of a certificate of `acm-pca`, an hour or more: `24h`, `7d`, which is the default. ACM's live 395 days."""
    dns_names: tuple[DnsName, ...] = Field(
        default=(),
        examples=[["colorteller.mtls.svc.cluster.local"]],
        json_schema_extra=DNS_NAMES_SCHEMA,
    )
    """DNS names in the certificate, 1 to 10 with `acm`; there the first, at most 64 characters, is its common name."""
    spiffe_id: AnyName | None = Field(
        default=None, examples=["spiffe://color.example/colorteller"], json_schema_extra=SPIFFE_ID_SCHEMA
    )
    """SPIFFE ID in the certificate, in the mesh's trust domain; with `acm-pca` alone."""
    key_algorithm: KeyAlgorithm = Field(examples=["EC_prime256v1"])
    """Key algorithm of the certificate; with `acm`, of the same family as the CA's."""
    client: DeclaredClient | None = None
    """For a client outside the mesh: a role that reads this certificate and its key, and who may assume it."""

    @property
    def names(self) -> tuple[San, ...]:
        """All that its certificate proves; with `acm`, the common name first."""
        return self.dns_names if self.spiffe_id is None else (*self.dns_names, self.spiffe_id)

    @property
    def life(self) -> dt.timedelta:
        """From the issue of a certificate to its end."""
        if self.issuer is IssuerName.ACM:
            return dt.timedelta(days=CERTIFICATE_DAYS)
        return self.validity or LONGEST_SHORT_LIVED
