"""``make trial``: what it makes is taken away wherever it ends, and its report says of each assumption what it saw."""

from __future__ import annotations

import io
import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.errors import AwsUnavailable
from meshcert.mesh import load_mesh
from tools.aws_checks.verdicts import Finding, Verdict
from tools.trial.__main__ import main
from tools.trial.assumptions import ASSUMED, NOT_TRIED, Assumed, latest, told
from tools.trial.removal import PARTS, Remaining, Removal
from tools.trial.report import document
from tools.trial.steps import MESH_FILE, REMOVAL, STEPS, StepFailed, Trial, with_own_architecture

if TYPE_CHECKING:
    from local.running_aws import LocalAws

METHODS = {"deploy": "_deploy", "settling": "_settle", "judging": "_judge", "renewal": "_renew"}
CONFIRMED, CONTRADICTED, UNDECIDED = Verdict.CONFIRMED, Verdict.CONTRADICTED, Verdict.UNDECIDED


class Removals(Removal):
    """A removal that only counts."""

    def remove(self) -> list[Remaining]:
        """Something stays."""
        self.tell("removed")
        return [Remaining("a key", "for 7 days")]


@pytest.fixture
def lines() -> list[str]:
    """What the trial says."""
    return []


@pytest.fixture
def trial(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Trial:
    """A trial whose steps do nothing."""
    for method in METHODS.values():
        monkeypatch.setattr(Trial, method, lambda _self: None)

    def nobody(_service: str) -> Any:
        raise AssertionError

    removal = Removals("meshcert-trial", nobody, lines.append)
    return Trial(load_mesh(MESH_FILE), "eu-west-1", lambda: nobody("any"), removal, [], lines.append)


def _steps(trial: Trial) -> dict[str, str]:
    return {outcome.step: outcome.said for outcome in trial.outcomes}


def test_every_step_is_taken_and_then_everything_is_taken_away(trial: Trial, lines: list[str]) -> None:
    """The removal is a step like the others, and what stays is known."""
    assert trial.run()
    assert _steps(trial) == dict.fromkeys((*STEPS, REMOVAL), "")
    assert lines.count("removed") == 1
    assert trial.remaining == [Remaining("a key", "for 7 days")]


@pytest.mark.parametrize("step", METHODS)
@pytest.mark.parametrize(
    "error", [StepFailed("no"), AwsUnavailable("ask", "AWS", "no"), RuntimeError("a mistake of ours")]
)
def test_a_step_that_fails_is_the_last_before_the_removal(
    trial: Trial, lines: list[str], monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    """What fails is told; a mistake in the program is told as such, after the removal."""

    def fails(_self: Trial) -> None:
        raise error

    monkeypatch.setattr(Trial, METHODS[step], fails)
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError):
            trial.run()
    else:
        assert not trial.run()
        assert list(_steps(trial)) == [*STEPS[: STEPS.index(step) + 1], REMOVAL]
        assert "no" in _steps(trial)[step]
    assert lines.count("removed") == 1


@pytest.mark.parametrize("step", METHODS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_has_everything_taken_away(
    trial: Trial, lines: list[str], monkeypatch: pytest.MonkeyPatch, step: str, number: signal.Signals
) -> None:
    """At every step, by Ctrl-C and by SIGTERM; a second signal does not stop the removal."""

    def stopped(self: Trial) -> None:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        self._wait(0)

    monkeypatch.setattr(Trial, METHODS[step], stopped)

    assert not trial.run()
    assert list(_steps(trial)) == [*STEPS[: STEPS.index(step) + 1], REMOVAL]
    assert _steps(trial)[step] == "stopped"
    assert lines.count("removed") == 1
    assert any("--tear-down" in line for line in lines)


def test_a_signal_ends_the_program_that_a_step_waits_for(trial: Trial) -> None:
    """It is asked to end, and waited for: a deploy's lines come before the removal's."""
    with trial._signals_awaited(), pytest.raises(StepFailed, match="stopped"):
        trial._call("sh", "-c", f"kill -INT {os.getpid()}; exec sleep 600")


def test_a_program_that_fails_is_named_with_its_exit_code(trial: Trial) -> None:
    """Its own lines say the rest."""
    with pytest.raises(StepFailed, match="exit 7 ended with exit code 7"):
        trial._call("sh", "-c", "exit 7")


def test_images_are_for_this_machine_unless_the_context_says_otherwise() -> None:
    """An emulator is one thing less to install."""
    (own,) = with_own_architecture([])

    assert own in {"architecture=arm64", "architecture=x86_64"}
    assert with_own_architecture(["architecture=arm64"]) == ["architecture=arm64"]


def _finding(check: str, verdict: Verdict, subject: str = "a", seen: str = "") -> Finding:
    return Finding(check, "we assume", subject, seen, verdict, "")


@pytest.mark.parametrize(
    ("assumed", "findings", "done", "verdict"),
    [
        (Assumed("ECS", "x", ("one",)), [("one", CONFIRMED)], (), CONFIRMED),
        (Assumed("ECS", "x", ("one", "two")), [("one", CONFIRMED), ("two", CONTRADICTED)], (), CONTRADICTED),
        (Assumed("ECS", "x", ("one", "two")), [("one", CONTRADICTED)], (), CONTRADICTED),
        (Assumed("ECS", "x", ("one",), ("deploy",)), [("one", CONTRADICTED)], ("deploy",), CONTRADICTED),
        (Assumed("ECS", "x", ("one", "two")), [("one", CONFIRMED), ("two", UNDECIDED)], (), UNDECIDED),
        (Assumed("ECS", "x", ("one", "two"), ("deploy",)), [("one", CONFIRMED)], ("deploy",), NOT_TRIED),
        (Assumed("ECS", "x", (), ("deploy",)), [], ("deploy",), CONFIRMED),
        (Assumed("ECS", "x", (), ("deploy", "renewal")), [], ("deploy",), UNDECIDED),
        (Assumed("ECS", "x", ("one",), ("deploy",)), [("other", CONFIRMED)], ("deploy",), NOT_TRIED),
        (Assumed("ECS", "x"), [("one", CONFIRMED)], ("deploy",), NOT_TRIED),
        (Assumed("ACM", "x", ("one",)), [("one", CONFIRMED)], (), NOT_TRIED),
        (Assumed("Private CA", "x", ("one",)), [("one", CONFIRMED)], (), CONFIRMED),
    ],
)
def test_an_assumption_has_the_verdict_of_what_tells_it(
    assumed: Assumed, findings: list[tuple[str, Verdict]], done: tuple[str, ...], verdict: str
) -> None:
    """
    One contradiction is enough; confirmed is what every check and every step has confirmed.

    What a check had nothing to look at for has not been tried, whatever the line's others say.
    """
    assert told(assumed, [_finding(*each) for each in findings], done, {"a": "acm-pca"}) == verdict


def test_an_issuer_is_judged_by_its_own_certificates() -> None:
    """In a mesh of both, a chain from Private CA says nothing of ACM's; a metric of the account is anybody's."""
    assumed, issuers = Assumed("ACM", "x", ("chain",)), {"mine": "acm-pca", "acms": "acm"}
    mine, acms = _finding("chain", CONTRADICTED, "mine"), _finding("chain", CONFIRMED, "acms")

    assert told(assumed, [mine, acms], (), issuers) == CONFIRMED
    assert told(assumed, [mine], (), issuers) == NOT_TRIED
    assert told(assumed, [_finding("chain", CONFIRMED, "rule")], (), issuers) == CONFIRMED


def test_a_later_look_counts_unless_it_cannot_tell() -> None:
    """After the renewal a certificate is another one, and what only the first look could tell stays told."""
    first = [_finding("one", CONTRADICTED), _finding("two", CONFIRMED), _finding("one", CONFIRMED, "b")]
    second = [_finding("one", CONFIRMED), _finding("two", UNDECIDED), _finding("three", UNDECIDED)]

    found = {(each.check, each.subject): each.verdict for each in latest([first, second])}

    assert found == {
        ("one", "a"): CONFIRMED,
        ("two", "a"): CONFIRMED,
        ("one", "b"): CONFIRMED,
        ("three", "a"): UNDECIDED,
    }


def test_the_report_has_a_line_for_each_assumption(trial: Trial) -> None:
    """A script, or somebody who reads our issues, finds steps, verdicts and what stays."""
    trial.run()

    report = json.loads(document(trial, "eu-west-1", "2026-11-30T12:00:00+00:00"))

    assert report["succeeded"]
    assert [each["assumed"] for each in report["assumptions"]] == [each.what for each in ASSUMED]
    assert [each["step"] for each in report["steps"]] == [*STEPS, REMOVAL]
    assert report["remaining"] == [{"what": "a key", "why": "for 7 days"}]


# What CloudFormation keeps of a mesh, in the stacks that keep it, and something that goes with its stack.
AUTHORITY = {
    "Type": "ROOT",
    "KeyAlgorithm": "EC_prime256v1",
    "SigningAlgorithm": "SHA256WITHECDSA",
    "Subject": {"CommonName": "color root CA"},
    "UsageMode": "SHORT_LIVED_CERTIFICATE",
}
TEMPLATES: dict[str, dict[str, tuple[str, dict[str, Any], bool]]] = {
    "pki": {"Root": ("AWS::ACMPCA::CertificateAuthority", AUTHORITY, True)},
    "identities": {
        "Key": ("AWS::KMS::Key", {"KeyPolicy": {"Statement": []}}, True),
        "Secret": ("AWS::SecretsManager::Secret", {"Name": "meshcert/t/identity/a", "SecretString": "{}"}, True),
    },
    "services": {"Topic": ("AWS::SNS::Topic", {}, False)},
    "renewal": {"Audit": ("AWS::Logs::LogGroup", {"LogGroupName": "/meshcert/t/audit"}, True)},
}


def _make(aws: LocalAws, mesh: str) -> None:
    cloudformation = aws.client("cloudformation")
    for part in reversed(PARTS):
        resources = {
            name: {"Type": kind, "Properties": has, **({"DeletionPolicy": "Retain"} if kept else {})}
            for name, (kind, has, kept) in TEMPLATES[part].items()
        }
        stack = f"{mesh}-{part}"
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=json.dumps({"Resources": resources}),
            EnableTerminationProtection=part == "pki",
        )
        cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def _left(aws: LocalAws) -> dict[str, Any]:
    authorities = aws.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    keys = aws.client("kms")
    states = (keys.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys.list_keys()["Keys"])
    return {
        "authorities": [authority["Status"] for authority in authorities],
        "keys": [state["KeyState"] for state in states if state.get("KeyManager") == "CUSTOMER"],
        "secrets": aws.client("secretsmanager").list_secrets()["SecretList"],
        "logs": aws.client("logs").describe_log_groups(logGroupNamePrefix="/meshcert/t/")["logGroups"],
    }


def test_what_cloudformation_keeps_goes_before_its_stack(aws: LocalAws, lines: list[str]) -> None:
    """A removal that is cut off at any deletion is made again: the stack still says what there is to take away."""
    _make(aws, "t")

    class CutOff(Exception):
        """The program was killed."""

    def removal(most: float) -> Removal:
        calls: list[str] = []

        def client(service: str) -> Any:
            made = aws.client(service)

            def count(model: Any, **_: Any) -> None:
                if model.name.startswith(("Delete", "Schedule", "Update")):
                    if len(calls) >= most:
                        raise CutOff
                    calls.append(model.name)

            made.meta.events.register("before-call", count)
            return made

        return Removal("t", client, lines.append, pause=lambda _seconds: None)

    remaining: list[Remaining] = []
    cuts = 0
    while not remaining:
        try:
            remaining = removal(cuts).remove()
        except CutOff:
            cuts += 1

    assert removal(0).stacks() == []
    assert _left(aws) == {"authorities": ["DELETED"], "keys": ["PendingDeletion"], "secrets": [], "logs": []}
    assert cuts > 4
    assert removal(0).remove() == []


@pytest.fixture
def environment(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of the local AWS's administrator."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_nothing_is_made_before_somebody_agreed(
    aws: LocalAws, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a bootstrap, over an earlier trial, without a person, and on a no: each says what to do instead."""

    def refused(*words: str, answer: str | None = None) -> str:
        terminal = io.StringIO(answer or "")
        monkeypatch.setattr(terminal, "isatty", lambda: answer is not None)
        monkeypatch.setattr("sys.stdin", terminal)
        assert main(words) == 2
        return capfd.readouterr().err

    assert "no other mesh" in refused("--yes", "-c", "mesh=mesh.yaml")
    assert "There is nothing of meshcert-trial in account 111122223333, eu-west-1" in refused("--tear-down", "--yes")
    assert "Run make cdk ARGS=bootstrap once" in refused("--yes")

    aws.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
    assert "Nobody is here to say yes" in refused()
    told = refused(answer="n\n")
    assert re.search(
        r"about \$0\.[12]\d an hour.*for 4 certificates.*What will stay.*Nothing was touched", told, re.DOTALL
    )

    _make(aws, "meshcert-trial")
    assert "meshcert-trial-pki: an earlier trial's" in refused("--yes")
    assert "Nothing was touched" in refused("--tear-down", answer="\n")
    assert Removal("meshcert-trial", aws.client, print).stacks() == [f"meshcert-trial-{part}" for part in PARTS]
