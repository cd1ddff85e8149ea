import jax.numpy as jnp
import numpy as np

from jmim.nn import sizes
from jmim.nn.nets import token_vision

B, N, C = 2, 4, 3
SIZE = sizes.Size(width=16, depth=1, heads=2)
NET = token_vision.TokenVision(size=SIZE, length=N, out=6)
MASK = jnp.array([[0, 1, 1, 0], [1, 0, 0, 0]]) > 0


def test_masked_tokens_are_not_looked_at_and_all_see_all(fill, normal):
  x = normal(B, N, C)
  variables = fill(NET, x, MASK)
  run = lambda x, mask=MASK: np.asarray(NET.apply(variables, x, mask))
  assert run(x).shape == (B, N, 6)
  np.testing.assert_array_equal(run(x), run(x + 5 * MASK[..., None]))
  other = x.copy()
  other[0, 0] += 1
  change = np.abs(run(other) - run(x)).max(-1)
  assert (change[0] > 1e-4).all() and (change[1] == 0).all()
  assert np.abs(run(x, ~MASK) - run(x)).max(-1).min() > 1e-3


def test_places_are_told_apart(fill, normal):
  x = np.broadcast_to(normal(C), (1, N, C))
  mask = jnp.zeros((1, N), bool)
  variables = fill(NET, x, mask)
  made = np.asarray(NET.apply(variables, x, mask))[0]
  assert np.abs(made[0] - made[1:]).max(-1).min() > 1e-3
