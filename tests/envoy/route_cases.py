"""
Definitions in App Mesh's words, requests, and who would have got them by App Mesh.

An expectation is a node, then the path and the host that it sees where they matter; or a status of Envoy's own.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.meshcert.mesh.routed_meshes import SERVICE, entry, header, mesh_values, route

if TYPE_CHECKING:
    from collections.abc import Mapping

AS_IS = {"hostname": {"default_target_hostname": "DISABLED"}}
KEPT = {"prefix": {"default_prefix": "DISABLED"}, **AS_IS}
REST = route("rest", "gray", prefix="/")
GRPC = {"content-type": "application/grpc"}
NODE = {"blue.local": "blue", "green.local": "green", "red.local": "red"}


def by(kind: str, **match: Any) -> dict[str, Any]:
    """A route below a path of its own, which only its other condition tells from the rest."""
    return route(kind, "blue", prefix=f"/{kind}", **match)


def again(event: str, times: int = 2, per_try_s: float = 20) -> dict[str, Any]:
    """A retry policy for one event."""
    return {"max_retries": times, "per_retry_timeout": per_try_s, "http_retry_events": [event]}


TABLES: dict[str, dict[str, Any]] = {
    "colour by header": mesh_values(
        [
            route("blue", "blue", priority=1, prefix="/", headers=[header("x-color", exact="blue")]),
            route("green", "green", priority=2, prefix="/", headers=[header("X-Color", exact="green")]),
            route("rest", "red", priority=100, prefix="/"),
        ]
    ),
    "priority before length": mesh_values(
        [
            route("short", "blue", priority=0, prefix="/a", headers=[header("x-new")]),
            route("long", "green", priority=5, prefix="/a/b"),
            route("none", "red", prefix="/a/", method="POST"),
            route("last", "gray", priority=1000, prefix="/", method="GET"),
        ]
    ),
    "longest prefix": mesh_values(
        [
            route("1", "gray", prefix="/"),
            route("2", "blue", prefix="/a"),
            route("3", "green", prefix="/a/b"),
            route("4", "red", prefix="/ab/"),
        ]
    ),
    "kinds of paths": mesh_values(
        [
            REST,
            route("prefix", "blue", prefix="/re"),
            route("regex", "green", path={"regex": "/re/[a-z]+"}),
            route("exact", "red", path={"exact": "/re/exact"}),
            route("dot", "red", path={"exact": "/v1.0/a b".replace(" ", "%20")}),
        ]
    ),
    "headers": mesh_values(
        [
            by("exact", headers=[header("x-a", exact="blue")]),
            by("prefix", headers=[header("x-a", prefix="bl")]),
            by("suffix", headers=[header("x-a", suffix="ue")]),
            by("regex", headers=[header("x-a", regex="b[a-z]+e|azure")]),
            by("range", headers=[header("x-a", range={"start": -5, "end": 10})]),
            by("present", headers=[header("x-a")]),
            by("absent", headers=[header("x-a", invert=True)]),
            by("other", headers=[header("x-a", invert=True, exact="blue")]),
            by("outside", headers=[header("x-a", invert=True, range={"start": 0, "end": 10})]),
            by("both", headers=[header("x-a", exact="1"), header("x-b", exact="2")]),
            REST,
        ]
    ),
    "queries": mesh_values(
        [
            by("exact", query_parameters=[{"name": "color", "match": {"exact": "blue"}}]),
            by("present", query_parameters=[{"name": "color"}]),
            by("both", query_parameters=[{"name": "a", "match": {"exact": "1"}}, {"name": "b"}]),
            REST,
        ]
    ),
    "methods": mesh_values(
        [
            route("read", "blue", prefix="/", method="GET"),
            route("write", "green", prefix="/", method="POST"),
            route("both", "red", prefix="/deep", method="DELETE", headers=[header("x-sure", exact="yes")]),
            route("plain", "gray", prefix="/", scheme="http", method="PUT"),
            route("secret", "red", prefix="/", scheme="https", method="PATCH"),
        ]
    ),
    "grpc": mesh_values(
        [
            route("method", "blue", "grpc_route", service_name="color.Service", method_name="Get"),
            route("service", "green", "grpc_route", service_name="color.Service"),
            route("metadata", "red", "grpc_route", priority=1, metadata=[header("x-canary", exact="yes")]),
            route("every", "gray", "grpc_route"),
        ],
        protocol="grpc",
    ),
    "rewritten prefixes": mesh_values(
        gateway_routes=[
            entry("chapter", "blue.local", prefix="/chapter"),
            entry("slash", "green.local", prefix="/slash/"),
            entry("value", "blue.local", prefix="/old", rewrite={"prefix": {"value": "/new/"}}),
            entry("value-slash", "blue.local", prefix="/older/", rewrite={"prefix": {"value": "/newer/"}}),
            entry("kept", "red.local", prefix="/kept", rewrite=KEPT),
            entry("explicit", "green.local", prefix="/said", rewrite={"prefix": {"default_prefix": "ENABLED"}}),
            entry("special", "red.local", prefix="/a.b+c", rewrite=AS_IS),
        ],
        services=NODE,
    ),
    "rewritten paths": mesh_values(
        gateway_routes=[
            entry("exact", "blue.local", path={"exact": "/exact"}),
            entry("exact-new", "blue.local", path={"exact": "/from"}, rewrite={"path": {"exact": "/to/here"}}),
            entry("regex", "green.local", path={"regex": "/users/[0-9]+/.*"}),
            entry("regex-new", "green.local", path={"regex": "/items/.*"}, rewrite={"path": {"exact": "/item"}}),
            entry("host", "red.local", hostname={"exact": "www.example.com"}),
        ],
        services=NODE,
    ),
    "hosts": mesh_values(
        gateway_routes=[
            entry("exact", "blue.local", hostname={"exact": "API.example.com"}),
            entry("suffix", "green.local", hostname={"suffix": ".example.com"}),
            entry("nearer", "red.local", hostname={"suffix": ".x.example.com"}, prefix="/", rewrite=KEPT),
            entry("deep", "red.local", priority=1, prefix="/deep", rewrite=KEPT),
        ],
        services=NODE,
    ),
    "gateway and router": mesh_values(
        [
            route("users", "blue", prefix="/users"),
            route("admin", "red", path={"exact": "/users/admin"}),
            route("version", "green", path={"regex": "/v[0-9]+/.*"}),
            route("root", "gray", path={"exact": "/"}),
            route("new", "gray", prefix="/new", headers=[header("x-new", exact="1")], method="POST"),
        ],
        [
            entry("api", SERVICE, prefix="/api"),
            entry("dir", SERVICE, prefix="/dir/", headers=[header("x-a")]),
            entry("kept", SERVICE, prefix="/users/k", rewrite=KEPT),
            entry("one", SERVICE, path={"exact": "/one"}, rewrite={"path": {"exact": "/v1/x"}}),
            entry("two", SERVICE, path={"exact": "/two"}, rewrite={"path": {"exact": "/nowhere"}}),
            entry("host", SERVICE, hostname={"exact": "h.example"}, rewrite=AS_IS),
            entry("rest", "red.local", prefix="/", method="GET"),
        ],
        services={"red.local": "red"},
    ),
    "admin": mesh_values([route("admin", "blue", prefix="/admin"), REST]),
    "retries": mesh_values(
        [
            route("gateway", "blue", prefix="/gateway-error", retry_policy=again("gateway-error")),
            route("server", "blue", prefix="/server-error", retry_policy=again("server-error")),
            route("client", "blue", prefix="/client-error", retry_policy=again("client-error")),
            route("stream", "blue", prefix="/stream-error", retry_policy=again("stream-error")),
            route("never", "blue", prefix="/never", retry_policy=again("server-error", times=0)),
            route("short", "blue", prefix="/short", retry_policy=again("gateway-error", per_try_s=0.3)),
            route("timeout", "green", prefix="/timeout", timeout={"per_request": 0.3}),
            REST,
        ]
    ),
    "grpc retries": mesh_values(
        [
            route(
                "unavailable",
                "blue",
                "grpc_route",
                service_name="a.Unavailable",
                retry_policy={
                    "max_retries": 2,
                    "per_retry_timeout": 20,
                    "grpc_retry_events": ["unavailable", "cancelled"],
                },
            ),
            route("every", "gray", "grpc_route"),
        ],
        protocol="grpc",
    ),
    "one gateway route after another": mesh_values(
        [route("c", "blue", prefix="/a/b/c")],
        [
            entry("first", SERVICE, priority=0, prefix="/a/b", rewrite=KEPT),
            entry("second", "second.local", priority=1, prefix="/a", rewrite=KEPT),
        ],
        services={"second.local": "second"},
        second=[route("longer", "red", prefix="/a/b/cde"), route("rest", "green", prefix="/")],
    ),
    "weights": mesh_values(
        [
            route("shared", {"blue": 90, "green": 10, "red": 0}, prefix="/shared"),
            route("only", {"blue": 0, "green": 5}, prefix="/only"),
            route("odd", {"blue": 50, "green": 10, "red": 1}, prefix="/odd"),
        ]
    ),
}
"""Mesh files by what they show."""


class Case(NamedTuple):
    """
    A request and who gets it.

    Args:
        table: One of :data:`TABLES`.
        path: With the query.
        expected: A node, and its path and host if they matter; or a status.
        fields: Header fields, the host among them.
    """

    table: str
    path: str
    expected: str
    fields: Mapping[str, str] = MappingProxyType({})
    method: str = "GET"


def _headers(kind: str, *pairs: tuple[str | None, bool]) -> list[Case]:
    return [
        Case("headers", f"/{kind}", "blue" if met else "gray", {} if value is None else {"x-a": value})
        for value, met in pairs
    ]


def _host(host: str, path: str, expected: str) -> Case:
    return Case("hosts", path, expected, {"host": host})


def _call(path: str, expected: str, fields: dict[str, str] | None = None) -> Case:
    return Case("grpc", path, expected, GRPC if fields is None else fields, "POST")


def _both(path: str, expected: str, fields: dict[str, str] | None = None, method: str = "GET") -> Case:
    return Case("gateway and router", path, expected, fields or {}, method)


CASES = [
    Case("colour by header", "/", "blue / client.example", {"x-color": "blue"}),
    Case("colour by header", "/", "blue", {"X-COLOR": "blue"}),
    Case("colour by header", "/a?b=c", "green /a?b=c", {"x-color": "green"}),
    Case("colour by header", "/", "red", {"x-color": "Blue"}),
    Case("colour by header", "/", "red", {"x-color": "bluer"}),
    Case("colour by header", "/", "red"),
    Case("priority before length", "/a/b/c", "blue", {"x-new": ""}),
    Case("priority before length", "/a/b/c", "green"),
    Case("priority before length", "/a/b/c", "green", {}, "POST"),
    Case("priority before length", "/a/x", "red", {}, "POST"),
    Case("priority before length", "/a/x", "gray"),
    Case("priority before length", "/a", "gray"),
    Case("priority before length", "/a", "404", {}, "POST"),
    Case("longest prefix", "/", "gray"),
    Case("longest prefix", "/b", "gray"),
    Case("longest prefix", "/a", "blue"),
    Case("longest prefix", "/a/", "blue"),
    Case("longest prefix", "/a/c", "blue"),
    Case("longest prefix", "/abc", "blue"),
    Case("longest prefix", "/a/b", "green"),
    Case("longest prefix", "/a/bc", "green"),
    Case("longest prefix", "/a/b/c?d", "green /a/b/c?d"),
    Case("longest prefix", "/ab", "blue"),
    Case("longest prefix", "/ab/", "red"),
    Case("longest prefix", "/A", "gray"),
    Case("longest prefix", "/?/a/b", "gray"),
    Case("kinds of paths", "/re", "blue"),
    Case("kinds of paths", "/re/", "blue"),
    Case("kinds of paths", "/re/abc", "green"),
    Case("kinds of paths", "/re/abc?x=1", "green"),
    Case("kinds of paths", "/re/abc/", "blue"),
    Case("kinds of paths", "/re/abc1", "blue"),
    Case("kinds of paths", "/re/exact", "red"),
    Case("kinds of paths", "/re/exact?q", "red"),
    Case("kinds of paths", "/re/exact/", "blue"),
    Case("kinds of paths", "/v1.0/a%20b", "red"),
    Case("kinds of paths", "/v1x0/a%20b", "gray"),
    Case("kinds of paths", "/other", "gray"),
    *_headers("exact", ("blue", True), ("blues", False), (None, False), ("", False)),
    *_headers("prefix", ("blue", True), ("bl", True), ("b", False), (None, False)),
    *_headers("suffix", ("blue", True), ("ue", True), ("blues", False), (None, False)),
    *_headers("regex", ("blue", True), ("azure", True), ("blues", False), ("azur", False), (None, False)),
    *_headers("range", ("-5", True), ("9", True), ("10", False), ("-6", False), ("5.0", False), ("x", False)),
    *_headers("present", ("", True), ("any", True), (None, False)),
    *_headers("absent", (None, True), ("", False), ("any", False)),
    # As in Envoy, and so in App Mesh: without the header nothing but its absence matches.
    *_headers("other", ("red", True), ("blue", False), (None, False)),
    *_headers("outside", ("10", True), ("x", True), ("5", False), (None, False)),
    Case("headers", "/both", "blue", {"x-a": "1", "x-b": "2"}),
    Case("headers", "/both", "gray", {"x-a": "1"}),
    Case("headers", "/both", "gray", {"x-a": "1", "x-b": "3"}),
    Case("queries", "/exact?color=blue", "blue"),
    Case("queries", "/exact?a=b&color=blue", "blue"),
    Case("queries", "/exact?color=blues", "gray"),
    Case("queries", "/exact?color=Blue", "gray"),
    Case("queries", "/exact?color", "gray"),
    Case("queries", "/exact", "gray"),
    Case("queries", "/present?color", "blue"),
    Case("queries", "/present?color=", "blue"),
    Case("queries", "/present?color=x", "blue"),
    Case("queries", "/present?colors=x", "gray"),
    Case("queries", "/both?a=1&b=2", "blue"),
    Case("queries", "/both?a=1", "gray"),
    Case("methods", "/", "blue"),
    Case("methods", "/", "green", {}, "POST"),
    Case("methods", "/deep", "blue"),
    Case("methods", "/deep", "red", {"x-sure": "yes"}, "DELETE"),
    Case("methods", "/deep", "404", {}, "DELETE"),
    Case("methods", "/", "404", {}, "HEAD"),
    Case("methods", "/", "gray", {}, "PUT"),
    Case("methods", "/", "404", {}, "PATCH"),
    _call("/color.Service/Get", "blue"),
    _call("/color.Service/Set", "green"),
    _call("/color.Service/GetAll", "green"),
    _call("/color.Service2/Get", "gray"),
    _call("/other.Service/Get", "gray"),
    _call("/color.Service/Get", "red", {**GRPC, "x-canary": "yes"}),
    _call("/color.Service/Get", "blue", {"content-type": "application/grpc+proto"}),
    _call("/color.Service/Get", "404", {"content-type": "application/json"}),
    _call("/color.Service/Get", "404", {}),
    Case("rewritten prefixes", "/chapter", "blue / blue.local"),
    Case("rewritten prefixes", "/chapter/", "blue / blue.local"),
    Case("rewritten prefixes", "/chapter/page", "blue /page"),
    Case("rewritten prefixes", "/chapter/page/2?x=/chapter", "blue /page/2?x=/chapter"),
    Case("rewritten prefixes", "/chapter1", "blue /1"),
    Case("rewritten prefixes", "/chapter//page", "blue /page"),
    Case("rewritten prefixes", "/chapter...", "blue /..."),
    Case("rewritten prefixes", "/chapter..x/y", "blue /..x/y"),
    Case("rewritten prefixes", "/chapter.", "404"),
    Case("rewritten prefixes", "/chapter..", "404"),
    Case("rewritten prefixes", "/chapter./page", "404"),
    Case("rewritten prefixes", "/chapter../page", "404"),
    Case("rewritten prefixes", "/chapter%2e%2E/page", "404"),
    Case("rewritten prefixes", "/chapter..//page", "404"),
    Case("rewritten prefixes", "/chapter..?x=1", "404"),
    Case("rewritten prefixes", "/chapter/../chapter../page", "404"),
    Case("rewritten prefixes", "/old../secret", "404"),
    Case("rewritten prefixes", "/slash/..secret", "green /..secret"),
    Case("rewritten prefixes", "/kept../page", "red /kept../page"),
    Case("rewritten prefixes", "/chapter?x=1", "blue /?x=1"),
    Case("rewritten prefixes", "/chapter/chapter", "blue /chapter"),
    Case("rewritten prefixes", "/slash/", "green / green.local"),
    Case("rewritten prefixes", "/slash/page", "green /page"),
    Case("rewritten prefixes", "/slash", "404"),
    Case("rewritten prefixes", "/old", "blue /new/"),
    Case("rewritten prefixes", "/old/page", "blue /new/page"),
    Case("rewritten prefixes", "/old1", "blue /new/1"),
    Case("rewritten prefixes", "/older/page", "blue /newer/page"),
    Case("rewritten prefixes", "/kept/page", "red /kept/page client.example"),
    Case("rewritten prefixes", "/said/page", "green /page green.local"),
    Case("rewritten prefixes", "/a.b+c/d", "red /d client.example"),
    Case("rewritten prefixes", "/axb+c/d", "404"),
    Case("rewritten paths", "/exact", "blue /exact blue.local"),
    Case("rewritten paths", "/exact/", "404"),
    Case("rewritten paths", "/from?x=1", "blue /to/here?x=1"),
    Case("rewritten paths", "/users/7/x", "green /users/7/x"),
    Case("rewritten paths", "/users/a/x", "404"),
    Case("rewritten paths", "/items/7/x?y", "green /item?y"),
    Case("rewritten paths", "/any/path?x", "red /any/path?x red.local", {"host": "www.example.com"}),
    Case("rewritten paths", "/exact", "blue /exact blue.local", {"host": "www.example.com:8443"}),
    _host("api.example.com", "/", "blue / blue.local"),
    _host("API.EXAMPLE.COM", "/", "blue"),
    _host("api.example.com:8443", "/x", "blue /x"),
    _host("www.example.com", "/", "green"),
    _host("www.example.com:80", "/", "green"),
    _host("a.b.example.com", "/", "green"),
    _host("a.x.example.com", "/", "red / a.x.example.com"),
    _host("a.x.example.com:1", "/", "red / a.x.example.com:1"),
    _host(".example.com", "/", "404"),
    _host("example.com", "/", "404"),
    _host("example.org", "/", "404"),
    _host("example.org", "/deep/1", "red /deep/1"),
    _host("api.example.com", "/deep/1", "red /deep/1"),
    _host("a.x.example.com", "/deep", "red /deep"),
    _both("/api", f"gray / {SERVICE}"),
    _both("/api/", "gray /"),
    _both("/api/users", "blue /users"),
    _both("/api/users/7?x", "blue /users/7?x"),
    _both("/apiusers", "blue /users"),
    _both("/api/users/admin", "red /users/admin"),
    _both("/api/users/admin/x", "blue /users/admin/x"),
    _both("/api/v2/x", "green /v2/x"),
    _both("/api/vx/x", "404"),
    _both("/api/v2", "404"),
    _both("/api/new", "404", {"x-new": "1"}),
    _both("/api/new", "gray /new", {"x-new": "1"}, "POST"),
    _both("/api/other", "404"),
    _both("/api../users", "404"),
    _both("/api%2e%2e/v2/x", "404"),
    _both("/dir/users", "blue /users", {"x-a": ""}),
    _both("/dir/users", "red /dir/users red.local"),
    _both("/dir/other", "404", {"x-a": ""}),
    _both("/users/k1", "blue /users/k1 client.example"),
    _both("/users/1", "red /users/1 red.local"),
    _both("/one", f"green /v1/x {SERVICE}"),
    _both("/one?q", "green /v1/x?q"),
    _both("/two", "404"),
    _both("/users/1", "blue /users/1 h.example", {"host": "h.example"}),
    _both("/v3/", "green /v3/", {"host": "h.example"}),
    _both("/nothing", "404", {"host": "h.example"}, "POST"),
    _both("/nothing", "404", {"host": "h.example"}),
    _both("/", "404", {}, "POST"),
    Case("one gateway route after another", "/a/b/cde", "blue"),
    Case("one gateway route after another", "/a/b/x", "404"),
    Case("one gateway route after another", "/a/x", "green"),
    Case("weights", "/only", "green"),
    Case("weights", "/none", "404"),
]

PATHS = {
    "/admin": "/admin",
    "/admin/": "/admin/",
    "/admin/x": "/admin/x",
    "/administrator": "/administrator",
    "/admin?x": "/admin?x",
    "/admin;x": "/admin;x",
    "//admin": "/admin",
    "///admin": "/admin",
    "/./admin": "/admin",
    "/x/../admin": "/admin",
    "/x/./../admin": "/admin",
    "/../admin": "/admin",
    "/../../admin": "/admin",
    "/%2e/admin": "/admin",
    "/x/%2e%2e/admin": "/admin",
    "/x/%2E%2E/admin": "/admin",
    "/x/.%2e/admin": "/admin",
    "/%61dmin": "/admin",
    "/ad%6Din": "/admin",
    "/ad%6din/x": "/admin/x",
    "/admin/../admin": "/admin",
    "/admin//x": "/admin/x",
    "/\\admin": "/admin",
    "/x\\..\\admin": "/admin",
    "/admin/%7Eme": "/admin/~me",
    "/admin/%20": "/admin/%20",
    "/x": "",
    "/Admin": "",
    "/x/admin": "",
    "/x?/../admin": "",
    "/?//admin": "",
    "/admin/..": "",
    "/admin/../x": "",
    "/admin/%2e%2e/x": "",
    "/%2561dmin": "",
    "/x/%3f/admin": "",
    "/x%23/admin": "",
    "/adm%69": "",
    "/x/..admin": "",
    "/.admin": "",
    "/a%zzdmin": "",
    "/admin%2fx": "400",
    "/admin%2Fx": "400",
    "/x/..%2fadmin": "400",
    "/%5cadmin": "400",
    "/x%5C..%5Cadmin": "400",
    "/admin%00": "400",
    "/admin#x": "400",
}
"""
Paths as clients send them, and what an application sees below ``/admin``; empty for requests that the route for
``/admin`` does not take, a status for those that nobody gets.
"""
