"""What the lifecycle does next when somebody else may have a key; see ``test_plan.py``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshcert.lifecycle.compromise import CompromisedCertificate, KeyCompromise
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.memory import Failure, Memory
from meshcert.lifecycle.observation import RolloutState, Unknown
from meshcert.lifecycle.observing.observe import remembered
from tests.meshcert.lifecycle.deciding.cases import DONE, LEFT, NEW, PROVEN, Case, bad, check_any, rows
from tests.meshcert.lifecycle.observations import (
    DAY,
    GATEWAY,
    HOUR,
    ISSUING,
    MINUTE,
    NOW,
    OURS,
    POLICY,
    SECOND,
    TELLER,
    UNAVAILABLE,
    V1,
    V2,
    Looked,
    certificate,
    labels,
    look,
    ordered,
    remembers,
    rollout,
    says,
    service,
)

LEAKED = CompromisedCertificate(V1, "01", ISSUING, NOW + 200 * DAY)


def leaked(
    *certificates: CompromisedCertificate, memory: Memory | None = None, earlier: Any = None, ago: Any = SECOND
) -> Memory:
    """The keys of these certificates, or of version 1's, are compromised."""
    compromise = KeyCompromise("alice", "it was in a log", NOW - ago, certificates or (LEAKED,), earlier)
    return replace(memory or remembers(), compromise=compromise)


def left(ago: Any) -> Memory:
    """Every task serves version 2 for so long."""
    memory = leaked(memory=remembers(V2, HOUR))
    assert memory.compromise
    return replace(memory, compromise=replace(memory.compromise, left_at=NOW - ago))


TAKEN_OVER = {"certificate": PROVEN["certificate"], "labels": PROVEN["labels"], "said": says(V2, V2)}
"""Version 2 is issued, published, served by every task, and proven."""


OLD = {"teller/7": V1}
"""A task that is told to end, with the old key."""


def check_seen(case: Case) -> None:
    """The plan is what the row says, once its look is remembered: that tells when the old key was left behind."""
    looked = case.seen
    check_any(replace(case, seen=Looked(looked.seen, remembered(looked.memory, looked.seen))))


class TestAnotherKey:
    """First another key, whatever the age of the certificate."""

    @rows(
        Case("it is asked for at once", look(memory=leaked()), Action.RENEW, "compromised: it was in a log", (), V1),
        Case(
            "although the last renewal is a minute old",
            look(memory=leaked(memory=remembers(since=MINUTE))),
            Action.RENEW,
            "its key is compromised",
        ),
        Case(
            "although one was asked for an hour ago, which may never come",
            look(memory=leaked(memory=remembers(asked=(V1, HOUR)))),
            Action.RENEW,
            "its key is compromised",
        ),
        Case(
            "once it has been asked for, it is waited for",
            look(memory=leaked(memory=remembers(asked=(V1, SECOND)), ago=MINUTE)),
            Action.WAIT,
            "was asked for a renewal",
        ),
        Case(
            "said again and again, it waits: a secret has room for a hundred versions of a day",
            look(memory=leaked(memory=remembers(since=MINUTE), earlier=NOW - HOUR)),
            Action.WAIT,
            "too short ago",
        ),
        Case(
            "what was rolled back has a compromised key too: at once, although it is the second in a row",
            look(**LEFT, memory=leaked(LEAKED, replace(LEAKED, version=V2), memory=remembers(bad=bad(V2, MINUTE, 2)))),
            Action.RENEW,
            "compromised",
            (Kind.ROLLED_BACK_AGAIN,),
            V2,
        ),
        Case(
            "an issued certificate with a compromised key is never published, only renewed",
            look(certificate=certificate(V2, 0.0), memory=leaked(replace(LEAKED, version=V2))),
            Action.RENEW,
            "compromised",
            (Kind.CERTIFICATE_UNUSABLE,),
        ),
    )
    def test_what_is_asked_of_the_issuer(self, case: Case) -> None:
        """Whoever the issuer is."""
        check_any(case)


class TestTakingOver:
    """Then every service serves it, and only then something is revoked."""

    @rows(
        Case(
            "what is issued is published before anything is revoked",
            look(certificate=certificate(V2, 0.0, renewable=False), memory=leaked()),
            Action.EXPORT,
            "newer certificate",
        ),
        Case(
            "a service that still serves the old key is deployed anew",
            look(**NEW, said=says(V2), memory=leaked(memory=remembers(V2, MINUTE))),
            Action.REDEPLOY,
            "serve another version",
            (),
            "teller",
        ),
        Case(
            "as long as one instance serves the old key, nothing is revoked",
            look(
                **NEW,
                services={"teller": service(TELLER, OURS, DONE, age=SECOND)},
                said=says(V2, V2, but={"gateway/1": V1}),
                memory=leaked(memory=remembers(V2, MINUTE, rollouts={"teller": rollout(V2, MINUTE)})),
            ),
            Action.WAIT,
            "do not serve the current version yet",
        ),
        Case(
            "nor while it is not known what they serve",
            look(**NEW, said=UNAVAILABLE, memory=leaked(memory=remembers(V2, MINUTE))),
            Action.WAIT,
            "cannot be looked at",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case(
            "a version with a compromised key is not called the last good one",
            look(labels=labels(V1, ""), memory=leaked(memory=remembers(asked=(V1, SECOND)), ago=MINUTE)),
            Action.WAIT,
            "was asked for a renewal",
        ),
    )
    def test_what_comes_before_a_revocation(self, case: Case) -> None:
        """Whoever the issuer is."""
        check_any(case)

    def test_a_service_that_reloads_does_not_wait_for_others_to_leave_the_key(self) -> None:
        """As with a version that was rolled back: the gateway's new instance is late, and teller is deployed anew."""
        seen, memory = look(**NEW, said=says("", V1), memory=leaked(memory=remembers(V2, MINUTE)))
        calm = replace(memory, compromise=None)

        assert plan(seen, memory, POLICY).step.action is Action.REDEPLOY
        assert plan(seen, calm, POLICY).step.action is Action.WAIT


class TestRevoking:
    """What has a compromised key is revoked, once."""

    @rows(
        Case(
            "once every service serves another key",
            look(**TAKEN_OVER, memory=leaked(memory=remembers(V2, HOUR))),
            Action.REVOKE,
            "compromised: it was in a log; serial number 01",
            (),
            V1,
        ),
        Case(
            "of a version that was replaced before anybody knew: at once",
            look(**TAKEN_OVER, memory=leaked(memory=remembers(V2, 30 * DAY))),
            Action.REVOKE,
        ),
        Case(
            "where the services were stopped at once, nobody serves the old key",
            look(
                **NEW,
                services={use.name: service(use, tasks=0, desired=0) for use in (GATEWAY, TELLER)},
                said={},
                memory=leaked(memory=remembers(V2, MINUTE)),
            ),
            Action.REVOKE,
        ),
        Case(
            "but not as long as one is still running, or may be started with it",
            look(
                **NEW,
                services={
                    "gateway": service(GATEWAY, tasks=0, desired=0),
                    "teller": service(TELLER, OURS, RolloutState.IN_PROGRESS, tasks=0),
                },
                said={},
                memory=leaked(memory=remembers(V2, MINUTE)),
            ),
            Action.WAIT,
        ),
        Case(
            "an instance that goes back to the old key keeps it from nothing: it may be the one that was broken into",
            look(
                GATEWAY,
                **TAKEN_OVER | {"said": says(V2, but={"gateway/1": V1})},
                memory=leaked(memory=remembers(V2, MINUTE)),
            ),
            Action.REVOKE,
        ),
        Case(
            "what is revoked already is not revoked again",
            look(**TAKEN_OVER, memory=leaked(replace(LEAKED, revoked_at=NOW), memory=remembers(V2, HOUR))),
            Action.NOTHING,
        ),
        Case(
            "what has ended needs no revocation",
            look(**TAKEN_OVER, memory=leaked(replace(LEAKED, not_after=NOW), memory=remembers(V2, HOUR))),
            Action.NOTHING,
        ),
        Case(
            "what is not known well enough is left to a person",
            look(**TAKEN_OVER, memory=leaked(CompromisedCertificate(V1), memory=remembers(V2, HOUR))),
            Action.NOTHING,
        ),
        Case(
            "one after the other",
            look(
                **TAKEN_OVER,
                memory=leaked(
                    replace(LEAKED, revoked_at=NOW), replace(LEAKED, serial_number="0f"), memory=remembers(V2, HOUR)
                ),
            ),
            Action.REVOKE,
            "serial number 0f",
        ),
    )
    def test_what_is_revoked_when(self, case: Case) -> None:
        """Whoever the issuer is."""
        check_seen(case)

    def test_one_that_is_refused_keeps_no_other_from_being_revoked(self) -> None:
        """Its CA may be gone. A person is told, and it is tried again ever later."""
        other = replace(LEAKED, version="4" * 64, serial_number="04")
        refused = {"revoke 01": Failure(V1, "AwsRefused: InvalidStateException", NOW - HOUR, NOW, 3, refused=True)}
        seen = look(**TAKEN_OVER).seen
        memory = remembered(replace(leaked(LEAKED, other, memory=remembers(V2, HOUR)), failures=refused), seen)

        planned = plan(seen, memory, POLICY)
        done = plan(seen, memory.revoking("04", NOW), POLICY)

        assert planned.step.serial_number == "04"
        assert planned.failing == done.failing == {"revoke 01"}
        assert [finding.kind for finding in done.findings] == [Kind.STEP_FAILING]
        assert (done.step.action, done.settled) == (Action.WAIT, False)


class TestEnding:
    """Tasks that are told to end still serve what is sent to them: peers that know of a revocation would refuse it."""

    @rows(
        Case(
            "one with the old key is waited for",
            look(**TAKEN_OVER, ending=OLD, memory=leaked(memory=remembers(V2, MINUTE))),
            Action.WAIT,
            "1 certificate to be revoked once teller/7 with the old key has ended",
        ),
        Case(
            "where the services were stopped at once, too",
            look(
                **NEW,
                services={use.name: service(use, tasks=0, desired=0) for use in (GATEWAY, TELLER)},
                said={},
                ending=OLD | {"gateway/7": V1},
                memory=leaked(memory=remembers(V2, MINUTE)),
            ),
            Action.WAIT,
            "once 2 tasks with the old key have ended",
        ),
        Case(
            "so is one that says nothing",
            look(**TAKEN_OVER, ending={"teller/7": ""}, memory=leaked(memory=remembers(V2, MINUTE))),
            Action.WAIT,
            "teller/7",
        ),
        Case(
            "one that has left the old key is not",
            look(**TAKEN_OVER, ending={"gateway/7": V2}, memory=leaked(memory=remembers(V2, MINUTE))),
            Action.REVOKE,
        ),
        Case(
            "as long as nobody can say which there are, nothing is revoked",
            look(**TAKEN_OVER, ending=UNAVAILABLE, memory=leaked(memory=remembers(V2, MINUTE))),
            Action.WAIT,
            "which cannot be looked at",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case(
            "nobody is told as long as it may be draining",
            look(**TAKEN_OVER, ending=OLD, memory=left(7 * MINUTE)),
            Action.WAIT,
        ),
        Case(
            "a person is told before it is revoked whatever it does",
            look(**TAKEN_OVER, ending=OLD, memory=left(8 * MINUTE)),
            Action.WAIT,
            "",
            (Kind.DEPLOYMENT_SLOW,),
        ),
        Case(
            "one second before the time is over",
            look(**TAKEN_OVER, ending=OLD, memory=left(10 * MINUTE - SECOND)),
            Action.WAIT,
            "",
            (Kind.DEPLOYMENT_SLOW,),
        ),
        Case(
            "one that does not end in ten minutes keeps no leaked key valid",
            look(**TAKEN_OVER, ending=OLD, memory=left(10 * MINUTE)),
            Action.REVOKE,
            "serial number 01; teller/7 with the old key has not been seen to end within 600 s",
        ),
        Case(
            "nor does ECS, if it says nothing for so long",
            look(**TAKEN_OVER, ending=Unknown("denied", denied=True), memory=left(10 * MINUTE)),
            Action.REVOKE,
            "which cannot be looked at, have not been seen to end",
        ),
    )
    def test_what_is_waited_for(self, case: Case) -> None:
        """Whoever the issuer is."""
        check_seen(case)

    def test_the_next_look_comes_no_later_than_the_end_of_the_wait(self) -> None:
        """Otherwise the bound would be a minute longer than it says."""
        planned = plan(look(**TAKEN_OVER, ending=OLD).seen, left(10 * MINUTE - SECOND), POLICY)

        assert [wait.again_s for wait in planned.waits] == [1.0]

    def test_the_wait_begins_when_the_last_task_has_left_the_key_and_no_later_look_begins_it_anew(self) -> None:
        """Not with the order: a deployment may take hours. Nor ever again, or a leaked key would stay valid."""
        taking_over = look(**NEW, said=says(V2)).seen
        taken_over = look(**TAKEN_OVER, ending=OLD).seen
        published_since = replace(taken_over, labels=labels("3" * 64, V2, previous=V2), now=NOW + MINUTE)

        before = remembered(leaked(memory=remembers(V2, HOUR), ago=HOUR), taking_over)
        after = remembered(before, taken_over)
        later = remembered(after, published_since)

        assert [each.compromise and each.compromise.left_at for each in (before, after, later)] == [None, NOW, NOW]


class TestNeverBack:
    """Nothing goes back onto a compromised key, whoever asks for it."""

    @rows(
        Case(
            "the new version is bad: it stays, and a person is told",
            look(
                TELLER,
                **NEW,
                services={"teller": service(TELLER, OURS, failures=("exit code 78",))},
                memory=leaked(memory=remembers(V2, MINUTE, rollouts={"teller": rollout(V2, MINUTE)})),
            ),
            Action.WAIT,
            "",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "a roll back that was interrupted between its labels before it was known: another one is issued",
            look(
                GATEWAY,
                certificate=certificate(V2, 0.0),
                labels=labels(V2, V1, previous=V1, quarantined=V2),
                said=says(V2),
                memory=leaked(memory=remembers(V2, MINUTE, bad=bad(V2, MINUTE))),
            ),
            Action.RENEW,
            "quarantined",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
        Case(
            "ordered, and the version before has a compromised key",
            look(
                **TAKEN_OVER,
                memory=leaked(
                    replace(LEAKED, revoked_at=NOW), memory=remembers(V2, DAY, order=ordered("rollback", V2))
                ),
            ),
            Action.NOTHING,
            "",
            (Kind.NOTHING_TO_GO_BACK_TO,),
        ),
    )
    def test_what_becomes_of_it(self, case: Case) -> None:
        """Whoever the issuer is."""
        check_any(case)

    @pytest.mark.parametrize("is_known", [True, False])
    def test_who_stays_with_a_compromised_key_because_an_upstream_wants_it_is_replaced(self, *, is_known: bool) -> None:
        """Others that hold out are left alone until their version nears its end."""
        said = says(V2)
        said["gateway/1"] = replace(
            said["gateway/1"], version=V1, refused=V2, refused_by=("teller@10.0.0.1",), error="refused"
        )
        seen, memory = look(GATEWAY, **NEW, said=said, memory=leaked(memory=remembers(V2, HOUR)))

        planned = plan(seen, memory if is_known else replace(memory, compromise=None), POLICY)

        assert (planned.step.action is Action.REDEPLOY) == is_known
