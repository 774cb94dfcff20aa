"""What the table ``identities`` promises, and what the fake and the emulator must agree on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.identity import Identity, ServiceUse
from meshcert.proxy import RotationMode
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    from meshcert.identity import Declared, IdentityTable

    class Table(IdentityTable, Declared):
        """One table: written by one function, read by others."""


TELLER = Identity(
    name="colorteller",
    certificate_arn="arn:certificate/teller",
    secret_id="arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/identity/colorteller-AbCdEf",
    root_certificate_authority_arn="arn:root",
    names=(Dns("colorteller.mtls.svc.cluster.local"), Uri("spiffe://color.example/Teller")),
    peer_rules=((Dns("colorteller.mtls.svc.cluster.local"),), (Uri("spiffe://color.example/Teller"), Dns("old.local"))),
    owner="stack/Teller",
    certificate_authority_arns=("arn:issuing", "arn:root"),
    services=(
        ServiceUse("teller", RotationMode.REDEPLOY),
        ServiceUse("gateway", RotationMode.RELOAD, poll_interval_s=0.25),
        ServiceUse("orders", RotationMode.RELOAD, place="shop/orders-v2"),
    ),
    jobs=("nightly-report",),
)


class IdentityTableClaims:
    """A base class: run it by giving the fixture ``table``, empty."""

    def test_what_is_remembered_is_found(self, table: Table) -> None:
        """By name and by certificate, whole."""
        table.remember(TELLER)

        assert table.find("colorteller") == TELLER
        assert table.find_by_certificate("arn:certificate/teller") == TELLER

    def test_what_is_not_there_is_not_found(self, table: Table) -> None:
        """Neither is an error."""
        assert table.find("colorteller") is None
        assert table.find_by_certificate("arn:certificate/teller") is None

    def test_a_replaced_certificate_leads_nowhere(self, table: Table) -> None:
        """The identity is found by its new certificate only."""
        table.remember(TELLER)
        replaced = replace(
            TELLER, certificate_arn="arn:certificate/new", names=(Dns("teller.svc.local"),), peer_rules=()
        )

        table.remember(replaced)

        assert table.find("colorteller") == replaced
        assert table.find_by_certificate("arn:certificate/new") == replaced
        assert table.find_by_certificate("arn:certificate/teller") is None

    def test_an_identity_is_forgotten_by_its_owner_only(self, table: Table) -> None:
        """A resource that was renamed no longer owns the row."""
        table.remember(TELLER)

        table.forget("colorteller", "stack/Renamed")
        assert table.find("colorteller") == TELLER

        for _ in range(2):
            table.forget("colorteller", "stack/Teller")
            assert table.find("colorteller") is None

    def test_the_names_of_all_identities_are_told(self, table: Table) -> None:
        """Those that are remembered, and no others."""
        assert list(table.names()) == []
        for name in ("colorteller", "gateway", "gone"):
            table.remember(replace(TELLER, name=name))
        table.forget("gone", "stack/Teller")

        assert sorted(table.names()) == ["colorteller", "gateway"]
