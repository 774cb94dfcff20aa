"""Short lives and services that get new tasks at each renewal: how often, and whether there is time for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshcert.mesh import read_mesh
from meshcert.mesh.checks.renewals import replaced_often
from tests.meshcert.mesh.mesh_slips import CLIENT, NODE_TLS, REMOVED, changed

if TYPE_CHECKING:
    from meshcert.errors import Fault

TELLER = "identities.colorteller"
SERVICE = "services.colorteller"
REDEPLOYED: tuple[tuple[str, object], ...] = (
    (f"{TELLER}.issuer", "acm-pca"),
    (f"{SERVICE}.rotation", "redeploy"),
    ("services.colorgateway.rotation", "reload"),
)
"""The teller's tasks are replaced at each renewal, and the gateway's are not."""
GRACE = f"{SERVICE}.application.health_check"


def _found(*changes: tuple[str, object]) -> list[Fault]:
    mesh = read_mesh(changed(*REDEPLOYED, *changes)).mesh
    assert mesh
    return list(replaced_often(mesh))


@pytest.mark.parametrize(
    ("life", "tasks", "words"),
    [
        ("24h", 1, "colorteller (24h) replaces its tasks: every 14.0 hours on average, 1.7 new tasks a day"),
        ("24h", 6, "every 14.0 hours on average, 10.3 new tasks a day"),
        ("1h", 2, "every 0.6 hours on average, 82.3 new tasks a day"),
        ("41h", 1, "every 23.9 hours on average, 1.0 new tasks a day"),
    ],
)
def test_whose_tasks_are_replaced_once_a_day_or_more_often_is_told(life: str, tasks: int, words: str) -> None:
    """With the number a day, which Fargate and load balancers see."""
    (finding,) = _found((f"{TELLER}.validity", life), (f"{SERVICE}.desired_count", tasks))

    assert finding.place == f"{SERVICE}.rotation"
    assert words in finding.problem
    assert "rotation: reload" in finding.remedy


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([(f"{TELLER}.validity", "42h")], id="less than once a day"),
        pytest.param([(f"{TELLER}.validity", "24h"), (f"{SERVICE}.rotation", "reload")], id="no task is replaced"),
        pytest.param([(f"{TELLER}.issuer", "acm")], id="ACM renews once a year"),
    ],
)
def test_nothing_is_told_of_tasks_that_stay(changes: list[tuple[str, object]]) -> None:
    """Nor of the gateway, whose rotation is reload."""
    assert _found(*changes) == []


BOTH: tuple[tuple[str, object], ...] = (
    (f"{CLIENT}.certificate", {"identity": "colorteller"}),
    (f"{NODE_TLS}.validation", {"trust": {"hierarchy": "colorteller"}}),
    ("services.colorgateway.rotation", "redeploy"),
    ("services.colorgateway.drain_s", 110.0),
)
"""The gateway presents the same certificate, and its tasks are replaced too."""


@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [
        pytest.param([], False, id="one service, 17 minutes and 50 seconds"),
        pytest.param(BOTH, True, id="two of them, 20 minutes and 40 seconds"),
        pytest.param([*BOTH, (f"{GRACE}.grace_period_s", 840)], False, id="two of them, 19 minutes and 40 seconds"),
        pytest.param([*BOTH, (f"{TELLER}.validity", "2h")], False, id="a longer life"),
        pytest.param([*BOTH, (f"{TELLER}.issuer", "acm"), (f"{TELLER}.validity", REMOVED)], False, id="of ACM"),
    ],
)
def test_a_rollout_that_may_outlast_the_rest_of_a_life_is_refused(
    changes: list[tuple[str, object]], *, is_refused: bool
) -> None:
    """Of an hour, 20 minutes are left when the latest renewal begins; services are deployed one after the other."""
    slow = [(f"{TELLER}.validity", "1h"), (GRACE, {"grace_period_s": 900}), (f"{SERVICE}.drain_s", 110.0)]

    faults = read_mesh(changed(*REDEPLOYED, *slow, *changes)).faults

    assert [fault.place for fault in faults] == [f"{TELLER}.validity"] * is_refused
    for fault in faults:
        assert "20 minutes of 1h are left" in fault.problem
        assert (
            "until colorgateway, colorteller have new tasks, one service after the other, 21 may pass" in fault.problem
        )
