"""Install the overlay, serve MiniStack, and leave nothing behind. Imported once the environment is complete."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING

from hypercorn.asyncio import serve
from hypercorn.config import Config as ServerConfig
from ministack import app as gateway
from ministack.core import lambda_runtime

from local.aws import control, hooks, messages, operations, resource_type
from local.aws.account import Accounts
from local.aws.certificates import acm, private_ca, service_linked_role
from local.aws.certificates import templates as certificate_templates
from local.aws.fargate import ecs
from local.aws.fargate.network import (
    cloud_map_api,
    discovery,
    load_balancer,
    shared_namespaces,
    vpc_endpoints,
    zone_associations,
)
from local.aws.faults import calls, crashes, event_modes, faults, other_clusters, planted_versions, quotas
from local.aws.iam import evaluation as iam
from local.aws.iam import other_accounts
from local.aws.patches import (
    ciphertexts,
    event_source_mappings,
    event_targets,
    kms,
    log_filters,
    log_rights,
    loops,
    queues,
    registry,
    scheduler,
    secrets_manager,
    sizes,
)
from local.aws.patches.cloudformation import (
    buckets,
    dropped_properties,
    exports,
    replacements,
    security_groups,
    taken_names,
)
from local.aws.patches.cloudformation import network as network_types
from local.aws.patches.cloudformation import secrets as secret_types
from local.aws.patches.cloudwatch import alarm_actions, alarms, embedded_metrics, log_streams
from local.aws.patches.functions import code as function_code
from local.aws.patches.functions import dead_letters as function_dead_letters
from local.aws.patches.functions import errors as function_errors
from local.aws.patches.functions import python as function_python
from local.aws.patches.functions import sessions as function_sessions
from local.aws.sharing import ram
from local.aws.sharing import templates as sharing_templates

if TYPE_CHECKING:
    from local.aws.config import Config

logger = logging.getLogger(__name__)

_READY = "/_local/ready"


def run(config: Config) -> int:
    """
    Serve until a signal arrives or standard input closes, then end every child process and remove the directory.

    Returns:
        The exit status: 0 after a clean stop.

    Raises:
        HookMissingError: If MiniStack no longer has a part that the overlay replaces.
        RuntimeError: If another MiniStack than the pinned one is installed.
    """
    hooks.require_version()
    _install(config)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_serve(config))
    finally:
        control.stop()
        shutil.rmtree(config.directory, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
    # Worker threads may still wait for functions that were just ended; the interpreter would join them for an hour.
    os._exit(0)


def _install(config: Config) -> None:
    """
    Put everything into MiniStack.

    Each part wraps what the ones before it left, so the order counts: control is outermost and never meets a fault.
    """
    accounts = Accounts(config.certificates)
    control.at_reset(accounts.reset)
    control.at_stop(hooks.require(lambda_runtime, "reset"))
    messages.install()
    resource_type.install()
    certificates = accounts.part(lambda account: account.certificates)
    authorities = accounts.part(lambda account: account.authorities)
    private_ca.install(authorities, accounts.authority, accounts.policies, config.certificates)
    acm.install(config, certificates)
    certificate_templates.install(certificates, authorities, accounts.policies, config.certificates)
    ram.install(accounts.shares)
    sharing_templates.install(accounts.shares)
    _patch(config, accounts)
    balancers = load_balancer.install(config)
    cloud_map_api.install(accounts.shares)
    zone_associations.install()
    vpc_endpoints.install()
    resolvers = discovery.install(config, accounts.part(lambda account: account.discovered), balancers)
    ecs.install(config, balancers, resolvers)
    _stand_between(accounts)
    other_clusters.install(config, accounts.part(lambda account: account.other_clusters))
    control.install(config)


def _patch(config: Config, accounts: Accounts) -> None:
    """Install the patches, and between them the parts of IAM and of the faults that wrap the same functions."""
    network_types.install()
    dropped_properties.install()
    exports.install()
    secret_types.install()
    secrets_manager.install()
    planted_versions.install()
    kms.install()
    ciphertexts.install()
    service_linked_role.install()
    other_accounts.install(accounts.policies)
    iam.install(
        config,
        accounts.part(lambda account: account.decisions),
        accounts.part(lambda account: account.certificates),
        accounts.part(lambda account: account.authorities),
    )
    event_targets.install()
    event_modes.install(accounts.part(lambda account: account.event_modes))
    function_code.install(config.bundles)
    function_python.install(config)
    function_sessions.install()
    function_errors.install()
    function_dead_letters.install()
    queues.install()
    event_source_mappings.install()
    loops.install(accounts.part(lambda account: account.stopped_loops))
    scheduler.install()
    crashes.install(accounts.part(lambda account: account.killed_functions))
    log_rights.install()
    log_filters.install()
    log_streams.install()
    embedded_metrics.install()
    alarm_actions.install()
    alarms.install()
    registry.install()
    # What AWS does with the resources of any type, so after all types.
    taken_names.install()
    replacements.install()
    shared_namespaces.install(accounts.shares)
    security_groups.install()
    buckets.install()
    sizes.install()


def _stand_between(accounts: Accounts) -> None:
    """Install the guards of API requests. The first one added is the first one a request meets."""
    operations.install()
    calls.install(accounts.part(lambda account: account.calls))
    faults.install(
        accounts.part(lambda account: account.faults), accounts.part(lambda account: account.killed_functions)
    )
    quotas.install(accounts.part(lambda account: account.quotas))


async def _serve(config: Config) -> None:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    threading.Thread(target=_watch_parent, args=(loop, ending), daemon=True, name="parent").start()
    announcing = asyncio.create_task(_announce(config))
    settings = ServerConfig()
    settings.bind = [f"{config.host}:{config.port}"]
    settings.keep_alive_timeout = 75
    settings.graceful_timeout = 0.1
    settings.loglevel = "WARNING"
    try:
        await serve(gateway.app, settings, shutdown_trigger=ending.wait)
    finally:
        announcing.cancel()


def _watch_parent(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """Standard input ends when whoever started us closes it or dies."""
    while sys.stdin.readline():
        pass
    loop.call_soon_threadsafe(ending.set)


async def _announce(config: Config) -> None:
    """
    Print the one line on standard output that says the API answers.

    Whoever answers must be us: if somebody else took the port, our own server is about to fail.
    """
    control.route(_READY, lambda _: {"directory": str(config.directory)})
    while not await _answers(config):  # noqa: ASYNC110 - hypercorn has no event for "listening"
        await asyncio.sleep(0.02)
    sys.stdout.write(json.dumps({"ready": True, "endpoint": config.endpoint}) + "\n")
    sys.stdout.flush()


async def _answers(config: Config) -> bool:
    try:
        reader, writer = await asyncio.open_connection(config.host, config.port)
    except OSError:
        return False
    writer.write(f"GET {_READY} HTTP/1.1\r\nHost: {config.host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return str(config.directory).encode() in answer
