"""A fleet that is due at once: nothing is done twice, no call fails, and AWS's quotas are what holds it up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from evidence.simulation.fleet import Fleet
from evidence.simulation.renewed import NEEDED, Renewed

if TYPE_CHECKING:
    from collections.abc import Mapping

IDENTITIES = 100
RENEWED_ONCE = {
    "acm:RenewCertificate": 100,
    "acm:DescribeCertificate": 200,
    "acm:GetCertificate": 100,
    "acm:ListTagsForCertificate": 100,
    "acm:ExportCertificate": 100,
    "secretsmanager:PutSecretValue": 400,
}


def counted(renewed: Renewed) -> Mapping[str, int]:
    """The calls that AWS counts narrowly, without those that it refused and the SDK made again."""
    return {api: renewed.calls[api] - renewed.refused.get(api, 0) for api in NEEDED}


def test_each_certificate_is_renewed_with_the_fewest_calls() -> None:
    """One new certificate and one publication each; two looks, though ACM and AWS Health tell of it; none failed."""
    renewed = Fleet(IDENTITIES, seed=2).renew()

    assert (renewed.new_certificates, renewed.published) == (IDENTITIES, IDENTITIES)
    assert counted(renewed) == RENEWED_ONCE
    assert renewed.throttled == 0
    assert sum(renewed.refused.values()) <= IDENTITIES / 50  # looks begin in whole seconds, four or five at once
    assert renewed.looks == 2 * IDENTITIES


def test_without_any_event_ticks_do_the_same() -> None:
    """Later, and with no more new certificates than before."""
    renewed = Fleet(IDENTITIES, events=False).renew()

    assert (renewed.new_certificates, renewed.published) == (IDENTITIES, IDENTITIES)
    assert counted(renewed) == RENEWED_ONCE
    assert renewed.throttled == 0


def test_all_at_once_is_throttled_and_comes_to_the_same_end() -> None:
    """The dispatch's pace prevents this; without it the fleet is renewed all the same."""
    renewed = Fleet(40, looks_per_second=1000.0).renew()

    assert Counter(renewed.refused)["acm:RenewCertificate"] > 0
    assert (renewed.new_certificates, renewed.published) == (40, 40)


def test_a_fleet_that_is_too_large_for_one_sweep_is_swept_in_parts() -> None:
    """Over the hour, each identity once and no call refused; and renewed so, if all of them are due."""
    fleet = Fleet(40, looks_per_second=0.02)

    swept, renewed = fleet.sweep(), fleet.renew()

    assert (swept.parts, swept.looks) == (3, 40)
    assert swept.calls["acm:DescribeCertificate"] == 40
    assert (swept.throttled, dict(swept.refused)) == (0, {})
    assert 2400 < swept.took_s < 3600
    assert (renewed.new_certificates, renewed.published, renewed.throttled) == (40, 40, 0)


def test_the_same_seed_is_the_same_fleet() -> None:
    """Only keys and serial numbers differ."""
    first, second = (Fleet(5, seed=7).renew() for _ in range(2))

    assert first == second


def test_the_floor_is_that_of_the_narrowest_quota() -> None:
    """1,000 renewals at 5 a second, or 2,000 looks at 10."""
    renewed = Renewed(1000, 1000, 1000, 250.0, {}, {}, 0)

    assert renewed.floor_s == {
        "acm:RenewCertificate": 200.0,
        "acm:DescribeCertificate": 200.0,
        "acm:GetCertificate": 100.0,
        "acm:ListTagsForCertificate": 100.0,
        "acm:ExportCertificate": 100.0,
        "secretsmanager:PutSecretValue": 80.0,
    }
    assert renewed.over_floor == 1.25
