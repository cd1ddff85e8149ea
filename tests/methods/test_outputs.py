import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods import outputs


@pytest.fixture(scope="module")
def encoded(normal):
  """What an encoder returns: three blocks of two images, seven tokens."""
  blocks = normal(3, 2, 7, 4)
  return {
    "latent": jnp.asarray(blocks[-1]),
    "block": jnp.asarray(blocks),
    "attention": jnp.asarray(normal(3, 2, 5, 7, 7)),
  }


def offered(encoded, grid, **options):
  """name -> output, the weights and the batch being of no account."""
  fns = outputs.vit(lambda weights, batch, taps: encoded, grid, **options)
  return {name: fn(None, None, None) for name, fn in fns.items()}


def test_the_class_token_is_apart_and_patches_are_on_their_grid(encoded):
  out, latent = offered(encoded, (2, 3)), np.asarray(encoded["latent"])
  np.testing.assert_array_equal(out["cls"], latent[:, 0])
  np.testing.assert_allclose(out["features"], latent[:, 1:].mean(1), atol=1e-6)
  for b, y, x in np.ndindex(2, 2, 3):
    np.testing.assert_array_equal(
      out["tokens"][b, y, x], latent[b, 1 + 3 * y + x]
    )


def test_layers_are_counted_from_1_and_attention_has_the_batch_first(encoded):
  out = offered(encoded, (2, 3))
  assert list(out["layers"]) == ["block_01", "block_02", "block_03"]
  second = np.asarray(encoded["block"])[1, :, 1:].mean(1)
  np.testing.assert_allclose(out["layers"]["block_02"], second, atol=1e-6)
  maps = np.asarray(encoded["attention"])
  np.testing.assert_array_equal(out["attention"][1, 2], maps[2, 1])


def test_tokens_before_the_patches_are_left_out(encoded):
  latent = np.asarray(encoded["latent"])
  plain = offered(encoded, (1, 7), cls=False)
  assert "cls" not in plain
  np.testing.assert_allclose(plain["features"], latent.mean(1), atol=1e-6)
  registers = offered(encoded, (1, 4), registers=2)
  np.testing.assert_allclose(
    registers["features"], latent[:, 3:].mean(1), atol=1e-6
  )


class Scale(nn.Module):
  """A multiple of the image, and which taps it was asked for."""

  @nn.compact
  def __call__(self, x, taps=()):
    scale = self.param("scale", nn.initializers.ones, ())
    return {"latent": scale * x, "taps": taps}


def test_an_encoder_reads_its_parameters_among_the_weights():
  batch = {"image": np.ones((1, 2), np.float32)}
  weights = methods.Weights(
    {"main": {"encoder": {"scale": 2.0}}}, {"target": {"scale": 3.0}}
  )
  net = Scale()
  encode = outputs.encoder(net)
  assert encode(weights, batch, ("block",))["taps"] == ("block",)
  np.testing.assert_array_equal(encode(weights, batch)["latent"], [[2, 2]])
  target = outputs.encoder(net, lambda w: w.extra["target"])
  np.testing.assert_array_equal(target(weights, batch)["latent"], [[3, 3]])


@pytest.mark.parametrize(
  "b, want", [(1, [0]), (4, [1, 0, 3, 2]), (5, [1, 0, 3, 2, 4])]
)
def test_neighbours_change_places(b, want):
  np.testing.assert_array_equal(outputs.neighbours(b), want)
