"""One identity of AWS Private CA in memory: what a deploy declares, the export role's ports, a clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evidence.simulation.private_ca import AUTHORITY, InMemoryDeclarations, InMemoryEpochs, SimulatedPrivateCa
from evidence.simulation.tables import InMemoryIdentities
from evidence.simulation.vault import InMemoryVault
from meshcert.contract.staging_labels import CURRENT
from meshcert.identity import Identity, IssuerName
from meshcert.issuing.issuance_terms import IssuanceTerms
from meshcert.issuing.issuing_once import Issuing
from meshcert.issuing.own_material import OwnMaterial
from meshcert.material import certificate_version
from meshcert.publishing.export import Sources, export_identity
from meshcert.publishing.replacement import certificate_declared, replace_certificate
from meshcert.san import Dns, Uri
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/identity/front-AbCdEf"
NAMES = (Dns("front.color.local"), Uri("spiffe://color.example/front"))
LIFE = dt.timedelta(days=1)
TERMS = IssuanceTerms(
    AUTHORITY,
    "SHA256WITHECDSA",
    "arn:aws:acm-pca:::template/EndEntityCertificate/V1",
    "EC_prime256v1",
    NAMES,
    LIFE,
)
FRONT = Identity(
    "front",
    "",
    SECRET,
    AUTHORITY,
    NAMES,
    owner="stack/Front",
    certificate_authority_arns=(AUTHORITY,),
    issuer=IssuerName.PRIVATE_CA,
)

OF_ACM = "arn:aws:acm:eu-west-1:111122223333:certificate/front"


def as_it_is(port: Any) -> Any:
    """A port that nothing is put around."""
    return port


class IssuingWorld:
    """
    The two runs that have certificates issued, a deploy's and a renewal's, over the same tables.

    Args:
        authority: Private CA; a simulated one if there is none.
        clock: The simulated one's, or that of whoever else issues.
    """

    def __init__(self, authority: Any = None, clock: Any = None) -> None:
        self.clock = clock or FakeClock()
        self.authority = authority or SimulatedPrivateCa(self.clock)
        self.epochs = InMemoryEpochs()
        self.declarations = InMemoryDeclarations({"front": TERMS})
        self.table = InMemoryIdentities()
        self.vault = InMemoryVault()
        self.vault.seed(SECRET)
        self.asked_again = 0

    def issuing(self, around: Callable[[Any], Any] = as_it_is) -> Issuing:
        """What certificates are asked for with."""
        return Issuing("color", around(self.declarations), around(self.epochs), around(self.authority), self.clock)

    def sources(self, around: Callable[[Any], Any] = as_it_is) -> Sources:
        """What is exported, and where it is published."""
        certificates = OwnMaterial(around(self.authority), self.issuing(around))
        return Sources(certificates, around(self.authority), around(self.vault), self.clock)

    def deploy(self, identity: Identity = FRONT, around: Callable[[Any], Any] = as_it_is) -> Identity:
        """What the deploy function does for an identity."""
        sources, table = self.sources(around), around(self.table)
        row = table.find(identity.name)
        declared = certificate_declared(identity, row, self.issuing(around), sources)
        export_identity(declared, sources, around(self.vault))
        table.remember(declared, row.certificate_arn if row else "")
        return declared

    def replace(self, replaces: str, around: Callable[[Any], Any] = as_it_is) -> None:
        """What the export function does when a certificate is due, and for the look that follows."""
        table = around(self.table)
        asked = replace_certificate(table.find("front"), replaces, self.issuing(around), table)
        self.asked_again += bool(asked and asked.paid_again)
        export_identity(table.find("front"), self.sources(around), around(self.vault))

    def have_it_of_acm(self) -> None:
        """A deploy, or the way back of one that failed: the identity has ACM's certificate, which is published."""
        self.vault.put_pending(SECRET, OF_ACM, "material of ACM")
        self.vault.move_label(SECRET, CURRENT, to=OF_ACM, away_from=self.published)
        self.table.rows["front"] = replace(FRONT, certificate_arn=OF_ACM, names=NAMES[:1], issuer=IssuerName.ACM)

    @property
    def row(self) -> Identity:
        """The identity's row."""
        row = self.table.find("front")
        assert row
        return row

    @property
    def published(self) -> str:
        """The version that proxies read."""
        return self.vault.current_value(SECRET).version_id

    def version(self, certificate_arn: str) -> str:
        """The version that a certificate is published under."""
        return certificate_version(self.authority.issued[certificate_arn])

    def pass_time(self, time: dt.timedelta) -> None:
        """Let time pass."""
        self.clock.time += time
