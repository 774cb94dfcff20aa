"""``docs/limits.md`` has the bounds of what is read as the code has them."""

from __future__ import annotations

import pytest

from entrypoint.aws import answer_reading, json_api
from entrypoint.envoy import admin, plain_http
from meshcert import bounded_json
from meshcert.documents import stored_settings
from meshcert.lifecycle.asking import triggers
from meshcert.material import document
from meshcert.mesh.reading import loading, source
from tests.docs.pages import ROOT, rows

READ = {place.strip("`"): limit for _, limit, place in rows("docs/limits.md", "| what | limit | where it is said |")}
BOUNDS = {
    "meshcert/bounded_json.py": (bounded_json.MOST_BYTES, bounded_json.DEEPEST, 64),
    "meshcert/mesh/reading/source.py": (
        *(source.MOST_BYTES, source.DEEPEST, source.MOST_VALUES, source.LONGEST_NUMBER),
        loading.MOST_FAULTS,
    ),
    "meshcert/documents/stored_settings.py": (stored_settings.LONGEST_STORED, bounded_json.MOST_BYTES),
    "meshcert/material/document.py": (
        *(document.LONGEST_SECRET, document._MOST_ISSUERS, document._MOST_ROOTS),
        document._LONGEST_PASSPHRASE,
    ),
    "envoy-image/entrypoint/aws/answer_reading.py": (answer_reading.LARGEST_ANSWER, json_api.REQUEST_TIMEOUT_S),
    "envoy-image/entrypoint/envoy/plain_http.py": (plain_http._LARGEST_ANSWER, admin.TIMEOUT_S),
    "meshcert/lifecycle/asking/triggers.py": (triggers._MOST_REFERENCES,),
}
"""The bounds in each file, in the order in which the page tells them."""


@pytest.mark.parametrize("place", READ)
def test_the_bounds_of_a_reader_are_those_of_the_code(place: str) -> None:
    """Each number, in its order."""
    assert (ROOT / place).is_file()

    words = READ[place].replace(",", "").split()
    said = [int(word) for word in words if word.isdecimal()]
    assert said == [int(bound) for bound in BOUNDS[place]]


def test_every_bound_of_a_reader_is_on_the_page() -> None:
    """And no other."""
    assert set(READ) == set(BOUNDS)
