import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.parts import deep_linear
from jmim.methods.theory import jepa_linear as theory
from jmim.nn import stack

KEY = jax.random.key(0)


@pytest.mark.parametrize("objective", deep_linear.OBJECTIVES)
def test_gradients_are_those_of_the_loss_of_the_method(objective):
  """On a sample, with its own second moments."""
  m = theory.DeepLinear(width=3, depth=3, eps=0.4, objective=objective)
  points = np.random.default_rng(0).normal(size=(50, 2, 3)).astype(np.float32)
  params, _ = m.init(KEY, {"points": points})
  grads = jax.grad(
    lambda p: m.loss(methods.Weights(p), {"points": points}, {}, 0)[0]
  )(params)["main"]
  x, y = points[:, 0], points[:, 1]
  matrices = {
    "layers": params["main"]["encoder"]["layers"],
    "v": params["main"]["v"],
  }
  wanted = deep_linear.gradients(
    matrices, x.T @ x / 50, y.T @ x / 50, objective
  )
  np.testing.assert_allclose(
    grads["encoder"]["layers"], wanted["layers"], atol=1e-5
  )
  np.testing.assert_allclose(grads["v"], wanted["v"], atol=1e-5)


def test_features_are_the_encoder_alone():
  m = theory.DeepLinear.tiny()
  points = np.random.default_rng(0).normal(size=(4, 2, 8)).astype(np.float32)
  params, _ = m.init(KEY, {})
  w = deep_linear.product(params["main"]["encoder"]["layers"])
  # Also where a caller has cut the layers apart.
  for tree in (params, stack.unrolled(m.rt, params)):
    features = m.predict()["features"](
      methods.Weights(tree), {"points": points}, KEY
    )
    np.testing.assert_allclose(features, points[:, 0] @ w.T, atol=1e-6)


def test_the_width_has_its_older_name_too():
  older = {"type": "theory.jepa_linear", "dims": 3, "depth": 1}
  m = validate.build(theory.DeepLinear, older, "method")
  assert m == theory.DeepLinear(width=3, depth=1)
