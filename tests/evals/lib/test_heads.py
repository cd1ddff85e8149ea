import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals.lib import heads

KEY = "evals.<name>.workdir"
SPEC = evalkit.context(size=4).spec


def run(folder, **data):
  """A run whose logits are linear in the pixels, and its parameters."""
  params, _ = evalkit.Everything().init(evalkit.jax.random.key(3), None)
  units = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
  evalkit.workdir(folder, "evalkit", params, **(units | data))
  return params


def test_a_head_tells_its_greatest_logit(tmp_path):
  params = run(tmp_path / "run")
  found = heads.of_run(str(tmp_path / "run"), "raw", SPEC, KEY)
  images = np.random.default_rng(0).integers(0, 255, (20, 4, 4, 3))
  told = found.tell(images.astype(np.uint8))
  weights = evalkit.method.Weights(params)
  batch = {"image": images.astype(np.float32) / 255}
  logits = evalkit.Everything().predict()["logits"](weights, batch, None)
  assert list(told) == ["label"]
  np.testing.assert_array_equal(told["label"], np.argmax(logits, -1))
  assert len(set(told["label"])) > 1 and found.shape == (4, 4, 3)
  assert found.protocol["told_by"].startswith("sha256:")
  assert found.numbers(images.astype(np.uint8)) == {}
  with pytest.raises(errors.UserError, match=r"\(8, 4, 3\)"):
    found.tell(np.zeros((1, 8, 4, 3), np.uint8))


def test_a_run_on_other_units_is_refused(tmp_path):
  run(tmp_path / "run", mean=(0.5,) * 3)
  with pytest.raises(errors.UserError, match="data.mean") as e:
    heads.of_run(str(tmp_path / "run"), "raw", SPEC, KEY)
  assert e.value.key == KEY


def test_numbers_are_told_by_a_run_that_does(tmp_path, monkeypatch):
  run(tmp_path / "run")
  offered = evalkit.Everything.predict
  brightness = lambda w, batch, key: {"sum": batch["image"].sum((1, 2))}
  monkeypatch.setattr(
    evalkit.Everything,
    "predict",
    lambda self: offered(self) | {"numbers": brightness},
  )
  found = heads.of_run(str(tmp_path / "run"), "raw", SPEC, KEY)
  images = np.full((2, 4, 4, 3), 51, np.uint8)
  np.testing.assert_allclose(found.numbers(images)["sum"], 16 * 0.2, rtol=1e-5)
