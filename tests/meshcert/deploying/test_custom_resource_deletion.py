"""Custom resources that go: stacks deleted, resources renamed, creates that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.meshcert.publishing.world import CERTIFICATE, IDENTITY, SECRET, TRUST

if TYPE_CHECKING:
    from meshcert.identity import Identity
    from tests.meshcert.publishing.world import World


class TestDelete:
    """Stacks that go, resources that are renamed, creates that failed."""

    def test_delete_forgets_the_identity_and_leaves_the_rest(self, world: World) -> None:
        """CA, certificate and secret are CloudFormation's business."""
        created = world.ask("Create", IDENTITY)
        published = world.current(SECRET)

        answered = world.ask("Delete", IDENTITY, PhysicalResourceId=created["PhysicalResourceId"])

        assert answered["Status"] == "SUCCESS"
        assert world.identities.rows == {}
        assert world.current(SECRET) == published
        assert not world.certificates.look(CERTIFICATE).to_take_out

    def test_what_was_remembered_of_a_deleted_identity_is_cleared_away_soon(self, world: World) -> None:
        """Whoever looks at an identity that is gone forgets the rest; a delete does not fail for it."""
        world.ask("Create", IDENTITY)
        world.marks.wanted.clear()

        world.ask("Delete", IDENTITY, PhysicalResourceId="colorteller")
        world.ask("Delete", TRUST, PhysicalResourceId="trust-bundle/colorteller")

        assert world.marks.wanted == ["colorteller"]

    def test_delete_succeeds_when_nothing_is_there(self, world: World) -> None:
        """Twice, or after everything else is gone."""
        world.vault.secrets.clear()

        for _ in range(2):
            assert world.ask("Delete", IDENTITY, PhysicalResourceId="colorteller")["Status"] == "SUCCESS"

    def test_delete_of_a_trust_bundle_touches_no_identity_of_that_name(self, world: World) -> None:
        """An identity and a hierarchy may be called the same."""
        world.ask("Create", IDENTITY)

        assert world.ask("Delete", TRUST, PhysicalResourceId="trust-bundle/colorteller")["Status"] == "SUCCESS"
        assert "colorteller" in world.identities.rows

    @pytest.mark.parametrize("properties", [{**IDENTITY, "Names": "not a list"}, {"Identity": "colorteller"}])
    def test_delete_after_a_failed_create_succeeds(self, world: World, properties: dict[str, Any]) -> None:
        """However broken the properties were."""
        failed = world.ask("Create", properties)
        assert failed["Status"] == "FAILED"

        answered = world.ask("Delete", properties, PhysicalResourceId=failed["PhysicalResourceId"])

        assert answered["Status"] == "SUCCESS"

    def test_a_create_that_failed_at_its_last_step_leaves_no_row(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The row was written, but the answer was lost: the delete that follows finds it."""
        remember = world.identities.remember

        def remember_and_fail(identity: Identity) -> None:
            remember(identity)
            raise ConnectionResetError

        monkeypatch.setattr(world.identities, "remember", remember_and_fail)
        failed = world.ask("Create", IDENTITY)

        answered = world.ask("Delete", IDENTITY, PhysicalResourceId=failed["PhysicalResourceId"])

        assert (failed["Status"], answered["Status"]) == ("FAILED", "SUCCESS")
        assert world.identities.rows == {}

    def test_delete_of_a_renamed_resource_keeps_the_new_ones_row(self, world: World) -> None:
        """CloudFormation creates the new resource first and deletes the old one afterwards, both of one identity."""
        world.ask("Create", IDENTITY, LogicalResourceId="OldName")
        world.ask("Create", IDENTITY, LogicalResourceId="NewName")

        answered = world.ask("Delete", IDENTITY, LogicalResourceId="OldName", PhysicalResourceId="colorteller")

        assert answered["Status"] == "SUCCESS"
        assert "colorteller" in world.identities.rows
