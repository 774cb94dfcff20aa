"""Rows of the tables that say what comes next; see ``tests/meshcert/lifecycle/deciding/test_plan.py``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.issuing.acm import ACM
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.memory import Quarantine
from meshcert.lifecycle.observation import RolloutState
from tests.meshcert.issuing.own_issuer import OWN, OWN_POLICY
from tests.meshcert.lifecycle.observations import (
    MINUTE,
    NOW,
    OURS,
    POLICY,
    SECOND,
    TELLER,
    V1,
    V2,
    certificate,
    labels,
    remembers,
    rollout,
    service,
)

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.lifecycle.deciding.findings import Kind
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy
    from tests.meshcert.lifecycle.observations import Looked

RUNNING, DONE, FAILED = RolloutState.IN_PROGRESS, RolloutState.COMPLETED, RolloutState.FAILED
PENDING = "PENDING_AUTO_RENEWAL"


@dataclass(frozen=True)
class Case:
    """
    A row.

    Args:
        what: What is.
        seen: The look that sees it, and what is remembered.
        action: What is to be done.
        why: A part of the reason.
        findings: What a person is told.
        about: The version, service or task that the step is about.
    """

    what: str
    seen: Looked
    action: Action
    why: str = ""
    findings: tuple[Kind, ...] = ()
    about: str = ""


def check(case: Case) -> None:
    """The plan is what the row says, for a certificate of ACM's."""
    _check(case, case.seen.seen, POLICY)


def check_any(case: Case) -> None:
    """The plan is what the row says, whoever issues the certificate: only the issuer's name differs."""
    check(case)
    seen = replace(case.seen.seen, issuer=OWN)
    _check(replace(case, why=case.why.replace(ACM.name, OWN.name)), seen, replace(OWN_POLICY, renew_at=POLICY.renew_at))


def _check(case: Case, seen: Observation, policy: Policy) -> None:
    planned = plan(seen, case.seen.memory, policy)
    assert planned.step.action == case.action, planned
    assert case.why in planned.step.why
    assert tuple(finding.kind for finding in planned.findings) == case.findings
    assert case.about in {"", planned.step.version, planned.step.service}
    assert all(finding.detail for finding in planned.findings)
    assert planned.settled == (planned.step.action is Action.NOTHING)


def rows(*cases: Case) -> pytest.MarkDecorator:
    """The table as parameters."""
    return pytest.mark.parametrize("case", cases, ids=[case.what for case in cases])


def bad(version: str, ago: dt.timedelta, count: int = 1) -> Quarantine:
    """A version that was rolled back."""
    return Quarantine(version, "a task failed with it", NOW - ago, count)


NEW: dict[str, Any] = {"certificate": certificate(V2, 0.0), "labels": labels(V2, V1, previous=V1)}
"""Version 2 is issued and published, but not proven yet."""
PROVEN: dict[str, Any] = {"certificate": certificate(V2, 0.01), "labels": labels(V2, V2, previous=V1)}
"""Version 2 is proven, whatever tasks do since."""
LEFT: dict[str, Any] = {"certificate": certificate(V2, 0.0), "labels": labels(V1, V1, previous=V2, quarantined=V2)}
"""Version 2 was rolled back."""


def deploying(state: RolloutState, ago: dt.timedelta, *, tries: int = 1) -> dict[str, Any]:
    """Our deployment of version 2 to teller."""
    return {
        "services": {"teller": service(TELLER, OURS, state, age=ago - SECOND)},
        "memory": remembers(V2, ago + MINUTE, rollouts={"teller": rollout(V2, ago, tries=tries)}),
    }
