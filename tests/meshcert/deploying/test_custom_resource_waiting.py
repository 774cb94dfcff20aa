"""Custom resources in a fresh deploy: certificates and rights take up to a minute to arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.errors import AccessDenied, AwsUnavailable
from tests.meshcert.publishing.world import CERTIFICATE, IDENTITY, ROOT

if TYPE_CHECKING:
    from meshcert.errors import MeshcertError
    from tests.meshcert.publishing.world import World


class TestWaiting:
    """A fresh deploy: certificates and rights take up to a minute to arrive."""

    def test_a_pending_certificate_is_waited_for(self, world: World) -> None:
        """ACM takes seconds."""
        world.issue(pending_looks=3)

        assert world.ask("Create", IDENTITY)["Status"] == "SUCCESS"

    @pytest.mark.parametrize(
        "error",
        [
            AccessDenied("acm:DescribeCertificate", CERTIFICATE, "AccessDeniedException"),
            AwsUnavailable("acm:DescribeCertificate", CERTIFICATE, "ThrottlingException"),
        ],
        ids=["fresh role", "throttled"],
    )
    def test_what_heals_within_a_minute_is_waited_for(
        self, world: World, error: MeshcertError, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rights of a fresh role among it."""
        fail_until(world, 50.0, error, monkeypatch)

        assert world.ask("Create", IDENTITY)["Status"] == "SUCCESS"

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (AccessDenied("acm:DescribeCertificate", CERTIFICATE, "AccessDeniedException"), "AccessDeniedException"),
            (AwsUnavailable("acm:DescribeCertificate", CERTIFICATE, "ThrottlingException"), "deploy again"),
        ],
        ids=["denied", "throttled"],
    )
    def test_waiting_ends_after_a_minute(
        self, world: World, error: MeshcertError, words: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The answer names the call, and comes long before Lambda's time is up."""
        fail_until(world, 3600.0, error, monkeypatch)
        start = world.clock.now()

        answered = world.ask("Create", IDENTITY)

        assert answered["Status"] == "FAILED"
        assert f"acm:DescribeCertificate on {CERTIFICATE}" in answered["Reason"]
        assert words in answered["Reason"]
        assert 45 <= (world.clock.now() - start).total_seconds() <= 60

    def test_what_does_not_heal_is_not_waited_for(self, world: World) -> None:
        """Bad material fails the deploy at once."""
        world.authorities.hierarchies[ROOT] = Hierarchy(tiers=2)
        start = world.clock.now()

        answered = world.ask("Create", IDENTITY)

        assert "does not lead to the trust anchor" in answered["Reason"]
        assert world.clock.now() == start


def fail_until(world: World, seconds: float, error: MeshcertError, monkeypatch: pytest.MonkeyPatch) -> None:
    """ACM answers with an error until some time has passed."""
    look, start = world.certificates.look, world.clock.now()

    def failing(certificate_arn: str) -> Any:
        if (world.clock.now() - start).total_seconds() < seconds:
            raise error
        return look(certificate_arn)

    monkeypatch.setattr(world.certificates, "look", failing)
