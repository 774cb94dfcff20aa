"""
A stand-in for an application that is not here and speaks plain TCP: sends back what it gets.

``PORT`` and ``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) say where it listens.
"""

from __future__ import annotations

import asyncio
import os
import signal

CHUNK = 65536


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    address = os.environ.get("MESHCERT_LOOPBACK_ADDRESS", "127.0.0.1")
    server = await asyncio.start_server(echo, address, int(os.environ["PORT"]))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
