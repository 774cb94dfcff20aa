"""The benchmark of cold imports: its arithmetic, and that it imports what a function would."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.bench import cold_import
from evidence.bench.cold_import import HANDLERS, ImportFailed, figures, import_ms

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_slowest_handler_is_the_ratio() -> None:
    """A goal that one function misses is missed."""
    rounds = {name: [150.0, 300.0, 150.0] for name in HANDLERS}

    result = figures({"boto3": [100.0, 200.0, 100.0], **rounds, "renewal": [180.0, 380.0, 200.0]})

    assert result["ratio"] == result["renewal_ratio"] == 1.9
    assert result["renewal_ratio_range"] == [1.8, 2.0]
    assert (result["export_ratio"], result["export_ms"], result["boto3_ms"]) == (1.5, 150.0, 100.0)


def test_every_function_is_measured() -> None:
    """A new one cannot be forgotten."""
    assert sorted(HANDLERS) == sorted(handler.parent.name for handler in (ROOT / "lambdas").glob("*/handler.py"))


def test_an_import_leaves_nothing_compiled_behind(tmp_path: Path) -> None:
    """Every round finds what a new process on AWS finds."""
    (tmp_path / "small.py").write_text("import json")

    assert 0 < import_ms("small", tmp_path) < 10_000
    assert [file.name for file in tmp_path.iterdir()] == ["small.py"]


def test_a_handler_that_cannot_be_imported_stops_the_benchmark(tmp_path: Path) -> None:
    """With Python's own words."""
    with pytest.raises(ImportFailed, match=r"import gone\.handler: (?s:.*)No module named 'gone'"):
        import_ms("gone.handler", tmp_path)


def test_a_machine_that_is_not_set_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the step that mends it."""
    monkeypatch.setattr(cold_import, "_INTERPRETER", tmp_path / "python")

    with pytest.raises(ImportFailed, match="run `make setup`"):
        import_ms("json", tmp_path)
