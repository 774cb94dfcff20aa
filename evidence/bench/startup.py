"""Benchmark ``startup``: from the start of the container's first process to Envoy LIVE with its secrets."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evidence.bench import quarter_cpu, workload_api
from evidence.bench.image import lay_out_image
from evidence.bench.report import Row, circumstances, say_rounds, table, told
from evidence.bench.rounds import Spread, interleave, ratio, spread
from evidence.bench.start import Memory, Started
from evidence.bench.ways import SPIFFE_ID, Place, Ways, https_context, missing_programs
from evidence.fixtures.addresses import loopback_addresses
from evidence.fixtures.container import memory_folder
from evidence.fixtures.secrets_api import SecretsApi
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from evidence.bench.start import Launch

NAME = "startup"
SUMMARY = "start -> Envoy LIVE with its secrets, as a multiple of bare Envoy; memory beside Envoy"
EC_GOAL = 3.0
RSS_GOAL_MB = 45.0
LAYERS_GOAL_MB = 45.0
HEALTHCHECK_GOAL_MS = 60.0

LABELS = {
    "bare_rsa": "bare Envoy, RSA-2048",
    "bare_ec": "bare Envoy, P-256",
    "rsa": "meshcert, RSA-2048",
    "ec": "meshcert, P-256",
    "ec_sds": "meshcert, P-256, delivery: sds",
    "ec_https": "meshcert, P-256, AWS over https",
    "boto3": "boto3 entry point, P-256",
    "walkthrough": "AWS walkthrough's way, RSA-2048",
}
LEGEND = """\
bare Envoy: configuration and SDS files in place; meshcert: credentials, fetch over http, pre-flight, hand over;
boto3 entry point: credentials, fetch over http, PEM files, no checks;
AWS walkthrough's way: bash, jq, openssl, PEM files, its secret already in the environment (no fetch)"""
FLOORS = {
    "rsa": "bare_rsa",
    "ec": "bare_ec",
    "ec_sds": "bare_ec",
    "ec_https": "bare_ec",
    "boto3": "bare_ec",
    "walkthrough": "bare_rsa",
}
SUPERVISED = ("rsa", "ec", "ec_sds", "ec_https")
"""Ways with meshcert's processes beside Envoy."""


class Measured(NamedTuple):
    """
    One start.

    Args:
        live_after_ms: Milliseconds from start to LIVE with secrets.
        memory: Of what runs beside Envoy; None where Envoy is alone.
        healthcheck_ms: Milliseconds that the health check takes; None where there is none.
    """

    live_after_ms: float
    memory: Memory | None = None
    healthcheck_ms: float | None = None


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Measure, print the table, and give the figures for the report.

    Args:
        rounds: How many rounds count.
        console: For progress and table.

    Raises:
        ImageFailed: If the image cannot be laid out.
        StartFailed: If a start fails.
    """
    missing, began = missing_programs(), time.monotonic()
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = stack.enter_context(memory_folder())
        console.print("Laying the Envoy image out from its Dockerfile (the first time it installs awscrt)")
        image = lay_out_image(folder / "image")
        addresses = loopback_addresses()
        context, trusted = https_context(folder)
        api = stack.enter_context(SecretsApi(next(addresses)))
        secure = stack.enter_context(SecretsApi(tls=context))
        rsa, ec = Ways("rsa", image, api), Ways("ec", image, api, secure)
        # Only Secrets Manager speaks TLS on AWS: a task gets its credentials from ECS over http.
        over_https = {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": secure.url.replace("127.0.0.1", "localhost"),
            "AWS_CA_BUNDLE": str(trusted),
        }
        ways: dict[str, Callable[[Place], Launch]] = {
            "bare_rsa": rsa.bare,
            "bare_ec": ec.bare,
            "rsa": rsa.meshcert,
            "ec": ec.meshcert,
            "ec_sds": partial(ec.meshcert, delivery=DeliveryMode.SDS),
            "ec_https": partial(ec.meshcert, more=over_https),
            "boto3": ec.boto3,
            "walkthrough": rsa.walkthrough,
        }
        if missing:
            del ways["walkthrough"]

        def measure(name: str) -> Measured:
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder) as own:
                place = Place(Path(own), next(addresses))
                with Started(ways[name](place), place.folder) as started:
                    live_after_ms = started.live_after_ms()
                    if name not in SUPERVISED:
                        return Measured(live_after_ms)
                    memory = started.memory_beside_envoy()
                    return Measured(live_after_ms, memory, started.healthcheck_ms())

        layers_mb = round(image.layers_mb(), 1)
        measured = interleave(list(ways), rounds, measure, say_rounds(console, rounds))
        new_address = partial(next, addresses)
        spiffe = Ways("ec", image, api, name=SPIFFE_ID)
        offered = workload_api.measure(spiffe, rounds, folder, new_address, console)
        quarter = quarter_cpu.measure(ways, rounds, folder, new_address, console)
    result = figures(measured) | offered | quarter
    result |= {
        "took_s": round(time.monotonic() - began, 1),
        "image_layers_mb": layers_mb,
        "ec_goal": EC_GOAL,
        "rounds": rounds,
        **circumstances(load),
    }
    if missing:
        result["walkthrough_missing"] = list(missing)
    _print(measured, result, missing, console)
    return result


def figures(measured: Mapping[str, list[Measured]]) -> dict[str, Any]:
    """
    The report's entry: ratios are medians of the rounds' ratios; what was not measured is None.

    Args:
        measured: By way, one value a round.
    """
    times = {name: [one.live_after_ms for one in starts] for name, starts in measured.items()}
    ratios = _ratios(times)
    memories = [one.memory for starts in measured.values() for one in starts if one.memory]
    shares = [memory.pss_mb for memory in memories if memory.pss_mb is not None]
    result: dict[str, Any] = {}
    for name in FLOORS:
        found = ratios.get(name)
        result[f"{name}_ratio"] = round(found.median, 2) if found else None
        result[f"{name}_ratio_range"] = [round(found.least, 2), round(found.most, 2)] if found else None
    for name in LABELS:
        taken = spread(times[name]) if name in times else None
        result[f"{name}_ms"] = round(taken.median, 1) if taken else None
        result[f"{name}_ms_range"] = [round(taken.least, 1), round(taken.most, 1)] if taken else None
    checks = spread([one.healthcheck_ms for starts in measured.values() for one in starts if one.healthcheck_ms])
    result["healthcheck_ms"] = round(checks.median, 1)
    result["healthcheck_ms_range"] = [round(checks.least, 1), round(checks.most, 1)]
    result["watcher_rss_mb"] = round(spread([memory.rss_mb for memory in memories]).median, 1)
    result["watcher_pss_mb"] = round(spread(shares).median, 1) if shares else None
    return result


def _ratios(times: Mapping[str, list[float]]) -> dict[str, Spread]:
    return {name: ratio(times[name], times[floor]) for name, floor in FLOORS.items() if name in times}


def _print(
    measured: Mapping[str, list[Measured]], result: Mapping[str, Any], missing: tuple[str, ...], console: Console
) -> None:
    times = {name: [one.live_after_ms for one in starts] for name, starts in measured.items()}
    ratios = _ratios(times)
    absent = f"not measured: {', '.join(missing)} not on this machine"
    rows = [
        Row(label, spread(times[name]), ratios.get(name)) if name in times else Row(label, None, note=absent)
        for name, label in LABELS.items()
    ]
    console.print(table("Start of the container -> Envoy LIVE with its secrets", "ms", rows))
    met = "met" if result["ec_ratio"] <= EC_GOAL else "MISSED"
    pss = "unknown" if result["watcher_pss_mb"] is None else f"{result['watcher_pss_mb']} MB"
    beside = f"{result['watcher_rss_mb']} MB resident, {pss} with shared pages split"
    lines = (
        LEGEND,
        f"goal: P-256 ≤ {EC_GOAL} x bare: [bold]{met}[/bold] ({result['ec_ratio']})",
        quarter_cpu.told(result),
        workload_api.told(result),
        f"supervisor and watcher beside Envoy: {beside}; goal: ≤ {RSS_GOAL_MB:g} MB",
        f"health check: {result['healthcheck_ms']} ms; goal: ≤ {HEALTHCHECK_GOAL_MS:g} ms",
        f"image layers besides Envoy and Python: {result['image_layers_mb']} MB; goal: ≤ {LAYERS_GOAL_MB:g} MB",
        f"{told(result)}; a ratio is the median of the rounds' own ratios",
    )
    console.print("\n".join(lines), soft_wrap=True)
