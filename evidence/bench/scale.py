"""
Benchmark ``scale``: a mesh of 1,000 identities and 200 services in shards becomes templates, and what they hold.

The CDK's app runs as ``cdk synth`` runs it, the functions' bundle included.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.table import Table

from evidence.bench import recorded_status
from evidence.fixtures.large_mesh import large_mesh

if TYPE_CHECKING:
    from rich.console import Console

NAME = "scale"
SUMMARY = "1,000 identities and 200 services in shards: CPU of a synthesis, sizes of what it makes, `meshcert status`"
ROOT = Path(__file__).parents[2]
IDENTITIES, SERVICES = 1000, 200
GOALS = {
    "synth_cpu_s": 60,
    "largest_stack": 450,
    "largest_template_bytes": 900_000,
    "policies_per_role": 10,
    "status_s": 10,
    "status_calls": 20,
}
"""The most that each figure may be."""


class SynthesisFailed(RuntimeError):
    """
    The CDK's app has failed.

    Args:
        said: The end of what it said.
    """

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(f"the synthesis failed: {said}")


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Synthesise once, print the table, and give the figures for the report.

    Args:
        rounds: Not used: templates come out the same every time, and CPU time hardly depends on the rest of the
            machine.
        console: For progress and table.

    Raises:
        SynthesisFailed: If the CDK's app fails.
        StatusFailed: If ``meshcert status`` does.
    """
    del rounds
    console.print(f"Synthesising {IDENTITIES} identities and {SERVICES} services")
    began, cpu = time.monotonic(), _cpu_of_children()
    with tempfile.TemporaryDirectory(prefix="meshcert-scale-") as folder:
        _synthesise(Path(folder))
        found: dict[str, Any] = {"synth_cpu_s": round(_cpu_of_children() - cpu, 1), **_sizes(Path(folder) / "out")}
        found |= recorded_status.measured(Path(folder), IDENTITIES)
    took = round(time.monotonic() - began, 1)
    table = Table(title="A large mesh", title_justify="left", title_style="bold")
    for heading in ("figure", "measured", "goal"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for figure, most in GOALS.items():
        table.add_row(figure, f"{found[figure]:,}", f"≤ {most:,}")
    console.print(table)
    return {
        "identities": IDENTITIES,
        "services": SERVICES,
        **found,
        "took_s": took,
        "goals": GOALS,
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def _synthesise(folder: Path) -> None:
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(large_mesh(IDENTITIES, SERVICES), sort_keys=False))
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"mesh": str(file)}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "CDK_OUTDIR": str(folder / "out"), "CDK_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SynthesisFailed(done.stderr[-2000:])


def _sizes(assembly: Path) -> dict[str, int]:
    files = list(assembly.glob("*.template.json"))
    stacks = [json.loads(file.read_text())["Resources"] for file in files]
    return {
        "largest_stack": max(map(len, stacks)),
        "largest_template_bytes": max(file.stat().st_size for file in files),
        "policies_per_role": max(_policies_of_a_role(resources) for resources in stacks),
        "stacks": len(files),
    }


def _policies_of_a_role(resources: dict[str, Any]) -> int:
    """The most policies that a role of a stack has, its own and those that name it."""
    policies: Counter[str] = Counter()
    for name, definition in resources.items():
        properties = definition.get("Properties", {})
        if definition["Type"] == "AWS::IAM::Role":
            policies[name] += len(properties.get("Policies", ())) + len(properties.get("ManagedPolicyArns", ()))
        elif definition["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            policies.update(role["Ref"] for role in properties.get("Roles", ()) if isinstance(role, dict))
    return max(policies.values(), default=0)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
