"""
Subject alternative names (RFC 5280 section 4.2.1.6): the names that a certificate proves and that a peer demands.

On the wire (settings, rows, properties, a mesh file) a name is its text. A URI contains ``://``; a DNS name does not.
This module imports little, because every container loads it at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.spiffe_id import SpiffeId, SpiffeIdInvalid
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LABEL = frozenset(_LETTERS + _LETTERS.upper() + "0123456789-_")

LONGEST_DNS_NAME = 253
LONGEST_LABEL = 63


class SanInvalid(ValueError):
    """
    A declared name that no certificate could carry.

    Args:
        place: Where it stands, for example ``identities.colorteller.names[0]``.
        problem: What is wrong with the name.
    """

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        self.problem = problem
        super().__init__(f"{place}: {problem}")


class _Name:
    __slots__ = ("_compared", "_text")

    def __init__(self, text: str, compared: str) -> None:
        self._text = text
        self._compared = compared

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Name):
            return type(self) is type(other) and self._compared == other._compared
        return NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._compared))


class Dns(_Name):
    """
    A DNS name. It keeps its spelling; names are equal if they differ only in the case of ASCII letters (RFC 4343).

    Args:
        text: Not checked: certificates may contain any text. :func:`parse_san` checks.
    """

    __slots__ = ()

    def __init__(self, text: str) -> None:
        # str.lower() would turn a few other characters, such as the Kelvin sign, into ASCII letters.
        super().__init__(text, text.lower() if text.isascii() else text)

    def proves(self, demanded: AcceptedName) -> bool:
        """True if this name satisfies a demanded one; ``*.`` stands for one whole label (RFC 9525 section 6.3)."""
        parent = str(demanded).partition(".")[2]
        return self == demanded or (isinstance(demanded, Dns) and parent != "" and self == Dns(f"*.{parent}"))


class Uri(_Name):
    """
    A URI. Two are equal only if all characters are: a SPIFFE ID's scheme and trust domain are always in lower case.

    Args:
        text: Not checked: certificates may contain any text. :func:`parse_san` checks.
    """

    __slots__ = ()

    def __init__(self, text: str) -> None:
        super().__init__(text, text)

    def proves(self, demanded: AcceptedName) -> bool:
        """True if this is the demanded name, or a SPIFFE ID under the demanded prefix."""
        return demanded.covers(self) if isinstance(demanded, SpiffeIdPrefix) else self == demanded


class SpiffeIdPrefix(NamedTuple):
    """
    SPIFFE IDs by whole path segments: the one with this text, and every one that goes on behind a slash.

    ``spiffe://td/ns/shop`` covers itself and ``spiffe://td/ns/shop/cart``, and never ``spiffe://td/ns/shopping``, as
    Envoy's ``path_separated_prefix`` does. It always names its trust domain, and may be no more than that.

    Args:
        prefix: Not checked; :func:`parse_accepted_names` checks.
    """

    prefix: str

    def __str__(self) -> str:
        return f"{self.prefix} and below"

    def covers(self, name: Uri) -> bool:
        """True if a URI is the SPIFFE ID of a workload under it."""
        try:
            written = str(SpiffeId.of_workload(str(name)))
        except SpiffeIdInvalid:
            return False
        return written == self.prefix or written.startswith(f"{self.prefix}/")


San = Dns | Uri
AcceptedName = San | SpiffeIdPrefix
"""What a peer may demand: a whole name, or any SPIFFE ID under a prefix."""


def san_of(text: str) -> San:
    """The name with this text, a URI or a DNS name; nothing else is checked."""
    return Uri(text) if "://" in text else Dns(text)


def parse_san(text: object, place: str) -> San:
    """
    A declared name, checked: a DNS name, with or without a leading ``*.``, or the SPIFFE ID of a workload.

    Args:
        text: The value as declared; need not be text.
        place: Where it stands, for the error.

    Raises:
        SanInvalid: If it is neither.
    """
    if not isinstance(text, str):
        raise SanInvalid(place, f"{text!r:.200} is not a name")
    name = san_of(text)
    if isinstance(name, Dns):
        if problem := _dns_problem(text):
            raise SanInvalid(place, f"{text!r:.300} {problem}")
        return name
    try:
        SpiffeId.of_workload(text)
    except SpiffeIdInvalid as error:
        raise SanInvalid(place, str(error)) from error
    return name


def parse_sans(texts: object, place: str) -> tuple[San, ...]:
    """
    Declared names, each checked by :func:`parse_san`.

    Args:
        texts: The value as declared; need not be a list.
        place: Where the list stands, for the error.

    Raises:
        SanInvalid: If it is not a list, or for the first name that is wrong.
    """
    return tuple(parse_san(text, where) for where, text in _placed(texts, place))


def parse_accepted_names(items: object, place: str) -> tuple[AcceptedName, ...]:
    """
    Names that a peer accepts, each checked: a text as :func:`parse_san` takes it, or ``{"prefix": SPIFFE ID}``.

    Args:
        items: The value as declared; need not be a list.
        place: Where the list stands, for the error.

    Raises:
        SanInvalid: If it is not a list, or for the first one that is wrong.
    """
    return tuple(_accepted_name(item, where) for where, item in _placed(items, place))


def proves_any(names: Collection[San], demanded: Collection[AcceptedName]) -> bool:
    """Whether one of a certificate's names satisfies one of those that are demanded."""
    # Most often one of them is the same, and large meshes ask for many.
    return not set(names).isdisjoint(demanded) or any(name.proves(each) for name in names for each in demanded)


def _placed(items: object, place: str) -> Iterator[tuple[str, object]]:
    if not isinstance(items, list | tuple):
        raise SanInvalid(place, f"{items!r:.200} is not a list of names")
    return ((f"{place}[{number}]", item) for number, item in enumerate(items))


def _accepted_name(item: object, place: str) -> AcceptedName:
    if not isinstance(item, dict):
        return parse_san(item, place)
    prefix = item.get("prefix")
    if set(item) != {"prefix"} or not isinstance(prefix, str):
        raise SanInvalid(place, f"{item!r:.200} is neither a name nor a prefix")
    try:
        SpiffeId.parse(prefix)
    except SpiffeIdInvalid as error:
        raise SanInvalid(f"{place}.prefix", str(error)) from error
    return SpiffeIdPrefix(prefix)


def _dns_problem(text: str) -> str:
    labels = text.removeprefix("*.").split(".")
    if not all(label and len(label) <= LONGEST_LABEL and _LABEL.issuperset(label) for label in labels):
        return "is not a DNS name"
    return f"has more than {LONGEST_DNS_NAME} characters" if len(text) > LONGEST_DNS_NAME else ""
