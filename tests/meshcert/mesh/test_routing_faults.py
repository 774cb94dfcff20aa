"""Routes that no request can take, or that lead nowhere: each a fault of its own, with place and remedy."""

from __future__ import annotations

import copy
import re
from hashlib import shake_128
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from local.cdk import ROOT
from meshcert.mesh import read_mesh
from meshcert.mesh.checks.findings import findings_of
from tests.meshcert.mesh.mesh_slips import REMOVED, Slip, steps
from tests.meshcert.mesh.routed_meshes import SERVICE, entry, header, mesh_values, route

if TYPE_CHECKING:
    from meshcert.errors import Fault

GOOD = mesh_values(
    [
        route("blue", {"blue": 60, "red": 40}, priority=1, prefix="/", headers=[header("x-color", exact="blue")]),
        route("path", "green", path={"exact": "/green"}),
        route("rest", "gray", prefix="/"),
    ],
    [
        entry("api", SERVICE, prefix="/api/", hostname={"exact": "api.example.com"}),
        entry("one", SERVICE, path={"exact": "/one"}),
    ],
)
GOOD["virtual_gateways"]["edge"]["backends"] = [{"virtual_node": "blue"}]
ROUTES = "virtual_routers.main.routes"
HTTP = f"{ROUTES}[0].http_route"
MATCH = f"{HTTP}.match"
TARGETS = f"{HTTP}.action.weighted_targets"
HEADER = f"{MATCH}.headers[0]"
PATH = f"{ROUTES}[1].http_route.match.path"
FRONT = "virtual_gateways.edge.gateway_routes"
ENTRY = f"{FRONT}[0].http_route"
ONE = f"{FRONT}[1].http_route"
POLICY = {"max_retries": 2, "per_retry_timeout": 1}

SLIPS = [
    Slip(f"{TARGETS}[0].virtual_node", "blu", "not declared under virtual_nodes", "Did you mean blue?"),
    Slip(f"{TARGETS}[0].weight", 61, "add up to 101", "shares of a hundred", TARGETS),
    Slip(TARGETS, [{"virtual_node": "blue", "weight": 0}], "all weights are 0", "for example 100"),
    Slip(f"{TARGETS}[0].weight", 101, "101 is not allowed", "less than or equal to 100"),
    Slip(f"{TARGETS}[0].port", 1, "no listener on port 1", "Use 8080"),
    Slip(TARGETS, [], "empty", "at least one"),
    Slip("virtual_nodes.blue.listeners[0].port_mapping.protocol", "http2", "blue speaks http2", "the protocol http",
         f"{TARGETS}[0].virtual_node"),
    Slip(f"{ROUTES}[1].name", "blue", "has the name blue already", "another name"),
    Slip(f"{FRONT}[1].name", "api", "has the name api already", "another name"),
    Slip(f"{ROUTES}[0].priority", 1001, "1001 is not allowed", "less than or equal to 1000"),
    Slip(f"{ROUTES}[0]", {"name": "blue"}, "none of http_route", "exactly one"),
    Slip(f"{ROUTES}[0].tcp_route", {"action": {"weighted_targets": [{"virtual_node": "blue", "weight": 1}]}},
         "several of http_route", "exactly one", f"{ROUTES}[0]"),
    Slip(f"{ROUTES}[1]", route("path", "green", priority=5, prefix="/a", headers=[header("x-color", exact="blue")]),
         "can never match: blue (priority 1)", "smaller priority than blue"),
    Slip(f"{ROUTES}[1]", route("path", "green", prefix="/", priority=9), "can never match: path (priority 9)",
         "smaller priority than path", f"{ROUTES}[2]"),
    Slip(f"{ROUTES}[1]", route("path", "green", prefix="/"), "path (no priority) is asked first", "remove one",
         f"{ROUTES}[2]"),
    Slip(f"{MATCH}.prefix", REMOVED, "neither prefix nor path", "prefix: /", MATCH),
    Slip(f"{MATCH}.path", {"exact": "/a"}, "both of prefix and path", "Keep one", MATCH),
    Slip(f"{MATCH}.prefix", "blue", "'blue' is not a path", "Begin with /: /blue"),
    Slip(f"{MATCH}.prefix", "/a?b", "ends before ?", "query_parameters"),
    Slip(f"{MATCH}.prefix", "/a//b", "'//' is not left", "without it"),
    Slip(f"{MATCH}.prefix", "/a/../b", "'/../' is not left", "without it"),
    Slip(f"{MATCH}.prefix", "/a%2Fb", "'%2F' is not left", "without it"),
    Slip(f"{MATCH}.prefix", "/ä", "no such characters", "%XX"),
    Slip(f"{PATH}.exact", "green", "'green' is not a path", "/green"),
    Slip(f"{PATH}.regex", "/a", "several of exact, regex", "exactly one", PATH),
    Slip(PATH, {}, "none of exact, regex", "exactly one"),
    *(
        Slip(PATH, {"regex": regex}, problem, remedy, f"{PATH}.regex")
        for regex, problem, remedy in (
            ("/(?=a)b", "look-ahead", "two routes"),
            ("/(?<!a)b", "look-behind", "two routes"),
            (r"/(a)\1", r"back-reference (\1)", "Write out"),
            (r"/(?P<n>a)(?P=n)", "back-reference", "Write out"),
            ("/(?>a)", "atomic", "(?:"),
            ("/a++", "repeats a repetition (++)", "group"),
            ("/a{1001}", "more than 1000 times", "at most 1000"),
            ("/(a{50}){50}", "more than 1000 times", "at most 1000"),
            ("/{id}", "repeats nothing", r"\{"),
            ("/(a", "no regular expression", "brackets"),
            ("/[a", "no regular expression", "brackets"),
            (r"/\Z", "no regular expression", "brackets"),
            ("(?x)/a", "a flag", "i, m, s and U"),
            (r"/\p{Letter}", "a name that Envoy's RE2 does not have", r"\p{L}"),
            ("/[a[b]]", "within brackets", r"\["),
            ("/[a-z&&b]", "it has && within brackets", "\\"),
            ("/[[:letter:]]", "[:letter:]", "[:alpha:]".strip("[:]")),
            (r"/\x{100}", "reads bytes", r"\xNN"),
            ("/(?P<é>a)", "a group called é", "letters"),
        )
    ),
    Slip(f"{MATCH}.method", "CONNECT", "no listener takes CONNECT", "Remove"),
    Slip(f"{MATCH}.method", "get", "'get' is not allowed", "Use GET"),
    Slip(f"{HEADER}.name", "Host", "Host is no header to match", "hostname of a gateway route"),
    Slip(f"{HEADER}.name", ":authority", ":authority is no header", "hostname of a gateway route"),
    Slip(f"{HEADER}.name", "x color", "'x color' is no name of a header", "its name alone"),
    Slip(f"{HEADER}.match", {}, "none of exact, prefix", "exactly one"),
    Slip(f"{HEADER}.match.prefix", "b", "several of exact, prefix", "exactly one", f"{HEADER}.match"),
    Slip(f"{HEADER}.match", {"range": {"start": 5, "end": 5}}, "from 5 on and below 5", "above start",
         f"{HEADER}.match.range"),
    Slip(f"{HEADER}.match", {"regex": "(?!a)"}, "look-ahead", "two routes", f"{HEADER}.match.regex"),
    Slip(f"{MATCH}.headers", [header("x-a")] * 11, "there are 11", "at most 10"),
    Slip(f"{MATCH}.port", 81, "no listener on port 81", "Use 80"),
    Slip("virtual_routers.main.listeners", [{"port_mapping": {"port": 80, "protocol": "http"}}] * 2,
         "has this port", "another port", "virtual_routers.main.listeners[1].port_mapping.port"),
    Slip(f"{HTTP}.retry_policy", POLICY, "names no event", "gateway-error"),
    Slip(f"{HTTP}.retry_policy", {**POLICY, "tcp_retry_events": ["connection-error"], "per_retry_timeout": 1e9},
         "1000000000.0 is not allowed", "604800", f"{HTTP}.retry_policy.per_retry_timeout"),
    Slip(f"{HTTP}.retry_policy", {**POLICY, "http_retry_events": ["5xx"]}, "'5xx' is not allowed", "server-error",
         f"{HTTP}.retry_policy.http_retry_events[0]"),
    Slip(f"{ENTRY}.action.target.virtual_service", "colour.mesh.local", "not declared under virtual_services",
         f"Did you mean {SERVICE}?"),
    Slip(f"{ENTRY}.action.target.port", 81, "no listener on port 81", "Use 80"),
    Slip(f"{ENTRY}.match", {}, "neither prefix nor path", "or hostname"),
    Slip(f"{ENTRY}.match.prefix", "/aws-appmesh/x", "App Mesh keeps", "another"),
    Slip(f"{ENTRY}.match.hostname.exact", "api.example.com:80", "ports and * do not belong", "alone"),
    Slip(f"{ENTRY}.match.hostname", {"suffix": "*.example.com"}, "ports and * do not belong", "ends so",
         f"{ENTRY}.match.hostname.suffix"),
    Slip(f"{ENTRY}.match.hostname", {}, "none of exact, suffix", "exactly one"),
    Slip(f"{ENTRY}.match.port", 1, "the gateway has no listener on port 1", "Use 8443"),
    Slip(f"{ENTRY}.action.rewrite", {"prefix": {"value": "new/"}}, "does not begin and end with /", "/new/",
         f"{ENTRY}.action.rewrite.prefix.value"),
    Slip(f"{ENTRY}.action.rewrite", {"prefix": {"value": "/new"}}, "does not begin and end with /", "/new/",
         f"{ENTRY}.action.rewrite.prefix.value"),
    Slip(f"{ENTRY}.action.rewrite", {"prefix": {"value": "/new/", "default_prefix": "DISABLED"}}, "both of", "Keep one",
         f"{ENTRY}.action.rewrite.prefix"),
    Slip(f"{ENTRY}.action.rewrite", {"path": {"exact": "/new"}}, "would replace the whole path", "value",
         f"{ENTRY}.action.rewrite.path"),
    Slip(f"{ONE}.action.rewrite", {"path": {"exact": "new"}}, "'new' is not a path", "/new",
         f"{ONE}.action.rewrite.path.exact"),
    Slip(f"{ONE}.action.rewrite", {"prefix": {"value": "/new/"}}, "matches no prefix", "match a prefix",
         f"{ONE}.action.rewrite.prefix"),
    Slip("virtual_gateways.edge.routes", [{"match": {"prefix": "/"}, "virtual_node": "blue"}],
         "short routes and gateway_routes", "as gateway_routes"),
]  # fmt: skip


def _changed(values: dict[str, Any], *changes: tuple[str, object]) -> tuple[Fault, ...]:
    values = copy.deepcopy(values)
    for place, value in changes:
        *way, last = steps(place)
        part: Any = values
        for step in way:
            part = part.setdefault(step, {}) if isinstance(part, dict) else part[step]
        if value is REMOVED:
            del part[last]
        else:
            part[last] = value
    return read_mesh(yaml.safe_dump(values, sort_keys=False).encode()).faults


def test_the_mesh_of_the_table_is_good() -> None:
    """Else the slips would prove nothing."""
    assert _changed(GOOD) == ()


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_a_slip_is_found_alone_at_its_place_with_its_remedy(slip: Slip) -> None:
    """One slip in a good file gives exactly one fault."""
    faults = _changed(GOOD, (slip.at, slip.value))

    assert [fault.place for fault in faults] == [slip.place or slip.at], faults
    assert slip.problem in faults[0].problem
    assert slip.remedy in faults[0].remedy


@pytest.mark.parametrize(
    ("provider", "problem"),
    [
        ({}, "neither of virtual_node and virtual_router"),
        ({"virtual_node": "blue", "virtual_router": "main"}, "both of virtual_node and virtual_router"),
        ({"virtual_node": "blu"}, "'blu' is not declared under virtual_nodes"),
        ({"virtual_router": "mian"}, "'mian' is not declared under virtual_routers"),
    ],
)
def test_somebody_answers_for_a_virtual_service(provider: dict[str, str], problem: str) -> None:
    """App Mesh answered 503 at the first call."""
    values = copy.deepcopy(GOOD)
    values["virtual_services"][SERVICE]["provider"] = provider

    (fault,) = read_mesh(yaml.safe_dump(values).encode()).faults

    assert problem in fault.problem
    assert fault.place.startswith(f"virtual_services.{SERVICE}.provider")


@pytest.mark.parametrize(
    "name", ["", "*", "*.mesh.local", "a b", "a\nb", "a.mesh.local:80", "me@a.mesh.local", "a..b", "-a", "ä", "a" * 254]
)
def test_a_virtual_service_has_a_name_that_requests_can_name(name: str) -> None:
    """Envoy would refuse such a host, or take it for many."""
    values = copy.deepcopy(GOOD)
    values["virtual_services"][name] = {"provider": {"virtual_node": "blue"}}
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_service": name}] if name else []

    (fault,) = read_mesh(yaml.safe_dump(values).encode()).faults

    assert fault.place == f"virtual_services.{name}"
    assert "host" in fault.problem


def test_names_that_differ_in_case_alone_are_one_host() -> None:
    """So they are to Envoy, which refuses both."""
    values = copy.deepcopy(GOOD)
    values["virtual_services"]["Blue.mesh.local"] = {"provider": {"virtual_node": "blue"}}
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_service": "Blue.mesh.local"}, {"virtual_node": "blue"}]

    faults = read_mesh(yaml.safe_dump(values).encode()).faults

    assert {fault.place for fault in faults} == {"virtual_nodes.gray.backends[1]"}
    assert "the host blue.mesh.local stands for Blue.mesh.local already" in [fault.problem for fault in faults]


def test_no_task_calls_a_node_by_the_name_of_its_own_application() -> None:
    """Envoy would have two clusters of one name, and not start; a gateway has no application."""
    values = copy.deepcopy(GOOD)
    values["virtual_nodes"]["application"] = values["virtual_nodes"]["blue"]
    values["services"]["application"] = {**values["services"]["blue"], "virtual_node": "application"}
    values["virtual_gateways"]["edge"]["backends"].append({"virtual_node": "application"})
    assert _changed(values) == ()
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_node": "application"}]

    (fault,) = _changed(values)

    assert fault.place == "virtual_nodes.gray.backends[0]"


@pytest.mark.parametrize(
    ("said", "place", "problem"),
    [
        ({"method_name": "Get"}, "match.method_name", "there is no service_name"),
        ({"service_name": "color.Service", "method_name": "Get/All"}, "match.method_name", "no name in gRPC"),
        ({"service_name": "color/Service"}, "match.service_name", "no name in gRPC"),
        ({"metadata": [header("x-a", range={"start": 2, "end": 1})]}, "match.metadata[0].match.range", "below 1"),
    ],
)
def test_a_match_of_calls_is_one_that_calls_can_meet(said: dict[str, Any], place: str, problem: str) -> None:
    """A method is one of a service."""
    values = mesh_values([route("one", "blue", "grpc_route", priority=1, **said)], protocol="grpc")

    (fault,) = _changed(values)

    assert fault.place == f"{ROUTES}[0].grpc_route.{place}"
    assert problem in fault.problem


def test_a_route_is_of_the_kind_that_its_listener_speaks() -> None:
    """Of the router's and of the gateway's."""
    values = mesh_values([route("one", "blue", "http2_route", prefix="/")])
    for node in values["virtual_nodes"].values():
        node["listeners"][0]["port_mapping"]["protocol"] = "http2"

    (router,) = _changed(values)
    (gateway,) = _changed(GOOD, (f"{FRONT}[1]", entry("one", SERVICE, "grpc_route", service_name="a.B")))

    assert (router.place, router.problem) == (
        f"{ROUTES}[0].http2_route",
        "the router's listener speaks http, so no request comes here",
    )
    assert (gateway.place, gateway.remedy) == (
        f"{FRONT}[1].grpc_route",
        "Write http_route, or give a listener the protocol grpc",
    )


def test_with_several_listeners_a_route_says_its_port() -> None:
    """As App Mesh demanded; of the router's and of the gateway's."""
    two = [{"port_mapping": {"port": port, "protocol": "http"}} for port in (80, 81)]
    faults = _changed(GOOD, ("virtual_routers.main.listeners", two))

    assert {(fault.place, fault.problem) for fault in faults} == {
        *((f"{ROUTES}[{n}].http_route.match.port", "the router has several listeners (80, 81)") for n in range(3)),
        *(
            (f"{FRONT}[{n}].http_route.action.target.port", "the virtual service has several listeners (80, 81)")
            for n in range(2)
        ),
    }


def test_a_port_on_loopback_leads_to_one_listener() -> None:
    """A router's listeners are told apart by the port in the host, which is another there."""
    values = mesh_values(
        [route("one", "blue", prefix="/", port=80), route("two", "red", prefix="/", port=81)],
        [entry("all", "green.local", prefix="/")],
        services={"green.local": "green"},
    )
    values["virtual_routers"]["main"]["listeners"].append({"port_mapping": {"port": 81, "protocol": "http"}})
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_service": SERVICE, "local_port": 15100}]

    (fault,) = _changed(values)

    assert fault.place == "virtual_nodes.gray.backends[0].local_port"
    assert "several listeners" in fault.problem


@pytest.mark.parametrize(
    ("front", "behind", "why"),
    [
        ({"path": {"regex": "/a/.*"}}, {"path": {"regex": "/a/[0-9]+"}}, "both match paths by regular expressions"),
        ({"prefix": "/a"}, {"path": {"regex": "/b|/c"}}, "does not begin with exactly that"),
        ({"prefix": "/a"}, {"path": {"regex": "/?b"}}, "does not begin with exactly that"),
    ],
)
def test_a_pair_that_envoy_cannot_ask_as_one_is_refused(
    front: dict[str, Any], behind: dict[str, Any], why: str
) -> None:
    """With the way out: nothing is dropped, and nothing is routed otherwise than it says."""
    values = mesh_values([route("behind", "blue", **behind)], [entry("front", SERVICE, **front)])

    (fault,) = _changed(values)

    assert fault.place == f"{FRONT}[0].http_route"
    assert why in fault.problem
    assert fault.remedy


def test_all_of_them_come_at_once() -> None:
    """In the file's order."""
    faults = _changed(
        GOOD,
        (f"{MATCH}.prefix", "blue"),
        (f"{TARGETS}[0].virtual_node", "blu"),
        (f"{ROUTES}[1].name", 7),
        (f"{PATH}.exact", "green"),
        (f"{ENTRY}.action.target.port", 81),
    )

    assert [fault.place for fault in faults] == [
        f"{ENTRY}.action.target.port",
        f"{TARGETS}[0].virtual_node",
        f"{MATCH}.prefix",
        f"{ROUTES}[1].name",
        f"{PATH}.exact",
    ]


def test_what_leads_nowhere_is_told_all_at_once_and_a_node_that_nobody_reaches_is_none_of_it() -> None:
    """App Mesh's silent 503s, and what its API refused one after the other."""
    values = copy.deepcopy(GOOD)
    del values["virtual_routers"]["main"]["routes"][0]["http_route"]["action"]["weighted_targets"][1]  # red is idle
    values["virtual_services"]["nobody.mesh.local"] = {"provider": {}}
    values["virtual_routers"]["main"]["routes"] += [
        route("typo", "gren", prefix="/typo"),
        route("much", {"blue": 60, "green": 41}, prefix="/much"),
        route("rest", "green", prefix="/again"),
        route("late", "green", priority=900, prefix="/late", headers=[header("x-late")]),
        route("later", "blue", priority=901, prefix="/late", headers=[header("x-late")]),
    ]

    said = read_mesh(yaml.safe_dump(values, sort_keys=False).encode())

    told = {fault.place: fault.problem for fault in said.faults}
    wanted = {
        f"{ROUTES}[3].http_route.action.weighted_targets[0].virtual_node": "not declared under virtual_nodes",
        f"{ROUTES}[4].http_route.action.weighted_targets": "add up to 101",
        f"{ROUTES}[5].name": "has the name rest already",
        f"{ROUTES}[7]": "can never match: late (priority 900)",
        "virtual_services.nobody.mesh.local.provider": "neither of virtual_node and virtual_router",
    }
    assert told.keys() == wanted.keys()
    assert all(words in told[place] for place, words in wanted.items()), told
    assert all(fault.remedy for fault in said.faults)
    good = copy.deepcopy(GOOD)
    del good["virtual_routers"]["main"]["routes"][0]["http_route"]["action"]["weighted_targets"][1]
    idle = read_mesh(yaml.safe_dump(good, sort_keys=False).encode())
    assert idle.mesh, idle.faults
    assert "virtual_nodes.red" in [finding.place for finding in findings_of(idle.mesh, ROOT)]


def test_routes_that_no_row_holds_are_told_before_a_deploy() -> None:
    """CloudFormation would begin, and the function that publishes them would refuse."""
    words = [shake_128(bytes([number % 256, number // 256])).hexdigest(100) for number in range(700)]

    def with_routes(count: int) -> tuple[str, ...]:
        routes = [route(f"r{number}", "blue", prefix=f"/{word}") for number, word in enumerate(words[:count])]
        reading = read_mesh(yaml.safe_dump(mesh_values(routes), sort_keys=False).encode())
        return tuple(f"{fault.place}: {fault.problem}" for fault in reading.faults)

    (told,) = with_routes(700)
    assert re.fullmatch(r"virtual_gateways\.edge: its routes take \d+ characters, compressed, and 65536 are read", told)
    assert with_routes(40) == ()
