"""
Benchmark ``importing``: a large mesh of App Mesh's, from its JSON to the configuration of every proxy.

The definitions are 300 virtual nodes that call ten others each, half of them by a router with two weighted routes, all
over mutual TLS with certificates from files. Envoy itself checks the largest configuration, if it is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.table import Table

from evidence.bench.report import circumstances
from evidence.fixtures.container import installed_envoy
from meshcert.appmesh.converting.draft import Answers
from meshcert.appmesh.importing import import_text
from meshcert.cli.mesh_files.envoy_configuration import ADDRESSES, whole_configuration
from meshcert.mesh import Mesh, proxy_settings
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from rich.console import Console

NAME = "importing"
SUMMARY = "300 virtual nodes with 3,000 backends: from App Mesh's JSON to every proxy's configuration"
NODES, BACKENDS = 300, 10
GOAL_S = 10.0
_ROUTED = 2
"""Every second virtual service has a router."""


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Import and render, print the table, and give the figures for the report.

    Args:
        rounds: Not used: one time tells, and each takes seconds.
        console: For progress and table.
    """
    del rounds
    load_before = os.getloadavg()[0]
    content = json.dumps(definitions()).encode()
    began, cpu_began = time.monotonic(), time.process_time()
    imported = import_text(content, "mesh.json", Answers(images={"": "color:1"}, default_retries=False))
    imported_s, imported_cpu_s = time.monotonic() - began, time.process_time() - cpu_began
    mesh = Mesh.model_validate(yaml.load(imported.text, Loader=yaml.CSafeLoader))
    rendered_began, rendered_cpu_began = time.monotonic(), time.process_time()
    settings = {name: proxy_settings(mesh, name)._replace(delivery=DeliveryMode.SDS) for name in mesh.services}
    texts = {name: json.dumps(whole_configuration(each, ADDRESSES)) for name, each in settings.items()}
    largest = max(texts.values(), key=len)
    figures = {
        "nodes": NODES,
        "backends": NODES * BACKENDS,
        "mesh_file_kb": round(len(imported.text) / 1024),
        "import_s": round(imported_s, 2),
        "import_cpu_s": round(imported_cpu_s, 2),
        "render_s": round(time.monotonic() - rendered_began, 2),
        "render_cpu_s": round(time.process_time() - rendered_cpu_began, 2),
        "goal_s": GOAL_S,
        "largest_kb": round(len(largest) / 1024),
        "faults": sorted({fault.place for fault in imported.faults})[:5],
        "envoy_accepts_largest": _accepts(largest),
        **circumstances(load_before),
    }
    _print(figures, console)
    return figures


def definitions() -> list[dict[str, Any]]:
    """The mesh as the AWS CLI's JSON."""
    validation = {"trust": {"file": {"certificateChain": "/keys/ca.pem"}}}
    certificate = {"file": {"certificateChain": "/keys/cert.pem", "privateKey": "/keys/key.pem"}}
    policy = {"clientPolicy": {"tls": {"certificate": certificate, "validation": validation}}}
    tls = {"mode": "STRICT", "certificate": certificate, "validation": validation}
    found: list[dict[str, Any]] = []
    for number in range(NODES):
        names = [f"service-{(number + step * step + 1) % NODES}.fleet.local" for step in range(BACKENDS)]
        spec = {
            "listeners": [{"portMapping": {"port": 8080, "protocol": "http"}, "tls": tls}],
            "serviceDiscovery": {"dns": {"hostname": f"node-{number}.fleet.local"}},
            "backends": [{"virtualService": {"virtualServiceName": name}} for name in dict.fromkeys(names)],
            "backendDefaults": policy,
        }
        found.append({"meshName": "fleet", "virtualNodeName": f"node-{number}", "spec": spec})
        found += _service(number)
    return found


def _service(number: int) -> list[dict[str, Any]]:
    name, node = f"service-{number}.fleet.local", f"node-{number}"
    if number % _ROUTED:
        return [{"virtualServiceName": name, "spec": {"provider": {"virtualNode": {"virtualNodeName": node}}}}]
    router = f"router-{number}"
    targets = [{"virtualNode": f"node-{(number + 1) % NODES}", "weight": 10}, {"virtualNode": node, "weight": 90}]
    route = {"httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": targets}}}
    return [
        {"virtualServiceName": name, "spec": {"provider": {"virtualRouter": {"virtualRouterName": router}}}},
        {"virtualRouterName": router, "spec": {"listeners": [{"portMapping": {"port": 8080, "protocol": "http"}}]}},
        {"virtualRouterName": router, "routeName": "all", "spec": route},
    ]


def _accepts(configuration: str) -> bool | None:
    envoy = installed_envoy()
    if not envoy.exists():
        return None
    with tempfile.TemporaryDirectory(prefix="meshcert-importing-") as folder:
        file = Path(folder, "envoy.json")
        file.write_text(configuration)
        command = [str(envoy), "--mode", "validate", "-c", str(file), "--log-level", "warning"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _print(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{NODES} virtual nodes, {NODES * BACKENDS} backends", title_justify="left")
    for column in ("step", "s", "CPU s", ""):
        table.add_column(column)
    table.add_row("import", f"{figures['import_s']}", f"{figures['import_cpu_s']}", f"{figures['mesh_file_kb']} KiB")
    largest = f"largest: {figures['largest_kb']} KiB; Envoy accepts it: {figures['envoy_accepts_largest']}"
    table.add_row("render", f"{figures['render_s']}", f"{figures['render_cpu_s']}", largest)
    console.print(table)
    console.print(f"goal: both in {GOAL_S:g} s")
