"""A mesh whose certificates live for minutes, deployed to a local AWS of its own and left to the clock."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import yaml

from evidence.lifetimes.monitor import Monitor
from evidence.lifetimes.outages import Deployed, Outages
from evidence.lifetimes.subjects import Trouble, event_modes, mesh_file
from evidence.lifetimes.verdict import Demand, Verdict, judge
from local.cdk import CdkCli
from local.policy import act_on
from local.running_aws import LocalAws
from local.running_mesh import NotSettled, RunningMesh, wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.contract.environment import LEASE_S
from meshcert.proxy import RotationMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evidence.lifetimes.scale import Scale
    from evidence.lifetimes.subjects import Subject
    from meshcert.lifecycle.policy import Policy

_TAKES_OVER_S = {RotationMode.RELOAD: 10.0, RotationMode.REDEPLOY: 30.0}
"""Time for processes, which no scale makes faster: to install a version, or to start anew and be healthy."""
_RECOVERS_WITHIN = 0.05
"""Part of a lifetime that it may take from AWS's return until the certificate renewed meanwhile is served."""


@dataclass
class Experiment:
    """
    The mesh, as a context manager.

    Args:
        folder: For the mesh file, the cloud assembly and the local AWS.
        subjects: Who lives in it.
        scale: How fast time goes.
        name: Name of the mesh.
        policy: The renewal function's; None takes the scale's.
        at_once: How many renewal functions run side by side; each one's first start takes seconds of a core.
        function_timeout_s: The renewal function's timeout, seconds.
        lease_s: Its lease, seconds.
    """

    folder: Path
    subjects: Sequence[Subject]
    scale: Scale
    name: str = "life"
    policy: Policy | None = None
    at_once: int = 4
    function_timeout_s: int = 60
    lease_s: float = 20.0
    aws: LocalAws = field(init=False)
    mesh: RunningMesh = field(init=False)
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)

    def __enter__(self) -> Self:
        """
        Synthesise, deploy, wait for healthy tasks, and scale the functions.

        Raises:
            local.assembly.DeploymentFailed: If a stack does not get there.
            NotSettled: If the tasks do not get healthy.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "mesh.yaml"
        file.write_text(yaml.safe_dump(mesh_file(self.name, self.subjects), sort_keys=False))
        aws = LocalAws(self.folder / "aws", certificates=self.scale.times)
        self.aws = self._running.enter_context(aws)
        try:
            assembly = CdkCli(aws.environment()).synth(file, self.folder / "assembly")
            self.aws.deploy(assembly)
            self.mesh = RunningMesh(aws, self.name, aws.resolve)
            self.set_policy(self.policy or self.scale.policy)
            self._hurry()
            modes = event_modes(self.subjects, {subject.name: self._arns(subject) for subject in self.subjects})
            self.aws.control("PUT", "/_local/events/modes", modes)
            served = [subject.name for subject in self.subjects if subject.served]
            if served:
                self.mesh.wait_until_steady(served)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def deployed(self) -> Deployed:
        """Its certificates and CAs."""
        rows = self._rows()
        return Deployed(
            aws=self.aws,
            mesh=self.name,
            certificates={name: row["certificate_arn"]["S"] for name, row in rows.items()},
            authorities={name: row["certificate_authority_arns"]["L"][0]["S"] for name, row in rows.items()},
        )

    def live(self, renewals: int) -> dict[str, Verdict]:
        """
        Let every identity be renewed, with the outages that its troubles say, until all are settled again.

        Args:
            renewals: How often each certificate is renewed.

        Returns:
            The verdict on each identity; one that did not get there has it among its faults.
        """
        deployed = self.deployed
        longest_s = (renewals + 1) * self.scale.lifetime_s
        self.settle(self.scale.lifetime_s)
        with (
            Monitor(self.aws, self.name, deployed.certificates, self.scale.looks_every_s) as monitor,
            Outages(deployed, self.subjects, self.scale, monitor) as outages,
            Ticking(self.aws, self.name, self.scale.tick_s, self.scale.sweep_s),
            contextlib.suppress(NotSettled),
        ):
            wait_until(lambda: self._over(monitor, outages, renewals), "every renewal", within_s=longest_s)
        return {
            subject.name: judge(
                monitor.samples[subject.name],
                self.mesh.published(subject.name),
                outages.over[subject.name],
                self._demand(subject, renewals + 1),
            )
            for subject in self.subjects
        }

    def settle(self, within_s: float) -> None:
        """
        Tick until the deploy is over for everybody: what it published is proven.

        Args:
            within_s: Longest time, seconds.

        Raises:
            NotSettled: If it takes longer.
        """
        table, names = naming.lifecycle_table(self.name), {subject.name for subject in self.subjects}

        def settled() -> bool:
            rows = self.mesh.client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
            return {row["name"]["S"] for row in rows if row.get("unsettled") != {"S": "yes"}} >= names

        with Ticking(self.aws, self.name, self.scale.tick_s):
            wait_until(settled, "every identity settled after the deploy", within_s=within_s, every_s=0.3)

    def _over(self, monitor: Monitor, outages: Outages, renewals: int) -> bool:
        """True once every identity was renewed often enough, met its outages, and is settled."""
        for subject in self.subjects:
            samples = monitor.samples[subject.name]
            if not samples or not samples[-1].settled:
                return False
            if len({sample.issued for sample in samples}) <= renewals:
                return False
            if subject.trouble.lasts and len(outages.over[subject.name]) < renewals:
                return False
        return True

    def _demand(self, subject: Subject, epochs: int) -> Demand:
        if subject.trouble is Trouble.NO_AWS:
            within_s = _RECOVERS_WITHIN * self.scale.lifetime_s
        else:
            # Within one sweep: the time from one to the next, and what the steps themselves take.
            takes_over_s = _TAKES_OVER_S[subject.rotation] if subject.served else 2.0
            within_s = self.scale.sweep_s + self.scale.renewal_takes_s + takes_over_s
        return Demand(
            lifetime_s=self.scale.lifetime_s,
            epochs=epochs,
            settled_within_s=within_s,
            seen_every_s=self.scale.renewal_takes_s,
            has_services=subject.served,
        )

    def set_policy(self, policy: Policy) -> None:
        """Have the renewal function act on a policy, with the experiment's leases."""
        act_on(self.mesh, policy, {LEASE_S: f"{self.lease_s:g}"}, Timeout=self.function_timeout_s)

    def _hurry(self) -> None:
        """Make a message that a run has left unfinished come again when its lease is over, not minutes later."""
        functions, renewal = self.mesh.client("lambda"), naming.function(self.name, "renewal")
        for mapping in functions.list_event_source_mappings(FunctionName=renewal)["EventSourceMappings"]:
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": self.at_once}
            )
        sqs, visible_again = self.mesh.client("sqs"), {"VisibilityTimeout": f"{self.lease_s + 1:.0f}"}
        for queue in ("looks", "orders"):
            url = sqs.get_queue_url(QueueName=naming.queue(self.name, queue))["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes=visible_again)

    def _rows(self) -> dict[str, Mapping[str, Any]]:
        rows = self.mesh.client("dynamodb").scan(TableName=naming.identities_table(self.name))["Items"]
        return {row["name"]["S"]: row for row in rows}

    def _arns(self, subject: Subject) -> tuple[str, ...]:
        """The ARNs that events about it name: its certificate's, its service's."""
        row = self._rows()[subject.name]
        cluster = naming.cluster(self.name)
        service = f"arn:aws:ecs:{self.aws.region}:{self.aws.account}:service/{cluster}/{subject.name}"
        return (row["certificate_arn"]["S"], service) if subject.served else (row["certificate_arn"]["S"],)
