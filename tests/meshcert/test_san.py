"""Names as values: what is equal, what proves what, and what can be declared."""

from __future__ import annotations

import copy
import pickle

import pytest

from meshcert.san import (
    Dns,
    San,
    SanInvalid,
    SpiffeIdPrefix,
    Uri,
    parse_accepted_names,
    parse_san,
    parse_sans,
    proves_any,
    san_of,
)

WORKLOAD = "spiffe://color.example/ns/x/sa/Y_1.v-2"


def test_dns_names_are_equal_without_regard_to_case() -> None:
    """RFC 4343: of ASCII letters alone. A name keeps its spelling for people."""
    assert Dns("A.Mesh.LOCAL") == Dns("a.mesh.local")
    assert len({Dns("A.mesh.local"), Dns("a.mesh.local")}) == 1
    assert str(Dns("A.mesh.local")) == "A.mesh.local"
    # What str.lower() makes a k of is another character in a certificate.
    assert Dns("\u212ay.local") != Dns("ky.local")


def test_uris_are_equal_character_by_character() -> None:
    """A SPIFFE ID's path has case, and its trust domain is in lower case by rule."""
    assert Uri(WORKLOAD) == Uri(WORKLOAD)
    assert len({Uri(WORKLOAD), Uri(WORKLOAD), Uri(WORKLOAD.lower())}) == 2


def test_a_name_equals_no_name_of_the_other_kind_and_no_text() -> None:
    """A certificate may carry any text under either kind."""
    same: list[object] = [Dns("a"), Uri("a"), "a"]

    assert [one == other for one in same for other in same].count(True) == 3
    assert len({Dns("a"), Uri("a")}) == 2


@pytest.mark.parametrize("name", [Dns("a.local"), Uri(WORKLOAD)])
def test_a_name_is_printed_and_copied_as_a_value(name: San) -> None:
    """Its text for people and wires, its kind besides for programmers."""
    assert san_of(str(name)) == name
    assert repr(name) == f"{type(name).__name__}({str(name)!r})"
    assert copy.deepcopy(name) == pickle.loads(pickle.dumps(name)) == name  # noqa: S301 -- our own bytes


@pytest.mark.parametrize(
    ("carried", "demanded"),
    [
        (Dns("a.local"), Dns("A.local")),
        (Dns("*.Mesh.local"), Dns("a.mesh.local")),
        (Dns("*.mesh.local"), Dns("*.mesh.local")),
        (Uri(WORKLOAD), Uri(WORKLOAD)),
    ],
)
def test_a_name_proves_itself_and_a_wildcard_one_label(carried: San, demanded: San) -> None:
    """RFC 9525 section 6.3; that Envoy says the same is shown in tests/envoy/test_names.py."""
    assert carried.proves(demanded)


@pytest.mark.parametrize(
    ("carried", "demanded"),
    [
        (Dns("*.mesh.local"), Dns("mesh.local")),
        (Dns("*.mesh.local"), Dns("a.b.mesh.local")),
        (Dns("a.mesh.local"), Dns("*.mesh.local")),
        (Dns("*."), Dns("local")),
        (Dns("*.example/w"), Uri("spiffe://color.example/w")),
        (Dns("color.example"), Uri("spiffe://color.example/w")),
        (Uri("spiffe://color.example/w"), Dns("color.example")),
        (Uri("spiffe://color.example/"), Uri("spiffe://color.example/w")),
        (Uri("spiffe://*.example/w"), Uri("spiffe://color.example/w")),
    ],
)
def test_nothing_else_proves_a_name(carried: San, demanded: San) -> None:
    """A wildcard is no parent, no two labels, no URI's, and nobody's demand."""
    assert not carried.proves(demanded)


@pytest.mark.parametrize(
    "text", ["a", "a.local", "A.local", "*.local", "xn--bcher-kva.example", "_grpc.a.local", "9.a", f"{'a' * 63}.b"]
)
def test_dns_names_that_can_be_declared(text: str) -> None:
    """What ACM takes is for the mesh file's checks: this is what a certificate can carry."""
    assert parse_san(text, "here") == Dns(text)


@pytest.mark.parametrize(
    "text",
    [WORKLOAD, "spiffe://a/b"],
)
def test_spiffe_ids_that_can_be_declared(text: str) -> None:
    """The rules, one by one, are those of ``test_spiffe_id.py``."""
    assert parse_san(text, "here") == Uri(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not a DNS name"),
        (" ", "not a DNS name"),
        ("a b.local", "not a DNS name"),
        ("a..local", "not a DNS name"),
        ("a.local.", "not a DNS name"),
        ("a.*.local", "not a DNS name"),
        ("*", "not a DNS name"),
        ("b\u00fccher.example", "not a DNS name"),
        ("\u212ay.local", "not a DNS name"),
        ("a.local\0.evil", "not a DNS name"),
        ("spiffe:/a/b", "not a DNS name"),
        (f"{'a' * 64}.b", "not a DNS name"),
        ("a." * 127, "not a DNS name"),
        ("a." * 126 + "ab", "more than 253 characters"),
        ("https://a.example/w", "not a SPIFFE ID"),
        ("SPIFFE://a.example/w", "not a SPIFFE ID"),
        ("://a/w", "not a SPIFFE ID"),
        ("spiffe://a.example", "no workload in it (X509-SVID section 3.1)"),
        (None, "None is not a name"),
        (b"a.local", "is not a name"),
    ],
)
def test_what_no_certificate_could_carry_is_refused_with_its_place(text: object, problem: str) -> None:
    """Envoy looks at none of it: it would take such a name, and no peer would ever match."""
    with pytest.raises(SanInvalid, match=r"^names") as caught:
        parse_sans(["a.local", text], "names")

    assert caught.value.place == "names[1]"
    assert problem in caught.value.problem
    assert str(caught.value) == f"names[1]: {caught.value.problem}"


@pytest.mark.parametrize("texts", ["a.local", None, {"a.local": 1}, 7])
def test_what_is_not_a_list_of_names_is_refused(texts: object) -> None:
    """A text alone would be a list of its letters."""
    with pytest.raises(SanInvalid, match=r"^names: .* is not a list of names$"):
        parse_sans(texts, "names")


PREFIX = SpiffeIdPrefix("spiffe://color.example/ns/x")


@pytest.mark.parametrize("carried", ["spiffe://color.example/ns/x", WORKLOAD, "spiffe://color.example/ns/x/.a"])
def test_a_prefix_covers_whole_path_segments_and_itself(carried: str) -> None:
    """Every case, and that Envoy says the same, is in tests/envoy/test_names.py."""
    assert Uri(carried).proves(PREFIX)


@pytest.mark.parametrize(
    "carried", [Uri("spiffe://color.example/ns/xy"), Uri(f"{WORKLOAD}/.."), Dns(WORKLOAD), Dns("color.example")]
)
def test_a_prefix_covers_no_half_segment_no_other_uri_and_no_dns_name(carried: San) -> None:
    """A DNS name may be spelled like a URI in a certificate."""
    assert not carried.proves(PREFIX)


def test_accepted_names_are_read_as_settings_write_them() -> None:
    """A prefix is an object, so that no container that does not know prefixes takes it for a name."""
    assert parse_accepted_names(["a.local", WORKLOAD, {"prefix": PREFIX.prefix}], "names") == (
        Dns("a.local"),
        Uri(WORKLOAD),
        PREFIX,
    )


@pytest.mark.parametrize(
    ("items", "place"),
    [
        ("a.local", "names"),
        (["a.local", "spiffe://"], "names[1]"),
        ([{"prefix": "a.local"}], "names[0].prefix"),
        ([{"prefix": "spiffe://td/a/"}], "names[0].prefix"),
        ([{"prefix": "spiffe://td/a/.."}], "names[0].prefix"),
        ([{"prefix": 1}], "names[0]"),
        ([{"prefix": "spiffe://td", "exact": "a.local"}], "names[0]"),
        ([{}], "names[0]"),
        ([["spiffe://td"]], "names[0]"),
    ],
)
def test_accepted_names_that_are_none_are_refused_with_their_place(items: object, place: str) -> None:
    """Settings come from outside the program."""
    with pytest.raises(SanInvalid) as refused:
        parse_accepted_names(items, "names")

    assert refused.value.place == place


@pytest.mark.parametrize(
    ("names", "demanded", "proven"),
    [
        ((Dns("a.local"),), (Dns("A.local"),), True),
        ((Dns("*.local"),), (Dns("a.local"),), True),
        ((Dns("b.local"), Uri(WORKLOAD)), (Dns("a.local"), PREFIX), True),
        ((Dns("b.local"), Uri(WORKLOAD)), (Dns("a.local"),), False),
        ((), (PREFIX,), False),
        ((Dns("a.local"),), (), False),
    ],
)
def test_one_of_a_certificates_names_has_to_prove_one_that_is_demanded(
    names: tuple[San, ...], demanded: tuple[Dns | SpiffeIdPrefix, ...], *, proven: bool
) -> None:
    """Whichever of either."""
    assert proves_any(names, demanded) is proven
