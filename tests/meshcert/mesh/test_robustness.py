"""Whatever is wrong with a file, the reader names it, invents nothing, and never breaks down."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.mesh import Mesh, read_mesh
from meshcert.mesh.reading.loading import MOST_FAULTS
from meshcert.mesh.reading.mending import stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
COLOR = yaml.safe_load((ROOT / "mesh.yaml").read_text())
Way = tuple[str | int, ...]


def paths(value: Any, path: Way = ()) -> Iterator[Way]:
    """The way to every value of a file."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*path, key))


def value_at(path: Way, values: Any = COLOR) -> Any:
    """The value that a path leads to."""
    for step in path:
        values = values[step]
    return values


def written(path: Way) -> str:
    """A path as faults write it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def with_value(path: Way, value: object) -> bytes:
    """The Color app's file with one value replaced."""
    values = copy.deepcopy(COLOR)
    value_at(path[:-1], values)[path[-1]] = value
    return yaml.safe_dump(values, sort_keys=False).encode()


OPTIONAL = {"tls", "validation", "certificate", "client_policy", "application", "subject_alternative_names"}
OPTIONAL |= {"organization", "organizational_unit", "poll_interval_s"}


def wrong_values() -> Iterator[tuple[Way, object]]:
    """Each value of the file with values of another kind in its place."""
    for path in paths(COLOR):
        value = value_at(path)
        yield path, [["oops"]]
        if not isinstance(value, dict):
            yield path, {"oops": 1}
        if path[-1] not in OPTIONAL and path[-2:] != ("application", "egress"):
            # An optional part with nothing in it is as good as left out.
            yield path, None


@pytest.mark.parametrize(
    ("path", "wrong"), list(wrong_values()), ids=lambda it: written(it) if isinstance(it, tuple) else str(it)
)
def test_a_value_of_the_wrong_kind_is_reported_where_it_is_and_nowhere_else(path: Way, wrong: object) -> None:
    """What rests on a value that cannot be read is not judged: no false alarm follows from a slip elsewhere."""
    faults = read_mesh(with_value(path, wrong)).faults

    assert faults
    assert [fault for fault in faults if not fault.place.startswith(written(path))] == []


@pytest.mark.parametrize(
    "path", [path for path in [(), *paths(COLOR)] if isinstance(value_at(path), dict)], ids=written
)
def test_an_unknown_key_is_reported_wherever_it_stands(path: Way) -> None:
    """In every part of the file; among named parts it is one more name, and incomplete."""
    faults = read_mesh(with_value((*path, "zzz"), "zzz")).faults

    assert [fault.place for fault in faults] == [written((*path, "zzz"))]


@pytest.mark.parametrize("path", list(paths(COLOR)), ids=written)
def test_no_part_of_the_file_can_be_missing_without_a_clear_word(path: Way) -> None:
    """What is left either is a mesh or has faults with a remedy."""
    values = copy.deepcopy(COLOR)
    del value_at(path[:-1], values)[path[-1]]

    reading = read_mesh(yaml.safe_dump(values, sort_keys=False).encode())

    assert (reading.mesh is None) == bool(reading.faults)
    assert all(fault.problem and fault.remedy for fault in reading.faults)


def _laughs(line: bytes) -> bytes:
    """A text of ten aliases of ten aliases, and so on: a hundred million values in 400 bytes."""
    first = b"a0: &a0 {x: 1}\n" if b"<<" in line else b"a0: &a0 [x]\n"
    return first.replace(b"[x]", b"[" + b"x," * 10 + b"]") + b"".join(
        b"a%d: &a%d %s\n" % (step, step, line % b",".join([b"*a%d" % (step - 1)] * 10)) for step in range(1, 9)
    )


@pytest.mark.parametrize("text", [b"- 1", b"yellow", b"7", b"{}", b"schema: 1", b"[[[]]]"])
def test_a_file_that_is_no_mesh_at_all_has_faults(text: bytes) -> None:
    """Wrong at the root: still a list of faults."""
    assert read_mesh(text).faults


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (b"", "(file)", "empty"),
        (b"# only a comment\n", "(file)", "empty"),
        (b"mesh:\n  name: color\n namespace: x\n", "line 3, column 2", "not YAML"),
        (b"mesh: {name: color\nhierarchies: 1\n", "line 2, column 12", "not YAML"),
        (b"mesh: 'color\n", "line 2, column 1", "not YAML"),
        (b"\xff\xfe\x00", "(file)", "not YAML"),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1", "single document"),
        (b"mesh: !!python/object:os.system {}\n", "line 1, column 7", "python/object"),
        (b"mesh: &all [*all]\n", "line 1, column 7", "contains itself"),
        (b"mesh: 2026-13-45\n", "(file)", "month"),
        (b"mesh: !!int ''\n", "(file)", "tag"),
        (b"mesh: !!bool maybe\n", "(file)", "tag"),
        (b"mesh: !!timestamp soon\n", "(file)", "tag"),
        (b"mesh: " + b"[" * 200_000, "line 1, column 38", "32 levels"),
        (b"mesh: " + b"9" * 200_000, "line 1, column 7", "40 characters"),
        (b"mesh: 1" + b":59" * 80_000, "line 1, column 7", "40 characters"),
        (b"mesh: " + b" " * 1_100_000, "(file)", "1048576 are read"),
        (
            b"- &a0 [x]\n" + b"".join(b"- &a%d [*a%d]\n" % (n, n - 1) for n in range(1, 99)),
            "line 32, column 9",
            "32 levels",
        ),
        (_laughs(b"[%s]"), "line 5, column 30", "60000 values"),
        (_laughs(b"{<<: [%s]}"), "line 6, column 19", "60000 values"),
    ],
)
def test_text_that_is_no_yaml_is_a_fault_with_its_line(text: bytes, place: str, problem: str) -> None:
    """The reader points at the line, and no parser's traceback comes through."""
    (fault,) = read_mesh(text).faults

    assert fault.place == place
    assert problem in fault.problem


def test_a_key_written_twice_is_a_fault_with_both_lines() -> None:
    """YAML would silently keep the last one: a certificate or a client check could vanish."""
    text = (ROOT / "mesh.yaml").read_bytes() + b"network: {egress: nat}\n"

    (fault,) = read_mesh(text).faults

    last = text.count(b"\n")
    assert fault.place == "network"
    assert fault.problem == f"the key is written twice, in lines 9 and {last}"


def test_faults_after_a_duplicate_key_are_reported_too() -> None:
    """A duplicate does not hide what else is wrong."""
    text = (ROOT / "mesh.yaml").read_bytes().replace(b"egress: nat", b"egress: none\n  egress: none")

    assert [fault.place for fault in read_mesh(text).faults] == ["network.egress", "network.egress"]


def test_yaml_anchors_and_merge_keys_are_understood() -> None:
    """People share parts of a file by YAML's own means."""
    text = (ROOT / "examples/color/mutual.yaml").read_text()
    anchored = text.replace(
        "  colorgateway:\n    virtual_gateway:",
        "  colorgateway:\n    <<: &pace {poll_interval_s: 5}\n    virtual_gateway:",
    )
    shared = anchored.replace("    poll_interval_s: 1\n", "    <<: *pace\n").replace(
        "    poll_interval_s: 1 # the", "    # the"
    )

    reading = read_mesh(shared.encode())

    assert reading.faults == ()
    assert reading.mesh is not None
    assert {service.poll_interval_s for service in reading.mesh.services.values()} == {5.0}


def test_words_that_yaml_takes_for_something_else_are_names_as_keys() -> None:
    """``on`` is true and ``1`` a number in YAML; as keys they are what a person wrote."""
    text = with_value(("identities", "spare"), {}).replace(b"spare: {}", b"on: {}")

    places = [fault.place for fault in read_mesh(text).faults]

    assert places == ["identities.on.hierarchy", "identities.on.key_algorithm", "identities.on.dns_names"]


def test_faults_know_their_line() -> None:
    """Editors jump there."""
    text = with_value(("identities", "colorteller", "dns_names"), ["colorteller"])
    reading = read_mesh(text)

    line = reading.source.line(next(fault.place for fault in reading.faults))

    assert text.decode().splitlines()[line - 1].strip() == "- colorteller"


def test_every_required_part_has_a_stand_in_that_the_model_accepts() -> None:
    """A new required field without an example would keep a faulty file from being checked to its end."""
    assert isinstance(Mesh.model_validate(stand_in(Mesh)), Mesh)


def test_no_more_faults_are_told_than_anybody_reads() -> None:
    """The last says how many more there are."""
    *told, last = read_mesh(b"".join(b"key%d: 1\n" % number for number in range(9000))).faults

    assert len(told) == MOST_FAULTS
    assert last.problem == "there are 8905 more faults"
