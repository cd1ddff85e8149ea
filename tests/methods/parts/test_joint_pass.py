"""Passes in pieces, with what does not change computed once, are the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import captions
from jmim.methods.parts import joint_network
from jmim.methods.parts import joint_sequence
from jmim.methods.parts import random_order

B, N, C = 3, 4, 5
LM = dict(dims=dict(width=16, depth=2, heads=4), hidden=24, theta=50.0)
PART = field.replace(
  joint_network.JointNetwork(),
  lm=LM,
  vision=dict(width=8, depth=1, heads=2),
  piece=2,
)
TEXT = captions.Captions(of=("a b c", "d", "b d"))
TEXTS = TEXT.texts({"label": np.arange(B)})
SEQUENCE = joint_sequence.JointSequence(image_order=True)
NEVER = np.zeros(B, bool)


@pytest.fixture(scope="module")
def net():
  make = lambda key: PART.init(key, (N, C), TEXT.size)
  rng = np.random.default_rng(0)
  fill = lambda s: (0.4 * rng.normal(size=s.shape)).astype(np.float32)
  own = jax.tree.map(fill, jax.eval_shape(make, jax.random.key(0)))
  return PART.bound(method.Weights({"main": own}), N, TEXT.size)


@pytest.fixture(scope="module")
def whole(net):
  def run(inputs, x, forms):
    return net.whole(TEXTS._replace(inputs=inputs), x, forms, SEQUENCE)

  return jax.jit(run)


def forms(describes, told, mask):
  return joint_sequence.Forms(NEVER | describes, NEVER | told, mask)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_an_image_is_drawn_with_the_text_computed_once(
  net, whole, normal, guidance
):
  x, order = normal(B, N, C), np.array([[2, 0, 3, 1]] * B)
  mask = np.array([[1, 0, 1, 0]] * B) > 0
  sampling = random_order.RandomOrder(guidance=guidance)
  draw = jax.jit(
    lambda x: net.drawing(TEXTS, N, SEQUENCE, sampling)(x, order, 2)
  )
  for told, z in zip((True, False), draw(x), strict=False):
    _, want = whole(TEXTS.inputs, x, forms(False, told, mask))
    np.testing.assert_allclose(z, want, atol=2e-5)
  assert len(draw(x)) == 1 + (guidance > 1)


def test_words_that_are_said_are_the_likeliest_of_the_whole_pass(net, normal):
  """And words that are given are said."""
  x = normal(B, N, C)
  say = jax.jit(lambda x, known: net.say(x, TEXT, SEQUENCE, known))
  free = np.full((B, TEXT.longest), -1)
  said = np.asarray(say(x, free))
  scores = jax.jit(lambda ids: _scores(net, ids, x))
  inputs = np.concatenate([np.full((B, 1), 1), said], axis=1)
  best = np.asarray(scores(inputs)).argmax(-1)
  for row in range(B):
    for at in range(TEXT.longest):
      want = best[row, at]
      if want in (0, 2):  # padding or end: nothing follows
        assert (said[row, at:] == 0).all()
        break
      assert said[row, at] == want
  known = free.copy()
  known[:, 0] = 4
  assert (np.asarray(say(x, known))[:, 0] == 4).all()


def _scores(net, ids, x):
  """[b, s, words], from a pass over images and texts as a whole."""
  places = SEQUENCE.places(np.ones(ids.shape, bool), N, True, False)
  e = jnp.concatenate([net._lm("read", ids), net.sees(x)], axis=1)
  return net._lm("scores", net._run(e, places, 0)["latent"][:, : ids.shape[1]])


def test_words_do_not_see_later_ones(net, normal):
  x = normal(B, N, C)
  run = jax.jit(lambda ids: _scores(net, ids, x))
  ids = np.array([[1, 3, 4, 5], [1, 6, 3, 3], [1, 4, 6, 4]])
  other = ids.copy()
  other[:, 3] = 3 + (ids[:, 3] - 2) % 4
  a, b = run(ids), run(other)
  np.testing.assert_allclose(a[:, :3], b[:, :3], atol=1e-5)
  assert np.abs(a[:, 3] - b[:, 3]).max() > 1e-3


def test_costs_are_those_of_the_scores(net, whole, normal):
  x, nothing = normal(B, N, C), np.zeros((B, N), bool)
  nats, _ = whole(TEXTS.inputs, x, forms(True, False, nothing))
  logp = jax.nn.log_softmax(_scores(net, TEXTS.inputs, x))
  own = -np.take_along_axis(np.asarray(logp), TEXTS.targets[..., None], 2)
  weight = np.asarray(TEXTS.weight)
  want = (own[..., 0] * weight).sum(1) / weight.sum(1)
  np.testing.assert_allclose(nats, want, rtol=1e-4)


def test_an_image_that_is_alone_does_not_know_the_text(net, whole, normal):
  x, nothing = normal(B, N, C), np.zeros((B, N), bool)
  other = (TEXTS.inputs + 1) % TEXT.size
  z = lambda inputs, told: whole(inputs, x, forms(False, told, nothing))[1]
  a, b = z(TEXTS.inputs, False), z(other, False)
  np.testing.assert_array_equal(a, b)
  assert np.abs(z(TEXTS.inputs, True) - z(other, True)).max() > 1e-3
