"""``meshcert import``: a mesh file from definitions of App Mesh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcert.appmesh.converting.draft import Answers
from meshcert.appmesh.importing import import_sources
from meshcert.appmesh.report import AS_IT_WAS, Fate, listed
from meshcert.cli.screen import Screen
from meshcert.cli.terminal import SCHEMA, tell_aside, tell_json
from meshcert.mesh.mesh import LONGEST_MESH_NAME
from meshcert.mesh.naming import name_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.appmesh.importing import Imported
    from meshcert.appmesh.report import Told

COMPLETE, INCOMPLETE, NOTHING = 0, 1, 2
_SECTIONS = {
    Fate.DECISION: ("Needs your decision", "red"),
    Fate.LOST: ("Lost", "yellow"),
    Fate.CHANGED: ("Changed", ""),
    Fate.KEPT: ("Kept", "dim"),
}
_LABEL = 9

_IMPORT = """\b
  meshcert import mesh/ --output mesh.yaml                       a folder of files
  meshcert import stack.yaml --parameter Env=prod --output mesh.yaml
  meshcert import colors.json k8s/ --image ghcr.io/acme/color:4 --output mesh.yaml
  meshcert import mesh/ --output mesh.yaml --json | jq '.decision[]'

Sources are CloudFormation templates with AWS::AppMesh resources (YAML or JSON, several together), JSON of
`aws appmesh describe-*`, `create-*` and `update-*` (specifications alone, too), and Kubernetes manifests of
appmesh.k8s.aws/v1beta2. Placeholders that nobody has filled in ($X, ${X}, {{X}}) become questions.

The mesh file is written even if something is lost or open: the questions stand in it as comments. An
existing file is not overwritten, except with --force.

Exit codes: 0 nothing is lost or open and `meshcert check` finds no fault, or --allow-lossy; 1 something is
lost, open or faulty (the file is there); 2 the sources hold nothing of App Mesh, and nothing is written.
"""


def _pairs(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, is_pair, said = value.partition("=")
        if not is_pair or not name:
            raise click.BadParameter(f"{value!r}: write NAME=VALUE", param=parameter)
        pairs[name] = said
    return pairs


def _images(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    images = {}
    for value in values:
        name, is_pair, image = value.partition("=")
        images[name if is_pair else ""] = image if is_pair else value
    return images


def _name(_: click.Context, parameter: click.Parameter, value: str) -> str:
    if value and (problem := name_problem(value, LONGEST_MESH_NAME)):
        raise click.BadParameter(f"{problem[0]}. {problem[1]}", param=parameter)
    return value


@click.command("import", short_help="Make a mesh file of App Mesh's definitions.", epilog=_IMPORT)
@click.argument("sources", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE", help="The mesh file."
)
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="Value of a template's parameter, of an export of another stack, or of a placeholder; as often as needed.",
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="[NODE=]IMAGE",
    callback=_images,
    help="Image, or folder with a Dockerfile, of a virtual node's application; without NODE that of all others.",
)
@click.option(
    "--name", default="", metavar="NAME", callback=_name, help="Name of the mesh, if the sources have none that fits."
)
@click.option(
    "--namespace", default="", metavar="NAME", help="Cloud Map namespace, instead of that of most virtual nodes."
)
@click.option(
    "--default-retries/--no-default-retries",
    default=None,
    help="Whether the account had App Mesh's default retry policy: those had that held no mesh before 29 July 2020.",
)
@click.option("--allow-lossy", is_flag=True, help="End with 0 even if something is lost or open.")
@click.option("--force", is_flag=True, help="Overwrite the mesh file.")
@click.option("--json", "as_document", is_flag=True, help="The report as a JSON document on standard output.")
def import_(
    sources: Sequence[Path],
    output: Path,
    parameters: dict[str, str],
    images: dict[str, str],
    *,
    name: str,
    namespace: str,
    default_retries: bool | None,
    allow_lossy: bool,
    force: bool,
    as_document: bool,
) -> None:
    """
    Make a mesh file of what is written for AWS App Mesh.

    It tells of everything in the sources whether it is kept, changed, lost or needs a decision, with the question and
    how to answer it. Defaults that App Mesh had and nobody wrote (15 seconds for a request) stand in the file.
    Nothing is sent anywhere; AWS is not asked.
    """
    if output.exists() and not force:
        raise click.UsageError(f"{output} exists. Name another file, or say --force to overwrite it")
    answers = Answers(parameters, name, namespace, images, default_retries)
    imported = import_sources(sources, answers, lambda line: tell_aside(f"meshcert: {line}"))
    if imported.text:
        try:
            output.write_text(imported.text, encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"{output} cannot be written: {error.strerror}") from error
    code = _exit_code(imported, allow_lossy=allow_lossy)
    if as_document:
        tell_json({"schema": SCHEMA, "file": str(output) if imported.text else "", **_document(imported)})
    else:
        _show(Screen(), imported, output)
    sys.exit(code)


def _exit_code(imported: Imported, *, allow_lossy: bool) -> int:
    if not imported.text:
        return NOTHING
    return COMPLETE if imported.is_complete or allow_lossy else INCOMPLETE


def _document(imported: Imported) -> dict[str, Any]:
    faults = [{"place": each.place, "problem": each.problem, "remedy": each.remedy} for each in imported.faults]
    return {"resources": imported.counts, **imported.report.document(), "faults": faults}


def _gathered(told: Sequence[Told]) -> dict[tuple[str, str, tuple[str, ...]], list[str]]:
    """Of several fields of the same resources that one thing is said of, one entry."""
    gathered: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for each in told:
        gathered.setdefault((each.why, each.remedy, each.where), []).append(each.what)
    return gathered


def _show(screen: Screen, imported: Imported, output: Path) -> None:
    report = imported.report
    for fate, (title, style) in _SECTIONS.items():
        told = report.of(fate)
        # What stands in the file as it stood before is in the JSON document, field by field.
        shown = [each for each in told if fate is not Fate.KEPT or not each.why.startswith(AS_IT_WAS)]
        if not told:
            continue
        screen.line()
        screen.line((title, "bold"), f"  {len(told)}" + ("" if len(shown) == len(told) else "; --json lists them all"))
        for (why, remedy, where), whats in _gathered(shown).items():
            label = f"{len(where)} times" if len(where) > 1 else ""
            screen.paragraph(label, f"{', '.join(whats)}: {why}", style, width=_LABEL)
            screen.paragraph("", listed(where), "dim", width=_LABEL)
            if remedy:
                screen.paragraph("do", remedy, width=_LABEL)
    if report.skipped:
        screen.line()
        screen.line(("Skipped", "bold"), f"  {len(report.skipped)}")
        screen.paragraph("", listed(report.skipped), "dim", width=_LABEL)
    if imported.faults:
        screen.line()
        screen.line(("meshcert check", "bold"), f" finds {len(imported.faults)} faults in the file")
        for fault in imported.faults[:10]:
            screen.paragraph("", str(fault), width=_LABEL)
    screen.line()
    counts = ", ".join(f"{len(report.of(fate))} {fate}" for fate in (Fate.KEPT, Fate.CHANGED, Fate.LOST))
    questions = len(report.of(Fate.DECISION))
    if not imported.text:
        screen.line(("Nothing of App Mesh in these sources", "bold"), ": nothing was written")
    else:
        screen.line(
            (str(output), "bold"),
            f": {counts}, {questions} to decide; `meshcert check {output}`: {len(imported.faults)} faults",
        )
