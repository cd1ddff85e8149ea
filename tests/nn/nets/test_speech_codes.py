"""What must hold of the net from speech to codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import conformer
from jmim.nn.nets import speech_codes

BLOCKS = conformer.Dims(width=8, heads=2, hidden=12, kernel=3, dropout=0.0)
DIMS = speech_codes.Dims(
  reference_blocks=1, speech_blocks=1, decoder_blocks=1, cross_heads=2
)
NET = speech_codes.SpeechCodes(dims=DIMS, blocks=BLOCKS, codes=6)
RNG = np.random.default_rng(0)
SOUND = RNG.normal(size=(2, 3, 9, 5)).astype(np.float32)
CODES = RNG.normal(size=(2, 4, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def variables(fill):
  # So large that attention is not the same everywhere.
  made = fill(NET, SOUND, CODES, scale=1.0)
  made["statistics"] = jax.tree.map(np.abs, made["statistics"])
  return made


def with_layers(variables, layers):
  params = variables["params"] | {"shares": np.float32(layers)}
  return variables | {"params": params}


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_there_is_a_code_for_every_two_features(variables, n):
  run = lambda s: NET.apply(variables, s, CODES)
  made = jax.eval_shape(run, jnp.zeros((2, 3, n, 5)))
  assert made.shape == (2, (n - 1) // 2 + 1, 6)


def test_layers_are_mixed_by_shares_that_start_equal(variables):
  fresh = jax.jit(NET.init)(jax.random.key(0), SOUND, CODES)
  assert not np.asarray(fresh["params"]["shares"]).any()
  even = with_layers(variables, [0, 0, 0])
  mean = np.repeat(SOUND.mean(1, keepdims=True), 3, 1)
  run = jax.jit(lambda v, s: NET.apply(v, s, CODES))
  np.testing.assert_allclose(run(even, SOUND), run(even, mean), atol=1e-4)
  # A layer with all of the weight is the only one that is heard.
  one = with_layers(variables, [-50, 50, -50])
  other = SOUND.copy()
  other[:, [0, 2]] += 3
  np.testing.assert_allclose(run(one, SOUND), run(one, other), atol=1e-4)
  other[:, 1] *= -3
  assert np.abs(run(one, SOUND) - run(one, other)).max() > 2e-4


def test_nothing_of_a_query_passes_the_attention(variables):
  """If what is attended to is nothing, all sounds say the same."""
  params = dict(variables["params"])
  params["cross"] = params["cross"] | {
    "v": jax.tree.map(np.zeros_like, params["cross"]["v"])
  }
  run = jax.jit(lambda p, s: NET.apply(variables | {"params": p}, s, CODES))
  np.testing.assert_array_equal(run(params, SOUND), run(params, SOUND + 1))
  whole = variables["params"]
  assert np.abs(run(whole, SOUND) - run(whole, -3 * SOUND)).max() > 2e-4


def test_codes_as_wide_as_the_blocks_are_read_as_they_are():
  net = NET.clone(codes=8)
  known = jnp.zeros((2, 4, 8))
  made = jax.eval_shape(lambda: net.init(jax.random.key(0), SOUND, known))
  assert "code_in" not in made["params"]
  with pytest.raises(ValueError, match="cross_heads"):
    speech_codes.Dims(cross_heads=3).check(8)
