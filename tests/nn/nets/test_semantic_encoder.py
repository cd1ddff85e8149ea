import jax
import numpy as np

from jmim.core import tree as trees
from jmim.nn.nets import semantic_encoder

NET = semantic_encoder.SemanticEncoder(
  width=8,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(),
  groups=4,
  heads=1,
  out=5,
  updown=True,
)
X = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


def test_it_has_a_way_down_of_single_convolutions(fill):
  names = trees.named(fill(NET, X)["params"])
  assert (
    "down0_0/conv1/kernel" in names and "middle_attention/norm/scale" in names
  )
  assert not [n for n in names if "conv2" in n or "time" in n or "up" in n]


def test_a_code_is_a_mean_over_places(fill):
  """Twice the picture, side by side, has the code of one, but for its edges."""
  params = fill(NET, X)
  run = jax.jit(NET.apply)
  one = run(params, X)
  assert one.dtype == np.float32
  flat = np.ones_like(X) * 0.3
  wide = np.ones((2, 16, 16, 3), np.float32) * 0.3
  # Constant pictures differ by the edges alone: a larger one has less of them.
  small, large = run(params, flat), run(params, wide)
  assert np.abs(small - large).max() < np.abs(one - small).max()
  np.testing.assert_allclose(run(params, X[:1]), one[:1], atol=1e-5)
