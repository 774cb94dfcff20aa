"""Checks of foreign trust domains: their names, and where their bundles come from."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshcert.mesh.federation.declared import EndpointProfile
from meshcert.mesh.naming import trust_domain_problem
from meshcert.naming import FEDERATE_ROLE

if TYPE_CHECKING:
    from meshcert.mesh.federation.declared import DeclaredTrustDomain
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

MOST_TRUST_DOMAINS = 20
"""Foreign trust domains of one mesh: each may be waited for within one run of the function that asks them."""
LONGEST_ENDPOINTS = 3_000
"""Bytes of all their names and URLs: a function's environment has 4 KB (AWS Lambda quotas), the rest is kept for
others."""


def check_trust_domains(mesh: Mesh, findings: Findings) -> None:
    """Report names that are none, the mesh's own or the function's, and bundles that could not be read."""
    for name, declared in mesh.trust_domains.items():
        place = f"trust_domains.{name}"
        if fault := trust_domain_problem(name, "partner"):
            findings.add(place, *fault)
            findings.doubt(place)
        elif name == mesh.about.trust_domain:
            findings.add(
                place,
                f"{name} is this mesh's own trust domain, and its hierarchies speak for it",
                "Remove it, or write the name of the partner's trust domain",
                given=("mesh.trust_domain",),
            )
        _check_source(place, declared, findings)
    if len(mesh.trust_domains) > MOST_TRUST_DOMAINS:
        findings.add(
            "trust_domains",
            f"there are {len(mesh.trust_domains)}, and {MOST_TRUST_DOMAINS} is the most",
            "Remove some, or divide the mesh",
        )
    endpoints = {name: each.bundle_endpoint for name, each in mesh.trust_domains.items() if each.bundle_endpoint}
    if endpoints and FEDERATE_ROLE in mesh.services:
        findings.add(
            f"services.{FEDERATE_ROLE}",
            f"{FEDERATE_ROLE!r} is the name of the role and the log group of the function that asks bundle endpoints",
            "Choose another name",
            given=("trust_domains",),
        )
    length = sum(len(name.encode()) + len(endpoint.url.encode()) for name, endpoint in endpoints.items())
    if length > LONGEST_ENDPOINTS:
        findings.add(
            "trust_domains",
            f"the names and URLs of their bundle endpoints take {length:,} bytes, and {LONGEST_ENDPOINTS:,} is the "
            "most: they stand in a function's environment, which has 4 KB",
            "Use shorter URLs, or files for some",
        )


def _check_source(place: str, declared: DeclaredTrustDomain, findings: Findings) -> None:
    kinds = [kind for kind in type(declared).model_fields if getattr(declared, kind)]
    if len(kinds) != 1:
        findings.add(
            place,
            f"it names {' and '.join(kinds) or 'neither bundle_endpoint nor file'}",
            "Name exactly one, for example bundle_endpoint: {url: https://..., profile: https_web}",
            given=[f"{place}.{kind}" for kind in type(declared).model_fields],
        )
    if endpoint := declared.bundle_endpoint:
        at = f"{place}.bundle_endpoint"
        if endpoint.profile is EndpointProfile.HTTPS_SPIFFE:
            findings.add(
                f"{at}.profile",
                "https_spiffe is not supported: its endpoint proves itself by an X509-SVID of its own trust domain, "
                "and a first bundle of that would have to be here already",
                "Write https_web, if the endpoint has a certificate of a public CA; or file: with its bundle",
            )
        if problem := _url_problem(endpoint.url):
            findings.add(
                f"{at}.url", f"{endpoint.url!r:.300} {problem}", "Write https://HOST/PATH, as the partner publishes it"
            )
    if declared.file and (declared.file.startswith("/") or ".." in declared.file.split("/")):
        findings.add(f"{place}.file", f"{declared.file} leads out of the repository", "Write a path below its root")


def _url_problem(url: str) -> str:
    """Why a URL is no bundle endpoint's (SPIFFE_Federation section 5.1.1); empty if it may be one."""
    if not all("!" <= each <= "~" for each in url):
        return "has a character that must be percent-encoded"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "is no URL"
    rules = (
        (parts.scheme == "https", "is no https URL, and a bundle is believed from no other"),
        ("@" not in parts.netloc, "has a user ('@'), and a bundle endpoint asks for none"),
        (bool(host), "has no host"),
        (port != 0, "has port 0"),
        ("#" not in url, "has a fragment ('#'), which no server sees"),
    )
    return next((problem for holds, problem in rules if not holds), "")
