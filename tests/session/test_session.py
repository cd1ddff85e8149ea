"""An open run: what it creates, what it closes, what it refuses."""

import contextlib
import dataclasses
import errno
import json
import shutil

import numpy as np
import pytest

from jmim.checkpoints import store as checkpoint
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import files
from jmim.core import method as methods
from jmim.runlog import writer as writers
from jmim.session import assemble
from jmim.session import lock as locks
from jmim.session import session as sessions


def test_to_look_at_a_run_creates_nothing(toy, tmp_path):
  workdir = tmp_path / "none"
  with sessions.open(toy, workdir, write=False) as session:
    assert session.open_writer(0) is None and not session.writes
    assert session.keeper.store.latest() is None
  assert not workdir.exists()


@pytest.mark.parametrize("error", [None, KeyError])
def test_all_is_closed_at_the_end_and_after_an_error(
  toy, tmp_path, monkeypatch, error
):
  order, close = [], checkpoint.Checkpoints.close
  monkeypatch.setattr(
    checkpoint.Checkpoints,
    "close",
    lambda self, ours: (order.append("checkpoints"), close(self, ours)),
  )
  with contextlib.suppress(KeyError), sessions.open(toy, tmp_path) as session:
    session.closing.callback(order.append, "first callback")
    writer = session.open_writer(0)
    session.closing.callback(order.append, "last callback")
    if error:
      raise error
    writer.scalars(1, {"loss": 0.5})
  assert order == ["last callback", "first callback", "checkpoints"]
  assert writer._lines._file.closed
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  assert len(lines) == (0 if error else 1)


def test_files_that_cannot_be_closed_are_not_saved(toy, tmp_path, monkeypatch):
  def full(self):
    raise OSError(errno.ENOSPC, "no space left")

  with pytest.raises(errors.NotSaved, match="no space left"):
    with sessions.open(toy, tmp_path) as session:
      session.open_writer(0)
      monkeypatch.setattr(writers.Writer, "close", full)


def test_evaluations_of_others_write_elsewhere(toy, trained):
  before = (trained / "metrics.jsonl").read_text()
  with sessions.open(toy, trained, write=False) as session:
    writer = session.open_eval_writer(4)
    writer.scalars(4, {"loss/loss": 0.5}, eval="loss")
  assert (trained / "metrics.jsonl").read_text() == before
  (line,) = writers.read(trained / "eval")
  assert line["eval"] == "loss" and line["step"] == 4


@pytest.mark.parametrize("name", ["fid/fid", "-fid/fid"])
def test_the_best_checkpoint_needs_an_evaluator(toy, tmp_path, name):
  config = configs.override(toy, [f"train.keep_best={name}"])
  with pytest.raises(errors.UserError) as e:
    with sessions.open(config, tmp_path):
      pytest.fail("opened")
  assert e.value.key == "train.keep_best"


@pytest.mark.parametrize("write", [True, False])
def test_keys_with_another_name_are_named_first(
  toy, tmp_path, monkeypatch, capsys, write
):
  make, line = assemble.make, "method.width is method.dims.width now"
  monkeypatch.setattr(
    assemble, "make", lambda c: dataclasses.replace(make(c), renamed=(line,))
  )
  with sessions.open(toy, tmp_path, write=write):
    assert capsys.readouterr().out.startswith(line + "\n")


def test_data_that_changed_since_the_run_began_are_told(
  toy, trained, tmp_path, capsys, monkeypatch
):
  workdir = tmp_path / "run"
  shutil.copytree(trained, workdir)
  path = workdir / "data.json"
  facts = json.loads(path.read_text())
  facts["train"]["examples"] -= 1
  facts["classes"].reverse()
  path.write_text(json.dumps(facts))
  with sessions.open(toy, workdir):
    out = capsys.readouterr().out
  assert "data.train: 1,397 examples" in out
  assert "changed: data.train: 1396 -> 1397" in out
  assert "changed: data: 10 classes have other numbers" in out
  # Of weights that have learnt the labels.
  made = assemble.make(toy)
  needs = made.method.inputs() | {"label": methods.Input((), "int32", 10)}
  monkeypatch.setattr(type(made.method), "inputs", lambda self: needs)
  with pytest.raises(errors.UserError, match="other numbers"):
    with sessions.open(toy, workdir):
      pass
  with sessions.open(toy, workdir, write=False):  # only to look at it
    assert "other numbers" in capsys.readouterr().out


def test_who_has_lost_the_workdir_writes_no_line_of_it(toy, tmp_path):
  """It was suspended, and another went on; it wakes up between checkpoints."""
  with sessions.open(toy, tmp_path) as session:
    writer = session.open_writer(0)
    writer.scalars(1, {"loss": 1.0})
    session.lock.path.unlink()
    other = locks.Lock(tmp_path)
    writer.scalars(2, {"loss": 2.0})
    writer.image(2, "picture", np.zeros((4, 4, 3), np.uint8))
    writer.head(2, "probe", kernel=np.zeros(3))
    other.check()  # it is the other's still
    other.release()
  assert [line["step"] for line in writers.read(tmp_path)] == [1]
  assert not list((tmp_path / "images").iterdir())
  assert not writers.head(tmp_path, "probe").exists()


@pytest.mark.parametrize("when", ("opened", "written"))
def test_an_evaluation_that_cannot_be_written_is_not_saved(
  toy, trained, tmp_path, monkeypatch, when
):
  run = shutil.copytree(trained, tmp_path / "run")
  shutil.rmtree(run / "eval", ignore_errors=True)
  if when == "opened":
    (run / "eval").write_text("in the way")
  with sessions.open(toy, run, write=False) as session:
    with pytest.raises(errors.NotSaved, match=str(run)):
      writer = session.open_eval_writer(4)

      def full(self, records):
        raise OSError(errno.ENOSPC, "no space left")

      monkeypatch.setattr(files.Appender, "add", full)
      writer.scalars(4, {"loss": 1.0})
