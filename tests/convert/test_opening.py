"""What is there decides how it is read; tests/test_weights.py has the rest."""

import evalkit
import hostkit
import jax
import numpy as np
import pytest

from jmim.checkpoints import identity
from jmim.convert import exporting
from jmim.convert import opening
from jmim.core import config as configs
from jmim.core import errors


def test_a_run_and_its_export_are_one_model(tmp_path):
  host, _ = hostkit.save_host(tmp_path / "host.npz", 0)
  other, tree = hostkit.save_host(tmp_path / "other.npz", 1)
  workdir, _ = hostkit.run(tmp_path, host)
  exporting.run(workdir, "safetensors", tmp_path / "raw")
  exporting.run(workdir, "safetensors", tmp_path / "mean", weights="ema")
  bias = lambda model: model.weights.params["main"]["added"]["dense"]["bias"]
  found = {}
  for name, folder, weights in (
    ("raw", tmp_path / "raw", "raw"),
    ("ema", tmp_path / "mean", "ema"),
  ):
    run, lacks = opening.model(workdir, weights)
    export, _ = opening.model(folder, weights)
    np.testing.assert_array_equal(bias(run), bias(export))
    assert not lacks and run.method == export.method
    found[name] = bias(run)
  assert not np.array_equal(found["raw"], found["ema"])
  for path in (workdir, tmp_path / "raw"):
    made, _ = opening.model(path, host=other)
    assert identity.digest(made.weights.consts["host"]) == identity.digest(tree)
    assert made.method.host.path == other
  with pytest.raises(errors.UserError, match="'raw', which is what it holds"):
    opening.model(tmp_path / "raw", "ema")


def test_nothing_there_is_a_mistake(tmp_path):
  with pytest.raises(errors.UserError, match="no such file") as e:
    opening.model(tmp_path / "gone")
  assert e.value.key == "path"


def test_a_host_for_a_method_without_one_is_a_mistake(tmp_path):
  params, _ = evalkit.Everything().init(jax.random.key(0), None)
  evalkit.workdir(tmp_path, "evalkit", params)
  with pytest.raises(errors.UserError, match="laid over none") as e:
    opening.model(tmp_path, host="runs/host")
  assert e.value.key == "host"


def test_published_weights_take_no_host_in_silence(tmp_path, monkeypatch):
  config = configs.base()
  config.method = configs.section(type="supervised.convnet")
  monkeypatch.setattr(
    opening.importing, "resolve", lambda *_: ("timm_vit", config)
  )
  with pytest.raises(errors.UserError, match="laid over none") as e:
    opening.model(tmp_path, host="runs/host")
  assert e.value.key == "host"
