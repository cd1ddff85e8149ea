import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method as methods
from jmim.methods.parts import tokenizer
from jmim.nn import patch as patching

KEY = jax.random.key(0)
BATCH = tokenizer.Tokenizer(vocabulary=5)
CODES = tokenizer.Tokenizer(
  vocabulary=5, source="codebook", codebook="x.npz", codebook_sha256="ab"
)


def test_tokens_of_the_batch_are_read_and_need_no_weights():
  assert BATCH.consts(4) == {}
  spec = BATCH.inputs(16)["tokens"]
  assert (spec.shape, spec.dtype, spec.high) == ((16,), jnp.int32, 5)
  tokens = np.arange(6).reshape(2, 3) % 5
  ids = BATCH.ids(methods.Weights({}), {"tokens": tokens}, 4)
  np.testing.assert_array_equal(ids, tokens)


def test_tokens_of_a_codebook_are_the_nearest_rows(normal):
  assert CODES.inputs(16) == {}
  const = CODES.consts(4)["codebook"]
  assert (const.path, const.sha256) == ("x.npz", "ab")
  consts = {"codebook": jax.jit(const.init)(KEY)}
  codes = np.asarray(consts["codebook"]["codes"])
  assert codes.shape == (5, 48)
  images = normal(2, 8, 8, 3)
  ids = CODES.ids(methods.Weights({}, {}, consts), {"image": images}, 4)
  x = np.asarray(patching.patchify(images, 4))
  distance = ((x[:, :, None] - codes) ** 2).sum(-1)
  np.testing.assert_array_equal(ids, distance.argmin(-1))


def test_the_cross_entropy_is_that_of_the_hidden_patches(normal):
  tokens = jnp.asarray([[0, 1, 2, 3], [4, 4, 1, 0]])
  ids, logits = jnp.asarray([[2, 0], [1, 3]]), normal(2, 2, 5)
  loss, aux = BATCH.cross_entropy(logits, tokens, ids)
  q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  hidden = [[2, 0], [4, 0]]
  expected = -np.mean(
    [np.log(q[b, m, hidden[b][m]]) for b, m in np.ndindex(2, 2)]
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  right = np.mean(logits.argmax(-1) == hidden)
  np.testing.assert_allclose(aux["token_accuracy"], right)


def test_guesses_know_the_visible_patches_only():
  """Visible tokens 1 and 1, hidden 1 and 0: guessing is right once."""
  tokens = jnp.asarray([[1, 1, 1, 0]])
  _, aux = BATCH.cross_entropy(
    jnp.zeros((1, 2, 5)), tokens, jnp.asarray([[2, 3]])
  )
  assert aux["visible_token"] == 0.5
  _, aux = BATCH.cross_entropy(
    jnp.zeros((1, 2, 5)), tokens, jnp.asarray([[0, 1]])
  )
  # 1 and 0 are visible, once each: the first stands for both.
  assert aux["visible_token"] == 1.0 and aux["commonest_token"] == 1.0
