"""The export function may end at any call it makes; the next run goes on from there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from evidence.simulation.vault import SEED_VERSION
from meshcert.contract.staging_labels import CURRENT
from meshcert.publishing.export import export_identity, export_issued
from meshcert.publishing.trust_bundles import export_trust_bundle
from tests.meshcert.publishing.fakes import Crash, CrashAfter
from tests.meshcert.publishing.world import BUNDLE, CERTIFICATE, SECRET, TELLER, TRUST_ORDER

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World


def crashes() -> list[tuple[int, bool]]:
    """Every call of an export, each lost before and after AWS carried it out."""
    return [(call, lands) for call in range(1, 12) for lands in (False, True)]


class TestCrashes:
    """The function may end at any call; the next run goes on from there."""

    @pytest.mark.parametrize("renewed", [False, True], ids=["first export", "after a renewal"])
    @pytest.mark.parametrize(("call", "lands"), crashes())
    def test_a_crash_at_any_call_is_healed_by_the_next_run(
        self, world: World, call: int, *, lands: bool, renewed: bool
    ) -> None:
        """Readers see the old or the new material, whole; afterwards labels are as if nothing had happened."""
        previous = SEED_VERSION
        if renewed:
            previous = export_identity(TELLER, world.sources).version_id
            world.issue()
        before = world.vault.current_value(SECRET).value
        crash = CrashAfter(call, lands=lands)

        with contextlib.suppress(Crash):
            export_identity(TELLER, world.crashing(crash))
        after_crash = world.vault.current_value(SECRET).value
        published = export_identity(TELLER, world.sources)

        assert after_crash in {before, world.vault.current_value(SECRET).value}
        assert world.served().version_id == published.version_id
        assert world.served().certificate == world.certificates.look(CERTIFICATE).certificate
        assert world.vault.labels(SECRET) == {published.version_id: {CURRENT}, previous: {"AWSPREVIOUS"}}
        assert world.certificates.is_renewable(CERTIFICATE)

    @pytest.mark.parametrize("renewed", [False, True], ids=["first export", "after a renewal"])
    @pytest.mark.parametrize(("call", "lands"), crashes())
    def test_a_crash_at_any_call_of_a_rotation_is_healed_by_the_next_run(
        self, world: World, call: int, *, lands: bool, renewed: bool
    ) -> None:
        """The same, for the caller that has looked at ACM itself."""
        previous = SEED_VERSION
        if renewed:
            previous = export_identity(TELLER, world.sources).version_id
        version = world.issue().version_id
        crash = CrashAfter(call, lands=lands)

        with contextlib.suppress(Crash):
            export_issued(TELLER, version, world.crashing(crash), crash.around(world.vault))
        published = export_issued(TELLER, version, world.sources, world.vault)

        assert world.served().version_id == published.version_id == version
        assert world.vault.labels(SECRET) == {version: {CURRENT}, previous: {"AWSPREVIOUS"}}
        assert world.certificates.is_renewable(CERTIFICATE)

    def test_the_crashes_cover_every_call(self, world: World) -> None:
        """The last number of the table is beyond the last call of an export."""
        last_call, _ = crashes()[-1]
        crash = CrashAfter(last_call, lands=True)

        export_issued(TELLER, world.issue().version_id, world.crashing(crash), crash.around(world.vault))

        assert not crash.happened

    @pytest.mark.parametrize(("call", "lands"), crashes())
    def test_a_crash_at_any_call_of_a_trust_bundles_publication_is_healed(
        self, world: World, call: int, *, lands: bool
    ) -> None:
        """As for identities."""
        with contextlib.suppress(Crash):
            export_trust_bundle(TRUST_ORDER, world.crashing(CrashAfter(call, lands=lands)))

        published = export_trust_bundle(TRUST_ORDER, world.sources)

        assert world.vault.labels(BUNDLE) == {published.version_id: {CURRENT}, SEED_VERSION: {"AWSPREVIOUS"}}
