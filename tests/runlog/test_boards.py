import sys
import types

import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.runlog import boards
from jmim.runlog import writer


class Stub(types.ModuleType):
  """As much of wandb as is used; remembers what it is given."""

  def __init__(self, online=True):
    super().__init__("wandb")
    self.online, self.inits, self.logged, self.finished = online, [], [], 0
    self.broken = False

  def init(self, **settings):
    if settings["mode"] == "online" and not self.online:
      raise RuntimeError("no network\nmore")
    self.inits.append(settings)
    return self

  def define_metric(self, name, step_metric):
    assert (name, step_metric) == ("*", "step")

  def Image(self, pixels):  # noqa: N802  wandb's name
    return ("picture", pixels.shape)

  def log(self, values):
    if self.broken:
      raise OSError("gone")
    self.logged.append(values)

  def finish(self):
    self.finished += 1


@pytest.fixture
def stub(monkeypatch):
  it = Stub()
  monkeypatch.setitem(sys.modules, "wandb", it)
  return it


def config(**more):
  found = configs.base()
  found.logging.update(wandb_project="digits", **more)
  return found


def make(tmp_path, **more):
  """(board, its warnings)."""
  warnings = []
  board = boards.open(config(**more), tmp_path / "run", warnings.append)
  return board, warnings


def test_nothing_is_imported_without_a_project(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, "wandb", None)  # importing it raises
  boards.check(configs.base())
  assert boards.open(configs.base(), tmp_path, print) is None
  with pytest.raises(errors.UserError, match="jmim\\[wandb\\]"):
    boards.check(config())


def test_a_resumed_run_is_the_same_run_there(stub, tmp_path):
  for _ in range(2):
    board, warnings = make(tmp_path)
    board.close()
  first, second = stub.inits
  assert first["id"] == second["id"] and len(first["id"]) == 8
  assert (first["resume"], first["project"]) == ("allow", "digits")
  assert first["config"]["data"]["batch"] == 256
  assert stub.finished == 2 and warnings == []


def test_it_gets_what_the_files_hold(stub, tmp_path):
  board, _ = make(tmp_path)
  w = writer.Writer(tmp_path / "run", board=board)
  w.scalars(5, {"loss": 0.5, "bad": float("nan")}, eval="loss")
  w.image(5, "recon/sheet", np.zeros((4, 6, 3), np.uint8))
  w.close()
  numbers, picture = stub.logged
  assert numbers["step"] == 5 and numbers["loss"] == 0.5
  assert np.isnan(numbers["bad"]) and "eval" not in numbers
  assert picture == {"step": 5, "recon/sheet": ("picture", (4, 6, 3))}


def test_without_network_it_is_kept_in_the_workdir(stub, tmp_path):
  stub.online = False
  board, warnings = make(tmp_path)
  board.scalars(1, {"loss": 1.0})
  assert [x["mode"] for x in stub.inits] == ["offline"]
  assert stub.inits[0]["dir"] == str(tmp_path / "run")
  assert warnings == ["wandb (online): RuntimeError: no network"]
  assert stub.logged == [{"step": 1, "loss": 1.0}]


def test_offline_is_not_tried_twice(stub, tmp_path, monkeypatch):
  def never(**settings):
    raise RuntimeError("broken")

  monkeypatch.setattr(stub, "init", never)
  board, warnings = make(tmp_path, wandb_mode="offline")
  board.scalars(1, {"loss": 1.0})
  board.close()
  assert warnings == ["wandb (offline): RuntimeError: broken"]


def test_what_fails_later_is_reported_once(stub, tmp_path):
  board, warnings = make(tmp_path)
  stub.broken = True
  for step in range(3):
    board.scalars(step, {"loss": 1.0})
  board.close()
  assert warnings == ["wandb gets nothing more: OSError: gone"]
