"""What the import writes is read as it was meant, whatever stands in names."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from meshcert.appmesh.writing import as_yaml

NAMES = ("a", "front.color.local", "yes", "é", "'", '"\\', "[" * 10, "\u2028", "\U0001f980", "? a", "a: b", "# a", "")
LENGTHS = (1, 30, 997, 998, 999, 1000, 1022, 1023, 1024, 2500)
"""Around the longest key that YAML reads without a mark."""


def values(name: str) -> list[Any]:
    """A name in every place that a value or a key may have."""
    return [name, 1, True, 1.5, [], {}, [name], {name: name}, {name: {name: [{name: 1, "b": [name]}]}}, [{name: [1]}]]


@pytest.mark.parametrize("name", [*NAMES, *("[" * length for length in LENGTHS), *("a" * length for length in LENGTHS)])
def test_a_mesh_file_is_read_as_it_was_written(name: str) -> None:
    """Keys of any length among them: YAML reads only short ones without a mark."""
    for value in values(name):
        document = {name: value, "services": {name: {name: value}}, "list": [value, {name: value}]}
        written = as_yaml(document, {"services": [f"about {len(name)}"], f"services.{name}.{name}": ["within"]})
        assert yaml.safe_load(written) == document
