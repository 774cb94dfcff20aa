"""``meshcert why A B``: one screen, one document, and the exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.cdk import ROOT
from meshcert.cli.__main__ import main
from meshcert.errors import AccessDenied, AwsUnavailable
from tests.meshcert.cli.cli_account import Broken, Terminal
from tests.meshcert.cli.outside_hosts import shop_with_hosts
from tests.meshcert.cli.ruled_shop import shop_with_rules

if TYPE_CHECKING:
    from pathlib import Path

SHOP = str(ROOT / "examples" / "shop.yaml")
COLOR = str(ROOT / "mesh.yaml")


def test_a_yes_is_one_screen_that_says_what_both_sides_prove(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people."""
    monkeypatch.chdir(ROOT)

    assert main(["why", "gateway", "orders", "--mesh", "examples/shop.yaml"]) == 0
    assert capsys.readouterr().out == (
        "yes: gateway may call orders:9443 over mutual TLS\n"
        "  because      it is declared, and routed by virtual_gateways.gateway.routes[0] (/orders)\n"
        "  declared     examples/shop.yaml:62 virtual_gateways.gateway.backends[0]\n"
        "  group        orders admits gateway at port 9443\n"
        "  listener     http, STRICT: TLS only; clients present a certificate\n"
        "  A proves     gateway (gateway.shop.internal, api.shop.example), of hierarchy edge; B demands\n"
        "               hierarchy edge, gateway.shop.internal\n"
        "  B proves     orders (orders.shop.internal), of hierarchy inner; A demands hierarchy inner, the\n"
        "               host orders.shop.internal\n"
    )


def test_a_no_says_what_to_write_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys of the mesh file, with their lines."""
    assert main(["why", "catalog", "orders", "--mesh", SHOP]) == 1

    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("no: catalog may not call orders:9443 because orders is not among virtual_nodes.catalog.back")
    assert "refused, unknown-issuer" in out
    assert "shop.yaml:80 virtual_nodes.catalog.backends: add {virtual_node: orders, client_policy: {tls: " in out
    assert ".match.exact: add catalog-edge.shop.internal" in out


@pytest.mark.parametrize("pair", [("gateway", "orders"), ("catalog", "orders"), ("partner", "gateway")])
def test_the_answer_fits_on_a_screen(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """24 lines of 100 columns; a key of the mesh file is not broken, however long."""
    main(["why", *pair, "--mesh", SHOP])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert all(len(line) <= 100 or " " not in line.strip() for line in lines)


def test_a_document_has_every_fact(capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts; keys do not depend on the answer."""
    keys = []
    for pair, code in ((("gateway", "orders"), 0), (("catalog", "orders"), 1), (("partner", "orders"), 1)):
        assert main(["why", *pair, "--mesh", SHOP, "--json"]) == code
        document = json.loads(capsys.readouterr().out)
        (answer,) = document["answers"]
        assert answer["allowed"] == (code == 0)
        keys.append((set(document), set(answer)))

    assert keys[0] == keys[1] == keys[2]
    assert answer["refused"] == "wrong-name"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("serch", "orders"), "nobody in mesh shop is called serch. Did you mean search?"),
        (("gateway", "nowhere"), "nobody in mesh shop is called nowhere. There are gateway, orders, catalog, search"),
        (("gateway", "orders:1"), "nobody in mesh shop is called orders:1"),
        (("orders", "orders"), "orders and orders are the same service"),
    ],
)
def test_a_name_that_nobody_has_is_a_wrong_command_line(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the names that there are."""
    assert main(["why", *arguments, "--mesh", SHOP]) == 64
    assert says in capsys.readouterr().err


def test_what_both_sides_serve_now_is_added_if_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """As `status` sees it, at the end of the same screen; an identity that is not deployed yet hides no other."""
    terminal = Terminal(capsys)

    ended = terminal.run("why", "colorgateway", "colorteller", "--live", "--mesh", COLOR)

    assert ended.code == 0
    told = [line for line in ended.out.splitlines() if line.startswith("  live ")]
    assert [line.split()[1] for line in told] == ["colorgateway:", "colorteller:"]
    assert "identity colorgateway" in told[0]
    assert "tasks serve it" in told[1]


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (AccessDenied("dynamodb:GetItem", "arn:x", "AccessDeniedException", "no"), 77, "AWS denies it"),
        (AwsUnavailable("dynamodb:GetItem", "arn:x", "ThrottlingException"), 69, "AWS throttles"),
    ],
)
def test_without_aws_the_mesh_file_still_answers(
    error: AccessDenied | AwsUnavailable, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could not be seen is told, and the exit code says so."""
    terminal = Terminal(capsys)
    terminal.breaks(declared=Broken(error))

    ended = terminal.run("why", "colorgateway", "colorteller", "--live", "--mesh", COLOR)

    assert ended.code == code
    assert ended.out.startswith("yes: colorgateway may call colorteller")
    assert f"  live         {says}" in ended.out


def test_what_somebody_types_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A script may type anything."""
    assert main(["why", "gateway\x1b[2J", "orders", "--mesh", SHOP]) == 64
    assert "\x1b" not in capsys.readouterr().err


def test_a_host_outside_the_mesh_is_answered_for_as_one_that_is_nobody_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its node's name or its own; who signs its certificate is said."""
    shop = shop_with_hosts(tmp_path)

    for host in ("payments", "api.payments.example:443"):
        assert main(["why", "orders", host, "--mesh", shop]) == 0

        out = " ".join(capsys.readouterr().out.split())
        assert out.startswith("yes: orders may call payments (api.payments.example:443) over one-way TLS")
        assert "A demands the name api.payments.example, signed by the public CAs" in out


def test_a_host_that_is_no_backend_is_told_with_what_to_add(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for scripts; whoever makes the change may call."""
    shop = shop_with_hosts(tmp_path)

    assert main(["why", "orders", "rates", "--mesh", shop]) == 1
    assert "add {virtual_node: rates, client_policy: {tls: {validation: {trust: {public_roots: true}}}}}" in " ".join(
        capsys.readouterr().out.split()
    )

    assert main(["why", "gateway", "rates", "--mesh", shop, "--json"]) == 1
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    places = [change["place"] for change in answer["changes"]]
    assert places == ["virtual_gateways.gateway.backends", "virtual_gateways.gateway.routes"]


def test_what_a_caller_may_ask_for_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the callee's listener has allow rules: for people and for scripts."""
    shop = shop_with_rules(tmp_path)

    assert main(["why", "gateway", "orders", "--mesh", shop]) == 0
    assert "paths /*, not /partners*; the longest that fits decides, and what fits none is refused" in " ".join(
        capsys.readouterr().out.split()
    )

    assert main(["why", "gateway", "orders", "--mesh", shop, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert answer["paths"] == {"allowed": ["/*"], "refused": ["/partners*"]}
    assert main(["why", "gateway", "catalog", "--mesh", shop, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert answer["paths"] is None
