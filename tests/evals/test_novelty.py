import dataclasses

import evalkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method
from jmim.data import sources
from jmim.evals import novelty

TRAIN = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
TEST = np.random.default_rng(1).normal(size=(12, 6)).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copier(evalkit.Everything):
  """Samples are training examples of the number, moved by `gain`."""

  def inputs(self):
    return {"vector": method.Input((6,))}

  def predict(self):
    def sample(weights, batch, key):
      noise = jax.random.normal(jax.random.key(3), (6,))
      return jnp.asarray(TRAIN)[method.numbers(batch)] + self.gain * noise

    return {"sample": sample, "broken": lambda w, b, k: jnp.nan * b["vector"]}


def context(gain):
  data = {
    "train": sources.ArraySource({"vector": TRAIN}),
    "eval": sources.ArraySource({"vector": TEST}),
  }
  made = evalkit.context(batch=8, data=data, model=Copier)
  made.method = dataclasses.replace(made.method, gain=gain)
  made.spec = dataclasses.replace(made.spec, reads=(("vector", None),))
  return made


def score(gain, **kwargs):
  return dict(novelty.Evaluator(of="vector", **kwargs).run(context(gain)))


def test_copies_are_told_from_new_ones():
  copies, near, far = (score(gain) for gain in (0.0, 0.1, 3.0))
  assert copies["new"] == 0 and copies["distance"] < 1e-5
  assert 0 < near["distance"] < far["distance"] and far["new"] == 100
  every = np.linalg.norm(TEST[:, None] - TRAIN, axis=-1)
  every.sort(1)
  want = 100 * (every[:, 0] >= every[:, 1] / 3).mean()
  assert copies["test_new"] == far["test_new"] == pytest.approx(want)
  assert copies["test_distance"] == pytest.approx(every[:, 0].mean())
  assert copies["examples"] == 12


def test_images_are_compared_as_pixels():
  made = dict(novelty.Evaluator(samples=6).run(evalkit.context()))
  assert made["new"] == 100 and made["test_distance"] > 0
  assert made["distance"] < np.sqrt(4 * 4 * 3)  # of pixels in 0 .. 1


def test_what_cannot_be_compared_is_refused():
  with pytest.raises(errors.UserError, match="NaN or infinite"):
    score(1.0, predict="broken")
  given = {"train": sources.ArraySource({"vector": TRAIN[:1]})}
  check = lambda **kw: novelty.Evaluator(**kw).check(
    "evals.new", given, lambda names: dict.fromkeys(names, 6)
  )
  with pytest.raises(errors.UserError, match="no 'points'"):
    check(of="points")
  with pytest.raises(errors.UserError, match="at least 2"):
    check(of="vector")
