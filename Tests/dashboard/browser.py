"""Drives a headless Chromium over its DevTools protocol, using only the standard library: a pipe, no port."""

import base64
import json
import os
import subprocess
import tempfile
import time


class Browser:
    """One Chromium with one page. Ends with `close()`, or with the block."""

    def __init__(self, program="chromium"):
        self.folder = tempfile.TemporaryDirectory(prefix="otpd-chromium-")
        to_child, self.output = os.pipe()
        self.input, from_child = os.pipe()

        def pipes():
            # Chromium reads commands at 3 and answers at 4. They are moved first, because they may be in use already.
            first, second = os.dup(to_child), os.dup(from_child)
            high = 100
            os.dup2(first, high), os.dup2(second, high + 1)
            os.dup2(high, 3), os.dup2(high + 1, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
             "--force-color-profile=srgb", f"--user-data-dir={self.folder.name}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_child), os.close(from_child)
        os.set_inheritable(self.output, False), os.set_inheritable(self.input, False)
        self.buffer, self.serial, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            session, self.session = self.session, None
            self.call("Browser.close")
        except (OSError, EOFError):
            pass
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()

    def call(self, method, **parameters):
        self.serial += 1
        message = {"id": self.serial, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.serial:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def _read(self):
        while b"\0" not in self.buffer:
            part = os.read(self.input, 1 << 20)
            if not part:
                raise EOFError("Chromium has gone")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def take_events(self, method):
        """The events of one kind since the last call, with all events before them."""
        self.run("0")
        found = [e["params"] for e in self.events if e["method"] == method]
        self.events = [e for e in self.events if e["method"] != method]
        return found

    def run(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)

    def until(self, expression, seconds=120):
        """Waits until the expression is true in the page. The error shows its last value."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                last = self.run(expression)
            except RuntimeError as error:
                last = error
            if last is True:
                return
            time.sleep(0.05)
        raise AssertionError(f"never became true: {expression}: {last}")

    def text(self):
        return self.run("document.body.innerText")

    def size(self, width, height, dark=False, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path, full=True):
        # No animation frame is awaited, because the page draws when it has data.
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def key(self, name):
        code = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Tab": 9, "Enter": 13}[name]
        text = {"Enter": "\r"}.get(name)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, windowsVirtualKeyCode=code, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)
