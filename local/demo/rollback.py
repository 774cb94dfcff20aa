"""The story of a bad version: past the export into a rollout, refused by the first task, and back unnoticed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local.demo.result import ENOUGH_REQUESTS, Result
from local.demo.scene import ANSWER, TELLER, Scene
from local.gateway_client import SteadyClient
from local.pkcs8 import encrypt_private_key
from local.running_mesh import RunningMesh, wait_until
from local.ticking import Ticking, dispatch
from meshcert import naming
from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, QUARANTINED
from meshcert.material import EncryptedPrivateKey, Material
from meshcert.material.document import write_material
from meshcert.publishing.export import new_passphrase

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

_ALARM = "RolledBack"
PAUSE_S = 0.03
"""Between two requests, over some minutes."""
_LABEL_BACK_WITHIN_S = 10.0
_ALL_GOOD_WITHIN_S = 60.0


@dataclass(frozen=True)
class RollbackResult(Result):
    """
    What the story has measured; ``build/demo-rollback.json`` is this, as JSON.

    Args:
        failed: Requests through the gateway that failed, over the whole story.
        requests: Requests altogether.
        twice: How many of them came to the application more than once; they have failed too.
        label_back_s: From the first failed task to AWSCURRENT on the last good version, seconds.
        all_good_s: From the first failed task to every task serving the last good version, none failing, seconds.
        quarantined: Whether the bad version is labelled so, and was never current again.
        alarmed: Whether the alarm went off and its topic took the message.
        bad_starts_after: Tasks started after the label was back that did not get to serve the last good version.
        old_serial: The teller's certificate before, hex.
        new_serial: The certificate of the fresh renewal that settled the identity, hex.
    """

    failed: int
    requests: int
    twice: int
    label_back_s: float
    all_good_s: float
    quarantined: bool
    alarmed: bool
    bad_starts_after: int
    old_serial: str
    new_serial: str

    @property
    def claims(self) -> dict[str, tuple[bool, str]]:
        """Each thing the story says: whether it was seen, and the figures."""
        return {
            f"no request fails (of at least {ENOUGH_REQUESTS})": (
                self.failed == 0 and self.requests >= ENOUGH_REQUESTS,
                f"{self.requests} requests, {self.failed} failed",
            ),
            f"the label is back within {_LABEL_BACK_WITHIN_S:.0f} s of the first failed task": (
                self.label_back_s <= _LABEL_BACK_WITHIN_S,
                f"{self.label_back_s:.1f} s",
            ),
            f"all tasks are on the last good version within {_ALL_GOOD_WITHIN_S:.0f} s": (
                self.all_good_s <= _ALL_GOOD_WITHIN_S and self.bad_starts_after == 0,
                f"{self.all_good_s:.1f} s",
            ),
            "the bad version is quarantined and never current again": (self.quarantined, QUARANTINED),
            "an operator is alarmed": (self.alarmed, _ALARM),
            "a fresh renewal settles the identity": (
                self.new_serial not in {"", self.old_serial},
                f"…{self.old_serial[-8:]} → …{self.new_serial[-8:]}",
            ),
        }


class RollbackStory(Scene):
    """A version whose key Envoy cannot open meets a service that takes versions over by redeployment."""

    TITLE = "meshcert demo: a bad version rolls out, and goes back"

    def play(self) -> RollbackResult:
        """Play all of it; raises when a step does not get through."""
        self.stand_up()
        return self.roll_back()

    def roll_back(self) -> RollbackResult:
        """Bring a bad version out and see it go back; the mesh stands, and afterwards it is fit for another time."""
        name = self.mesh.name
        with Ticking(self.aws, name), SteadyClient(self.gateway(), ANSWER, self.aws.requests_seen, PAUSE_S) as asking:
            with self.stage.step("The version in use is proven good, and becomes the one to go back to"):
                good = self.proven(TELLER)
            old_serial = self.running.serial(TELLER)
            with self.stage.step("ACM renews, and a version that Envoy cannot open is planted past the export"):
                bad = plant_unreadable(self.running, TELLER)
            with _Witness(self.running, good, bad, old_serial) as witness:
                # On a busy machine the fresh certificate would overtake tasks that are still starting: then nobody ever
                # finds every task on the version that the label went back to.
                with (
                    self.stage.step("The rollout: its first task fails, the label goes back, ECS is redeployed"),
                    self.renewals_held_back(),
                ):
                    dispatch(self.aws, name, "sweep")
                    witness.wait_for_failure()
                    witness.wait_for_label()
                    self.stage.detail("the label is back")
                    witness.wait_for_good_tasks()
                with self.stage.step("A fresh renewal replaces the quarantined certificate"):
                    wait_until(
                        lambda: self._settled_after(good, bad), "another version, served and proven", within_s=120
                    )
                quarantined = self._labelled(QUARANTINED) == bad and not witness.bad_was_current_again
            alarmed = bool(wait_until(self._alarmed, f"alarm {_ALARM}", within_s=30))
            self.wait_for_enough(asking)
        self.say_what_failed(asking)
        self.stage.say(
            f"first failed task → label back {witness.label_back_s:.1f} s, all tasks good {witness.all_good_s:.1f} s"
        )
        return RollbackResult(
            failed=len(asking.failures),
            requests=asking.requests,
            twice=asking.twice,
            label_back_s=round(witness.label_back_s, 2),
            all_good_s=round(witness.all_good_s, 2),
            quarantined=quarantined,
            alarmed=alarmed,
            bad_starts_after=len(witness.bad_starts_after),
            old_serial=old_serial,
            new_serial=self.running.serial(TELLER),
        )

    def _labelled(self, label: str) -> str:
        return self.running.version_labelled(TELLER, label)

    def _settled_after(self, good: str, bad: str) -> bool:
        current = self._labelled(CURRENT)
        if current in {good, bad} or self._labelled(LAST_GOOD) != current:
            return False
        return self.running.served_by_all(TELLER) == {self.running.serial(TELLER)}

    def _alarmed(self) -> bool:
        name = naming.alarm(self.mesh.name, _ALARM)
        history = self.running.client("cloudwatch").describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
        told = [item["HistorySummary"] for item in history if item["HistoryItemType"] == "Action"]
        return (
            any("to ALARM" in item["HistorySummary"] for item in history)
            and bool(told)
            and all(action.startswith("Successfully executed action") for action in told)
        )


def plant_unreadable(running: RunningMesh, identity: str) -> str:
    """
    Have ACM renew unseen, encrypt the new key as Envoy cannot open it, and write that past IAM and policy.

    Returns:
        The version, which is current now.
    """
    aws = running.aws
    aws.control("PUT", "/_local/events/modes", [{"source": "*", "mode": "lost"}])
    before = running.serial(identity)
    arn = running.certificate(identity)["CertificateArn"]
    # Whatever its age: ACM's own day renews a certificate once a year.
    aws.client("acm").renew_certificate(CertificateArn=arn)
    wait_until(lambda: running.serial(identity) != before, "ACM's renewal", within_s=30)
    passphrase = new_passphrase()
    # The local AWS's administrator may export: that is how the new key gets here.
    exported = aws.client("acm").export_certificate(CertificateArn=arn, Passphrase=passphrase.reveal().encode())
    key: Any = load_pem_private_key(exported["PrivateKey"].encode(), passphrase.reveal().encode())
    material = Material(
        certificate=exported["Certificate"],
        certificate_chain=exported["CertificateChain"],
        private_key=EncryptedPrivateKey(_unreadable(key, passphrase.reveal())),
        passphrase=passphrase,
    )
    planted = {
        "secret_id": naming.identity_secret(running.name, identity),
        "version_id": material.version_id,
        "secret_string": write_material(material, {}),
        "stages": [CURRENT],
    }
    aws.control("POST", "/_local/secrets/plant", planted)
    aws.control("PUT", "/_local/events/modes", [])
    return material.version_id


def _unreadable(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, passphrase: str) -> str:
    """PBKDF2 with SHA-512: OpenSSL opens it, Envoy's BoringSSL does not."""
    return encrypt_private_key(key, passphrase, "pbes2-sha512")


class _Witness(threading.Thread):
    """Sees the first task fail, the label move, and which version tasks serve, every few hundredths of a second."""

    def __init__(self, running: RunningMesh, good: str, bad: str, serial: str) -> None:
        super().__init__(daemon=True)
        self._running = RunningMesh(running.aws, running.name, running.resolve)
        self._good, self._bad, self._serial = good, bad, serial
        self._known = {task.arn for task in running.tasks(TELLER)}
        self._told_to_end = threading.Event()
        self._failed_at = self._back_at = self._good_at = 0.0
        self.bad_starts_after: set[str] = set()
        self.bad_was_current_again = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._told_to_end.set()
        self.join()

    @property
    def label_back_s(self) -> float:
        """From the first failed task to the label's return, seconds."""
        return self._back_at - self._failed_at

    @property
    def all_good_s(self) -> float:
        """From the first failed task to every task on the last good version, seconds."""
        return self._good_at - self._failed_at

    def wait_for_failure(self) -> None:
        """Until a task of the bad version has failed."""
        wait_until(lambda: self._failed_at, "the first failed task", within_s=60)

    def wait_for_label(self) -> None:
        """Until AWSCURRENT is back on the last good version."""
        wait_until(lambda: self._back_at, "the label's return", within_s=60)

    def wait_for_good_tasks(self) -> None:
        """Until every task serves the last good version and the service is steady."""
        wait_until(lambda: self._good_at, "every task on the last good version", within_s=120)

    def run(self) -> None:
        """Look until told to stop."""
        while not self._told_to_end.wait(Scene.WATCH_EVERY_S):
            now = time.monotonic()
            if not self._failed_at:
                self._failed_at = now if self._failures() else 0.0
                continue
            current = self._running.current_version(TELLER)
            if not self._back_at:
                self._back_at = now if current == self._good else 0.0
                self._known |= {arn for arn, _ in self._stopped()}
                continue
            self.bad_was_current_again |= current == self._bad
            if not self._good_at:
                self._good_at = now if self._all_good() else 0.0
            if current == self._good:
                self.bad_starts_after |= self._failures() - self._known

    def _failures(self) -> set[str]:
        return {arn for arn, failed in self._stopped() if failed} - self._known

    def _stopped(self) -> list[tuple[str, bool]]:
        """The ARNs of stopped tasks, each with whether it failed: ended by itself, with an error."""
        tasks = self._running.described(TELLER, "STOPPED")
        return [(task["taskArn"], any(part.get("exitCode") for part in task["containers"])) for task in tasks]

    def _all_good(self) -> bool:
        return self._running.served_by_all(TELLER) == {self._serial} and self._running.is_steady([TELLER])
