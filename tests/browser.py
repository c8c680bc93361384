"""Headless Chromium, driven over a pipe by the DevTools protocol: no package and no port is needed for it."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = "--headless --remote-debugging-pipe --no-first-run --disable-gpu --disable-dev-shm-usage --hide-scrollbars"
OPTIONS += " --disable-background-networking --disable-component-update"


class Browser:
    """One page of one browser; ``told`` holds its console's messages and uncaught errors, ``asked`` what it loaded."""

    def __init__(self, profile: Path):
        (read, their_write), (their_read, write) = os.pipe(), os.pipe()
        sandbox = ["--no-sandbox"] * (os.geteuid() == 0)  # Chromium refuses root a sandbox
        options = [*OPTIONS.split(), "--host-resolver-rules=MAP * ~NOTFOUND", *sandbox, f"--user-data-dir={profile}"]
        # the protocol is spoken on file descriptors 3 (to the browser) and 4 (from it)
        script = f'exec "$0" "$@" 3<&{their_read} 4>&{their_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, CHROMIUM, *options, "about:blank"], pass_fds=(their_read, their_write),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(their_read)
        os.close(their_write)
        self.read, self.write, self.left, self.number, self.session = read, write, b"", 0, None
        self.told, self.asked, self.loaded = [], [], False
        try:
            target = self("Target.createTarget", url="about:blank")["targetId"]
            self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.write)  # it ends with its pipe
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.read)

    def __call__(self, method: str, **params) -> dict:
        """The answer to one command; what the browser tells meanwhile is kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (found := self._next()).get("id") != self.number:
            self._note(found)
        assert "error" not in found, found
        return found["result"]

    def _next(self, seconds: float = 60) -> dict:
        end = time.monotonic() + seconds
        while b"\0" not in self.left:
            assert select.select([self.read], [], [], max(0, end - time.monotonic()))[0], "the browser does not answer"
            part = os.read(self.read, 1 << 20)
            assert part, "the browser has ended"
            self.left += part
        message, _, self.left = self.left.partition(b"\0")
        return json.loads(message)

    def _note(self, message: dict) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.told.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.told.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.told.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True

    def open(self, file: Path, width: int = 1280, height: int = 900) -> None:
        """Load a file, seen through a window of that size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self("Emulation.setDeviceMetricsOverride", **size)
        self.loaded = False
        self("Page.navigate", url=file.as_uri())
        while not self.loaded:
            self._note(self._next())

    def js(self, expression: str):
        """The value of a JavaScript expression, as JSON carries it; an error in it is an error here."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go, wherever the focus is."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self("Input.dispatchKeyEvent", type="keyUp", **about)

    def picture(self, file: Path) -> None:
        """The whole page as a PNG."""
        made = self("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(made["data"]))
