import jax
import numpy as np

from jmim.diffusion import schedule
from jmim.diffusion import weights
from jmim.methods.parts import weighting

PROCESS = schedule.make("linear", 10, 1e-3, 0.3)
T = np.array([0, 3, 9])
ERROR = np.array([0.5, 2.0, 1.0], np.float32)


def test_without_either_the_loss_is_the_mean_error():
  plain = weighting.Weighting()
  assert plain.init(10) == {}
  np.testing.assert_allclose(
    plain.loss({}, ERROR, T, PROCESS), ERROR.mean(), rtol=1e-6
  )


def test_the_bound_is_added_with_its_weight():
  part = weighting.Weighting(elbo=0.1)
  wanted = ERROR.mean() + 0.1 * (weights.bound(PROCESS, T) * ERROR).mean()
  np.testing.assert_allclose(part.loss({}, ERROR, T, PROCESS), wanted, 1e-5)


def test_a_learned_variance_is_at_rest_at_the_log_of_the_error():
  part = weighting.Weighting(learn_log_var=True)
  params = part.init(10)
  loss = lambda p: part.loss(p, ERROR, T, PROCESS)
  np.testing.assert_allclose(loss(params), ERROR.mean(), rtol=1e-6)
  rest = {"log_var": params["log_var"].at[T].set(np.log(ERROR))}
  grad = jax.grad(loss)(rest)["log_var"]
  np.testing.assert_allclose(grad, 0.0, atol=1e-6)
  assert loss(rest) < loss(params)
  # Times that were not seen learn nothing.
  seen = np.asarray(jax.grad(loss)(params)["log_var"]) != 0
  assert set(np.flatnonzero(seen)) <= set(T)
