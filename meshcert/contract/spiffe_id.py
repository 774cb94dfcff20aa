"""
SPIFFE IDs, and the rules of their syntax: sections 2 to 2.3 of the SPIFFE standard ``SPIFFE-ID.md``.

Envoy compares texts and checks none of these rules, so an ID that breaks one is refused before Envoy gets it.
This module imports nothing, because every container loads it at its start.
"""

from __future__ import annotations

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TRUST_DOMAIN = frozenset(_LETTERS + "0123456789.-_")
_SEGMENT = _TRUST_DOMAIN | frozenset(_LETTERS.upper())

SCHEME = "spiffe"
LONGEST_TRUST_DOMAIN = 255
"""Bytes; RFC 3986 allows a host no more."""
LONGEST_SPIFFE_ID = 2048
"""Bytes of the whole URI."""


class SpiffeRule:
    """
    One rule of a SPIFFE ID.

    Args:
        name: Its name here, for tables and scripts.
        section: Where the SPIFFE standards state it.
        problem: What is said about an ID that breaks it, after the ID itself.
    """

    __slots__ = ("name", "problem", "section")

    def __init__(self, name: str, section: str, problem: str) -> None:
        self.name = name
        self.section = section
        self.problem = problem


_ID, _DOMAIN, _PATH = "SPIFFE-ID section 2", "SPIFFE-ID section 2.1", "SPIFFE-ID section 2.2"
_LENGTH = "SPIFFE-ID section 2.3"

SCHEME_RULE = SpiffeRule("scheme", _ID, "is not a SPIFFE ID, and no other URI is a name here")
QUERY = SpiffeRule("query", _ID, "has a query ('?'), and a SPIFFE ID has none")
FRAGMENT = SpiffeRule("fragment", _ID, "has a fragment ('#'), and a SPIFFE ID has none")
PERCENT = SpiffeRule("percent", _ID, "has a percent sign, and nothing in a SPIFFE ID is percent-encoded")
USERINFO = SpiffeRule("userinfo", _DOMAIN, "has a user ('@') in its trust domain, and a SPIFFE ID has none")
PORT = SpiffeRule("port", _DOMAIN, "has a port (':') in its trust domain, and a SPIFFE ID has none")
NO_TRUST_DOMAIN = SpiffeRule("no-trust-domain", _ID, "has no trust domain")
TRUST_DOMAIN_CASE = SpiffeRule("trust-domain-case", _DOMAIN, "has a trust domain that is not in lower case")
TRUST_DOMAIN_CHARACTERS = SpiffeRule(
    "trust-domain-characters", _DOMAIN, "has a trust domain of more than a-z, 0-9, '.', '-' and '_'"
)
TRUST_DOMAIN_LENGTH = SpiffeRule(
    "trust-domain-length", _LENGTH, f"has a trust domain of more than {LONGEST_TRUST_DOMAIN} bytes"
)
TRAILING_SLASH = SpiffeRule("trailing-slash", _PATH, "ends with a slash")
EMPTY_SEGMENT = SpiffeRule("empty-segment", _PATH, "has an empty path segment ('//')")
DOT_SEGMENT = SpiffeRule("dot-segment", _PATH, "has a path segment '.' or '..'")
PATH_CHARACTERS = SpiffeRule(
    "path-characters", _PATH, "has a path of more than letters, digits, '.', '-' and '_' between slashes"
)
LENGTH = SpiffeRule("length", _LENGTH, f"has more than {LONGEST_SPIFFE_ID} bytes")
NO_PATH = SpiffeRule("no-path", "X509-SVID section 3.1", "names a trust domain, and no workload in it")

RULES = (
    SCHEME_RULE,
    QUERY,
    FRAGMENT,
    PERCENT,
    USERINFO,
    PORT,
    NO_TRUST_DOMAIN,
    TRUST_DOMAIN_CASE,
    TRUST_DOMAIN_CHARACTERS,
    TRUST_DOMAIN_LENGTH,
    TRAILING_SLASH,
    EMPTY_SEGMENT,
    DOT_SEGMENT,
    PATH_CHARACTERS,
    LENGTH,
    NO_PATH,
)
"""All rules. Of several that an ID breaks, the first in this order is named."""


class SpiffeIdInvalid(ValueError):
    """
    A text that is no SPIFFE ID, or not one of the kind that was asked for.

    Args:
        text: The text.
        rule: The first rule that it breaks.
    """

    def __init__(self, text: str, rule: SpiffeRule) -> None:
        self.text = text
        self.rule = rule
        super().__init__(f"{text!r:.300} {rule.problem} ({rule.section})")


class SpiffeId:
    """
    A SPIFFE ID. Made by :meth:`parse` or :meth:`of_workload`, which check it; its text is ``str`` of it.

    IDs are equal if their texts are.

    Args:
        trust_domain: For example ``color.example``.
        path: With its leading slash, for example ``/ns/x/sa/front``; empty in the ID of a trust domain.
    """

    __slots__ = ("path", "trust_domain")

    def __init__(self, trust_domain: str, path: str) -> None:
        self.trust_domain = trust_domain
        self.path = path

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, SpiffeId) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"SpiffeId({str(self)!r})"

    def __str__(self) -> str:
        return f"{SCHEME}://{self.trust_domain}{self.path}"

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """
        The ID of a workload or of a trust domain.

        The standard lets scheme and trust domain be compared without regard to case. Here they are in lower case only,
        because Envoy and other peers compare whole texts.

        Raises:
            SpiffeIdInvalid: With the first rule that it breaks.
        """
        rest = text.removeprefix(f"{SCHEME}://")
        domain, slash, path = rest.partition("/")
        segments = path.split("/") if slash else []
        broken = {
            SCHEME_RULE: rest == text,
            QUERY: "?" in rest,
            FRAGMENT: "#" in rest,
            PERCENT: "%" in rest,
            USERINFO: "@" in domain,
            PORT: ":" in domain,
            NO_TRUST_DOMAIN: not domain,
            TRUST_DOMAIN_CASE: not _TRUST_DOMAIN.issuperset(domain) and _SEGMENT.issuperset(domain),
            TRUST_DOMAIN_CHARACTERS: not _TRUST_DOMAIN.issuperset(domain),
            TRUST_DOMAIN_LENGTH: len(domain) > LONGEST_TRUST_DOMAIN,
            TRAILING_SLASH: rest.endswith("/"),
            EMPTY_SEGMENT: "" in segments,
            DOT_SEGMENT: "." in segments or ".." in segments,
            PATH_CHARACTERS: not all(map(_SEGMENT.issuperset, segments)),
            # What is left is ASCII, so characters are bytes.
            LENGTH: len(text) > LONGEST_SPIFFE_ID,
        }
        for rule, breaks in broken.items():
            if breaks:
                raise SpiffeIdInvalid(text, rule)
        return cls(domain, slash + path)

    @classmethod
    def of_workload(cls, text: str) -> SpiffeId:
        """
        The ID of a workload, which a leaf certificate can carry.

        Raises:
            SpiffeIdInvalid: With the first rule that it breaks; also if it names a trust domain alone.
        """
        found = cls.parse(text)
        if not found.path:
            raise SpiffeIdInvalid(text, NO_PATH)
        return found
