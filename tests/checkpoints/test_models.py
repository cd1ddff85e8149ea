import evalkit
import jax
import numpy as np
import pytest

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import method as methods


@pytest.fixture
def params():
  return evalkit.Everything().init(jax.random.key(0), None)[0]


def equal(one, two):
  return jax.tree.all(jax.tree.map(np.array_equal, one, two))


def test_method_and_arrays_are_those_of_the_run(tmp_path, params):
  extra = {"count": np.int32(7)}
  evalkit.workdir(
    tmp_path, "evalkit", params, extra=extra, method={"gain": 2.0}, size=4
  )
  model = models.of_run(tmp_path)
  assert model.method == evalkit.Everything(gain=2.0)
  assert model.config.data.size == 4
  assert equal(model.weights.params, params)
  assert equal(model.weights.extra, extra) and model.weights.consts == {}
  leaf = jax.tree.leaves(model.weights.params)[0]
  assert isinstance(leaf, jax.Array)


def test_the_mean_of_the_weights_can_be_chosen(tmp_path, params):
  ema = jax.tree.map(lambda x: 2 * x, params)
  evalkit.workdir(tmp_path / "both", "evalkit", params, ema=ema)
  assert equal(models.of_run(tmp_path / "both", "ema").weights.params, ema)
  evalkit.workdir(tmp_path / "raw", "evalkit", params)
  with pytest.raises(errors.UserError, match="ema"):
    models.of_run(tmp_path / "raw", "ema")


def test_a_changed_config_keeps_the_weights(tmp_path, params):
  evalkit.workdir(tmp_path, "evalkit", params)
  model = models.of_run(tmp_path)
  changed = model.changed(["method.gain=3.0"])
  assert changed.method == evalkit.Everything(gain=3.0)
  assert changed.weights is model.weights
  assert model.method.gain != 3.0 and changed.config.method.gain == 3.0
  with pytest.raises(errors.UserError, match="nowhere"):
    model.changed(["method.nowhere=1"])


def test_a_folder_without_a_run_names_the_key_that_asked(tmp_path, params):
  with pytest.raises(errors.UserError, match="config.json") as e:
    models.of_run(tmp_path, key="encoder")
  assert e.value.key == "encoder"
  evalkit.workdir(tmp_path / "run", "evalkit", params)
  for path in (tmp_path / "run" / "checkpoints").iterdir():
    path.rename(tmp_path / path.name)
  with pytest.raises(errors.UserError, match="no checkpoint"):
    models.of_run(tmp_path / "run")


def test_a_frozen_network_that_is_gone_names_the_key_that_asked(
  tmp_path, params, monkeypatch
):
  """Its path is in the config of the run that is read."""
  evalkit.workdir(tmp_path, "evalkit", params)
  gone = methods.Const("gone.npz", lambda key: {}, key="method.net.path")
  monkeypatch.setattr(evalkit.Everything, "consts", lambda self: {"net": gone})
  for key, named in (("evals.x.workdir", "evals.x.workdir"), (None, gone.key)):
    with pytest.raises(errors.UserError, match="net: no file gone.npz") as e:
      models.of_run(tmp_path, key=key)
    assert e.value.key == named
    assert (str(tmp_path) in e.value.seen) == bool(key)


def test_a_model_of_arrays_by_their_names(params):
  config = models.ml_collections.ConfigDict(
    {"method": {"type": "evalkit"}, "data": {}}
  )
  kernel = params["main"]["dense"]["kernel"]
  model = models.of_arrays(config, {"params/main/dense/kernel": kernel})
  assert equal(model.weights.params, params) and model.weights.extra == {}
