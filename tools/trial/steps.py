"""The steps of a trial, and that what they made is taken away again, wherever they end."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from meshcert.cli.account import connect
from meshcert.cli.survey import survey
from meshcert.errors import MeshcertError
from tools.aws_checks import CHECKS
from tools.trial.removal import Removal, RemovalFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshcert.cli.survey import Survey
    from meshcert.mesh import Mesh
    from tools.aws_checks.deployment import Deployment
    from tools.aws_checks.verdicts import Finding
    from tools.trial.removal import Remaining

ROOT = Path(__file__).resolve().parents[2]
MESH_FILE = ROOT / "examples" / "trial.yaml"
SETTLED_WITHIN_S = 900.0
"""Tasks report what they serve within a minute of their start; the load balancer and Cloud Map need some more."""
LOOK_EVERY_S = 10.0
HEARD_WITHIN_S = 0.2
STEPS = ("deploy", "settling", "judging", "renewal", "judging again")
"""What a trial does, in this order."""
REMOVAL = "removal"
"""The last step, whatever came before."""


class StepFailed(Exception):
    """A step of the trial did not succeed; the message says why, or where to look."""


@dataclass(frozen=True)
class Outcome:
    """
    How a step ended.

    Args:
        step: Name of the step.
        done: Whether it succeeded.
        said: What went wrong; empty if nothing did.
        took_s: Its time, seconds.
    """

    step: str
    done: bool
    said: str
    took_s: float


@dataclass
class Trial:
    """
    Deploys the trial's mesh, judges it, renews its certificates, and takes it away.

    Args:
        deployment: Gives the deployed mesh, anew at each call.
        removal: Takes it away.
        context: What the CDK app is told besides the mesh file: ``architecture=x86_64``.
        tell: Called with each line for the person who waits.
        runs: The findings of each time that it was judged.
        outcomes: Of the steps so far.
        remaining: What stays in the account.
        stopping: Set when the steps are to end.
    """

    mesh: Mesh
    region: str
    deployment: Callable[[], Deployment]
    removal: Removal
    context: Sequence[str]
    tell: Callable[[str], None]
    runs: list[list[Finding]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    remaining: list[Remaining] = field(default_factory=list)
    stopping: Event = field(default_factory=Event)

    def run(self) -> bool:
        """
        Take all steps, and take everything away, whatever happens meanwhile.

        Returns:
            Whether every step succeeded.
        """
        steps = (self._deploy, self._settle, self._judge, self._renew, self._judge)
        with self._signals_awaited():
            try:
                for name, step in zip(STEPS, steps, strict=True):
                    if not self._take(name, step):
                        break
            finally:
                self.tear_down()
        return len(self.outcomes) > len(STEPS) and all(outcome.done for outcome in self.outcomes)

    def tear_down(self) -> bool:
        """Take everything away; returns whether all of it is gone but what AWS keeps for some days."""
        return self._take(REMOVAL, lambda: self.remaining.extend(self.removal.remove()))

    def _take(self, name: str, step: Callable[[], object]) -> bool:
        began, said = time.monotonic(), ""
        self.tell(f"[{name}]")
        try:
            step()
        except (StepFailed, RemovalFailed, MeshcertError) as error:
            said = str(error)
        took_s = time.monotonic() - began
        self.outcomes.append(Outcome(name, not said, said, round(took_s, 1)))
        self.tell(f"[{name}] {said or 'done'}, {took_s:.0f} s")
        return not said

    def _deploy(self) -> None:
        context = [word for each in (f"mesh={MESH_FILE}", *self.context) for word in ("-c", each)]
        command = ["cdk", "deploy", "--all", "--require-approval", "never", "--progress", "events", *context]
        self._call(sys.executable, "-m", "tools.first_deploy", *command)

    def _settle(self, left: Mapping[str, str] | None = None, within_s: float = SETTLED_WITHIN_S) -> None:
        """Wait until every identity is settled, on another version than those that are left behind."""
        account = connect(self.mesh.name, self._environment())
        deadline = time.monotonic() + within_s
        while unsettled := _unsettled(survey(account, (), self.tell), left or {}):
            if time.monotonic() > deadline:
                raise StepFailed(f"{unsettled}, not within {within_s / 60:.0f} minutes")
            self.tell(unsettled)
            self._wait(LOOK_EVERY_S)

    def _judge(self) -> None:
        deployment = self.deployment()
        findings: list[Finding] = []
        self.runs.append(findings)
        for check in CHECKS:
            self._wait(0)
            findings.extend(check.findings(deployment))

    def _renew(self) -> None:
        account = connect(self.mesh.name, self._environment())
        left = {one.name: one.seen.current for one in survey(account, (), self.tell).sights}
        for name in self.mesh.identities:
            words = ("renew", name, "--mesh", str(MESH_FILE), "--reason", "make trial")
            self._call(sys.executable, "-m", "meshcert.cli", *words)
        # An order that comes soon after an issue waits: Secrets Manager keeps each version for a day.
        self._settle(left, account.policy.shortest_between_renewals_s + SETTLED_WITHIN_S)

    def _call(self, *command: str) -> None:
        with subprocess.Popen(command, cwd=ROOT, env=self._environment()) as process:
            while process.poll() is None:
                if self.stopping.wait(HEARD_WITHIN_S):
                    process.terminate()
                    process.wait()
        self._wait(0)
        if process.returncode:
            raise StepFailed(f"{command[2]} ended with exit code {process.returncode}; its lines stand above")

    def _environment(self) -> dict[str, str]:
        """The variables of this program, the region among them: a profile's own is not seen by all that it starts."""
        return {**os.environ, "AWS_REGION": self.region}

    def _wait(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise StepFailed("stopped")

    @contextmanager
    def _signals_awaited(self) -> Iterator[None]:
        """Have Ctrl-C and SIGTERM end the steps, at places where nothing is lost, and never the removal."""

        def stop(_number: int, _frame: Any) -> None:
            self.stopping.set()
            self.tell("stopping, and taking away what was made. If I am killed, make trial ARGS=--tear-down goes on")

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _unsettled(seen: Survey, left: Mapping[str, str]) -> str:
    """What the identities wait for that are not settled on a new version; empty if all are."""
    waits = {one.name: f"{one.plan.step.action}, {one.plan.step.why}" for one in seen.sights if not one.plan.settled}
    waits |= {one.name: "renewal ordered" for one in seen.sights if one.seen.current == left.get(one.name)} | waits
    return "; ".join(f"{name}: {why}" for name, why in (waits | dict(seen.unreadable)).items())


def with_own_architecture(context: Sequence[str]) -> list[str]:
    """Context of the app with this machine's processor, if it names none: images for it need no emulator."""
    if any(each.startswith("architecture=") for each in context):
        return list(context)
    own = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    return [*context, f"architecture={own}"]
