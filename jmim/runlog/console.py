"""What a person sees: tables at the start, a progress bar or plain lines."""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import rich.box
import rich.console
import rich.progress
import rich.table
import rich.text

from jmim.runlog import clock


def size(n: float, unit: str = "") -> str:
  """1234567 -> '1.23 M'."""
  for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
    if abs(n) >= factor:
      return f"{n / factor:.3g} {letter}{unit}"
  return f"{n:.3g} {unit}".rstrip()


def number(value: float) -> str:
  """Four digits that mean something; 0 and whole numbers stay short."""
  if isinstance(value, int) or value == 0:
    return f"{value:g}"
  return f"{value:.4f}" if 1e-2 <= abs(value) < 1e4 else f"{value:.3e}"


def _width() -> int | None:
  """Columns; None: those of the terminal.

  Tables in a file, a pipe or a notebook need not fold to the 80 of a terminal.
  """
  if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
    return None
  return int(os.environ.get("COLUMNS") or 120)


class _Lasting(rich.progress.ProgressColumn):
  """How long something that is not a step has been going on."""

  def render(self, task: rich.progress.Task) -> rich.text.Text:
    """Seconds and minutes, or nothing."""
    since = task.fields.get("since")
    text = "" if since is None else clock.human(time.monotonic() - since)
    return rich.text.Text(text, style="dim")


def _text(form: str, **kwargs: Any) -> rich.progress.TextColumn:
  """A column of the live line, which is one line however narrow it is."""
  column = rich.table.Column(no_wrap=True, overflow="ellipsis", **kwargs)
  return rich.progress.TextColumn(form, markup=False, table_column=column)


def _live(names: Iterable[str]) -> list[str]:
  """Columns of a log line that the live line has beside its bar.

  The first loss, of several players "loss/generator", and the time left.
  """
  losses = [name for name in names if name.split("/")[0] == "loss"]
  return losses[:1] + [name for name in names if name == "left"]


class Console:
  """Prints for one process; every other host stays silent.

  On a terminal log lines scroll by above a live line: a progress bar, or what
  is being waited for and how long already. Elsewhere (a file, a pipe, a
  notebook) everything is plain lines.

  Attributes:
    quiet: whether nothing is printed, as of every host but the first.
    verbose: whether the long tables are wanted.
  """

  def __init__(
    self, quiet: bool = False, console: Any = None, verbose: bool = False
  ):
    """With `quiet` nothing is printed; `console` is replaced in tests."""
    width = _width()
    self.quiet, self.verbose = quiet, verbose
    self._console = console or rich.console.Console(
      quiet=quiet,
      highlight=False,
      width=width,
      height=width and 25,  # without it Rich ignores the width if TERM=dumb
    )
    self._update: Callable[..., None] | None = None  # of the bar, while shown

  def print(self, text: str = "", style: str | None = None) -> None:
    """One or more lines of text, shown as they are (no markup)."""
    self._console.print(rich.text.Text(text, style=style or ""), soft_wrap=True)

  def table(
    self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]
  ) -> None:
    """A small table; columns that hold numbers should be strings already.

    The first column is names, on the left; the others are on the right.
    """
    table = rich.table.Table(
      title=title,
      title_justify="left",
      box=rich.box.SIMPLE_HEAD,
      title_style="bold",
    )
    for i, name in enumerate(header):
      table.add_column(
        name, justify="left" if i == 0 else "right", overflow="fold"
      )
    for row in rows:
      table.add_row(*map(str, row))
    self._console.print(table)

  @contextlib.contextmanager
  def progress(self, total: int, done: int) -> Iterator[None]:
    """Shows a progress bar while the body runs, on a terminal.

    Args:
      total: steps of the run.
      done: of them before the body.
    """
    if not self._redraws():
      yield
      return
    with rich.progress.Progress(
      rich.progress.BarColumn(16),
      _text("{task.completed}/{task.total}"),
      _text("{task.fields[info]}"),
      _Lasting(),
      console=self._console,
    ) as bar:
      task = bar.add_task("", total=total, completed=done, info="", since=None)
      self._update = functools.partial(bar.update, task)
      try:
        yield
      finally:
        self._update = None

  @contextlib.contextmanager
  def busy(self, text: str) -> Iterator[None]:
    """Says what is waited for: with a clock on a terminal, else in a line."""
    if self._update:
      self._update(info=text, since=time.monotonic(), refresh=True)
      try:
        yield
      finally:
        self._update(info="", since=None)
    elif self._redraws():
      columns = (rich.progress.SpinnerColumn(), _text("{task.description}"))
      with rich.progress.Progress(
        *columns, _Lasting(), console=self._console, transient=True
      ) as line:
        line.add_task(text, since=time.monotonic())
        yield
    else:
      self.print(f"{text} ...", "dim")
      yield

  def _redraws(self) -> bool:
    """Whether lines can be written over; the output of a notebook's ! cannot.

    To the program it looks like a terminal; the kernel leaves a variable.
    """
    c = self._console
    in_cell = "JPY_PARENT_PID" in os.environ
    return c.is_terminal and not c.is_dumb_terminal and not in_cell

  def advance(self, step: int) -> None:
    """Moves the bar."""
    if self._update:
      self._update(completed=step)

  def log(self, step: int, total: int, values: Mapping[str, Any]) -> None:
    """One log line; on a terminal as much of it as fits into its width.

    Args:
      step: steps done.
      total: of the run.
      values: name -> text, the most important first.
    """
    words = [
      f"step {step:>7}/{total}",
      *(f"{k} {v}" for k, v in values.items()),
    ]
    if not self._redraws():
      self.print("  ".join(words))
      return
    line = words.pop(0)
    for word in words:
      if len(line) + 2 + len(word) <= self._console.width:
        line += f"  {word}"
    self.print(line)
    if self._update:
      shown = [f"{k} {values[k]}" for k in _live(values)]
      self._update(completed=step, info="  ".join(shown))
