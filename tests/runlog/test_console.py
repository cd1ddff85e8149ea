import io

import pytest
import rich.console

from jmim.runlog import console


def make(terminal=False, **kwargs):
  """(console, what it has written)."""
  out = io.StringIO()
  inner = rich.console.Console(
    file=out, force_terminal=terminal, width=80, highlight=False, **kwargs
  )
  return console.Console(console=inner), out


def test_without_a_terminal_every_log_line_is_plain_text():
  c, out = make()
  with c.progress(1000, 0):
    for step in (50, 100):
      c.advance(step)
      c.log(step, 1000, {"loss": "0.5000", "left": "1m 00s"})
  assert out.getvalue().splitlines() == [
    "step      50/1000  loss 0.5000  left 1m 00s",
    "step     100/1000  loss 0.5000  left 1m 00s",
  ]


def test_on_a_terminal_a_bar_follows(monkeypatch):
  monkeypatch.delenv("JPY_PARENT_PID", raising=False)
  monkeypatch.setenv("TERM", "xterm")
  c, out = make(terminal=True)
  with c.progress(1000, 0):
    c.log(50, 1000, {"loss": "0.5000"})
  assert "50/1000" in out.getvalue() and "\x1b[" in out.getvalue()
  assert "step      50/1000  loss 0.5000" in out.getvalue()  # scrolls by
  c.log(60, 1000, {"loss": "0.4"})  # after the end: a line
  assert "step      60/1000  loss 0.4" in out.getvalue()


def test_the_bar_has_the_loss_of_the_first_player(monkeypatch):
  monkeypatch.delenv("JPY_PARENT_PID", raising=False)
  monkeypatch.setenv("TERM", "xterm")
  c, out = make(terminal=True)
  with c.progress(10, 0):
    c.log(1, 10, {"loss/one": "0.5", "loss/two": "0.25", "left": "9s"})
  last = [x for x in out.getvalue().splitlines() if "━" in x][-1]
  assert "loss/one 0.5  left 9s" in last and "loss/two" not in last


@pytest.mark.parametrize(
  "setting", [{"TERM": "dumb"}, {"JPY_PARENT_PID": "1"}], ids=str
)
def test_where_nothing_is_redrawn_lines_are_plain(monkeypatch, setting):
  for name, value in setting.items():
    monkeypatch.setenv(name, value)
  c, out = make(terminal=True)
  with c.progress(1000, 0):
    c.log(50, 1000, {"loss": "0.5000"})
  assert out.getvalue() == "step      50/1000  loss 0.5000\n"


def test_a_log_line_of_a_terminal_is_one_line(monkeypatch):
  monkeypatch.delenv("JPY_PARENT_PID", raising=False)
  monkeypatch.setenv("TERM", "xterm")
  c, out = make(terminal=True)
  c.log(50, 1000, {"loss": "0.5", "left": "1m", "long": "x" * 60, "wait": "1%"})
  line = out.getvalue().rstrip("\n")
  assert line == "step      50/1000  loss 0.5  left 1m  wait 1%"


def test_what_is_waited_for_is_said(monkeypatch):
  monkeypatch.delenv("JPY_PARENT_PID", raising=False)
  c, out = make()
  with c.busy("compiling"):
    assert out.getvalue() == "compiling ...\n"
  monkeypatch.setenv("TERM", "xterm")
  c, out = make(terminal=True)
  with c.busy("compiling"):
    pass
  assert "compiling" in out.getvalue() and "0s" in out.getvalue()
  with c.progress(10, 0), c.busy("evaluating knn"):
    pass
  assert "evaluating knn" in out.getvalue()


def test_tables_of_a_notebook_or_a_file_do_not_fold(monkeypatch):
  class Terminal(io.StringIO):
    isatty = lambda self: True

  row = ("x" * 50, "y" * 45)
  for stream, term, columns, one in (
    (Terminal, "dumb", "", True),
    (Terminal, "dumb", "60", False),
    (io.StringIO, "xterm", "", True),
  ):
    out = stream()
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout", out)
    console.Console().table("", ("a", "b"), [row])
    assert all(cell in out.getvalue() for cell in row) == one


def test_colours_are_for_terminals_only():
  for terminal in (False, True):
    c, out = make(terminal)
    c.print("careful", style="bold red")
    assert ("\x1b[" in out.getvalue()) == terminal
    assert "careful" in out.getvalue()


def test_text_is_not_markup_and_does_not_wrap():
  c, out = make()
  text = "shape [3, 4] of [bold]x[/bold] " + "y" * 100
  c.print(text)
  assert out.getvalue() == text + "\n"


def test_a_table_shows_every_cell():
  c, out = make()
  c.table("Title", ("", "value"), [("a/b", 0.5), ("c", "text")])
  lines = out.getvalue().split("\n")
  assert lines[0].strip() == "Title"
  assert [line.split() for line in lines if "a/b" in line] == [["a/b", "0.5"]]
  assert [line.split() for line in lines if " c " in line] == [["c", "text"]]


def test_quiet_prints_nothing(capsys):
  c = console.Console(quiet=True)
  c.print("x")
  c.table("t", ("a",), [("b",)])
  c.log(1, 2, {"loss": "3"})
  assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
  "n, unit, text",
  [
    (1234567, "", "1.23 M"),
    (999, "", "999"),
    (1e3, "", "1 k"),
    (2.5e12, "FLOP/s", "2.5 TFLOP/s"),
    (0, "FLOP", "0 FLOP"),
    (-2e9, "", "-2 G"),
  ],
)
def test_sizes(n, unit, text):
  assert console.size(n, unit) == text


@pytest.mark.parametrize(
  "value, text",
  [
    (0.0, "0"),
    (640, "640"),
    (0.123456, "0.1235"),
    (99.5, "99.5000"),
    (1e-5, "1.000e-05"),
    (123456.0, "1.235e+05"),
    (float("nan"), "nan"),
    (float("inf"), "inf"),
  ],
)
def test_numbers(value, text):
  assert console.number(value) == text
