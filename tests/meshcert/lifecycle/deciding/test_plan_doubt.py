"""
One voice is no proof, and no step goes back onto what ends; see ``test_plan.py``.

Who says something against a version may lie, may have a clock that is off, or may repeat what one upstream told it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcert.contract.lifetimes import GO_BACK_UNTIL
from meshcert.identity import ServiceUse
from meshcert.issuing.acm import ACM
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.memory import KnownCertificate, Memory
from meshcert.lifecycle.observation import Acknowledgement
from meshcert.proxy import RotationMode
from tests.meshcert.lifecycle.deciding.cases import (
    DONE,
    FAILED,
    LEFT,
    NEW,
    Case,
    bad,
    check,
    check_any,
    deploying,
    rows,
)
from tests.meshcert.lifecycle.observations import (
    ARN,
    DAY,
    GATEWAY,
    LIFETIME,
    MINUTE,
    NOW,
    OURS,
    POLICY,
    SECOND,
    TELLER,
    V1,
    V2,
    V3,
    certificate,
    labels,
    look,
    ordered,
    remembers,
    rollout,
    says,
    service,
)

if TYPE_CHECKING:
    import datetime as dt

    from tests.meshcert.lifecycle.observations import Looked

OTHER = ServiceUse("other", RotationMode.RELOAD, 60.0)
TRIED = "trial: upstream teller: it refuses the new client certificate (unknown_ca)"
CLOCK = "preflight: Certificate: it is not valid before tomorrow"


def refuses(*hosts: str, error: str = "") -> Acknowledgement:
    """A task that serves version 1 and refuses version 2, by itself or after these hosts did."""
    return Acknowledgement(NOW, V1, refused=V2, error=error or (TRIED if hosts else CLOCK), refused_by=hosts)


def serves(version: str = V2) -> Acknowledgement:
    """A task that serves a version."""
    return Acknowledgement(NOW, version)


def told(
    *uses: ServiceUse, since: dt.timedelta = MINUTE, memory: Memory | None = None, **rows: Acknowledgement
) -> Looked:
    """Version 2 is published but not proven, and tasks say something; ``gateway_0`` is gateway's first task."""
    uses = uses or (GATEWAY,)
    said = {name.replace("_", "/"): row for name, row in rows.items()}
    tasks = {use.name: sum(name.startswith(f"{use.name}/") for name in said) for use in uses}
    services = {use.name: service(use, tasks=tasks[use.name], desired=tasks[use.name]) for use in uses}
    return look(*uses, **NEW, services=services, said=said, memory=memory or remembers(V2, since))


def knowing(memory: Memory, gone: float, version: str = V1) -> Memory:
    """A memory that knows the certificate of a version, of whose lifetime a fraction is gone."""
    issued = NOW - LIFETIME * gone
    return memory.knowing("01", KnownCertificate(version, ARN, issued - POLICY_BACK_DATING, issued + LIFETIME))


POLICY_BACK_DATING = POLICY.back_dating_s * SECOND


class TestVoices:
    """Who says something, and how many."""

    @rows(
        Case(
            "one of two tasks refuses: its clock is off, or it lies",
            told(gateway_0=refuses(), gateway_1=serves()),
            Action.WAIT,
            "1 of 2 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "every task refuses after the same upstream host did: that one may lie",
            told(gateway_0=refuses("teller@10.0.0.7"), gateway_1=refuses("teller@10.0.0.7")),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "the same host under two names is one host",
            told(gateway_0=refuses("teller@10.0.0.7"), gateway_1=refuses("admin@10.0.0.7")),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "one task names two hosts: it is one task",
            told(gateway_0=refuses("teller@10.0.0.7", "teller@10.0.0.8"), gateway_1=serves()),
            Action.WAIT,
            "1 of 2 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "tasks of the version before do not name the hosts",
            told(gateway_0=refuses(error=TRIED), gateway_1=refuses(error=TRIED)),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "different tasks, different hosts",
            told(gateway_0=refuses("teller@10.0.0.7"), gateway_1=refuses("teller@10.0.0.8"), gateway_2=serves()),
            Action.ROLL_BACK,
            "2 refused it, the first: gateway/0 of gateway refuses it after teller@10.0.0.7 did",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "more than half of a service's tasks",
            told(gateway_0=refuses(), gateway_1=refuses(), gateway_2=serves()),
            Action.ROLL_BACK,
            "2 refused it",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "half of them",
            told(gateway_0=refuses(), gateway_1=refuses(), gateway_2=serves(), gateway_3=serves()),
            Action.WAIT,
            "2 of 4 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "the only task of the identity",
            told(gateway_0=refuses()),
            Action.ROLL_BACK,
            "1 refused it",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "the only task of a service, beside another service",
            told(GATEWAY, OTHER, gateway_0=refuses(), other_0=serves(), other_1=serves()),
            Action.WAIT,
            "1 of 1 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "one host, which an image of before does not name and one of now does",
            told(gateway_0=refuses(error=TRIED), gateway_1=refuses("teller@10.0.0.7")),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "every task of the identity, one in each service",
            told(GATEWAY, OTHER, gateway_0=refuses(), other_0=refuses()),
            Action.ROLL_BACK,
            "2 refused it, the first: gateway/0",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "each service has a task that refuses: neither is a majority",
            told(GATEWAY, OTHER, gateway_0=refuses(), gateway_1=serves(), other_0=refuses(), other_1=serves()),
            Action.WAIT,
            "1 of 2 tasks of gateway",
            (Kind.DOUBTED,),
        ),
        Case(
            "a new task of our own deployment that ECS reports as failed is the platform's word: at once",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, OURS, failures=("exit code 65",))},
                memory=remembers(V2, SECOND, rollouts={"teller": rollout(V2, SECOND)}),
            ),
            Action.ROLL_BACK,
            "a task of teller failed with it: exit code 65",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "the task that refuses what its siblings serve is replaced when its time is over",
            told(since=6 * MINUTE, gateway_0=refuses(), gateway_1=serves()),
            Action.REDEPLOY,
            "1 of its tasks",
            (Kind.DOUBTED, Kind.SERVED_BEHIND),
            "gateway",
        ),
        Case(
            "tasks that only repeat an upstream's word are not: new ones would take it without asking",
            told(since=6 * MINUTE, gateway_0=refuses("teller@10.0.0.7"), gateway_1=refuses("teller@10.0.0.7")),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.DOUBTED, Kind.SERVED_BEHIND),
        ),
        Case(
            "nor is a task that is late beside them: a deployment would replace them all",
            told(since=6 * MINUTE, gateway_0=refuses("teller@10.0.0.7"), gateway_1=serves(V1)),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.DOUBTED, Kind.SERVED_BEHIND),
        ),
        Case(
            "until what it serves nears its end",
            told(
                since=6 * MINUTE,
                memory=knowing(remembers(V2, 6 * MINUTE), 0.96, V3),
                gateway_0=refuses("teller@10.0.0.7"),
                gateway_1=serves(V3),
            ),
            Action.REDEPLOY,
            "2 of its tasks",
            (Kind.DOUBTED, Kind.SERVED_BEHIND),
            "gateway",
        ),
    )
    def test_voices(self, case: Case) -> None:
        """See the table."""
        check_any(case)

    def test_the_finding_names_task_and_upstream_host(self) -> None:
        """What a person has to look at."""
        seen, memory = told(gateway_0=refuses("teller@10.0.0.7"), gateway_1=refuses())

        (finding,) = plan(seen, memory, POLICY).findings

        assert finding.kind is Kind.DOUBTED
        assert finding.detail == (
            f"{V2}: gateway/0 of gateway refuses it after teller@10.0.0.7 did: {TRIED}; "
            f"gateway/1 of gateway refuses it: {CLOCK}"
        )

    @given(
        st.dictionaries(st.sampled_from([f"gateway_{number}" for number in range(5)]), st.booleans(), min_size=2),
        st.sets(st.sampled_from(["a@10.0.0.1", "b@10.0.0.1", "c@10.0.0.2"])),
    )
    def test_no_single_task_takes_a_label_back(self, tasks: dict[str, bool], hosts: set[str]) -> None:
        """Whatever it says, and whoever it says has told it."""
        liar, *others = tasks
        rows: dict[str, Any] = {liar: refuses(*hosts)} | {other: serves() for other in others}
        seen, memory = told(**rows)

        assert plan(seen, memory, POLICY).step.action is not Action.ROLL_BACK

    @given(st.lists(st.booleans(), min_size=1, max_size=6), st.sampled_from([MINUTE, DAY]))
    def test_no_single_host_takes_a_label_back(self, reached: list[bool], since: dt.timedelta) -> None:
        """However many tasks it reaches, and under however many names."""
        spoken = (refuses("name-0@10.0.0.7"), refuses("name-1@10.0.0.7"), refuses(error=TRIED))
        rows: dict[str, Any] = {
            f"gateway_{number}": spoken[number % 3] if one else serves() for number, one in enumerate(reached)
        }
        seen, memory = told(since=since, **rows)

        assert plan(seen, memory, POLICY).step.action is not Action.ROLL_BACK


FAILS: dict[str, Any] = {"services": {"teller": service(TELLER, OURS, FAILED, failures=("exit code 65",))}}
DEPLOYED = remembers(V2, MINUTE, rollouts={"teller": rollout(V2, MINUTE)})


class TestLife:
    """What a version goes back to has to live."""

    @rows(
        Case(
            "the last good version lives on",
            look(TELLER, **NEW, **FAILS, memory=knowing(DEPLOYED, 0.85)),
            Action.ROLL_BACK,
            "exit code 65",
            (Kind.ROLLED_BACK, Kind.DEPLOYMENT_FAILING),
            V1,
        ),
        Case(
            "it ends soon: the fresh one stays, and a person is told",
            look(TELLER, **NEW, **FAILS, memory=knowing(DEPLOYED, 0.96)),
            Action.WAIT,
            "again later",
            (Kind.NOTHING_TO_GO_BACK_TO, Kind.DEPLOYMENT_FAILING),
        ),
        Case(
            "it has ended",
            look(TELLER, **NEW, **FAILS, memory=knowing(DEPLOYED, 1.1)),
            Action.WAIT,
            "again later",
            (Kind.NOTHING_TO_GO_BACK_TO, Kind.DEPLOYMENT_FAILING),
        ),
        Case(
            "different tasks and hosts refuse, and it ends soon",
            told(
                memory=knowing(remembers(V2, MINUTE), 0.96),
                gateway_0=refuses("teller@10.0.0.7"),
                gateway_1=refuses("teller@10.0.0.8"),
            ),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "a person may order it while it lives",
            look(GATEWAY, **NEW, memory=knowing(remembers(V2, MINUTE, order=ordered("rollback", V2)), 0.96)),
            Action.ROLL_BACK,
            "ordered",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "and not when it has ended",
            look(
                GATEWAY,
                **NEW,
                said=says(V2),
                memory=knowing(remembers(V2, MINUTE, order=ordered("rollback", V2)), 1.01),
            ),
            Action.PROVE,
            "every task",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "a roll back that was interrupted is finished: the version that is quarantined can start nowhere",
            look(
                GATEWAY,
                certificate=certificate(V2, 0.0),
                labels=labels(V2, V1, quarantined=V2),
                memory=knowing(remembers(V2, MINUTE, bad=bad(V2, MINUTE)), 0.96),
            ),
            Action.ROLL_BACK,
            "a task failed with it",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "unless what it leads to has ended: then a renewal is the way",
            look(
                GATEWAY,
                certificate=certificate(V2, 0.0),
                labels=labels(V2, V1, quarantined=V2),
                said=says(V1),
                memory=knowing(remembers(V2, MINUTE, bad=bad(V2, MINUTE)), 1.01),
            ),
            Action.RENEW,
            "quarantined",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "tasks that repeat an upstream's word are replaced before what they serve ends",
            told(
                memory=knowing(remembers(V2, DAY), 0.96),
                gateway_0=refuses("teller@10.0.0.7"),
                gateway_1=refuses("teller@10.0.0.7"),
            ),
            Action.REDEPLOY,
            "serve another version",
            (Kind.DOUBTED, Kind.SERVED_BEHIND),
            "gateway",
        ),
        Case(
            "the second bad version in a row needs a person",
            look(TELLER, **NEW, **FAILS, memory=replace(DEPLOYED, quarantine=bad("9" * 64, DAY))),
            Action.ROLL_BACK,
            "exit code 65",
            (Kind.ROLLED_BACK_AGAIN, Kind.DEPLOYMENT_FAILING),
        ),
        Case(
            "and goes on needing one",
            look(**LEFT, **deploying(DONE, MINUTE) | {"memory": remembers(V1, MINUTE, bad=bad(V2, MINUTE, count=2))}),
            Action.WAIT,
            "",
            (Kind.ROLLED_BACK_AGAIN,),
        ),
    )
    def test_life(self, case: Case) -> None:
        """See the table."""
        check(case)

    @given(st.floats(0.0, 2.0), st.booleans(), st.integers(0, 3))
    def test_no_automatic_step_goes_back_onto_what_ends(self, gone: float, fails: bool, count: int) -> None:  # noqa: FBT001
        """Whoever proves what, and how often."""
        quarantine = bad("9" * 64, DAY, count) if count else None
        if fails:
            seen, memory = look(TELLER, **NEW, **FAILS, memory=DEPLOYED)
        else:
            seen, memory = told(gateway_0=refuses(), gateway_1=refuses())
        memory = knowing(replace(memory, quarantine=quarantine), gone)

        step = plan(seen, memory, POLICY).step

        assert (step.action is Action.ROLL_BACK) == (gone < GO_BACK_UNTIL)

    @pytest.mark.parametrize("page", [0.5, 0.9, GO_BACK_UNTIL, 0.99])
    def test_an_issuer_that_pages_earlier_ends_the_way_back_earlier(self, page: float) -> None:
        """Once somebody has been called out, going forward is the only way; the issuer says when."""
        last = min(page, GO_BACK_UNTIL)
        issuer = replace(ACM, fractions=replace(ACM.fractions, page=page))
        seen, memory = look(TELLER, **NEW, **FAILS, memory=DEPLOYED)
        seen = replace(seen, issuer=issuer)

        taken = [plan(seen, knowing(memory, gone), POLICY).step.action for gone in (last - 0.01, last + 0.01)]

        assert [action is Action.ROLL_BACK for action in taken] == [True, False]

    @pytest.mark.parametrize("newer", [7, 8, 50])
    def test_the_life_of_a_version_with_a_label_is_remembered(self, newer: int) -> None:
        """However many certificates were issued since it was proven."""
        memory = knowing(Memory(), 0.5)

        for number in range(newer):
            known = KnownCertificate(f"{number:064x}", ARN, NOW, NOW + LIFETIME)
            memory = memory.knowing(f"ff{number:02x}", known, {V1})

        assert memory.holding(V1)
        assert len(memory.certificates) <= 9
