"""Headless Chromium, driven through a pipe: no driver, no web socket.

With --remote-debugging-pipe Chromium reads commands of the DevTools protocol
from file descriptor 3 and answers on 4, as JSON that ends with a zero byte.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find():
  """The command of a Chromium here, or None."""
  return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
  """One page; `trouble` holds what the console and the page complained of."""

  def __init__(self, folder):
    """Starts Chromium with its profile in `folder`."""
    self._to, theirs_in = self._pipe(reading=False)
    self._from, theirs_out = self._pipe(reading=True)

    def connect():  # in the child: whatever 3 and 4 are, they become ours
      ends = [os.dup(theirs_in), os.dup(theirs_out)]
      for number, end in zip((3, 4), ends, strict=True):
        os.dup2(end, number)

    self._process = subprocess.Popen(
      [
        find(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
        "about:blank",
      ],
      preexec_fn=connect,
      close_fds=False,
      stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    self._ids, self._rest, self._session = itertools.count(1), b"", None
    self.trouble, self._events = [], []
    pages = self("Target.getTargets")["targetInfos"]
    page = next(p for p in pages if p["type"] == "page")["targetId"]
    attached = self("Target.attachToTarget", targetId=page, flatten=True)
    self._session = attached["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
      self(f"{domain}.enable")

  def _pipe(self, reading):
    """(our end, their end, which may be inherited)."""
    read, write = os.pipe()
    ours, theirs = (read, write) if reading else (write, read)
    # Not 3 or 4, so that connecting one does not close the other.
    moved = os.dup(theirs)
    while moved < 10:
      moved = os.dup(theirs)
    os.close(theirs)
    os.set_inheritable(moved, True)
    return ours, moved

  def __call__(self, method, **params):
    """Sends a command and returns its result; events met are kept."""
    number = next(self._ids)
    message = {"id": number, "method": method, "params": params}
    if self._session:
      message["sessionId"] = self._session
    os.write(self._to, json.dumps(message).encode() + b"\0")
    while True:
      answer = self._read()
      if answer.get("id") == number:
        assert "error" not in answer, answer
        return answer["result"]

  def _read(self):
    while b"\0" not in self._rest:
      data = os.read(self._from, 1 << 16)
      assert data, "Chromium has ended"
      self._rest += data
    one, self._rest = self._rest.split(b"\0", 1)
    answer = json.loads(one)
    if "method" in answer:
      self._note(answer["method"], answer["params"])
    return answer

  def _note(self, name, params):
    self._events.append(name)
    if name == "Runtime.exceptionThrown":
      self.trouble.append(params["exceptionDetails"])
    if name == "Runtime.consoleAPICalled" and params["type"] != "log":
      self.trouble.append(params)
    if name == "Log.entryAdded":
      self.trouble.append(params["entry"])
    if name == "Network.requestWillBeSent":
      url = params["request"]["url"]
      if not url.startswith(("file:", "data:", "about:")):
        self.trouble.append(url)

  def open(self, path, width=1400, height=900, dark=False):
    """Loads a file at a size of the window and in a colour scheme."""
    self(
      "Emulation.setDeviceMetricsOverride",
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=width < 600,
    )
    scheme = "dark" if dark else "light"
    feature = {"name": "prefers-color-scheme", "value": scheme}
    self("Emulation.setEmulatedMedia", features=[feature])
    self._events.clear()
    self("Page.navigate", url=path.resolve().as_uri())
    while "Page.loadEventFired" not in self._events:
      self._read()
    # The page draws its curves in the next frame.
    self.value(
      "new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))"
    )

  def value(self, expression):
    """Value of a JavaScript expression (of a promise: its result)."""
    found = self(
      "Runtime.evaluate",
      expression=expression,
      awaitPromise=True,
      returnByValue=True,
    )
    assert "exceptionDetails" not in found, found["exceptionDetails"]
    return found["result"].get("value")

  def mouse(self, kind, x, y, **more):
    """A mouse event at a place of the window."""
    self("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

  def picture(self, whole=True):
    """PNG bytes of the page."""
    found = self("Page.captureScreenshot", captureBeyondViewport=whole)
    return base64.b64decode(found["data"])

  def close(self):
    """Ends Chromium."""
    self._process.terminate()
    self._process.wait()
    os.close(self._to)
    os.close(self._from)
