import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import dropout
from jmim.nn import sizes
from jmim.nn.nets import bert

SIZE = sizes.Size(width=8, depth=2, heads=2)
NET = bert.Bert(size=SIZE, vocabulary=5, length=4, rate=0.3)
IDS = jnp.array([[0, 1, 2, 3], [4, 4, 0, 1]])


def test_the_head_is_tied_to_the_embedding(fill):
  variables = fill(NET, IDS)
  out = NET.apply(variables, IDS)
  assert out["logits"].shape == (2, 4, 5)
  p = variables["params"]
  moved = jax.tree.map(lambda x: x, p)
  table = moved["token_embed"]["embedding"]
  # Row 3 is read by nothing in the second example: only its logit changes.
  moved["token_embed"]["embedding"] = np.asarray(table).copy()
  moved["token_embed"]["embedding"][3] += 1.0
  other = NET.apply({"params": moved}, IDS)["logits"][1]
  changed = np.abs(other - out["logits"][1]) > 1e-6
  assert changed[:, 3].all() and not changed[:, [0, 1, 2, 4]].any()


def test_logits_start_near_the_bias_and_see_every_token():
  variables = jax.jit(NET.init)(jax.random.key(0), IDS)
  out = NET.apply(variables, IDS, taps=("block",))
  assert np.abs(out["logits"]).max() < 1
  assert out["block"].shape == (2, 2, 4, 8)
  other = NET.apply(variables, IDS.at[0, 3].set(0))["logits"]
  assert np.abs(other[0, 0] - out["logits"][0, 0]).max() > 0
  np.testing.assert_array_equal(other[1], out["logits"][1])


def test_dropout_is_each_example_s_own(fill):
  variables = fill(NET, IDS)
  keys = dropout.draw(jax.random.key(0), 0.3, 2)["dropout"]
  whole = NET.apply(variables, IDS, keys=keys)["logits"]
  one = NET.apply(variables, IDS[1:], keys=keys[1:])["logits"]
  np.testing.assert_allclose(one[0], whole[1], atol=1e-5)
  still = NET.apply(variables, IDS)["logits"]
  assert np.abs(whole - still).max() > 1e-3
