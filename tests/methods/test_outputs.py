import jax.numpy as jnp
import numpy as np

from jmim.methods import outputs


def test_outputs_leave_the_class_token_out_and_give_the_grid(normal):
  blocks = normal(3, 2, 7, 4)
  found = {
    "latent": jnp.asarray(blocks[-1]),
    "block": jnp.asarray(blocks),
    "attention": jnp.asarray(normal(3, 2, 5, 7, 7)),
  }
  got = outputs.vit(lambda p, b, taps: found, (2, 3))
  see = {
    k: np.asarray(fn(None, None, None, None, None))
    for k, fn in got.items()
    if k != "layers"
  }
  np.testing.assert_allclose(see["cls"], blocks[-1][:, 0])
  tokens = blocks[-1][:, 1:]
  np.testing.assert_allclose(see["features"], tokens.mean(1), atol=1e-6)
  np.testing.assert_allclose(see["tokens"].reshape(2, 6, 4), tokens)
  assert see["attention"].shape == (2, 3, 5, 7, 7)
  layers = got["layers"](None, None, None, None, None)
  np.testing.assert_allclose(
    layers["block_02"], blocks[1][:, 1:].mean(1), atol=1e-6
  )
  plain = outputs.vit(lambda p, b, taps: found, (1, 7), cls=False)
  assert "cls" not in plain
  apart = outputs.vit(lambda p, b, taps: found, (1, 4), registers=2)
  features = np.asarray(apart["features"](None, None, None, None, None))
  np.testing.assert_allclose(features, blocks[-1][:, 3:].mean(1), atol=1e-6)
