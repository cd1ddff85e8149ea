"""A terminal of its own for a command: what its screen shows, at any time."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

_PIECES = re.compile(
  r"\x1b\[(?P<args>[?\d;]*)(?P<code>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x1b\r\n])"
)


class Screen:
  """Lines as a terminal shows them: just what Rich makes use of."""

  def __init__(self, width: int):
    self.lines, self.row, self.column, self.width = [""], 0, 0, width

  def feed(self, text: str) -> None:
    """Takes what a program prints."""
    for piece in _PIECES.finditer(text):
      if code := piece["code"]:
        self._command(code, piece["args"])
      elif piece["control"] == "\r":
        self.column = 0
      elif piece["control"]:
        self._down()
      else:
        self._put(piece["text"])

  def _down(self):
    self.row, self.column = self.row + 1, 0
    if self.row == len(self.lines):
      self.lines.append("")

  def _put(self, character):
    if self.column == self.width:
      self._down()
    line = self.lines[self.row].ljust(self.column)
    after = line[self.column + 1 :]
    self.lines[self.row] = line[: self.column] + character + after
    self.column += 1

  def _command(self, code, args):
    count = int(args or 1) if args.isdigit() or not args else 0
    if code == "A":
      self.row = max(self.row - count, 0)
    elif code == "K":
      self.lines[self.row] = ""

  def shown(self) -> list[str]:
    """All lines that are not empty, without blanks at their ends."""
    return [line.rstrip() for line in self.lines if line.strip()]


def run(command, width, env, seconds=120.0):
  """Yields the screen after each piece that a command prints.

  Args:
    command: words.
    width: columns of the terminal.
    env: of the process.
    seconds: after which it is killed.
  """
  ours, theirs = pty.openpty()
  fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
  process = subprocess.Popen(
    command, stdin=theirs, stdout=theirs, stderr=theirs, env=env
  )
  os.close(theirs)
  screen, end = Screen(width), time.monotonic() + seconds
  rest = b""
  try:
    while time.monotonic() < end:
      if not select.select([ours], [], [], 1.0)[0]:
        continue
      try:
        data = os.read(ours, 65536)
      except OSError:  # the program has closed it
        break
      if not data:
        break
      rest += data
      text = rest.decode(errors="ignore")
      rest = rest[len(text.encode()) :]
      screen.feed(text)
      yield screen
  finally:
    process.kill()
    os.close(ours)
    process.wait()
