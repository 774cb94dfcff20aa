"""Routes by the real Envoy: who gets a request, as App Mesh would have it."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING

import pytest

from local.demo.matching_requests import Way, requests_to
from tests.envoy.route_cases import CASES, GRPC, PATHS, TABLES, Case
from tests.envoy.routed import Answer, Routed
from tests.meshcert.mesh.routed_meshes import NODES, edge_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANY = 10_000
SIGMAS = 3
_numbers = count()


@pytest.fixture(scope="module")
def envoy(
    envoy_binary: Path, tmp_path_factory: pytest.TempPathFactory, new_address: Callable[[], str]
) -> Iterator[Routed]:
    """One Envoy for every table."""
    tables = {name: edge_routes(values) for name, values in TABLES.items()}
    with Routed(envoy_binary, tmp_path_factory.mktemp("envoy"), new_address(), tables) as running:
        yield running


def _named(case: Case) -> str:
    fields = " ".join(f"{name}={value}" for name, value in case.fields.items())
    return f"{case.table}: {case.method} {case.path} {fields} -> {case.expected}"


@pytest.mark.parametrize("case", CASES, ids=_named)
def test_the_node_that_app_mesh_would_have_chosen_gets_the_request(envoy: Routed, case: Case) -> None:
    """With the path and the host that it would have seen."""
    answer = envoy.ask(case.table, case.path, case.fields, case.method)

    got = (answer.node, answer.path, answer.host) if answer.node else (str(answer.status),)
    wanted = case.expected.split()
    assert list(got[: len(wanted)]) == wanted


@pytest.mark.parametrize("table", dict.fromkeys(case.table for case in CASES))
def test_the_demo_knows_a_request_to_every_node_that_routes_lead_to(envoy: Routed, table: str) -> None:
    """Past all routes that are asked before: whatever node a case above names is met, by regular expressions too."""
    routes = edge_routes(TABLES[table])
    way = Way(host="client.example", grpc="grpc" in table)
    wanted = {case.expected.split()[0] for case in CASES if case.table == table} & {*NODES}

    for node in wanted:
        (route, request), *_ = requests_to({node}, routes, way)
        fields = dict(request.headers) | ({"host": request.host} if request.host else {}) | (GRPC if way.grpc else {})
        answers = {envoy.ask(table, request.path, fields, request.method).node for _ in route.shares}
        assert answers <= {share.backend for share in route.shares}, request
        assert len(route.shares) > 1 or answers == {node}


@pytest.mark.parametrize(("path", "seen"), PATHS.items(), ids=PATHS)
def test_a_route_judges_the_path_that_the_application_gets(envoy: Routed, path: str, seen: str) -> None:
    """Nothing goes past a prefix by another spelling of it, and what two programs may read in two ways is refused."""
    answer = envoy.ask("admin", path)

    if seen.isdecimal():
        assert answer == Answer(int(seen))
    else:
        assert (answer.node, answer.path.partition("?")[0] if seen else "") == (
            "blue" if seen else "gray",
            seen.partition("?")[0],
        )
    assert answer.path.startswith("/admin") == (answer.node == "blue")


@pytest.mark.parametrize(
    ("path", "weights"), [("/shared", {"blue": 90, "green": 10}), ("/odd", {"blue": 50, "green": 10, "red": 1})]
)
def test_weights_divide_requests(envoy: Routed, path: str, weights: dict[str, int]) -> None:
    """
    Within three standard deviations of ten thousand requests; a node of weight 0 gets none.

    One draw in 370 is outside by chance, so the first may be followed by another, four times as large.
    """
    seen = envoy.ask_many("weights", path, MANY)
    if not _is_fair(seen, weights):
        seen = envoy.ask_many("weights", path, 4 * MANY)

    assert set(seen) == set(weights)
    assert _is_fair(seen, weights), seen


def _is_fair(seen: dict[str, int], weights: dict[str, int]) -> bool:
    requests, total = sum(seen.values()), sum(weights.values())
    shares = {node: weight / total for node, weight in weights.items()}
    return all(
        abs(seen.get(node, 0) - requests * share) <= SIGMAS * math.sqrt(requests * share * (1 - share))
        for node, share in shares.items()
    )


@pytest.mark.parametrize(
    ("path", "does", "status", "times"),
    [
        *(("/gateway-error", f"{status}", status, 3) for status in (502, 503, 504)),
        *(("/gateway-error", f"{status}", status, 1) for status in (500, 501, 409, 429)),
        ("/gateway-error", "reset", 503, 3),
        *(("/server-error", f"{status}", status, 3) for status in (500, 501, 503, 505, 508, 510, 511)),
        *(("/server-error", f"{status}", status, 1) for status in (509, 599, 409)),
        ("/server-error", "reset", 503, 3),
        ("/client-error", "409", 409, 3),
        *(("/client-error", f"{status}", status, 1) for status in (400, 404, 408, 429, 503)),
        ("/client-error", "reset", 503, 1),
        *(("/stream-error", f"{status}", status, 1) for status in (503, 409)),
        ("/stream-error", "reset", 503, 1),
        ("/never", "503", 503, 1),
        ("/never", "reset", 503, 1),
        ("/short", "wait", 504, 3),
        ("/timeout", "wait", 504, 1),
        *(("/", f"{status}", status, 1) for status in (500, 502, 503, 504, 409)),
        ("/", "reset", 503, 1),
    ],
)
def test_a_request_is_sent_again_after_the_events_of_its_policy_alone(
    envoy: Routed, path: str, does: str, status: int, times: int
) -> None:
    """As often as it says. Without a policy, nothing that an application has read is sent twice."""
    number = f"{next(_numbers)}"

    answer = envoy.ask("retries", path, {"x-do": does, "x-id": number}, "POST")

    assert (answer.status, envoy.nodes.seen[number]) == (status, times)


@pytest.mark.parametrize(
    ("service", "does", "times"),
    [
        ("a.Unavailable", "grpc-14", 3),
        ("a.Unavailable", "grpc-1", 3),
        ("a.Unavailable", "grpc-13", 1),
        ("a.Unavailable", "grpc-8", 1),
        ("a.Other", "grpc-14", 1),
    ],
)
def test_a_call_is_sent_again_after_the_status_of_its_policy_alone(
    envoy: Routed, service: str, does: str, times: int
) -> None:
    """14 is UNAVAILABLE, 1 is CANCELLED (gRPC, status codes)."""
    number = f"grpc {next(_numbers)}"

    envoy.ask("grpc retries", f"/{service}/Get", {**GRPC, "x-do": does, "x-id": number}, "POST")

    assert envoy.nodes.seen[number] == times


def test_envoy_counts_what_it_cuts_and_repeats(envoy: Routed) -> None:
    """By the counters that people watch."""
    names = ("cluster.green.upstream_rq_timeout", "cluster.blue.upstream_rq_retry")
    before = [envoy.counter(name) for name in names]

    envoy.ask("retries", "/timeout", {"x-do": "wait"})
    envoy.ask("retries", "/gateway-error", {"x-do": "503"})

    assert [envoy.counter(name) for name in names] == [before[0] + 1, before[1] + 2]
