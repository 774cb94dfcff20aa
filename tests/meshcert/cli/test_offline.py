"""``meshcert plan --offline``: checked and priced before anything is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from meshcert.cli import offline
from meshcert.cli.__main__ import main
from meshcert.cli.costs import HOURS
from meshcert.cli.exit_codes import SETTLED, USAGE
from meshcert.cli.offline import declared_usage, offline_plan
from meshcert.mesh import load_mesh, read_mesh
from stacks.services import ENDPOINTS
from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.test_sizes import mesh_of

if TYPE_CHECKING:
    from meshcert.cli.account import Account

ROOT = Path(__file__).parents[3]
FILE = ROOT / "mesh.yaml"


def no_account(*_: object) -> Account:
    """AWS must not be asked."""
    raise AssertionError("an account was opened")


def test_a_mesh_file_is_priced_without_aws(capsys: pytest.CaptureFixture[str]) -> None:
    """What meshcert adds, and what runs anyway; made for 100 columns."""
    assert main(["plan", "--offline", "--mesh", str(FILE)], no_account) == SETTLED

    printed = capsys.readouterr().out
    assert printed.startswith(f"{FILE}: mesh color: 2 hierarchies, 2 identities, 2 proxies, 2 services; no fault\n")
    assert f"About ${offline_plan(load_mesh(FILE)).month.dollars:,.2f} a month" in printed
    assert "for what runs anyway" in printed
    assert max(map(len, printed.splitlines()[1:])) <= 100


def test_the_document_has_every_line_and_the_sums(capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts that budget."""
    main(["plan", "--offline", "--json", "--mesh", str(FILE)], no_account)

    document = json.loads(capsys.readouterr().out)
    assert {"schema", "mesh", "file", "faults", "month", "workload"} <= set(document)
    for part in ("month", "workload"):
        assert sum(line["dollars"] for line in document[part]["lines"]) == pytest.approx(document[part]["dollars"])


def test_a_faulty_file_is_told_as_check_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And priced only when it is right."""
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(FILE.read_text().replace("egress: nat", "egres: nat"))

    assert main(["plan", "--offline", "--mesh", str(faulty)], no_account) == USAGE
    assert f"{faulty}:10: network.egres: unknown key" in capsys.readouterr().err


def test_usage_is_counted_as_the_file_declares_it() -> None:
    """Three CAs, two certificates, and a poll of each task for its own secret and its peers' roots."""
    usage = declared_usage(load_mesh(FILE))

    assert (usage.authorities, usage.identities, usage.trust_bundles) == (3, 2, 2)
    assert [(poll.tasks, poll.secrets) for poll in usage.polls] == [(1, 2), (1, 2)]


@pytest.mark.parametrize(("services", "dollars"), [(12, (433, 443)), (50, (512, 527))])
def test_one_hierarchy_of_one_ca_grows_by_the_service_a_little(
    services: int, dollars: tuple[int, int], tmp_path: Path
) -> None:
    """A CA is most of the bill."""
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh_of([f"service-{number}" for number in range(services)])))

    least, most = dollars
    assert least < offline_plan(load_mesh(file)).month.dollars < most


def test_the_way_out_is_priced_as_the_stack_builds_it(tmp_path: Path) -> None:
    """Interface endpoints in both zones instead of a NAT gateway."""
    file = tmp_path / "mesh.yaml"
    file.write_text(FILE.read_text().replace("egress: nat", "egress: endpoints"))

    (line,) = [line for line in offline_plan(load_mesh(file)).workload if line.what == "interface endpoints"]

    assert len(ENDPOINTS) == offline.INTERFACE_ENDPOINTS
    assert line.dollars == pytest.approx(len(ENDPOINTS) * 2 * 0.01 * HOURS)


def test_container_insights_cost_something_only_where_they_are_asked_for() -> None:
    """By the service: two of them, as the mesh file's page says it for one."""
    plain, watched = (read_mesh(changed(("cluster", {"container_insights": on}))).mesh for on in (False, True))
    assert plain is not None
    assert watched is not None

    more = offline_plan(watched).workload_dollars - offline_plan(plain).workload_dollars
    assert round(more / 2, 1) == 7.2
