"""Whatever a file holds, an import ends with a report."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from evidence.fixtures.hostile_definitions import definitions
from evidence.fixtures.hostile_input import spoil
from meshcert.appmesh.importing import import_text
from meshcert.appmesh.report import Fate
from tests.meshcert.appmesh.definitions import ANSWERED, node

BOMB = "virtualNode: &a0 [x, x, x, x, x]\n" + "".join(
    f"k{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 5)}]\n" for number in range(1, 12)
)
"""Ten lists of five aliases each: fifty million values in few bytes."""
READERS = {reader.name: reader for reader in definitions()}


@pytest.mark.parametrize("name", READERS)
def test_a_spoiled_definition_ends_in_no_traceback(name: str) -> None:
    """And keeps nobody waiting; `make soak` does it 100,000 times."""
    assert spoil(READERS[name], 60) > 40


@pytest.mark.parametrize("name", READERS)
def test_good_definitions_become_a_mesh_file(name: str) -> None:
    """Guards the test above: what is spoiled there was good before."""
    for text in READERS[name].good:
        READERS[name].read(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200 + "{virtualNode: 1}" + "]" * 200, "levels deep"),
        (BOMB, "each alias counted"),
        ('{"virtualNode": ' + '"x"' * 3, "neither JSON nor YAML"),
        ("virtualNode: *missing", "alias"),
        (b"\xff\xfevirtualNode", "not UTF-8"),
        ("#!/bin/bash\naws appmesh create-virtual-node", "it is a program"),
        ("x" * (4 << 20) + "virtualNode", "bytes"),
    ],
)
def test_more_than_is_read_is_told_with_the_file(text: str | bytes, said: str) -> None:
    """Nothing is dropped in silence."""
    content = text if isinstance(text, bytes) else text.encode()

    made = import_text(content, "hostile.yaml", ANSWERED)

    assert made.text == ""
    (told,) = made.report.of(Fate.LOST)
    assert said in told.why
    assert told.where == ("hostile.yaml",)


MEGABYTE = 1 << 20
FUNCTIONS = {
    "Join": {"Fn::Join": ["x" * (MEGABYTE // 8), ["a"] * 4_000]},
    "Sub": {"Fn::Sub": ["${A}" * 1_000, {"A": "x" * (MEGABYTE // 2)}]},
    "Split": {"Fn::Split": ["a", "a" * MEGABYTE]},
}
"""Each would come to half a gigabyte of text, or to a million texts."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_makes_no_more_than_a_short_text(name: str) -> None:
    """A template of a megabyte could ask for more memory than a machine has."""
    spec = {"ServiceDiscovery": {"DNS": {"Hostname": FUNCTIONS[name]}}}
    properties = {"MeshName": "m", "VirtualNodeName": "n", "Spec": spec}
    template = {"Resources": {"A": {"Type": "AWS::AppMesh::VirtualNode", "Properties": properties}}}
    content = json.dumps(template).encode()

    tracemalloc.start()
    try:
        import_text(content, "large.json", ANSWERED)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 40 * MEGABYTE


@pytest.mark.parametrize(
    "link", [{"Fn::GetAtt": "X{}.Items"}, {"Fn::ImportValue": "x{}"}], ids=lambda link: next(iter(link))
)
def test_values_that_double_at_every_step_come_to_nothing(link: dict[str, str]) -> None:
    """Forty steps would be a million million values to compare."""
    ((function, name),) = link.items()
    doubled = [[{function: name.format(number + 1)}] * 2 for number in range(40)]
    kind = {"Type": "AWS::AppMesh::VirtualNode"}
    resources = {f"X{number}": kind | {"Properties": {"Items": made}} for number, made in enumerate(doubled)}
    outputs = {f"O{number}": {"Export": {"Name": f"x{number}"}, "Value": made} for number, made in enumerate(doubled)}
    compared = {"Fn::Equals": [{function: name.format(0)}, {function: name.format(1)}]}
    template = {
        "Conditions": {"Same": compared},
        "Outputs": outputs,
        "Resources": resources | {"A": kind | {"Condition": "Same", "Properties": {"Spec": {}}}},
    }

    assert import_text(json.dumps(template).encode(), "doubled.json", ANSWERED).report


def test_a_name_cannot_break_out_of_the_mesh_file() -> None:
    """It is written into comments and values of YAML."""
    evil = 'front\n  evil: true\n# "}\x1b]0;title\x07'

    made = import_text(json.dumps(node(evil)).encode(), "evil.json", ANSWERED)

    assert "\n  evil: true" not in made.text
    assert "\x1b" not in made.text
