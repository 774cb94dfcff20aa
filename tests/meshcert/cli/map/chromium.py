"""
A headless Chromium, steered over two pipes by the DevTools Protocol: real clicks and keys, what is shown, screenshots.

`make browser` installs it from npm (``local/browser/``).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROGRAM = "build/browser/chromium/chromium"
ARGUMENTS = (
    *("--headless=shell", "--no-sandbox", "--no-zygote", "--single-process", "--in-process-gpu", "--hide-scrollbars"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--font-render-hinting=none"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run", "--remote-debugging-pipe"),
)
WITHIN_S = 120.0
"""Every answer comes by then, on the busiest machine."""
_TAB, _ENTER, _ESCAPE = "Tab", "Enter", "Escape"
_KEYS = {_TAB: 9, _ENTER: 13, _ESCAPE: 27}
_FAR = 20
"""Above every file descriptor that the browser wants to have."""


class Browser:
    """
    One running Chromium with one page.

    Args:
        root: The repository.
        profile: A folder for what a browser keeps.
    """

    def __init__(self, root: Path, profile: Path) -> None:
        program = root / PROGRAM
        assert program.exists(), "there is no browser: make browser"
        (its_read, our_write), (our_read, its_write) = os.pipe(), os.pipe()
        far = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _FAR) for each in (its_read, its_write)]
        self._pid = os.posix_spawn(
            program,
            [str(program), *ARGUMENTS, f"--user-data-dir={profile}"],
            os.environ | {"HOME": str(profile)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, far[0], 3),
                (os.POSIX_SPAWN_DUP2, far[1], 4),
            ],
        )
        for each in (its_read, its_write, *far):
            os.close(each)
        self._write, self._read, self._rest, self._number = our_write, our_read, b"", 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        """Everything that the browser has told of the page that is open."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility", "DOM"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        os.close(self._write)
        os.close(self._read)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def open(self, file: Path, *, width: int = 1400, height: int = 1000, dark: bool = False) -> None:
        """Open a file in a window of this size."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self._call("Page.navigate", url=file.as_uri())
        self._wait(lambda: any(each["method"] == "Page.loadEventFired" for each in self.events))

    def value(self, expression: str) -> Any:
        """The value of an expression in the page, as JSON has it."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """The texts of the elements that a person sees, as one line each."""
        found = self.value(
            f"[...document.querySelectorAll({json.dumps(selector)})].filter((one) => one.checkVisibility())"
            ".map((one) => one.textContent)"
        )
        return [" ".join(text.split()) for text in found]

    def click(self, selector: str) -> None:
        """Scroll to an element and press the mouse's button in its middle; it must be what is on top there."""
        x, y, hit = self.value(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            "one.scrollIntoView({block: 'center', inline: 'center'}); const at = one.getBoundingClientRect();"
            "const x = at.x + at.width / 2, y = at.y + at.height / 2;"
            "return [x, y, one.contains(document.elementFromPoint(x, y))] })()"
        )
        assert hit, f"something lies over {selector}"
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press Tab, Enter, Escape or a letter, and let it go."""
        code = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0]))}
        text = {"text": "\r"} if key == _ENTER else {} if key in _KEYS else {"text": key}
        self._call("Input.dispatchKeyEvent", type="keyDown", **code, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text: str) -> None:
        """Type a text, key by key."""
        for letter in text:
            self.press(letter)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """What is shown, as PNG; or the whole page, however long."""
        answer = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def spoken(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader meets, in its order."""
        nodes: Sequence[dict[str, Any]] = self._call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
        ]

    def requests(self) -> list[str]:
        """Every address that the page that is open has asked for."""
        self._call("Runtime.evaluate", expression="0")
        return [
            each["params"]["request"]["url"] for each in self.events if each["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """What the browser has refused or failed to do: exceptions, and breaches of the page's policy."""
        self._call("Runtime.evaluate", expression="0")
        told = [each for each in self.events if each["method"] in {"Runtime.exceptionThrown", "Log.entryAdded"}]
        return [json.dumps(each["params"]) for each in told]

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        answers: list[dict[str, Any]] = []
        self._wait(lambda: bool(answers), answers, number)
        (answer,) = answers
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _wait(self, done: Any, answers: list[dict[str, Any]] | None = None, number: int = 0) -> None:
        until = time.monotonic() + WITHIN_S
        while not done():
            left = until - time.monotonic()
            assert left > 0, "the browser does not answer"
            if not select.select([self._read], [], [], left)[0]:
                continue
            read = os.read(self._read, 1 << 20)
            assert read, "the browser has ended"
            *messages, self._rest = (self._rest + read).split(b"\0")
            for message in map(json.loads, messages):
                if "id" not in message:
                    self.events.append(message)
                elif answers is not None and message["id"] == number:
                    answers.append(message)
