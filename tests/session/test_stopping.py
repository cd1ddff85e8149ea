"""Signals: the first is remembered, the second ends the process."""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from jmim.session import stopping


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_the_first_signal_is_only_remembered(number, capfd):
  before = signal.getsignal(number)
  with stopping.Stop() as stop:
    assert not stop.due(1)
    os.kill(os.getpid(), number)
    assert stop.due(2) and stop.signal == signal.Signals(number).name
  assert signal.getsignal(number) is before
  assert "saving at the next step" in capfd.readouterr().err


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_before_the_first_step_the_first_signal_ends_at_once(number):
  code = (
    "import time\n"
    "from jmim.session import stopping\n"
    "with stopping.leaving():\n"
    "  print('ready', flush=True)\n"
    "  time.sleep(600)\n"
  )
  process = subprocess.Popen(
    [sys.executable, "-c", code],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  process.stdout.readline()
  process.send_signal(number)
  err = process.communicate()[1]
  assert process.returncode == 75
  assert f"{signal.Signals(number).name} before the first step" in err


def foreign():
  """SIGTERM as JAX's preemption service has it: a C function takes it."""
  libc = stopping._libc()
  libc.signal(int(signal.SIGTERM), ctypes.cast(libc.abs, ctypes.c_void_p).value)


@pytest.mark.parametrize("hosts, code", [(2, 75), (1, None)])
def test_one_of_several_that_train_nothing_ends_at_once(hosts, code):
  """Alone, the signal is whatever it was: here nobody hears it."""
  text = (
    "import sys\n"
    f"sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})\n"
    "import test_stopping as kit\n"
    "kit.foreign()\n"
    f"with kit.stopping.ending({hosts}):\n"
    "  print('ready', flush=True)\n"
    "  input()\n"
    "print('done')\n"
  )
  process = subprocess.Popen(
    [sys.executable, "-c", text],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  process.stdout.readline()
  process.send_signal(signal.SIGTERM)
  if code:
    err = process.communicate()[1]
    assert process.returncode == code
    assert "SIGTERM: there is nothing to save; the same command" in err
  else:
    out, err = process.communicate("\n")
    assert (process.returncode, out, err) == (0, "done\n", "")


def test_after_that_signals_are_as_they_were():
  before = [signal.getsignal(number) for number in stopping.SIGNALS]
  with stopping.leaving():
    assert signal.getsignal(signal.SIGTERM) is not before[0]
  assert [signal.getsignal(number) for number in stopping.SIGNALS] == before


def test_a_handler_that_is_not_of_python_is_put_back():
  """JAX's preemption service has one; without it hosts agree on no step."""
  libc = stopping._libc()
  before = libc.signal(int(signal.SIGTERM), None)
  mine = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: None)
  address = ctypes.cast(mine, ctypes.c_void_p).value
  try:
    libc.signal(int(signal.SIGTERM), address)
    with stopping.leaving():
      assert stopping._foreign(int(signal.SIGTERM)) == 0
    assert stopping._foreign(int(signal.SIGTERM)) == address
  finally:
    libc.signal(int(signal.SIGTERM), before)


def test_what_may_be_cut_short_is():
  with stopping.Stop() as stop:
    with pytest.raises(stopping.Signalled), stop.cutting():
      os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(stopping.Signalled), stop.cutting():
      pytest.fail("not even begun")


def test_nothing_is_cut_short_before_or_after():
  with stopping.Stop() as stop:
    with stop.cutting():
      pass
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.due(1)


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_the_second_ends_at_once(number):
  code = (
    "import os, signal\n"
    "from jmim.session import stopping\n"
    "with stopping.Stop():\n"
    f"  os.kill(os.getpid(), {int(number)})\n"
    "  print('first', flush=True)\n"
    f"  os.kill(os.getpid(), {int(number)})\n"
    "  print('never')\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True
  )
  assert done.returncode == 128 + number and done.stdout == "first\n"


def test_the_service_of_jax_gets_every_first_signal():
  """Its handler is in C, where Python does not see it."""
  code = (
    "import ctypes, os, signal\n"
    "from jmim.session import stopping\n"
    "libc, calls = ctypes.CDLL(None), []\n"
    "libc.signal.restype = ctypes.c_void_p\n"
    "libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)\n"
    "handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(calls.append)\n"
    "where = ctypes.cast(handler, ctypes.c_void_p).value\n"
    "for number in stopping.SIGNALS:\n"
    "  libc.signal(signal.SIGTERM, where)\n"
    "  with stopping.Stop(hosts=2) as stop:\n"
    "    os.kill(os.getpid(), number)\n"
    "    assert stop.signal == number.name, stop.signal\n"
    "  assert libc.signal(signal.SIGTERM, where) == where\n"
    "print(calls)\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True
  )
  assert done.stdout == "[15, 15]\n", done.stderr
