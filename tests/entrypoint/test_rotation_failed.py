"""A rotation that failed is one thing to an operator: in the log, in what the task says, and in what is counted."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
from entrypoint.envoy.handover import EnvoyResource, FileHandover
from entrypoint.envoy.install import ResourceFiles
from entrypoint.rotating.standing import Stage
from evidence.fixtures.proxies import TELLER_SECRET
from meshcert.errors import AwsUnavailable
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.doing.measures import measures
from meshcert.lifecycle.doing.reconcile import Reconciled
from meshcert.lifecycle.observation import Acknowledgement
from meshcert.lifecycle.observing.observe import remembered
from tests.entrypoint.rotating.world import World
from tests.meshcert.lifecycle.observations import GATEWAY, MINUTE, NOW, POLICY, V1, V2, labels, look, remembers, says

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

NAME = "identity/colorteller"


@pytest.fixture
def world(tmp_path: Path, hierarchy: Hierarchy, material: Material) -> World:
    """One watcher after a good start."""
    result = World(tmp_path, hierarchy, material)
    result.envoy.get("/stats?filter=")  # so that it serves its first version
    return result


def _aws_is_out(world: World) -> str:
    def labels(secret: str) -> SecretLabels:
        if secret == TELLER_SECRET:
            raise AwsUnavailable("secretsmanager:DescribeSecret", secret, "Throttling")
        return SecretLabels(world.vault[secret].version_id)

    world.labels = labels  # type: ignore[method-assign]  # one secret of this world cannot be had
    return ""


def _it_is_garbage(world: World) -> str:
    world.vault[TELLER_SECRET] = SecretVersion("garbage", "not json")
    return "garbage"


def _it_is_old(world: World) -> str:
    return world.publish(not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=30)).version_id


def _an_upstream_refuses_it(world: World) -> str:
    world.upstreams.refusing = True
    return world.publish().version_id


def _envoy_rejects_it(world: World) -> str:
    world.envoy.rejecting = True
    return world.publish().version_id


def _envoy_says_nothing(world: World) -> str:
    world.envoy.silent_after = 2
    return world.publish().version_id


def _envoy_shows_another(world: World) -> str:
    world.envoy.rejecting = True
    world.envoy.version = "another"
    return world.material.version_id


@pytest.mark.parametrize(
    ("fail", "stage", "refused"),
    [
        (_aws_is_out, Stage.FETCH, False),
        (_it_is_garbage, Stage.PREFLIGHT, True),
        (_it_is_old, Stage.PREFLIGHT, True),
        (_an_upstream_refuses_it, Stage.TRIAL, True),
        (_envoy_rejects_it, Stage.ENVOY, True),
        (_envoy_says_nothing, Stage.SERVED, False),
        (_envoy_shows_another, Stage.SERVED, False),
    ],
)
def test_log_and_acknowledgement_agree(
    world: World, fail: Callable[[World], str], stage: Stage, *, refused: bool
) -> None:
    """One event, told once, with the stage; the task says the same, and which version it refused."""
    version = fail(world)

    world.rotation.look()
    world.envoy.silent = False
    (standing,) = world.standings.read().values()
    world.rotation.look()

    lines = [line for line in map(json.loads, world.lines) if line["event"] == "rotation-waits"]
    assert [(line["secret"], line["version"], line["stage"]) for line in lines] == [(NAME, version, stage)]
    assert standing.refused == (version if refused else "")
    assert standing.error.startswith(f"{stage}: ")
    assert (standing.version == world.material.version_id) == (stage is not Stage.SERVED)


@pytest.mark.parametrize("counter", ["update_rejected", "update_failure", "key_rotation_failed"])
def test_whichever_counter_envoy_counts_a_failure_with_is_its_refusal(counter: str, tmp_path: Path) -> None:
    """Other counters, and those of other secrets, are not."""
    counts = dict.fromkeys(("update_rejected", "update_failure", "key_rotation_failed", "update_attempt"), 2)

    class Counting:
        def get(self, _: str) -> str:
            return f"sds.other.{counter}: 9\n" + "".join(f"sds.{NAME}.{name}: {n}\n" for name, n in counts.items())

    admin: Any = Counting()
    handover = FileHandover(ResourceFiles(str(tmp_path)), lambda: admin)
    ticket = handover.hand(NAME, EnvoyResource("v", {}))
    counts["update_attempt"] = 3
    assert ticket.verdict() is None

    counts[counter] = 3

    assert ticket.verdict() == (False, "Envoy rejected it")


def test_what_envoy_does_not_serve_is_handed_over_again(world: World) -> None:
    """Until it does; then all is well."""
    _envoy_shows_another(world)
    world.rotation.look()
    (standing,) = world.standings.read().values()
    assert standing.error == "served: Envoy serves another in its place, and is handed it again"
    assert standing.version == "another"

    world.envoy.rejecting = False
    for _ in range(2):
        world.rotation.look()

    assert world.identity.trouble == ""
    assert b"watch-recovered" in world.lines[-1]


def test_a_quarantined_version_is_left_without_a_trial(world: World, hierarchy: Hierarchy) -> None:
    """A roll back is not held up by what peers think of the older certificate."""
    del hierarchy
    _an_upstream_refuses_it(world)
    older = world.publish(not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=30))
    world.quarantined = {world.material.version_id}

    world.rotation.look()

    assert b"secret-rotated" in world.lines[-1]
    assert older.version_id.encode() in world.lines[-1]


@pytest.mark.parametrize("stage", [Stage.PREFLIGHT, Stage.TRIAL, Stage.ENVOY])
def test_a_refusal_is_counted_as_a_doubt(stage: Stage) -> None:
    """By the renewal function, whichever stage it was, with the task's own reason; one voice takes no label back."""
    said = says(V1) | {"gateway/1": Acknowledgement(NOW, V1, refused=V2, error=f"{stage}: upstream ledger: unknown_ca")}
    seen, memory = look(GATEWAY, labels=labels(V2, V1, V1), said=said, memory=remembers(V2, MINUTE))

    planned = plan(seen, memory, POLICY)

    result = Reconciled("colorgateway", (), planned, seen, remembered(memory, seen))
    assert measures(result, POLICY)["Doubted"] == (1, "Count")
    (finding,) = planned.findings
    assert "gateway/1 of gateway refuses it" in finding.detail
    assert finding.detail.endswith(f"{stage}: upstream ledger: unknown_ca")


def test_a_task_that_serves_something_else_is_counted_as_behind() -> None:
    """It has refused nothing, but its time is over."""
    said = says(V2) | {"gateway/1": Acknowledgement(NOW, V1, error="served: Envoy has not said")}
    seen, memory = look(GATEWAY, labels=labels(V2, V1, V1), said=said, memory=remembers(V2, 6 * MINUTE))

    result = Reconciled("colorgateway", (), plan(seen, memory, POLICY), seen, remembered(memory, seen))

    assert measures(result, POLICY)["ServedBehind"] == (1, "Count")
