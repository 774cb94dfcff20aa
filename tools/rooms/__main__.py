"""``make rooms``: print the rooms and draw them into docs/rooms.svg."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.rooms.drawing import draw, write
from tools.rooms.floors import build
from tools.rooms.reading import read_files

ROOT = Path(__file__).resolve().parent.parent.parent

if __name__ == "__main__":
    graph = build(read_files(ROOT))
    (ROOT / "docs" / "rooms.svg").write_text(draw(graph), encoding="utf-8")
    sys.stdout.write(write(graph))
