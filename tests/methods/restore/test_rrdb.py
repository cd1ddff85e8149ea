import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import rrdb

METHOD = rrdb.RRDB.tiny()
PAIRS = field.replace(METHOD, degraded=dict(degradation="pairs"))


@pytest.fixture(scope="module")
def made(fill):
  """A batch, and what comes of it, in one program."""
  rng = np.random.default_rng(0)
  batch = {"image": rng.uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)}
  params, _ = fill(METHOD, batch, scale=0.1)

  @jax.jit
  def outputs(params, key):
    weights = methods.Weights(params)
    found = METHOD.restore(weights, batch, None)
    stored = {"low": found["input"], "high": batch["image"]}
    fresh = methods.Weights(METHOD.init(key, batch)[0])
    return found | {
      "loss": METHOD.loss(weights, batch, {}, 0)[0],
      "loss of pairs": PAIRS.loss(weights, stored, {}, 0)[0],
      "fresh": METHOD.restore(fresh, batch, None)["image"],
    }

  return batch, outputs(params, jax.random.key(0))


def test_the_loss_is_the_mean_distance_of_what_is_restored(made):
  batch, found = made
  gap = np.abs(np.asarray(found["image"]) - batch["image"])
  np.testing.assert_allclose(found["loss"], gap.mean(), rtol=1e-5)
  np.testing.assert_array_equal(found["target"], batch["image"])
  assert found["input"].shape == (3, 4, 4, 3)
  assert np.abs(found["image"]).max() <= 1


def test_nothing_is_drawn_where_images_are_only_reduced(made):
  batch, _ = made
  assert METHOD.drawn(jax.random.key(0), batch) == {}


def test_pairs_may_be_stored(made):
  _, found = made
  assert PAIRS.inputs()["low"].shape == (4, 4, 3)
  np.testing.assert_allclose(found["loss of pairs"], found["loss"], rtol=1e-6)


def test_a_fresh_network_answers_in_the_middle_and_can_learn(made):
  """What is clipped would have no gradient."""
  _, found = made
  assert float(abs(found["fresh"]).max()) < 0.9
