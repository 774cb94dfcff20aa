"""Fargate put into MiniStack: its ECS tasks become local processes, its services really roll."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, json_response, request_scope
from ministack.services import ecs

from local.aws import control, hooks
from local.aws.fargate.containers import cpu_quota, sandbox
from local.aws.fargate.network import addresses, registrations
from local.aws.fargate.services import api, templates
from local.aws.fargate.services.scheduler import Scheduler
from local.aws.fargate.tasks.credentials import CredentialsEndpoint
from local.aws.fargate.tasks.plan import Host
from local.aws.fargate.tasks.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config
    from local.aws.fargate.network.discovery import Resolvers
    from local.aws.fargate.network.load_balancer import Balancers

_ALL_GONE_S = 10.0
# The overlay calls these; a MiniStack without one of them must be noticed at start, not in the middle of a deployment.
_CALLED = (
    "_awslogs_config", "_bump_task_version", "_circuit_breaker_threshold", "_clusters", "_delete_service",
    "_deployment_for_task", "_emit_awslogs_event", "_ensure_awslogs_stream", "_mark_task_activating",
    "_mark_task_pending", "_mark_task_running", "_primary_deployment", "_recount_cluster", "_refresh_service_state",
    "_register_metadata", "_resolve_cluster_name", "_resolve_task", "_run_task", "_sanitize", "_services", "_task_ip",
    "_task_is_active", "_tasks", "resource_lock",
)  # fmt: skip


class Cluster:
    """
    All running tasks of one local AWS.

    Args:
        resolvers: The DNS resolvers of their VPCs.
    """

    def __init__(self, config: Config, resolvers: Resolvers) -> None:
        self._runs: dict[str, TaskRun] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.scheduler = Scheduler(self.stop)
        own_addresses = addresses.Addresses(config.network, addresses.TASKS)
        known = registrations.Registrations(config.traffic)
        known.install()
        credentials = CredentialsEndpoint(config.host)
        self._host = Host(config, own_addresses, resolvers.address_of, credentials, known, self.scheduler.wake)

    def run(
        self,
        record: dict[str, Any],
        definition: dict[str, Any],
        overrides: list[dict[str, Any]],
        _docker: object,
        account: str,
        region: str,
    ) -> None:
        """Carry a new task through its life; called on a thread of the task's own."""
        with request_scope(account, region):
            run = TaskRun(self._host, record, definition, overrides)
            with self._lock:
                if self._closed:
                    return
                self._runs[run.arn] = run
            try:
                run.run()
            finally:
                self._runs.pop(run.arn, None)

    def stop(self, record: dict[str, Any], reason: str, code: str) -> None:
        """Have a task stop; returns at once."""
        with self._lock:
            run = self._runs.get(record["taskArn"])
            if run is None and record["lastStatus"] != "STOPPED":
                # Its thread has not begun yet: it will find this and end the task at once.
                record.update(desiredStatus="STOPPED", stoppedReason=reason, stopCode=code)
        if run is not None:
            run.stop(reason, code)

    def addresses(self) -> dict[str, str]:
        """The address of every task, by its ARN."""
        return {arn: run.address for arn, run in list(self._runs.items())}

    def kill_all(self) -> None:
        """End every task at once and wait until its processes are gone."""
        deadline = time.monotonic() + _ALL_GONE_S
        while (runs := list(self._runs.values())) and time.monotonic() < deadline:
            for run in runs:
                run.kill()
            time.sleep(0.02)

    def close(self) -> None:
        """End every task and start no more."""
        self.scheduler.end()
        with self._lock:
            self._closed = True
        self.kill_all()


def install(config: Config, balancers: Balancers, resolvers: Resolvers) -> None:
    """Put the runner in the place of MiniStack's Docker path, and its scheduler in the place of MiniStack's."""
    for name in _CALLED:
        hooks.require(ecs, name)
    sandbox.namespaces_permitted()
    cluster = Cluster(config, resolvers)
    # Any true value: MiniStack then creates tasks as PROVISIONING and hands each to a worker thread.
    hooks.replace(ecs, "_get_docker", lambda: cluster)
    hooks.replace(ecs, "_run_task_worker", cluster.run)
    hooks.replace(ecs, "_ensure_ecs_reaper_thread", lambda: None)
    hooks.replace(ecs, "_maybe_mark_stopped", lambda *_: None)
    hooks.replace(ecs, "_reconcile_service_tasks", lambda *_: cluster.scheduler.wake())
    hooks.replace(ecs, "_complete_service_deployment", lambda *_, **__: None)
    hooks.replace(ecs, "_schedule_service_deployment_completion", lambda *_, **__: cluster.scheduler.wake())
    hooks.replace(ecs, "_sync_service_targets", registrations.sync_targets)
    hooks.replace(ecs, "_stop_task", lambda request: _stop_task(cluster, request))
    hooks.wrap(ecs, "_sanitize", _without_stop)
    hooks.wrap(ecs, "reset", lambda inner: _reset(inner, cluster))
    ecs._ACTION_MAP["StopTask"] = ecs._stop_task
    api.install()
    templates.install()
    control.route(
        "/_local/addresses",
        lambda _: {"load_balancers": balancers.listening(), "tasks": cluster.addresses()},
    )
    control.route("/_local/requests-seen", lambda _: str(config.requests_seen))
    control.route("/_local/cpu", lambda _: {"enforced": config.cpu_quota and not cpu_quota.refusal(), **_why(config)})
    control.at_stop(cluster.close)


def _why(config: Config) -> dict[str, str]:
    """Why a task may use more CPU than its units; empty if it may not."""
    return {"reason": cpu_quota.refusal() if config.cpu_quota else "switched off"}


def _without_stop(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """On AWS a task that runs has no stopCode and no stoppedReason; MiniStack shows them empty."""

    def sanitize(record: Any) -> Any:
        # A copy: the scheduler, on a thread of its own, may add a field while the record is gone through.
        clean = inner(record.copy() if isinstance(record, dict) else record)
        if isinstance(clean, dict):
            return {name: value for name, value in clean.items() if value or name not in ("stopCode", "stoppedReason")}
        return clean

    return sanitize


def _stop_task(cluster: Cluster, request: dict[str, Any]) -> Any:
    """StopTask as on AWS: it answers at once, and the task takes the time it needs."""
    name = ecs._resolve_cluster_name(request.get("cluster", "default"))
    if name is None:
        return error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
    record = ecs._resolve_task(request.get("task", ""), name)
    if not record:
        return error_response_json("InvalidParameterException", "The referenced task was not found.", 400)
    cluster.stop(record, request.get("reason") or "Task stopped by user", "UserInitiated")
    return json_response({"task": ecs._sanitize(record)})


def _reset(inner: Callable[[], None], cluster: Cluster) -> Callable[[], None]:
    def reset() -> None:
        for _, record in ecs._tasks.all_items():
            record["_ecs_resetting"] = True
        for _, service in ecs._services.all_items():
            service["status"] = "INACTIVE"
        cluster.kill_all()
        inner()

    return reset
