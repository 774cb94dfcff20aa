"""
A fleet renewed at once, at AWS's own request rates.

Identities without services, all of them past the threshold at which the renewal function asks for a renewal itself. The
clock runs from the sweep that has all of them looked at to the last publication.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.config import Config as ClientConfig

from evidence.lifetimes.experiment import Experiment
from evidence.lifetimes.scale import Scale
from evidence.lifetimes.subjects import Subject
from evidence.simulation.renewed import Renewed, floors_s
from local.aws.config import LEAF_LIFETIME_DAYS
from local.running_mesh import wait_until
from local.ticking import Ticking, dispatch
from meshcert import naming
from meshcert.lifecycle.asking.dispatch import TICK_S
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from local.running_mesh import RunningMesh

_LIFETIME_S = 4000.0
_LEAD_S, _LEAD_EACH_S = 60.0, 1.6
"""Time from a certificate's issue until it is due: the deploy is over and settled by then, seconds."""
_LONGEST_FLOORS, _START_S = 6.0, 60.0
_AT_ONCE = 10
"""Renewal functions side by side, as the stack has it for 160 identities and more."""


def renew(folder: Path, identities: int) -> Renewed:
    """
    Deploy a fleet, renew it, and measure.

    Args:
        folder: For the mesh and its local AWS.
        identities: How many; CloudFormation's limit of 500 resources in a stack allows some 110.

    Raises:
        local.assembly.DeploymentFailed: If it cannot be deployed.
        NotSettled: If the deploy is not settled in time, or the renewal takes a minute and six times the least time.
    """
    subjects = [Subject(f"n{number:03}", served=False) for number in range(identities)]
    lead_s = _LEAD_S + _LEAD_EACH_S * identities
    born_days_ago = (Policy().renew_at - lead_s / _LIFETIME_S) * LEAF_LIFETIME_DAYS
    # ACM does not renew by itself: what is due is asked for.
    scale = Scale(_LIFETIME_S, born_days_ago=born_days_ago, renewal_takes_s=1.0, acm_comes=False)
    policy = Policy(back_dating_s=scale.back_dating_s)
    with Experiment(
        folder, subjects, scale, name="fleet", policy=policy, at_once=_AT_ONCE, function_timeout_s=120, lease_s=135.0
    ) as experiment:
        aws = experiment.aws
        experiment.settle(lead_s)
        before = _versions(experiment, subjects)
        _warm(experiment, subjects)
        _wait_until_due(experiment, policy)
        aws.control("PUT", "/_local/quotas", {"on": True})
        began_at, began = time.time(), time.monotonic()
        dispatch(aws, experiment.name, "sweep")
        with Ticking(aws, experiment.name, TICK_S):
            longest_s = _START_S + _LONGEST_FLOORS * max(floors_s(identities).values())
            wait_until(_Published(experiment, before).all, f"{identities} publications", within_s=longest_s)
        took_s = time.monotonic() - began
        apis = aws.control("GET", "/_local/quotas")["apis"]
        aws.control("PUT", "/_local/quotas", {"on": False})
        after = _versions(experiment, subjects)
        return Renewed(
            identities=identities,
            new_certificates=len(set(after.values()) - set(before.values())),
            published=sum(len(experiment.mesh.published(subject.name)) - 1 for subject in subjects),
            took_s=took_s,
            throttled=failed_calls(functions_log(experiment.mesh, began_at)),
            calls={api: count["calls"] for api, count in apis.items()},
            refused={api: count["throttled"] for api, count in apis.items() if count["throttled"]},
        )


class _Published:
    """Looks which identities have another current version, no identity again that has."""

    def __init__(self, experiment: Experiment, before: Mapping[str, str]) -> None:
        self._experiment = experiment
        self._pending = dict(before)

    def all(self) -> bool:
        """True once every identity has another one."""
        for identity, version in list(self._pending.items()):
            if self._experiment.mesh.current_version(identity) == version:
                return False
            del self._pending[identity]
        return True


def failed_calls(lines: Iterable[str]) -> int:
    """
    How many steps and messages failed, as the functions' logs say: what the SDK made good is not among them.

    Args:
        lines: Log lines of the functions, JSON or not.
    """
    failed = 0
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            failed += entry.get("message") == "the message comes again" or entry.get("message") == Kind.AWS_UNAVAILABLE
            failed += sum(not deed.endswith(": done") for deed in entry.get("deeds", ()))
    return failed


def _warm(experiment: Experiment, subjects: Sequence[Subject]) -> None:
    """
    Start as many export functions as there are renewal functions; the deploy has started those.

    On two cores ten first starts take as long as a hundred renewals may; on AWS each has its own.
    """
    name = naming.function(experiment.name, "export")
    patient = ClientConfig(read_timeout=120, retries={"total_max_attempts": 1}, max_pool_connections=_AT_ONCE)
    functions = experiment.aws.client("lambda", patient)

    def export(subject: Subject) -> None:
        # It is published, so nothing leaves ACM.
        functions.invoke(FunctionName=name, Payload=json.dumps({"identity": subject.name}))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(export, subjects[:_AT_ONCE]))


def _wait_until_due(experiment: Experiment, policy: Policy) -> None:
    """Until the youngest certificate has come to the threshold; nobody looks meanwhile."""
    acm = experiment.mesh.client("acm")
    ends = [
        acm.describe_certificate(CertificateArn=arn)["Certificate"]["NotAfter"].timestamp()
        for arn in experiment.deployed.certificates.values()
    ]
    due = max(ends) - (1 - policy.renew_at) * _LIFETIME_S
    wait_until(lambda: time.time() > due, "every certificate due", within_s=_LIFETIME_S)


def _versions(experiment: Experiment, subjects: Iterable[Subject]) -> dict[str, str]:
    return {subject.name: experiment.mesh.current_version(subject.name) for subject in subjects}


def functions_log(mesh: RunningMesh, since: float) -> Iterator[str]:
    """
    What the functions of a mesh have logged.

    Args:
        since: From then on, Unix time in seconds.
    """
    logs = mesh.client("logs").get_paginator("filter_log_events")
    for function in ("renewal", "export", "dispatch"):
        group = naming.log_group(mesh.name, function)
        for page in logs.paginate(logGroupName=group, startTime=int(since * 1000)):
            yield from (event["message"] for event in page["events"])
