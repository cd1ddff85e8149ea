import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import store
from jmim.checkpoints import weights
from jmim.core import field
from jmim.methods.supervised import diffrate
from jmim.tools import token_counts

METHOD = field.replace(diffrate.DiffRate.tiny(), counts={"granularity": 4})


@pytest.fixture
def search(monkeypatch):
  """A finished search of two blocks, of which one learned 13 and 9 tokens."""
  section = {"type": "supervised.diffrate", **field.settings(METHOD)}
  sure = lambda k: np.where(np.arange(4) == k, 300.0, -300.0)[None]
  saved = {"main/prune": sure(1), "main/merge": sure(2)}
  monkeypatch.setattr(store, "read_config", lambda _: {"method": section})
  monkeypatch.setattr(weights, "read_section", lambda *_: saved)


def test_lists_are_those_of_what_was_learned(search):
  lists = token_counts.lists("runs/x")
  assert lists == {"prune": (17, 13), "merge": (17, 9)}
  # As the method takes them.
  field.replace(METHOD, lists=lists).inputs()


def test_overrides_and_cost_are_printed(search, capsys):
  assert token_counts.main(["--workdir=runs/x"]) == 0
  shown = capsys.readouterr().out
  assert "--config.method.lists.prune=(17,13,)" in shown
  assert "--config.method.lists.merge=(17,9,)" in shown
  cost = float(METHOD.flops((jnp.asarray([17, 13]), jnp.asarray([17, 9]))))
  assert f"{cost:.4g} FLOPs" in shown


def test_other_runs_are_refused(search, monkeypatch, capsys):
  other = {"method": {"type": "supervised.finetune", "size": 16}}
  other["method"]["dims"] = {"variant": "Ti/4"}
  monkeypatch.setattr(store, "read_config", lambda _: other)
  assert token_counts.main(["--workdir=runs/x"]) == 2
  assert "supervised.finetune" in capsys.readouterr().err


def test_a_run_that_is_not_there(tmp_path, capsys):
  assert token_counts.main([f"--workdir={tmp_path / 'no'}"]) == 2
  assert "--workdir" in capsys.readouterr().err
