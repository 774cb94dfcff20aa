"""
Benchmark ``resumption``: whether a TLS session outlives a peer's right to be there, and what it costs that none does.

``admitted_after_end`` counts ended peers that came back with a session: client of a node, client of a gateway, and
backend; certificate expired or revoked, list ended, root dropped; TLS 1.2 and 1.3. The cost is what a new connection
with one request takes of Envoy's CPU, with sessions (as Envoy does unless told) and without.
"""

from __future__ import annotations

import json
import os
import ssl
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from rich.table import Table

from entrypoint.judging.memory_file import memory_file
from evidence.bench.delivered import deliver
from evidence.bench.report import circumstances, say_rounds, told
from evidence.bench.rounds import interleave, spread
from evidence.bench.start import Launch, Started, cpu_s
from evidence.bench.ways import envoy_arguments
from evidence.fixtures.addresses import loopback_addresses
from evidence.fixtures.container import installed_envoy, lay_out_image, memory_folder
from evidence.fixtures.ended_peers import OURS, PEER, PORT, Ending, Role, Seen, come_back, proxy_settings
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.tls_sessions import ReturningClient, answering
from meshcert.envoy import Addresses, bootstrap, secrets_used

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from evidence.bench.rounds import Spread

NAME = "resumption"
SUMMARY = "peers that come back after their end with a TLS session; handshakes per CPU second with and without sessions"
CONNECTIONS = 300
BEFORE, AFTER = "before", "after"


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Measure both, print the table, and give the figures for the report.

    Args:
        rounds: Of handshakes.
        console: For progress and table.

    Raises:
        StartFailed: If an Envoy does not start.
    """
    return measure(rounds, CONNECTIONS, tuple(Role), console)


def measure(rounds: int, connections: int, roles: tuple[Role, ...], console: Console) -> dict[str, Any]:
    """
    The same in any size.

    Args:
        rounds: Of handshakes.
        connections: In each.
        roles: Of the peers that come back.
        console: For progress and table.

    Raises:
        StartFailed: As in :func:`run`.
    """
    load_before = os.getloadavg()[0]
    addresses = loopback_addresses()
    with memory_folder() as folder:
        image = lay_out_image(folder / "image", installed_envoy())
        seen: list[Seen] = []
        for role in roles:
            for ending in Ending:
                place = folder / f"{role.name}-{ending.name}"
                with redirect_stdout(StringIO()):  # the container's log, which pytest would keep
                    seen += come_back(role, ending, image, place, lambda: next(addresses)).values()
            console.print(f"{role}: {sum(each.after for each in seen)} of {len(seen)} admitted after their end so far")
        measured = interleave(
            [BEFORE, AFTER],
            rounds,
            lambda way: _handshakes_per_s(folder, addresses, connections, sessions=way == BEFORE),
            say_rounds(console, rounds),
        )
    rates = {way: spread(values) for way, values in measured.items()}
    figures = {
        "ended_peers": len(seen),
        "admitted_after_end": sum(each.after for each in seen),
        "admitted_before": sum(each.before for each in seen),
        "handshakes_per_s": {way: round(rate.median) for way, rate in rates.items()},
        "handshakes_per_s_range": {way: [round(rate.least), round(rate.most)] for way, rate in rates.items()},
        "connections": connections,
        "rounds": rounds,
        **circumstances(load_before),
    }
    console.print(_table(rates, figures))
    console.print(told(figures))
    return figures


def _handshakes_per_s(folder: Path, addresses: Iterator[str], connections: int, *, sessions: bool) -> float:
    """New connections with one request each, by seconds of CPU that Envoy took for them."""
    address = next(addresses)
    here = folder / address
    secrets = here / "secrets"
    here.mkdir(parents=True)
    ours, peers = Hierarchy(1, name="ours"), Hierarchy(1, name="peers")
    identity, leaf = ours.issue([str(OURS)]), peers.issue([str(PEER)])
    settings = proxy_settings(Role.NODE)
    deliver(secrets, settings, identity, peers.trust_bundle)
    configuration = bootstrap(settings, Addresses(str(secrets), listen=address, loopback=address))
    if sessions:
        _with_sessions(configuration)
    file = here / "envoy.json"
    file.write_text(json.dumps(configuration))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with memory_file(leaf.presented_chain) as chain, memory_file(leaf.private_key.reveal()) as key:
        context.load_cert_chain(chain, key, leaf.passphrase.reveal())

    launch = Launch([str(installed_envoy()), *envoy_arguments(file)], dict(os.environ), address, secrets_used(settings))
    with answering(address, settings.application_port), Started(launch, here) as envoy:
        envoy.live_after_ms()
        client = ReturningClient(address, PORT, context)
        client.call()
        before = cpu_s(envoy.pid)
        answers = [client.call() for _ in range(connections)]
        took = cpu_s(envoy.pid) - before
    assert set(answers) == {(True, sessions)}
    return connections / took


def _with_sessions(configuration: dict[str, Any]) -> None:
    """Envoy's own default."""
    for listener in configuration["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            tls = chain["transport_socket"]["typed_config"]
            del tls["disable_stateless_session_resumption"], tls["disable_stateful_session_resumption"]


def _table(rates: dict[str, Spread], figures: dict[str, Any]) -> Table:
    result = Table(
        title=f"{figures['admitted_after_end']} of {figures['ended_peers']} ended peers admitted",
        title_justify="left",
    )
    result.add_column("mutual TLS")
    result.add_column("new connections per second of Envoy's CPU", justify="right")
    result.add_column("min - max", justify="right")
    for way, label in ((BEFORE, "sessions resumed"), (AFTER, "a handshake each")):
        rate = rates[way]
        result.add_row(label, f"{rate.median:.0f}", f"{rate.least:.0f} - {rate.most:.0f}")
    return result
