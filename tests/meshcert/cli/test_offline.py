"""``meshcert plan --offline``: checked and priced before anything is deployed."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from meshcert.cli.__main__ import main
from meshcert.cli.costs import offline
from meshcert.cli.costs.issuing import HOURS, IssuingWay, issuing_costs
from meshcert.cli.costs.offline import declared_usage, offline_plan
from meshcert.cli.exit_codes import SETTLED, USAGE
from meshcert.mesh import load_mesh, read_mesh
from stacks.constructs.network import ENDPOINTS, PARAMETERS, ROLES
from tests.meshcert.mesh.cells.yelb import mesh as yelb
from tests.meshcert.mesh.mesh_slips import changed
from tests.meshcert.mesh.test_applications import PARAMETER
from tests.stacks.test_sizes import mesh_of

if TYPE_CHECKING:
    from meshcert.cli.account import Account
    from meshcert.mesh import Mesh

ROOT = Path(__file__).parents[3]
FILE = ROOT / "mesh.yaml"
ONE_ACCOUNT = ROOT / "examples" / "yelb.yaml"
EXISTING = {
    "existing": {
        "vpc": "vpc-0123456789abcdef0",
        "cidrs": ["10.2.0.0/16"],
        "subnets": {"eu-west-1a": "subnet-0123456789abcdef0", "eu-west-1b": "subnet-0123456789abcdef1"},
    }
}


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


OF_CELLS = [(f"cells.{cell}.network.egress", "endpoints") for cell in ("frontend", "backend")]


@pytest.mark.parametrize(
    ("mesh", "endpoints", "gateways"),
    [
        pytest.param(
            read_mesh(
                changed(
                    ("network.egress", "endpoints"),
                    ("services.colorteller.application.secrets", {"LEVEL": PARAMETER}),
                )
            ).mesh,
            f"{len(ENDPOINTS | PARAMETERS)} in 2 zones",
            0,
            id="an application fetches a parameter",
        ),
        pytest.param(yelb(), "", 2, id="cells have a network each, and one that only makes CAs has none"),
        pytest.param(
            yelb(OF_CELLS[1], ("cells.backend.network.availability_zones", ["eu-west-1a", "eu-west-1b", "eu-west-1c"])),
            f"{len(ENDPOINTS)} in 3 zones",
            1,
            id="a cell has endpoints, another a NAT gateway",
        ),
        pytest.param(
            yelb(*OF_CELLS),
            f"{len(ENDPOINTS | ROLES)} in 2 zones, {len(ENDPOINTS)} in 2 zones",
            0,
            id="tasks assume the role of the other cell",
        ),
        pytest.param(
            yelb(*OF_CELLS, ("cells.backend.discovery", "dns")),
            f"{len(ENDPOINTS)} in 2 zones, {len(ENDPOINTS)} in 2 zones",
            0,
            id="they ask DNS",
        ),
        pytest.param(
            yelb(OF_CELLS[0], ("cells.backend.network", EXISTING)),
            f"{len(ENDPOINTS | ROLES)} in 2 zones",
            0,
            id="a cell is in a VPC that is there",
        ),
    ],
)
def test_each_network_has_the_ways_out_that_its_tasks_need(mesh: Mesh, endpoints: str, gateways: int) -> None:
    """In each zone of it an endpoint for everything that tasks ask, or a way through NAT."""
    lines = {line.what: line for line in offline_plan(mesh).workload}
    pairs = [each.split(" in ") for each in endpoints.split(", ")] if endpoints else []
    hours = sum(int(number) * int(zones.split()[0]) for number, zones in pairs) * HOURS

    assert ("interface endpoints" in lines) == bool(endpoints)
    if endpoints:
        assert lines["interface endpoints"].quantity == endpoints
        assert lines["interface endpoints"].dollars == pytest.approx(hours * 0.01)
    told = sum(line.dollars for what, line in lines.items() if what.startswith("NAT"))
    assert told == pytest.approx(gateways * 0.05 * HOURS)


def test_each_cell_has_keys_queues_and_alarms_of_its_own() -> None:
    """CAs and certificates stand once; the cell that only makes CAs has nothing else."""
    of_cells, of_one = (
        {line.what: line for line in offline_plan(mesh).month.lines} for mesh in (yelb(), load_mesh(ONE_ACCOUNT))
    )

    for what in ("KMS keys", "ticks, and Lambda listening at the queues", "alarms, metrics, dashboard"):
        assert of_cells[what].dollars == pytest.approx(2 * of_one[what].dollars), what
    # Both hierarchies' roots in the page's account, and the databases' in the other.
    assert of_cells["secrets"].quantity == "8 at $0.40"
    assert of_cells["private CAs"].quantity == "2 at $400"
    assert of_cells["certificates, issued and renewed"] == of_one["certificates, issued and renewed"]


def test_container_insights_cost_something_only_where_they_are_asked_for() -> None:
    """By the service: two of them, as the mesh file's page says it for one."""
    plain, watched = (read_mesh(changed(("cluster", {"container_insights": on}))).mesh for on in (False, True))
    assert plain is not None
    assert watched is not None

    more = offline_plan(watched).workload_dollars - offline_plan(plain).workload_dollars
    assert round(more / 2, 1) == 7.2


SPIFFE = ROOT / "examples" / "spiffe.yaml"
DAY = dt.timedelta(days=1)


def test_a_short_lived_mesh_is_priced_as_its_file_says() -> None:
    """One CA at $50, and 52 certificates a month for each of five identities of 24 hours. Within 1 %."""
    planned = offline_plan(load_mesh(SPIFFE))
    lines = {line.what: line.dollars for line in planned.month.lines}
    certificates, dollars = planned.issuing.declared

    assert lines["short-lived private CAs"] == 50
    assert lines["certificates of short-lived CAs"] == pytest.approx(5 * 3.53 * 6 / 7, rel=0.01)
    assert "private CAs" not in lines
    assert certificates == pytest.approx(planned.month.certificates)
    assert dollars == pytest.approx(50 + 5 * 3.53 * 6 / 7, rel=0.01)


def test_the_plan_compares_ways_and_lives_and_names_the_cheapest(capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for scripts alike, and within 100 columns."""
    assert main(["plan", "--offline", "--mesh", str(SPIFFE)], no_account) == SETTLED
    printed = capsys.readouterr().out
    main(["plan", "--offline", "--json", "--mesh", str(SPIFFE)], no_account)
    issuing = json.loads(capsys.readouterr().out)["issuing"]

    lives = {each["life"]: {way["way"]: way["dollars"] for way in each["ways"]} for each in issuing["lives"]}
    assert list(lives) == ["1h", "6h", "24h", "7d", "30d", "365d"]
    assert set(lives["30d"]) == {"acm", "acm-pca, general purpose"}
    # The first thousand at $0.75, and then $0.35: 6,257 certificates a month.
    assert lives["1h"] == pytest.approx(
        {"acm": 400.34, "acm-pca, short-lived": 50 + 362.9, "acm-pca, general purpose": 400 + 750 + 1_840}, rel=0.01
    )
    assert [each["cheapest"] for each in issuing["lives"]] == [
        "acm",
        "acm-pca, short-lived",
        "acm-pca, short-lived",
        "acm-pca, short-lived",
        "acm",
        "acm",
    ]
    assert (issuing["cheapest"]["way"], issuing["cheapest"]["life"]) == ("acm-pca, short-lived", "7d")
    assert "cheapest: acm-pca, short-lived, 7d, $52.16" in printed
    assert "as the file says: 260.7 certificates, $65.12" in printed
    assert "up to which short-lived is below ACM: 1h: 4, 6h: 29, 24h: 118, 7d: 961" in printed
    assert max(map(len, printed.splitlines()[1:])) <= 100


def test_a_life_that_the_file_says_is_compared_too() -> None:
    """Beside the usual ones, in order."""
    values = yaml.safe_load(SPIFFE.read_text())
    for identity in values["identities"].values():
        identity["validity"] = "36h"
    mesh = read_mesh(yaml.safe_dump(values).encode()).mesh
    assert mesh is not None

    assert [each.life for each in offline_plan(mesh).issuing.lives][2:4] == [DAY, 1.5 * DAY]


def test_many_identities_under_one_ca_are_cheaper_by_acm() -> None:
    """From 119 with 24 hours on; roots above the CAs cost the same in every way."""
    costs = {
        number: {cost.way: cost.dollars for cost in issuing_costs(number, DAY, general_purpose_parents=1)}
        for number in (118, 119)
    }

    assert costs[118][IssuingWay.SHORT_LIVED] < costs[118][IssuingWay.ACM]
    assert costs[119][IssuingWay.SHORT_LIVED] > costs[119][IssuingWay.ACM]
