"""Rules for the names of the file's parts, and for DNS names in certificates."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from meshcert.contract.spiffe_id import (
    DOT_SEGMENT,
    EMPTY_SEGMENT,
    LENGTH,
    LONGEST_SPIFFE_ID,
    NO_PATH,
    SCHEME,
    SCHEME_RULE,
    TRAILING_SLASH,
    TRUST_DOMAIN_CASE,
    SpiffeId,
    SpiffeIdInvalid,
)
from meshcert.san import LONGEST_DNS_NAME, LONGEST_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
"""Names of meshes, hierarchies, identities, proxies and services: they become DNS labels and parts of names in AWS."""

DNS_NAME = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9][a-z0-9-]*[a-z0-9]")
"""A DNS name as ACM takes it (at least two labels, the last of two characters or more), in lower case, no wildcard."""

LONGEST_COMMON_NAME = 64

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")
_LONGEST_HOST = 253
"""Characters of a host (RFC 1035, 2.3.4)."""


def name_problem(name: str, longest: int) -> tuple[str, str] | None:
    """
    The fault in the name of a part, which may have up to ``longest`` characters.

    Returns:
        Problem and remedy, or None if the name is valid.
    """
    if not NAME.fullmatch(name):
        return (
            f"{name!r} is not a name",
            "Use lower-case letters, digits and hyphens; begin with a letter and do not end with a hyphen",
        )
    if len(name) > longest:
        return (f"{name!r} has {len(name)} characters", f"Use at most {longest}: names of AWS resources are made of it")
    return None


def host_problem(name: str, namespace: str) -> tuple[str, str] | None:
    """
    The fault in the name of a virtual service, which is the host that requests to it name.

    Returns:
        Problem and remedy, or None if a request can name it.
    """
    if not _HOST.fullmatch(name):
        return (
            f"{name!r} is no host that a request could name",
            f"Use letters, digits, hyphens and dots, for example color.{namespace}",
        )
    if len(name) > _LONGEST_HOST:
        return f"a host has {_LONGEST_HOST} characters at most, and this one {len(name)}", "Choose a shorter name"
    return None


@lru_cache(maxsize=4096)
def dns_name_problem(name: str, namespace: str = "NAMESPACE", issuer: str = "ACM") -> tuple[str, str] | None:
    """
    The fault in a DNS name, by the rules of ACM and of meshcert. They hold for every issuer: identities may change it.

    Args:
        namespace: The mesh's, for an example of a whole name.
        issuer: Who refuses it, for people.

    Returns:
        Problem and remedy, or None if ACM would put it into a certificate.
    """
    labels = name.split(".")
    long = next((label for label in labels if len(label) > LONGEST_LABEL), "")
    rules = (
        (
            "://" in name,
            f"{name!r} is a URI, and ACM puts nothing but DNS names into a certificate",
            f"Write a DNS name, for example {_last_label(name)}.{namespace}",
        ),
        (name.startswith("*."), f"{name!r} is a wildcard, and peers compare whole names", "Write out each name"),
        (
            name != name.lower(),
            f"{name!r} has capital letters, which mean nothing in a DNS name",
            f"Write {name.lower()}",
        ),
        (
            len(labels) == 1,
            f"{name!r} has no dot, and {issuer} refuses names of one label",
            f"Write the whole name, for example {_last_label(name)}.{namespace}",
        ),
        (len(name) > LONGEST_DNS_NAME, f"it has {len(name)} characters", f"Use at most {LONGEST_DNS_NAME}"),
        (bool(long), f"its label {long!r} has {len(long)} characters", f"Use at most {LONGEST_LABEL} between two dots"),
        (
            DNS_NAME.fullmatch(name) is None,
            f"{name!r} is not a DNS name",
            "Use labels of letters, digits and inner hyphens, one dot between two, the last of two characters or more",
        ),
    )
    return next(((problem, remedy) for broken, problem, remedy in rules if broken), None)


def trust_domain_problem(name: str, mesh: str) -> tuple[str, str] | None:
    """
    The fault in the name of a trust domain.

    Args:
        mesh: Name of the mesh, for an example.

    Returns:
        Problem and remedy, or None if SPIFFE IDs can stand in it.
    """
    alone, slash, _ = name.removeprefix(f"{SCHEME}://").partition("/")
    if slash or alone != name:
        return f"{name!r:.300} is more than the name of a trust domain", f"Write {alone or f'{mesh}.example'}"
    try:
        SpiffeId.parse(f"{SCHEME}://{name}")
    except SpiffeIdInvalid as error:
        problem = f"{name!r:.300}: a SPIFFE ID of it {error.rule.problem} ({error.rule.section})"
        remedy = f"Write {name.lower()}" if error.rule is TRUST_DOMAIN_CASE else f"Write a name such as {mesh}.example"
        return problem, remedy
    return None


def spiffe_id_problem(text: str, trust_domain: str, identity: str) -> tuple[str, str] | None:
    """
    The fault in a SPIFFE ID.

    Args:
        trust_domain: Name of a trust domain, for an example of a whole ID.
        identity: Name of the identity, for the same.

    Returns:
        Problem and remedy, or None if a certificate can carry it.
    """
    if "*" in text:
        return (
            f"{text!r:.300} is a wildcard, and a certificate proves one SPIFFE ID",
            "Write a whole ID, and declare an identity for each workload",
        )
    try:
        SpiffeId.of_workload(text)
    except SpiffeIdInvalid as error:
        domain, _, path = text.removeprefix(f"{SCHEME}://").partition("/")
        segments = "/".join(each for each in path.split("/") if each not in {"", ".", ".."}) or identity
        mended = {
            TRUST_DOMAIN_CASE: f"Write {SCHEME}://{domain.lower()}/{path}",
            **dict.fromkeys(
                (TRAILING_SLASH, EMPTY_SEGMENT, DOT_SEGMENT, NO_PATH), f"Write {SCHEME}://{domain}/{segments}"
            ),
            LENGTH: f"Use at most {LONGEST_SPIFFE_ID} bytes",
        }
        otherwise = f"Write trust domain and path alone, for example {SCHEME}://{trust_domain}/{identity}"
        return str(error), mended.get(error.rule, otherwise)
    return None


def spiffe_id_prefix_problem(text: str, trust_domain: str) -> tuple[str, str] | None:
    """
    The fault in a prefix of SPIFFE IDs.

    Args:
        trust_domain: The mesh's, for an example; empty if it has none.

    Returns:
        Problem and remedy, or None if IDs can stand under it.
    """
    try:
        SpiffeId.parse(text)
    except SpiffeIdInvalid as error:
        if error.rule is SCHEME_RULE:
            example = f"{SCHEME}://{trust_domain or 'TRUST_DOMAIN'}/ns/shop"
            if "/" in text:
                return f"{text!r:.300} names no trust domain", f"Write the whole prefix, for example {example}"
            return (
                f"{text!r:.300} is no SPIFFE ID, and a DNS name has no prefix: DNS names are compared as a whole",
                f"List each DNS name under exact; a prefix is of SPIFFE IDs, for example {example}",
            )
        if error.rule is TRAILING_SLASH and text.strip("/"):
            return f"{text!r:.300} ends with a slash, which it implies", f"Write {text.rstrip('/'):.300}"
        return str(error), f"Write trust domain and whole path segments alone, for example {SCHEME}://{trust_domain}/ns"
    return None


def _last_label(name: str) -> str:
    """The part of a name that could be the first label of a DNS name."""
    label = re.sub(r"[^a-z0-9-]", "", name.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return label or "myservice"


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that ``word`` was probably meant to be; empty if none is similar."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """
    A remedy for an unknown word.

    Args:
        known: The words that could have been meant.
        otherwise: The remedy if no known word is similar.
    """
    likely = nearest(word, known)
    return f"Did you mean {likely}?" if likely else otherwise
