"""A mesh file that ``meshcert import`` wrote, as ``make demo MESH=FILE`` takes it; and a canary on its routes."""

from __future__ import annotations

import copy
import io
import json
import re
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
from rich.console import Console

from local.assembly import DeploymentFailed
from local.cdk import ROOT
from local.demo.proof import PairsCounted, Proof
from local.demo.questions import Asking, question_for
from local.demo.stage import Stage
from local.gateway_client import SteadyClient
from local.running_aws import LocalAws
from local.running_mesh import RunningMesh, wait_until
from meshcert import naming
from meshcert.cli.__main__ import main
from meshcert.contract import route_rows as field
from meshcert.deploying.routes import ROUTES_TYPE
from meshcert.mesh import load_mesh
from meshcert.mesh.edges.pairs import pairs_of
from meshcert.mesh.rendering.route_tables import route_table
from tests.e2e.deploying import ThroughTheApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.demo.proof import ProofResult
    from meshcert.documents.route_table import RouteTable

DEFINITIONS = ROOT / "examples" / "app-mesh" / "front.template"
REST = "weighted_targets: [{virtual_node: blue, weight: %d}, {virtual_node: green, weight: %d}]"
"""The targets of the route that takes what no other does, as the imported file has them."""
CALLS = 100
CALLS_EVERY_S = 0.05
WITHIN_S = 60.0


class Proven(NamedTuple):
    """
    The imported mesh, proven, and still running.

    Args:
        printed: What the demo has printed.
    """

    aws: LocalAws
    proof: Proof
    result: ProofResult
    printed: str


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proven]:
    """The definitions imported, deployed and proven, with 5 per cent of the calls to green."""
    folder = tmp_path_factory.mktemp("imported")
    file = folder / "front.yaml"
    assert main(["import", str(DEFINITIONS), "--no-default-retries", "--output", str(file)]) == 0
    file.write_text(_with_green(file.read_text(), 10, 5))
    printed = io.StringIO()
    stage = Stage(started=time.time(), console=Console(file=printed, width=160))

    with LocalAws(folder / "aws", certificates=Proof.TIMES) as aws:
        work = folder / "work"
        work.mkdir()
        proof = Proof(stage, aws, work, file)
        proof.cdk = ThroughTheApi(aws.environment(), aws=aws)
        yield Proven(aws, proof, proof.play(), printed.getvalue())


@pytest.mark.timeout(900)
def test_what_app_mesh_had_runs_as_it_was_imported(proven: Proven) -> None:
    """
    Nobody has touched the file but for a weight, and every pair that the definitions declare talks.

    In App Mesh any certificate of a listener's CA was let in if nobody listed names: so are some here, and are told.
    """
    pairs = proven.result.pairs

    assert proven.result.proven, proven.printed
    assert (pairs.declared, pairs.talk) == (3, 3)
    assert pairs == PairsCounted(3, 3, undeclared=6, refused=0, trusted_undeclared=6)
    assert (proven.result.failed, proven.result.twice, proven.result.renewed) == (0, 0, 4)


@pytest.mark.timeout(900)
def test_a_canary_is_an_edit_and_a_deploy_and_goes_back_with_a_deploy_that_fails(
    proven: Proven, tmp_path: Path
) -> None:
    """
    From 5 to 50 per cent: served within the poll interval and a second after CloudFormation has it.

    No task is replaced and no call fails. A deploy to 90 per cent that fails at something else has published them, and
    they are taken back.
    """
    proof, mesh = proven.proof, proven.proof.running
    poll_s = proof.mesh.poll_interval_s("front")
    before = _tasks(mesh, proof)
    watch = Watch(mesh)
    calling = SteadyClient(_calls(proof), "200", proven.aws.requests_seen, CALLS_EVERY_S)

    with watch, calling:
        watch.wait_for(5)
        halves = proof.cdk.synth(_edited(proof, tmp_path, 50), tmp_path / "assembly")
        proof.cdk.deploy(halves)
        watch.wait_for(50)
        served_after_s = watch.since - _completed_at(mesh)

        most = route_table(load_mesh(_edited(proof, tmp_path, 90)), "front")
        assert most
        newest = _version(halves)
        with pytest.raises(DeploymentFailed, match="Refused"):
            proof.cdk.deploy(_failing(halves, most))
        watch.wait_for(50)
        wait_until(lambda: calling.requests >= CALLS, f"{CALLS} calls", within_s=WITHIN_S)

    assert watch.seen[:2] == [5, 50]
    assert served_after_s <= poll_s + 1
    assert _published(mesh) == {field.NEWEST: newest, field.BEFORE: most.version}
    assert calling.failures == []
    assert _tasks(mesh, proof) == before


class Watch(Thread):
    """Sees what share of the calls the tasks of front give to green; use it as a context."""

    def __init__(self, mesh: RunningMesh) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        """Shares in per cent that all tasks had, one after the other."""
        self.since = 0.0
        """When the last of them was seen first, Unix time in seconds."""
        # A mesh of its own: boto3 clients are shared between threads only by those who read the small print.
        self._mesh = RunningMesh(mesh.aws, mesh.name, mesh.resolve)
        self._ended = Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def wait_for(self, share: int) -> None:
        """Until all tasks have this share."""
        wait_until(lambda: self.seen[-1:] == [share], f"{share} per cent to green", within_s=WITHIN_S)

    def run(self) -> None:
        """Look until told to stop."""
        tasks = self._mesh.tasks("front")
        while not self._ended.wait(0.05):
            dumps = [task.admin("/config_dump?resource=dynamic_route_configs").text for task in tasks]
            weights = {
                int(weight)
                for dump in dumps
                for weight in re.findall(r'"name": ?"green", ?"weight": ?(\d+)', json.dumps(json.loads(dump)))
            }
            if len(weights) == 1 and self.seen[-1:] != [*weights]:
                self.since = time.time()
                self.seen += weights


def _with_green(text: str, share: int, other: int) -> str:
    """A mesh file's text, with another share of the calls for green."""
    before, after = (REST % (100 - each, each) for each in (share, other))
    assert text.count(before) == 1
    return text.replace(before, after)


def _edited(proof: Proof, folder: Path, share: int) -> Path:
    """The deployed mesh file after an edit of the two weights."""
    weights = r"(- virtual_node: blue\n\s+weight: )95(\n\s+- virtual_node: green\n\s+weight: )5\b"
    values = proof.path.read_text()
    edited = re.sub(weights, rf"\g<1>{100 - share}\g<2>{share}", values)
    assert edited != values
    file = folder / f"{share}.yaml"
    file.write_text(edited)
    return file


def _version(assembly: Path) -> str:
    resources = json.loads(_template(assembly).read_text())["Resources"]
    return str(_of_front(resources)[1]["Version"])


def _of_front(resources: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The logical id and the properties of front's routes."""
    return next(
        (name, each["Properties"])
        for name, each in resources.items()
        if each["Type"] == ROUTES_TYPE and each["Properties"]["Service"] == "front"
    )


def _failing(assembly: Path, table: RouteTable) -> Path:
    """The same with other routes for front, and a resource that is refused once these are written."""
    values = json.loads(_template(assembly).read_text())
    name, properties = _of_front(values["Resources"])
    properties |= {"Version": table.version, "Document": table.packed()}
    refused = copy.deepcopy(values["Resources"][name]) | {"DependsOn": [name]}
    refused["Properties"]["Mesh"] = "another"
    values["Resources"]["Refused"] = refused
    _template(assembly).write_text(json.dumps(values))
    return assembly


def _template(assembly: Path) -> Path:
    (template,) = assembly.glob("*services.template.json")
    return template


def _published(mesh: RunningMesh) -> dict[str, str]:
    """The versions of front's routes that its tasks may read."""
    key, table = {field.SERVICE: {"S": "front"}}, naming.routes_table(mesh.name)
    row = mesh.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    return {name: row[name]["M"][field.VERSION]["S"] for name in (field.NEWEST, field.BEFORE)}


def _calls(proof: Proof) -> Asking:
    """What front's application asks, and what blue and green share."""
    (question,) = (
        question
        for pair in pairs_of(proof.mesh)
        if str(pair).startswith("front → blue") and (question := question_for(proof.mesh, pair))
    )
    address = proof.running.tasks("front")[0].address
    return Asking(question, lambda: address, question.host, "", {})


def _completed_at(mesh: RunningMesh) -> float:
    """When the services stack was complete the last time, Unix time in seconds."""
    name = f"{mesh.name}-services"
    events = mesh.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    times: list[float] = [
        event["Timestamp"].timestamp()
        for event in events
        if (event["LogicalResourceId"], event["ResourceStatus"]) == (name, "UPDATE_COMPLETE")
    ]
    return max(times)


def _tasks(mesh: RunningMesh, proof: Proof) -> set[str]:
    return {task.arn for service in proof.services for task in mesh.tasks(service)}
