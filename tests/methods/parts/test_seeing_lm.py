import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import seeing_lm

BLOCKS = dict(width=16, depth=1, heads=2)
PART = field.replace(
  seeing_lm.SeeingLM(hidden=24, piece=2), dims=BLOCKS, lm=BLOCKS
)


@pytest.fixture(scope="module")
def net(normal):
  images = jnp.asarray(normal(2, 8, 8, 3))
  params = PART.init(jax.random.key(0), images[:1], 9)
  loud = jax.tree.map(lambda x: 4 * x, params["lm"])
  return PART.bound({**params, "lm": loud}, 8, 9), images


def test_words_are_told_by_those_before_and_by_the_image(net):
  net, images = net
  ids = jnp.array([[1, 3, 4]])
  v = net.sees(images)
  z = net.latent(v[:1], ids)
  later = net.latent(v[:1], ids.at[0, 2].set(5))
  np.testing.assert_allclose(later[:, :2], z[:, :2], atol=1e-5)
  assert np.abs(later[:, 2] - z[:, 2]).max() > 1e-3
  other = net.latent(v[1:], ids)
  assert np.abs(other[:, 0] - z[:, 0]).max() > 1e-3


def test_nats_are_those_of_whole_scores(net):
  net, images = net
  z = net.latent(net.sees(images), jnp.array([[1, 3, 4], [1, 5, 6]]))
  targets = jnp.array([[3, 4, 2], [5, 6, 2]])
  logits = PART.language(9).apply(
    {"params": net.params["lm"]}, z, method="scores"
  )
  logs = np.asarray(jax.nn.log_softmax(logits))
  want = -np.take_along_axis(logs, np.asarray(targets)[..., None], -1)[..., 0]
  np.testing.assert_allclose(net.nats(z, targets), want, atol=1e-5)


def test_heads_of_odd_width_are_refused():
  part = field.replace(PART, lm=dict(width=6))
  with pytest.raises(ValueError, match=r"lm.width 6 with network.lm.heads 2"):
    part.check(8)
