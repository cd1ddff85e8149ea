import dataclasses

import evalkit
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method
from jmim.data import sources
from jmim.evals import clouds
from jmim.evals import samples
from jmim.metrics import clouds as metrics

POINTS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copier(evalkit.Everything):
  """Samples are the input, moved by `gain` in its units."""

  def inputs(self):
    return {
      "points": method.Input((POINTS, 3)),
      "label": method.Input((), jnp.int32, high=3),
    }

  def predict(self):
    key_free = lambda w, b, k: b["points"] + self.gain
    broken = lambda w, b, k: b["points"] * jnp.nan
    return {"sample": key_free, "broken": broken}


def context(gain=0.0, n=9):
  rng = np.random.default_rng(0)
  arrays = {
    "points": rng.normal(size=(n, 20, 3)).astype(np.float32),
    "label": np.arange(n) % 3,
  }
  source = sources.ArraySource(arrays, 3)
  over = evalkit.context(
    batch=8, data={"train": source, "eval": source}, model=Copier
  )
  over.method = dataclasses.replace(over.method, gain=gain)
  over.spec = dataclasses.replace(
    over.spec,
    points=POINTS,
    points_mean=(1.0, 2.0, 3.0),
    points_std=(2.0, 2.0, 2.0),
    reads=(("points", None), ("label", 3)),
  )
  return over, arrays["points"]


def test_copies_of_the_data_cover_it():
  over, _ = context(gain=1e-6)
  found = dict(clouds.Evaluator(clouds=9, points=8, shown=2).run(over))
  assert found["cd_1nna"] == found["emd_1nna"] == 0
  assert found["cd_cov"] == found["emd_cov"] == 100
  assert found["cd_mmd"] < 1e-9 and found["emd_mmd"] < 1e-4
  assert found["clouds"] == 9 and found["pairs"].dtype == np.uint8


def test_distances_are_in_the_units_of_the_data_set():
  over, points = context(gain=0.5)
  found = dict(clouds.Evaluator(clouds=9, points=8).run(over))
  real = points[:, :POINTS]
  moved = real + 1.0  # half a unit of the input, which is 2 of the data
  for name, some in (("cd", POINTS), ("emd", 8)):
    expected = metrics.compare(moved[:, :some], real[:, :some], name)
    assert found[f"{name}_mmd"] == pytest.approx(expected["mmd"], rel=1e-4)
    assert found[f"{name}_1nna"] == pytest.approx(100 * expected["1nna"])
    assert found[f"{name}_cov"] == pytest.approx(100 * expected["cov"])


def test_without_emd_and_with_fewer_clouds():
  over, _ = context()
  found = dict(clouds.Evaluator(clouds=4, emd=False, shown=0).run(over))
  assert set(found) == {"cd_1nna", "cd_cov", "cd_mmd", "clouds"}
  assert found["clouds"] == 4


def test_one_cloud_and_broken_ones_are_refused():
  over, _ = context(n=1)
  with pytest.raises(errors.UserError, match="1 cloud"):
    dict(clouds.Evaluator().run(over))
  over, _ = context()
  with pytest.raises(errors.UserError, match="8 of 8 clouds"):
    dict(clouds.Evaluator(predict="broken").run(over))


def test_sheets_of_samples_show_clouds():
  over, points = context()
  found = dict(samples.Evaluator(examples=9, columns=3).run(over))
  assert found["grid"].shape[0] > 3 * 96
  real = points[:, :POINTS]
  assert found["mean"] == pytest.approx(real.mean(), abs=1e-5)
  assert found["std"] == pytest.approx(real.std(), rel=1e-4)
