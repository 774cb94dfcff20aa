"""
What the lifecycle does next for services; see ``test_plan.py``.

``OURS`` is the deployment that we began, the one before it is a month old.
"""

from __future__ import annotations

from dataclasses import replace

from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from tests.meshcert.lifecycle.deciding.cases import (
    DONE,
    FAILED,
    NEW,
    PROVEN,
    RUNNING,
    Case,
    check_any,
    deploying,
    rows,
)
from tests.meshcert.lifecycle.observations import (
    DAY,
    DENIED,
    GATEWAY,
    HOUR,
    MINUTE,
    OURS,
    POLICY,
    SEED,
    TELLER,
    TELLER_2,
    UNAVAILABLE,
    V1,
    V2,
    V3,
    certificate,
    labels,
    look,
    remembers,
    rollout,
    says,
    service,
)


class TestReloading:
    """Services whose running tasks take a version over."""

    @rows(
        Case(
            "tasks have not noticed yet",
            look(GATEWAY, **NEW, said=says(V1), memory=remembers(V2, MINUTE)),
            Action.WAIT,
            "2 of 2 tasks of gateway",
        ),
        Case(
            "one task has",
            look(GATEWAY, **NEW, said=says(V1, but={"gateway/0": V2}), memory=remembers(V2, MINUTE)),
            Action.WAIT,
            "1 of 2 tasks of gateway",
        ),
        Case(
            "one is late: a load balancer would go on sending to it if it were stopped, so it goes by a deployment",
            look(GATEWAY, **NEW, said=says(V1, but={"gateway/0": V2}), memory=remembers(V2, 6 * MINUTE)),
            Action.REDEPLOY,
            "1 of its tasks",
            (Kind.SERVED_BEHIND,),
            "gateway",
        ),
        Case(
            "both are late, so nobody knows whether a new task could: ECS starts one before it stops one",
            look(GATEWAY, **NEW, said=says(V1), memory=remembers(V2, 6 * MINUTE)),
            Action.REDEPLOY,
            "2 of its tasks",
            (Kind.SERVED_BEHIND,),
            "gateway",
        ),
        Case(
            "the only task is late: it goes when another one serves",
            look(
                GATEWAY,
                **NEW,
                services={"gateway": service(GATEWAY, tasks=1, desired=1)},
                said=says(V1),
                memory=remembers(V2, 6 * MINUTE),
            ),
            Action.REDEPLOY,
            "1 of its tasks",
            (Kind.SERVED_BEHIND,),
            "gateway",
        ),
        Case(
            "that deployment is under way: it is waited for",
            look(
                GATEWAY,
                **NEW,
                services={"gateway": service(GATEWAY, OURS, RUNNING)},
                said=says(V1),
                memory=remembers(V2, 6 * MINUTE, rollouts={"gateway": rollout(V2, MINUTE)}),
            ),
            Action.WAIT,
            "2 of 2 tasks",
        ),
        Case(
            "its first task fails with the version: back",
            look(
                GATEWAY,
                **NEW,
                services={"gateway": service(GATEWAY, OURS, RUNNING, failures=("exit code 65",))},
                said=says(V1),
                memory=remembers(V2, 6 * MINUTE, rollouts={"gateway": rollout(V2, MINUTE)}),
            ),
            Action.ROLL_BACK,
            "exit code 65",
            (Kind.ROLLED_BACK,),
        ),
        Case(
            "one was stopped and ECS has not replaced it yet",
            look(
                GATEWAY,
                **NEW,
                services={"gateway": service(GATEWAY, tasks=1)},
                said=says(V1),
                memory=remembers(V2, 6 * MINUTE),
            ),
            Action.WAIT,
            "1 of 1 tasks",
            (Kind.SERVED_BEHIND,),
        ),
        Case(
            "late, but somebody deploys the service",
            look(
                GATEWAY,
                **NEW,
                services={"gateway": service(GATEWAY, state=RUNNING)},
                said=says(V1),
                memory=remembers(V2, 6 * MINUTE),
            ),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.SERVED_BEHIND,),
        ),
        Case(
            "who started after the publication is never replaced: it would read the same again",
            look(
                GATEWAY,
                **NEW,
                services={"gateway": service(GATEWAY, age=5 * MINUTE)},
                said=says(""),
                memory=remembers(V2, 6 * MINUTE),
            ),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.SERVED_BEHIND,),
        ),
        Case(
            "a task refuses it",
            look(GATEWAY, **NEW, said=says(V1, refused=V2), memory=remembers(V2, MINUTE)),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.DOUBTED,),
        ),
        Case(
            "a task says it refuses what is proven: its own fault, or a forgery",
            look(GATEWAY, **PROVEN, said=says(V2, refused=V2), memory=remembers(V2, DAY)),
            Action.NOTHING,
        ),
        Case(
            "a task refuses something else",
            look(GATEWAY, **NEW, said=says(V1, refused=V3), memory=remembers(V2, MINUTE)),
            Action.WAIT,
        ),
    )
    def test_reloading(self, case: Case) -> None:
        """See the table."""
        check_any(case)


class TestRedeploying:
    """Services that take a version over by a new deployment."""

    @rows(
        Case(
            "running tasks serve the version before",
            look(TELLER, **NEW, memory=remembers(V2, MINUTE)),
            Action.REDEPLOY,
            "2 of its tasks",
            (),
            "teller",
        ),
        Case(
            "some do",
            look(TELLER, **NEW, said=says(teller=V1, but={"teller/0": V2}), memory=remembers(V2, MINUTE)),
            Action.REDEPLOY,
            "1 of its tasks",
        ),
        Case(
            "new tasks have not said anything yet",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, age=MINUTE)},
                said=says(teller=""),
                memory=remembers(V2, 2 * MINUTE),
            ),
            Action.WAIT,
            "2 of 2 tasks",
        ),
        Case(
            "old tasks have never said anything",
            look(TELLER, **NEW, said=says(teller=""), memory=remembers(V2, MINUTE)),
            Action.REDEPLOY,
            findings=(Kind.SERVED_BEHIND,),
        ),
        Case(
            "somebody else deploys the service",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, state=RUNNING)},
                memory=remembers(V2, MINUTE),
            ),
            Action.WAIT,
            "another deployment",
        ),
        Case(
            "somebody else's deployment does not come to an end",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, state=RUNNING)},
                memory=remembers(V2, 31 * MINUTE),
            ),
            Action.WAIT,
            "another deployment",
            (Kind.DEPLOYMENT_SLOW,),
        ),
        Case("ours is under way", look(TELLER, **NEW, **deploying(RUNNING, MINUTE)), Action.WAIT, "watching"),
        Case(
            "ours is slow",
            look(TELLER, **NEW, **deploying(RUNNING, 31 * MINUTE)),
            Action.WAIT,
            "watching",
            (Kind.DEPLOYMENT_SLOW,),
        ),
        Case(
            "ours is done, its tasks have not said so yet",
            look(TELLER, **NEW, said=says(teller=""), **deploying(DONE, MINUTE)),
            Action.WAIT,
            "2 of 2 tasks",
        ),
        Case(
            "ours is done, its tasks do not say so",
            look(TELLER, **NEW, said=says(teller=""), **deploying(DONE, 5 * MINUTE)),
            Action.WAIT,
            "2 of 2 tasks",
            (Kind.SERVED_BEHIND,),
        ),
        Case(
            "ours is done, and a task of it has read the version before",
            look(TELLER, **NEW, said=says(teller=V2, but={"teller/1": V1}), **deploying(DONE, 5 * MINUTE)),
            Action.WAIT,
            "again later",
            (Kind.DEPLOYMENT_FAILING,),
        ),
        Case(
            "an hour later",
            look(TELLER, **NEW, said=says(teller=V2, but={"teller/1": V1}), **deploying(DONE, HOUR)),
            Action.REDEPLOY,
            "its last deployment failed",
            (Kind.DEPLOYMENT_FAILING,),
        ),
        Case(
            "decided, and the function ended before it asked ECS",
            look(TELLER, **NEW, memory=remembers(V2, MINUTE, rollouts={"teller": rollout(V2, MINUTE, "")})),
            Action.REDEPLOY,
            "never begun",
        ),
        Case(
            "ECS began it, and the function ended before it knew",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, OURS, RUNNING)},
                memory=remembers(V2, MINUTE, rollouts={"teller": rollout(V2, MINUTE, "")}),
            ),
            Action.WAIT,
            "watching the deployment of teller",
        ),
        Case(
            "ECS began it and does not show it yet",
            look(TELLER, **NEW, memory=remembers(V2, MINUTE, rollouts={"teller": rollout(V2, MINUTE)})),
            Action.WAIT,
            "does not show",
        ),
        Case(
            "its first task fails",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, OURS, RUNNING, failures=("exit code 78",), failed=1)},
                memory=remembers(V2, MINUTE, rollouts={"teller": rollout(V2, MINUTE)}),
            ),
            Action.ROLL_BACK,
            "a task of teller failed with it: exit code 78",
            (Kind.ROLLED_BACK,),
            V1,
        ),
        Case(
            "the circuit breaker ends it",
            look(TELLER, **NEW, **deploying(FAILED, MINUTE)),
            Action.ROLL_BACK,
            "the deployment of teller failed with it",
            (Kind.ROLLED_BACK, Kind.DEPLOYMENT_FAILING),
            V1,
        ),
        Case(
            "it fails with a proven version: not the certificate's fault",
            look(TELLER, **PROVEN, **deploying(FAILED, MINUTE)),
            Action.WAIT,
            "again later",
            (Kind.DEPLOYMENT_FAILING,),
        ),
        Case(
            "it failed with a proven version an hour ago",
            look(TELLER, **PROVEN, **deploying(FAILED, HOUR)),
            Action.REDEPLOY,
            "its last deployment failed",
            (Kind.DEPLOYMENT_FAILING,),
        ),
        Case(
            "it failed with a proven version for the second time, an hour ago",
            look(TELLER, **PROVEN, **deploying(FAILED, HOUR, tries=2)),
            Action.WAIT,
            "again later",
            (Kind.DEPLOYMENT_FAILING,),
        ),
        Case(
            "the deployment before had failed as well, with another version: it is the service",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, OURS, FAILED, failures=("exit code 1",))},
                memory=remembers(V2, 2 * MINUTE, rollouts={"teller": replace(rollout(V2, MINUTE), after_failure=True)}),
            ),
            Action.WAIT,
            "again later",
            (Kind.DEPLOYMENT_FAILING,),
        ),
        Case(
            "it fails and there is nothing to go back to",
            look(
                TELLER,
                certificate=certificate(V2, 0.0),
                labels=labels(V2, "", previous=SEED),
                **deploying(FAILED, MINUTE),
            ),
            Action.WAIT,
            "again later",
            (Kind.NOTHING_TO_GO_BACK_TO, Kind.DEPLOYMENT_FAILING),
        ),
        Case(
            "scaled to nothing: who starts later reads what is current",
            look(TELLER, **NEW, services={"teller": service(TELLER, tasks=0, desired=0)}, said={}),
            Action.NOTHING,
        ),
        Case(
            "the secret still holds the placeholder",
            look(TELLER, certificate=UNAVAILABLE, labels=labels(SEED, ""), said={}),
            Action.WAIT,
            "the certificate",
            (Kind.AWS_UNAVAILABLE,),
        ),
    )
    def test_redeploying(self, case: Case) -> None:
        """See the table."""
        check_any(case)


class TestOneAfterTheOther:
    """Several services of an identity, in the mesh file's order."""

    @rows(
        Case(
            "the first has its turn",
            look(TELLER, TELLER_2, **NEW, memory=remembers(V2, MINUTE)),
            Action.REDEPLOY,
            "",
            (),
            "teller",
        ),
        Case(
            "the second waits for the first",
            look(TELLER, TELLER_2, **NEW, **deploying(RUNNING, MINUTE)),
            Action.WAIT,
            "watching the deployment of teller",
        ),
        Case(
            "then it has its turn",
            look(
                TELLER,
                TELLER_2,
                **NEW,
                said=says(teller=V1, but={"teller/0": V2, "teller/1": V2}),
                **deploying(DONE, 5 * MINUTE),
            ),
            Action.REDEPLOY,
            "",
            (),
            "teller-2",
        ),
        Case(
            "running tasks that have yet to notice come first, too",
            look(GATEWAY, TELLER, **NEW, memory=remembers(V2, MINUTE)),
            Action.WAIT,
            "2 of 2 tasks of gateway",
        ),
        Case(
            "a first one that never gets there does not make the second's certificate expire",
            look(TELLER, TELLER_2, **NEW, **deploying(RUNNING, 31 * MINUTE)),
            Action.REDEPLOY,
            "",
            (Kind.DEPLOYMENT_SLOW,),
            "teller-2",
        ),
        Case(
            "the first is gone",
            look(TELLER, TELLER_2, **NEW, services={"teller": None}, memory=remembers(V2, MINUTE)),
            Action.REDEPLOY,
            "",
            (Kind.SERVICE_MISSING,),
            "teller-2",
        ),
        Case(
            "ECS cannot be looked at",
            look(**NEW, services=UNAVAILABLE),
            Action.WAIT,
            "the services",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case(
            "the acknowledgements may not be looked at",
            look(**NEW, said=DENIED),
            Action.WAIT,
            "the acknowledgements",
            (Kind.AWS_DENIED,),
        ),
        Case(
            "ACM cannot be looked at: the rollout goes on",
            look(TELLER, **NEW | {"certificate": UNAVAILABLE}, memory=remembers(V2, MINUTE)),
            Action.REDEPLOY,
            "",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case(
            "ECS cannot be looked at: ACM is asked for a renewal all the same",
            look(certificate=certificate(gone=0.88), services=UNAVAILABLE),
            Action.RENEW,
            "88%",
            (Kind.AWS_UNAVAILABLE,),
        ),
    )
    def test_one_after_the_other(self, case: Case) -> None:
        """See the table."""
        check_any(case)

    def test_a_pause_between_two_services(self) -> None:
        """As long as the policy says, from the beginning of the first one's deployment."""
        seen = look(
            TELLER,
            TELLER_2,
            **NEW,
            said=says(teller=V1, but={"teller/0": V2, "teller/1": V2}),
            **deploying(DONE, 5 * MINUTE),
        )

        planned = plan(*seen, replace(POLICY, pause_between_services_s=900))

        assert (planned.step.action, planned.step.again_s) == (Action.WAIT, 600)
