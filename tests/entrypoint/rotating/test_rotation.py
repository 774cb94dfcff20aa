"""Rotation without a container: what Envoy's counters lead to, and how deaths are paced."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
from entrypoint.container.restarts import FIRST_S, MOST_S, SOUND_AFTER_S, Restarts
from entrypoint.envoy.acceptance import SecretCounters, secret_counters
from entrypoint.judging.preflight import certificate_fields
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_SECRET
from meshcert.errors import AwsUnavailable
from tests.entrypoint.rotating.world import DAY_S, World

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material


@pytest.fixture
def world(tmp_path: Path, hierarchy: Hierarchy, material: Material) -> World:
    """One watcher after a good start."""
    return World(tmp_path, hierarchy, material)


def test_a_version_envoy_rejects_is_taken_back_and_not_tried_again(world: World) -> None:
    """The file tells what is served; the next good version goes through."""
    world.envoy.rejecting = True
    world.publish()

    for _ in range(3):
        world.rotation.look()

    assert world.in_file == world.material.version_id
    assert len(world.lines) == 1
    assert b"Envoy rejected it" in world.lines[0]

    world.envoy.rejecting = False
    newer = world.publish()
    world.rotation.look()

    assert world.in_file == newer.version_id
    assert b"secret-rotated" in world.lines[-1]


def test_a_label_moved_back_takes_no_running_proxy_along_unless_its_version_is_quarantined(world: World) -> None:
    """The label of another version does not count; then the older one is served."""
    older = world.publish(not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=30))
    world.quarantined = {"another"}
    for _ in range(2):
        world.rotation.look()
    assert world.in_file == world.material.version_id
    assert len(world.lines) == 1
    assert b"older than the one served" in world.lines[0]

    world.quarantined = {world.material.version_id}
    world.rotation.look()

    assert world.in_file == older.version_id
    assert b"secret-rotated" in world.lines[-1]


def test_a_certificate_that_expires_is_served_on_and_told_once(world: World) -> None:
    """Nothing else would be better; the first version after it is taken over as ever."""
    world.days_ahead_at_expiry = 400
    world.rotation.look()
    world.rotation.look()

    told = [json.loads(line) for line in world.lines if b"certificate-expired" in line]
    assert [line["secret"] for line in told] == ["identity/colorteller"]
    assert world.identity.expired.startswith("the served certificate expired on 20")
    assert world.in_file == world.material.version_id

    newer = world.publish()
    world.days_ahead_at_expiry = 0
    world.rotation.look()

    assert world.in_file == newer.version_id
    assert world.identity.expired == ""


@pytest.mark.parametrize(("days", "problem"), [(-366, "not valid before"), (4000, "expired on")])
def test_a_clock_that_is_a_year_and_more_off_costs_no_served_certificate(world: World, days: int, problem: str) -> None:
    """New versions seem bad to it and wait; with the right time again they are taken over."""
    newer = world.publish()
    world.days_ahead = days
    world.rotation.look()

    (told,) = [
        json.loads(line) for line in world.lines if b"identity/colorteller" in line and b"rotation-waits" in line
    ]
    assert (told["stage"], problem in told["reason"]) == ("preflight", True)
    assert world.in_file == world.material.version_id

    world.days_ahead = 0
    world.rotation.look()

    assert world.in_file == newer.version_id


def test_a_quarantined_version_is_never_taken_over(world: World) -> None:
    """Not even a newer one, and its value is not read; a version served already stays until the label has moved."""
    newer = world.publish()
    world.quarantined = {newer.version_id, world.material.version_id}
    value, world.vault[TELLER_SECRET] = world.vault[TELLER_SECRET], SecretVersion(newer.version_id, "not to be read")

    for _ in range(2):
        world.rotation.look()

    assert world.in_file == world.material.version_id
    assert len(world.lines) == 1
    assert b"is QUARANTINED after a failed rollout" in world.lines[0]
    world.quarantined = {world.material.version_id}
    world.vault[TELLER_SECRET] = value
    world.rotation.look()
    assert world.in_file == newer.version_id


def test_what_upstreams_refuse_is_said_with_their_hosts(world: World) -> None:
    """The lifecycle counts hosts: one of them proves nothing, whatever it tells how many tasks."""
    world.upstreams.refusing = True
    newer = world.publish()

    world.rotation.look()

    standing = world.standings.read()["colorteller"]
    assert (standing.refused, standing.refused_by) == (newer.version_id, "ledger@10.0.0.7")
    assert standing.error.startswith("trial: ")


def test_a_refusal_in_a_trial_counts_no_more_when_the_served_certificate_nears_its_end(world: World) -> None:
    """To stay would help for days at most; it is taken over, and the log says who refuses it."""
    world.upstreams.refusing = True
    newer = world.publish()
    leaf = certificate_fields(world.material.certificate)
    ends_in_days = (leaf.not_after - time.time()) / DAY_S
    lives_days = (leaf.not_after - leaf.not_before) / DAY_S

    world.days_ahead_at_expiry = math.floor(ends_in_days - 0.05 * lives_days)
    world.rotation.look()
    assert world.in_file == world.material.version_id

    world.days_ahead_at_expiry = math.ceil(ends_in_days - 0.05 * lives_days)
    world.rotation.look()
    assert world.in_file == newer.version_id
    (told,) = [line for line in map(json.loads, world.lines) if line["event"] == "trial-overruled"]
    assert told["hosts"] == ["ledger@10.0.0.7"]
    assert "unknown_ca" in told["reason"]


def test_what_was_refused_is_said_until_the_current_version_is_served(world: World) -> None:
    """A label that goes back ends it, one that returns to the refused version does not, a good version does."""
    secret = world.identity
    world.envoy.rejecting = True
    bad = world.publish()
    world.rotation.look()
    assert secret.refusal
    assert secret.refusal.version == bad.version_id

    value, world.vault[TELLER_SECRET] = world.vault[TELLER_SECRET], SecretVersion(world.material.version_id, "")
    world.rotation.look()
    assert secret.refusal is None

    world.vault[TELLER_SECRET] = value
    world.rotation.look()
    assert secret.refusal == (
        bad.version_id,
        "envoy: identity/colorteller: Envoy rejected it",
        (),
    )

    world.envoy.rejecting = False
    world.publish()
    world.rotation.look()
    assert secret.refusal is None
    assert secret.trouble == ""


def test_an_envoy_that_does_not_answer_is_told_once_and_gets_the_version_later(world: World) -> None:
    """Without its counters of before, an old rejection would be taken for one of the new version."""
    world.envoy.rejecting = True
    world.publish()
    world.rotation.look()
    world.envoy.rejecting = False
    world.lines.clear()
    world.envoy.silent = True
    newer = world.publish()

    for _ in range(3):
        world.rotation.look()

    assert world.in_file == world.material.version_id
    assert len(world.lines) == 1
    assert b"interface does not answer" in world.lines[0]

    world.envoy.silent = False
    world.rotation.look()

    assert world.in_file == newer.version_id
    assert b"secret-rotated" in world.lines[-1]


@pytest.mark.parametrize("rejecting", [False, True])
def test_a_version_envoy_did_not_judge_in_time_is_judged_by_a_later_look(world: World, *, rejecting: bool) -> None:
    """The wait is bounded, the verdict is not forgotten."""
    world.envoy.rejecting = rejecting
    world.envoy.silent_after = 2
    newer = world.publish()

    for _ in range(2):
        world.rotation.look()

    assert len(world.lines) == 1
    assert b'"event": "rotation-waits"' in world.lines[0]
    assert b'"stage": "served", "reason": "Envoy has not said whether' in world.lines[0]
    assert world.now < 10.0

    world.envoy.silent = False
    for _ in range(2):
        world.rotation.look()

    served = world.material if rejecting else newer
    assert world.in_file == served.version_id
    assert len(world.lines) == 2
    assert (b"Envoy rejected it" if rejecting else b"rotation-confirmed") in world.lines[1]


def test_the_last_good_version_comes_back_when_two_in_a_row_fail(world: World) -> None:
    """One that was never judged is not good."""
    world.envoy.silent_after = 2
    world.publish()
    world.rotation.look()
    world.envoy.silent = False
    world.envoy.rejecting = True
    world.publish()

    for _ in range(2):
        world.rotation.look()

    assert world.in_file == world.material.version_id


@pytest.mark.parametrize("error", [TypeError("sesame"), KeyError("sesame"), RecursionError("sesame")])
def test_an_unforeseen_error_of_one_secret_does_not_stop_the_others(world: World, error: Exception) -> None:
    """It is told once, by its kind and place and not by its words, which may be secret."""

    def labels(secret: str) -> SecretLabels:
        if secret == GATEWAY_TRUST:
            raise error
        return SecretLabels(world.vault[secret].version_id)

    world.labels = labels  # type: ignore[method-assign]  # one secret of this world is cursed
    newer = world.publish()

    for _ in range(2):
        world.rotation.look()

    assert world.in_file == newer.version_id
    log = b"".join(world.lines)
    assert log.count(b"internal fault: " + type(error).__name__.encode()) == 1
    assert b"test_rotation.py:" in log
    assert b"sesame" not in log


def test_all_failing_secrets_of_a_look_share_one_time_to_try_again(world: World) -> None:
    """Otherwise each would delay the ones after it."""

    def labels(secret: str) -> SecretLabels:
        raise AwsUnavailable("secretsmanager:DescribeSecret", secret, "Throttling")

    world.labels = labels  # type: ignore[method-assign]  # nothing of this world answers
    world.rotation.look()

    assert 12.0 < world.now <= 24.0
    assert len(world.lines) == 2


def test_a_full_folder_is_told_once_and_the_last_good_version_stays(world: World, tmp_path: Path) -> None:
    """When there is room again, the version is taken over."""
    in_the_way = tmp_path / "secrets/.identity-colorteller.json.new"
    in_the_way.mkdir()
    newer = world.publish()

    for _ in range(3):
        world.rotation.look()

    assert len(world.lines) == 1
    assert b"the material folder cannot be written" in world.lines[0]
    assert world.in_file == world.material.version_id

    in_the_way.rmdir()
    world.rotation.look()
    assert world.in_file == newer.version_id


def test_counters_are_read_by_secret() -> None:
    """Names with a slash, versions without their quotes, other counters ignored."""

    class Admin:
        def get(self, _: str) -> str:
            return (
                'sds.identity/a.version_text: "v1"\n'
                "sds.identity/a.update_success: 2\n"
                "sds.identity/a.version: 123\n"
                "sds.trust/b.update_rejected: 1\n"
                "sds.trust/b.update_failure: 3\n"
            )

    admin: Any = Admin()
    assert secret_counters(admin) == {
        "identity/a": SecretCounters(accepted=2, version="v1"),
        "trust/b": SecretCounters(rejected=1, failed=3),
    }


def test_a_child_that_dies_early_waits_ever_longer_and_a_sound_one_starts_anew() -> None:
    """Half a second, doubling, at most a minute."""
    restarts = Restarts()
    delays = []
    for number in range(12):
        restarts.started(number * 1000.0)
        delays.append(restarts.delay_after_end(number * 1000.0 + 1))

    assert delays[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert delays[-1] == MOST_S
    restarts.started(50_000.0)
    assert restarts.delay_after_end(50_000.0 + SOUND_AFTER_S) == FIRST_S
