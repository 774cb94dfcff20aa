"""Allow rules, callers and paths, and who may ask for what; ``docs/proxy.md`` tells of some of them."""

from __future__ import annotations

from cryptography import x509

from evidence.fixtures.proxies import GATEWAY_NAME
from meshcert.routes import AllowRule
from meshcert.san import Dns, SpiffeIdPrefix, Uri

TRUST_DOMAIN = "spiffe://color.example"
OPERATOR = f"{TRUST_DOMAIN}/ns/ops/sa/operator"
CART = f"{TRUST_DOMAIN}/ns/shop/cart"
GET = "/color.ColorService/Get"
RULES = (
    AllowRule(prefix="/"),
    AllowRule((Uri(OPERATOR),), prefix="/admin"),
    AllowRule((Dns(GATEWAY_NAME), Uri(OPERATOR)), path="/healthz"),
    AllowRule((SpiffeIdPrefix(f"{TRUST_DOMAIN}/ns/shop"),), prefix="/shop/"),
    AllowRule((Dns(GATEWAY_NAME),), path="/shop/stock"),
)
CALLS = (
    AllowRule((Uri(OPERATOR),), prefix="/color.ColorService/"),
    AllowRule((Dns(GATEWAY_NAME), Uri(OPERATOR)), path=GET),
)
DOTS = {"/x/..;/admin": "/admin", "/..;/admin": "/admin", "/.;/admin/x": "/admin/x"}
"""Envoy takes dots with a parameter for dots, as Tomcat does."""
REFUSED_SPELLINGS = frozenset({"/admin;x", "/Admin"})
SPELLINGS = (
    "/;/admin",
    "/;x=1/admin",
    "/x;y",
    "/admin;/x",
    "/%3b/admin",
    "/..%3B/admin",
    "/ADMIN",
    "/aDMIN/x",
    "/%41dmin",
    "//Admin",
    "/x/../Admin",
    "/HEALTHZ",
    "/healthz/",
    "/Healthz/",
    "/shop",
    "/Shop",
    "/SHOP/x",
    "/shop/Stock",
    "/shop/stock/",
)
"""Nobody may ask for them."""

CALLERS: list[tuple[tuple[str | x509.GeneralName, ...], str, int]] = [
    ((GATEWAY_NAME,), "/", 200),
    ((GATEWAY_NAME,), "/healthz", 200),
    ((GATEWAY_NAME,), "/healthz?deep=1", 200),
    ((GATEWAY_NAME,), "/healthz2", 200),
    ((GATEWAY_NAME.upper(),), "/healthz", 200),
    (("*.mtls.svc.cluster.local",), "/healthz", 200),
    ((GATEWAY_NAME,), "/admin", 403),
    ((GATEWAY_NAME,), "/shop/x", 403),
    ((GATEWAY_NAME,), "/shop/stock", 200),
    ((OPERATOR,), "/admin", 200),
    ((OPERATOR,), "/admin.json", 200),
    ((CART,), "/admin.json", 403),
    ((CART,), "/healthz", 403),
    ((CART,), "/healthz.json", 200),
    ((CART,), "/healthz/x", 200),
    ((OPERATOR,), "/healthz", 200),
    ((OPERATOR,), "/shop/", 403),
    ((OPERATOR, GATEWAY_NAME), "/shop/stock", 200),
    ((f"{OPERATOR}s",), "/admin", 403),
    ((f"{OPERATOR}/x",), "/admin", 403),
    ((CART,), "/shop/", 200),
    ((CART,), "/shop/x", 200),
    ((CART,), "/shop/stock", 403),
    ((CART,), "/shop/stocks", 200),
    ((CART,), "/shops", 200),
    ((CART,), "/healthz", 403),
    ((CART, GATEWAY_NAME), "/healthz", 200),
    ((f"{TRUST_DOMAIN}/ns/shop",), "/shop/x", 200),
    ((f"{TRUST_DOMAIN}/ns/shopping",), "/shop/x", 403),
    ((f"{TRUST_DOMAIN}/ns",), "/shop/x", 403),
    # Two URIs: the handshake takes the one, the rules nobody.
    ((OPERATOR, CART), "/admin", 403),
    ((CART, OPERATOR), "/", 403),
    ((CART, f"{TRUST_DOMAIN}/ns/shop/../ops"), "/shop/x", 403),
    ((CART, "https://color.example/cart"), "/shop/x", 403),
    # A name of the other kind, spelled like the one that is allowed.
    ((CART, x509.DNSName(OPERATOR)), "/admin", 403),
    ((CART, x509.RFC822Name("operator@color.example")), "/admin", 403),
    ((f"{TRUST_DOMAIN}/a", x509.DNSName(CART)), "/shop/x", 403),
]
"""Names in a caller's certificate, what it asks for, and the status that it gets."""
