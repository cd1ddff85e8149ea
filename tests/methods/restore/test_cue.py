import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import cue

METHOD = cue.CUE.tiny()


@pytest.fixture(scope="module")
def made(fill):
  batch = {"image": np.random.default_rng(0).random((2, 8, 8, 3), np.float32)}
  params, _ = fill(METHOD, batch)
  const = METHOD.consts()["masked_prior"]
  shapes = jax.eval_shape(const.init, jax.random.key(0))
  rng = np.random.default_rng(1)
  prior = jax.tree.map(
    lambda s: (0.3 * rng.normal(size=s.shape)).astype(np.float32), shapes
  )
  return methods.Weights(params, consts={"masked_prior": prior}), batch


@pytest.fixture(scope="module")
def found(made):
  """Everything of one step, in one program."""
  weights, batch = made
  draws = METHOD.drawn(jax.random.key(0), batch)

  @jax.jit
  def run(weights, batch, draws):
    params, truth = weights.params["main"], batch["image"]
    seen, true = METHOD.both(params, 0.2 * truth, truth)
    alone = [METHOD.decompose(params, x) for x in (0.2 * truth, truth)]
    return METHOD.loss(weights, batch, draws, 0), (seen, true), alone

  return run(weights, batch, draws)


def test_the_loss_is_the_sum_of_its_terms(found):
  loss, terms = found[0]
  np.testing.assert_allclose(loss, sum(terms.values()), rtol=1e-6)
  assert len(terms) == 12 and all(np.isfinite(x) for x in terms.values())
  assert not METHOD.per_example


def test_flags_leave_out_what_they_name():
  plain = field.replace(
    METHOD, unfold={"modulate": False}, losses={"prior": 0.0}
  )
  batch = {"image": np.zeros((2, 8, 8, 3), np.float32)}
  assert plain.consts() == {} and METHOD.consts()
  draws = plain.drawn(jax.random.key(0), batch)
  assert set(draws) == {"degradation"}
  assert set(METHOD.drawn(jax.random.key(0), batch)) == {"degradation", "made"}
  params = jax.eval_shape(
    plain.unfolding.init, jax.random.key(0), batch["image"]
  )
  assert set(params["params"]) == {"mu", "reflectance", "noise"}


def test_a_true_image_is_taken_apart_beside_the_dark_one(found):
  """In one call, each as it would be alone."""
  _, (seen, true), alone = found
  for both, one in zip((seen, true), alone, strict=True):
    for name, x in one.items():
      np.testing.assert_allclose(both[name], x, atol=1e-5, err_msg=name)
  product = seen["enhanced"] * seen["restored"]
  np.testing.assert_allclose(seen["image"], product, rtol=1e-5)


def test_the_baseline_is_the_best_gain(made):
  """No other factor comes nearer; evaluation darkens by the number alone."""
  weights, batch = made
  batch = batch | {"index": np.array([3, 4], np.int32)}
  run = jax.jit(METHOD.gained)
  gained, again = (run(weights, batch, jax.random.key(i)) for i in (0, 1))
  low, truth = np.asarray(gained["input"]), batch["image"]
  np.testing.assert_array_equal(again["input"], low)
  np.testing.assert_array_equal(gained["target"], truth)
  assert low.mean() < 0.5 * truth.mean()
  gain = np.asarray(gained["image"]).sum((1, 2, 3)) / low.sum((1, 2, 3))
  error = lambda g: ((g[:, None, None, None] * low - truth) ** 2).sum()
  assert error(gain) < min(error(1.01 * gain), error(0.99 * gain))


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"size": 10}, "size 10 must divide by 4"),
    ({"degraded": {"factor": 2}}, "degraded.factor 2: set it to 1"),
    ({"prior": {"dims": {"variant": "Ti/3"}}}, "patch 3"),
  ],
)
def test_what_does_not_fit_is_refused(changes, words):
  with pytest.raises(ValueError, match=words):
    field.replace(METHOD, **changes).inputs()
