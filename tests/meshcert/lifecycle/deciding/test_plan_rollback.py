"""What the lifecycle does next about versions that are bad, and with those that are good; see ``test_plan.py``."""

from __future__ import annotations

from dataclasses import replace

from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.memory import Memory
from tests.meshcert.lifecycle.deciding.cases import (
    DONE,
    FAILED,
    LEFT,
    NEW,
    PROVEN,
    RUNNING,
    Case,
    bad,
    check_any,
    deploying,
    rows,
)
from tests.meshcert.lifecycle.observations import (
    DAY,
    GATEWAY,
    HOUR,
    MINUTE,
    OURS,
    POLICY,
    SECOND,
    SEED,
    TELLER,
    UNAVAILABLE,
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


class TestRollingBack:
    """A bad version goes back, and stays away."""

    @rows(
        Case(
            "a roll back was interrupted between its two labels",
            look(
                certificate=certificate(V2, 0.0),
                labels=labels(V2, V1, previous=V1, quarantined=V2),
                memory=remembers(V2, MINUTE, bad=bad(V2, MINUTE)),
            ),
            Action.ROLL_BACK,
            "a task failed with it",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "and what was remembered of it is lost",
            look(certificate=certificate(V2, 0.0), labels=labels(V2, V1, quarantined=V2), memory=Memory()),
            Action.ROLL_BACK,
            "it is quarantined",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "ordered, of a version that is not proven",
            look(**NEW, memory=remembers(V2, MINUTE, order=ordered("rollback", V2))),
            Action.ROLL_BACK,
            "ordered: drill",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "ordered, of a proven version: the one before is meant",
            look(**PROVEN, said=says(V2, V2), memory=remembers(V2, DAY, order=ordered("rollback", V2))),
            Action.ROLL_BACK,
            "ordered: drill",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "ordered twice: the version that was left is no way out, though it is still labelled as the last good one",
            look(
                GATEWAY,
                certificate=certificate(V2, 0.0),
                labels=labels(V1, V2, previous=V2, quarantined=V2),
                said=says(V2),
                memory=remembers(V1, MINUTE, order=ordered("rollback", V1)),
            ),
            Action.RENEW,
            "quarantined",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "ordered, and there was never another version",
            look(labels=labels(V1, V1, previous=SEED), memory=remembers(order=ordered("rollback", V1))),
            Action.NOTHING,
            "",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "an order to renew is none to go back to an unproven version",
            look(
                TELLER,
                certificate=certificate(V2, 0.0),
                labels=labels(V2, "", previous=V1),
                services={"teller": service(TELLER, OURS, FAILED)},
                memory=remembers(V2, 2 * MINUTE, rollouts={"teller": rollout(V2, MINUTE)}, order=ordered("renew", V2)),
            ),
            Action.WAIT,
            "again later",
            (Kind.NOTHING_TO_GO_BACK_TO, Kind.DEPLOYMENT_FAILING),
        ),
        Case(
            "an image that cannot be pulled says nothing about the version: it stays, and the deployment is repeated",
            look(
                TELLER,
                certificate=certificate(V2, 0.0),
                labels=labels(V2, V1, previous=V1),
                services={"teller": service(TELLER, OURS, FAILED, failed=3, excused=("CannotPullContainerError",))},
                memory=remembers(V2, 2 * MINUTE, rollouts={"teller": rollout(V2, MINUTE)}),
            ),
            Action.WAIT,
            "again later",
            (Kind.DEPLOYMENT_FAILING,),
        ),
        Case(
            "ECS is redeployed before anything is renewed: the bad deployment must start no more tasks",
            look(
                **LEFT,
                services={"teller": service(TELLER, OURS, RUNNING, failures=("exit code 78",))},
                memory=remembers(V1, SECOND, bad=bad(V2, SECOND), rollouts={"teller": rollout(V2, MINUTE)}),
            ),
            Action.REDEPLOY,
            "superseded",
            (Kind.ROLLED_BACK,),
            "teller",
        ),
        Case(
            "superseding goes before the services that come first otherwise",
            look(
                **LEFT,
                said=says(V2, V1),
                services={"teller": service(TELLER, OURS, FAILED)},
                memory=remembers(V1, SECOND, bad=bad(V2, SECOND), rollouts={"teller": rollout(V2, MINUTE)}),
            ),
            Action.REDEPLOY,
            "superseded",
            (Kind.ROLLED_BACK,),
            "teller",
        ),
        Case(
            "away from a bad version nobody waits for tasks that go by themselves",
            look(
                **LEFT,
                said=says(V2, V2),
                services={"teller": service(TELLER, OURS)},
                memory=remembers(V1, SECOND, bad=bad(V2, SECOND), rollouts={"teller": rollout(V2, MINUTE)}),
            ),
            Action.REDEPLOY,
            "serve another version",
            (Kind.ROLLED_BACK,),
            "teller",
        ),
        Case(
            "a deployment of the bad version that was done is replaced as its tasks serve another version",
            look(
                TELLER,
                **LEFT,
                said=says(teller=V2),
                services={"teller": service(TELLER, OURS)},
                memory=remembers(V1, SECOND, bad=bad(V2, SECOND), rollouts={"teller": rollout(V2, MINUTE)}),
            ),
            Action.REDEPLOY,
            "serve another version",
            (Kind.ROLLED_BACK,),
        ),
        Case(
            "nothing is superseded while there is nothing good to take there",
            look(
                TELLER,
                certificate=certificate(V2, 0.0),
                labels=labels(V2, "", previous=SEED, quarantined=V2),
                services={"teller": service(TELLER, OURS, RUNNING)},
                memory=remembers(
                    V2, MINUTE, asked=(V2, MINUTE), bad=bad(V2, MINUTE), rollouts={"teller": rollout(V2, MINUTE)}
                ),
            ),
            Action.WAIT,
            "watching",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "a fresh renewal is asked for",
            look(**LEFT, memory=remembers(V1, MINUTE, bad=bad(V2, MINUTE))),
            Action.RENEW,
            "quarantined",
            (Kind.ROLLED_BACK,),
            V2,
        ),
        Case(
            "after the second bad version in a row, an hour later",
            look(**LEFT, memory=remembers(V1, MINUTE, bad=bad(V2, MINUTE, count=2))),
            Action.WAIT,
            "too short ago",
            (Kind.ROLLED_BACK_AGAIN,),
        ),
        Case(
            "an hour later",
            look(**LEFT, memory=remembers(V1, HOUR, bad=bad(V2, HOUR, count=2))),
            Action.RENEW,
            "quarantined",
            (Kind.ROLLED_BACK_AGAIN,),
        ),
        Case(
            "ACM cannot renew what was never exported",
            look(**LEFT | {"certificate": certificate(V2, 0.0, renewable=False)}, memory=remembers(V1, MINUTE)),
            Action.EXPORT,
            "exported since",
            (),
            V2,
        ),
        Case(
            "the renewed one is published, however bad the one before was",
            look(**LEFT | {"certificate": certificate(V3, 0.0)}, memory=remembers(V1, MINUTE, bad=bad(V2, MINUTE))),
            Action.EXPORT,
            "newer",
            (Kind.ROLLED_BACK,),
            V3,
        ),
        Case(
            "long over: another version has been proven since",
            look(
                certificate=certificate(V3),
                labels=labels(V3, V3, previous=V1, quarantined=V2),
                said=says(V3, V3),
                memory=remembers(V3, DAY, bad=bad(V2, 2 * DAY, count=0)),
            ),
            Action.NOTHING,
        ),
    )
    def test_rolling_back(self, case: Case) -> None:
        """See the table."""
        check_any(case)


class TestProving:
    """Only what every task serves is something to go back to."""

    @rows(
        Case(
            "every task serves it",
            look(**NEW, said=says(V2, V2), memory=remembers(V2, MINUTE)),
            Action.PROVE,
            "every task",
            (),
            V2,
        ),
        Case(
            "one task does not",
            look(**NEW, said=says(V2, V2, but={"teller/1": ""}), **deploying(DONE, MINUTE)),
            Action.WAIT,
            "1 of 2 tasks of teller",
        ),
        Case(
            "our deployment is not done",
            look(**NEW, said=says(V2, V2), **deploying(RUNNING, MINUTE)),
            Action.WAIT,
            "watching",
        ),
        Case("it is proven", look(**PROVEN, said=says(V2, V2), memory=remembers(V2, DAY)), Action.NOTHING),
        Case(
            "a service that is gone proves nothing and holds nothing up",
            look(**NEW, said=says(V2, V2), services={"teller": None}, memory=remembers(V2, MINUTE)),
            Action.PROVE,
            "every task",
            (Kind.SERVICE_MISSING,),
        ),
        Case(
            "all services are gone",
            look(TELLER, **NEW, services={"teller": None}, memory=remembers(V2, MINUTE)),
            Action.NOTHING,
            "",
            (Kind.SERVICE_MISSING,),
        ),
        Case(
            "ECS cannot be looked at",
            look(**NEW, said=says(V2, V2), services=UNAVAILABLE),
            Action.WAIT,
            "the services",
            (Kind.AWS_UNAVAILABLE,),
        ),
    )
    def test_proving(self, case: Case) -> None:
        """See the table."""
        check_any(case)

    def test_an_identity_that_nobody_serves_is_proven_by_being_published(self) -> None:
        """Its material may be used by what is no ECS service."""
        seen, memory = look(**NEW, said={})
        seen = replace(seen, identity=replace(seen.identity, services=()), services={})

        step = plan(seen, memory, POLICY).step

        assert (step.action, step.why) == (Action.PROVE, "nobody serves it")

    def test_a_version_that_jobs_alone_take_is_proven_by_being_published(self) -> None:
        """Their tasks come and go, and none could be waited for; beside services, those decide."""
        seen, memory = look(**NEW, said={})
        with_jobs = replace(seen.identity, jobs=("report",))

        alone = replace(seen, identity=replace(with_jobs, services=()), services={})
        beside = replace(seen, identity=with_jobs)

        step = plan(alone, memory, POLICY).step
        assert (step.action, step.why) == (Action.PROVE, "jobs take it at their next start")
        assert plan(beside, memory, POLICY).step.action is not Action.PROVE
