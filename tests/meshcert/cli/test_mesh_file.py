"""``meshcert check`` and ``meshcert schema``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meshcert.cli import exit_codes
from meshcert.cli.__main__ import main
from meshcert.mesh.reading.schema import json_schema
from tests.meshcert.mesh.mesh_slips import changed

ROOT = Path(__file__).parents[3]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A mesh file with a slip in its tenth line."""
    path = tmp_path / "faulty.yaml"
    path.write_text((ROOT / "mesh.yaml").read_text().replace("egress: nat", "egres: nat"))
    return path


def test_check_passes_the_shipped_file_by_default() -> None:
    """As a program of its own, without an argument, it looks at mesh.yaml."""
    command = [sys.executable, "-m", "meshcert.cli", "check"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mesh.yaml: mesh color: 2 hierarchies")


def test_check_prints_every_fault_with_its_line_and_ends_with_1(
    faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people: file:line: place: problem. remedy."""
    code = main(["check", str(faulty)])

    assert code == 1
    assert capsys.readouterr().out == f"{faulty}:10: network.egres: unknown key. Did you mean egress?\n1 fault\n"


def test_check_prints_faults_as_json(faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For editors and CI."""
    code = main(["check", str(faulty), "--json"])

    fault = {"line": 10, "place": "network.egres", "problem": "unknown key", "remedy": "Did you mean egress?"}
    assert code == 1
    assert json.loads(capsys.readouterr().out) == {"file": str(faulty), "faults": [fault], "findings": []}


def test_findings_are_told_and_counted_and_end_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A deploy takes them; a person should look."""
    slip = tmp_path / "slip.yaml"
    slip.write_text((ROOT / "mesh.yaml").read_text().replace("examples/color/colorteller", "examples/color/colortellr"))

    assert main(["check", str(slip)]) == 0
    finding, summary = capsys.readouterr().out.splitlines()
    assert ": services.colorteller.application.image: there is no folder examples/color/colortellr in " in finding
    assert summary.endswith("no fault, 1 finding")


@pytest.mark.parametrize(
    "file", ["mesh.yaml", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/**/*.yaml"))]
)
def test_the_files_of_the_repository_have_no_finding(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Else the first thing a newcomer sees is a complaint; stand-ins' images of examples/shop.yaml are none."""
    main(["check", str(ROOT / file), "--json"])

    assert json.loads(capsys.readouterr().out)["findings"] == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_root_that_is_not_there_is_a_fault_as_a_deploy_refuses_it(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, and told as nothing else is: CI that passes such a file would stop at the deploy."""
    arn = "arn:aws:acm-pca:us-west-1:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
    existing = {"key_algorithm": "RSA_2048", "existing": {"arn": arn, "root": "no-such-root.pem"}}
    (tmp_path / "mesh.yaml").write_bytes(changed(("hierarchies.colorteller", existing)))

    assert main(["check", str(tmp_path / "mesh.yaml"), *options]) == 1
    printed = capsys.readouterr().out
    assert printed.count("no-such-root.pem cannot be read: No such file or directory") == 1
    if options:
        assert (len(json.loads(printed)["faults"]), json.loads(printed)["findings"]) == (1, [])
    else:
        assert printed.endswith("\n1 fault\n")


def test_a_file_that_cannot_be_read_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do."""
    assert main(["check", "no-such-file.yaml"]) == 2
    assert capsys.readouterr().err == (
        "meshcert: no-such-file.yaml cannot be read: No such file or directory. "
        "Name a mesh file, for example mesh.yaml\n"
    )


@pytest.mark.parametrize("arguments", [["chekc"], ["check", "--jsno"], ["check", "one.yaml", "two.yaml"]])
def test_a_wrong_command_ends_as_every_command_does(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With usage and a sentence."""
    assert main(arguments) == exit_codes.USAGE
    assert "Usage: meshcert" in capsys.readouterr().err


def test_schema_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Ready to be written to a file."""
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
