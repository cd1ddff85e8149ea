import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import falling
from jmim.methods.parts import guided


def test_guidance_falls_with_the_network_s_time():
  cond, null = jnp.ones((1, 2, 2, 3)), jnp.zeros((1, 2, 2, 3))
  at = lambda part, time: float(part.combine(cond, null, time, 3)[0, 0, 0, 0])
  part = falling.Falling(guidance=5.0, guidance_fall=9.0)
  found = [at(part, time) for time in (0.0, 1 / 18, 0.5)]
  np.testing.assert_allclose(found, [5, 3, 1], rtol=1e-6)
  constant = falling.Falling(guidance=5.0, guidance_fall=0.0)
  assert at(constant, 0.5) == at(guided.Guided(guidance=5.0), 0.5) == 5
  both = falling.Falling(guidance=2.0, guidance_power=1.0)
  with pytest.raises(ValueError, match="guidance_fall=9.0 with"):
    both.check()
