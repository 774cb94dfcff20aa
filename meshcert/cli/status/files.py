"""Files of the user's that tasks serve: those of services without an identity, and how each is told."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from meshcert.cli.screen import short

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshcert.cli.account import Account
    from meshcert.cli.screen import Screen


def files_served(account: Account, services: Mapping[str, str]) -> list[dict[str, Any]]:
    """
    What the tasks of services report of files, for scripts and for the screen.

    Args:
        services: The place of each, as the platform knows it.

    Raises:
        MeshcertError: If AWS does not say.
    """
    found = []
    for service, place in services.items():
        workload = account.observers.platform.look(service, place)
        tasks = [task.id for task in workload.instances] if workload else []
        told = account.files(service, tasks) if tasks else {}
        for task in tasks:
            files = [asdict(each) for each in told.get(task, ())]
            found.append({"service": service, "task": task.rpartition("/")[2], "files": files})
    return found


def show_files(screen: Screen, served: list[dict[str, Any]], now: dt.datetime) -> None:
    """Show them, by task."""
    for each in served:
        screen.line()
        screen.line((each["service"], "bold"), f"  {short(each['task'])}, without an identity")
        if not each["files"]:
            screen.paragraph("file", "it has not said what it serves", "yellow")
        for file in each["files"]:
            show_file(screen, "file", file, now)


def show_file(screen: Screen, label: str, file: dict[str, Any], now: dt.datetime) -> None:
    """Show one of a task's files: which content it serves, until when, and what is wrong with what lies there now."""
    kind, slash, path = file["name"].partition("/")
    what = "roots" if kind == "trust_file" else "certificate"
    until = f"until {file['not_after']:%Y-%m-%d %H:%M}" if file["not_after"] else "until nobody knows when"
    refused = f", refused {short(file['refused'])}" if file["refused"] else ""
    why = f": {file['error']}" if file["error"] else ""
    ended = file["not_after"] is not None and file["not_after"] <= now
    told = f"{what} {slash}{path} {short(file['version']) or 'none'}, {until}{refused}{why}"
    screen.paragraph(label, told, "red" if why or ended else "")
