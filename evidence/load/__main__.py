"""
Load and its application as programs: ``python -m evidence.load --help``; both end with their standard input.

Each line that comes in before makes the client say when all requests are answered that were under way then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from evidence.load.application import serve
from evidence.load.loads import Connection, Load, Protocol
from evidence.load.workers import Workers
from local.requests_seen import RequestsSeen

READY = "ready"
"""The line that says that every load has had an answer, or that the application listens."""
SETTLED = "settled"
"""The line that answers a line of input."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evidence.load", description=__doc__)
    programs = parser.add_subparsers(dest="program", required=True)
    client = programs.add_parser("client", help="ask, and print what became of it as JSON at the end")
    names = ", ".join(f"{protocol}-{connection}" for protocol in Protocol for connection in Connection)
    client.add_argument(
        "--load",
        nargs=2,
        action="append",
        required=True,
        metavar=("NAME", "ADDRESS:PORT"),
        help=f"may be given more than once; names: {names}",
    )
    client.add_argument("--workers", type=int, default=2, help="of each load (default %(default)s)")
    client.add_argument("--pause-s", type=float, default=0.0, help="between answer and next question")
    client.add_argument("--timeout-s", type=float, default=5.0, help="for one request (default %(default)s)")
    client.add_argument("--seen", type=Path, help="the pipe into which the application writes the ids of requests")
    client.add_argument("--seconds", type=float, help="end after this, and not with the standard input")
    application = programs.add_parser("application", help="repeat what is asked")
    application.add_argument("address")
    application.add_argument("port", type=int)
    application.add_argument("--seen", type=Path, help="a pipe for the ids of requests")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


async def _input_ends(workers: Workers | None = None) -> None:
    while await asyncio.to_thread(sys.stdin.readline):
        if workers is not None:
            await workers.settle()
            _say(SETTLED)


async def _client(options: argparse.Namespace) -> None:
    workers = Workers(
        [
            Load.from_arguments(
                name, target, workers=options.workers, pause_s=options.pause_s, timeout_s=options.timeout_s
            )
            for name, target in options.load
        ],
        RequestsSeen(options.seen) if options.seen else None,
    )
    until = asyncio.Event()
    running = asyncio.create_task(workers.run(until, lambda: _say(READY)))
    await (_input_ends(workers) if options.seconds is None else asyncio.sleep(options.seconds))
    until.set()
    print(json.dumps({name: asdict(report) for name, report in (await running).items()}))


async def _application(options: argparse.Namespace) -> None:
    server = await serve(options.address, options.port, options.seen)
    _say(READY)
    await _input_ends()
    server.close()


def main(arguments: list[str]) -> None:
    """Run the program that was asked for."""
    options = _parser().parse_args(arguments)
    with suppress(KeyboardInterrupt):
        asyncio.run(_client(options) if options.program == "client" else _application(options))


if __name__ == "__main__":
    main(sys.argv[1:])
