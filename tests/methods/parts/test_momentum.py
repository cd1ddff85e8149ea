import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import validate
from jmim.methods.parts import momentum


@pytest.mark.parametrize(
  "start, steps, step, m",
  [
    (1.0, 0, 3, 1.0),
    (0.0, 0, 3, 0.0),
    (0.996, 0, 9, 0.996),
    (0.996, 100, 0, 0.996),
    (0.996, 100, 50, 0.998),
    (0.996, 100, 400, 1.0),
  ],
)
def test_momentum_runs_along_a_line_to_1(start, steps, step, m):
  part = momentum.Momentum(momentum=start, steps=steps)
  np.testing.assert_allclose(part.at(step), m, rtol=1e-6)
  new = part.update({"a": jnp.float32(2)}, {"a": jnp.float32(5)}, step)
  np.testing.assert_allclose(new["a"], 2 * m + 5 * (1 - m), rtol=1e-6)


def test_a_constant_input_is_approached_geometrically():
  part, target = momentum.Momentum(momentum=0.9), jnp.zeros(())
  for step in range(20):
    target = part.update(target, jnp.ones(()), step)
  np.testing.assert_allclose(target, 1 - 0.9**20, rtol=1e-5)


def test_a_momentum_above_1_is_refused():
  with pytest.raises(ValueError, match=r"target.momentum=1.5"):
    validate.build(momentum.Momentum, {"momentum": 1.5}, "method.target")
