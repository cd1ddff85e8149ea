"""Places inside a UNet, a transformer and any other network."""

import dataclasses

import innerkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import procedure
from jmim.core import runtime
from jmim.methods.diffusion import ddpm
from jmim.methods.diffusion import dit
from jmim.methods.parts import inner_place
from jmim.nn import hooks

B = 2
X = innerkit.normal(B, 8, 8, 3)
T, TOLD = jnp.array([3.0, 15.0]), jnp.array([0, 3])


def model(owner):
  return procedure.Model(method=owner, weights=toydiffusion.fresh(owner))


UNET = model(ddpm.DDPM.tiny())


def call(given, place, offset=None):
  """(prediction, h) of a place."""
  inside = place.inside(given.diffuser.network)
  return jax.jit(lambda x, d: inside(x, T, TOLD, d))(X, offset)


@pytest.fixture(scope="module")
def plain():
  return jax.jit(lambda x: UNET.diffuser.network(x, T, TOLD))(X)


@pytest.mark.parametrize("at", ["after", "before", "middle"])
def test_a_unet_is_read_and_moved_at_three_places(plain, at):
  place = inner_place.Place(at=at)
  shape = place.shape(UNET)
  assert shape[:2] == (4, 4)
  raw, h = call(UNET, place, jnp.zeros((B, *shape)))
  assert h.shape == (B, *shape)
  np.testing.assert_allclose(raw, plain, atol=1e-5)
  moved, same = call(UNET, place, innerkit.normal(*shape, seed=1))
  np.testing.assert_allclose(same, h, atol=1e-6)
  assert float(jnp.abs(moved - plain).max()) > 1e-3


def test_places_are_those_of_the_paper(plain):
  """The middle's output, its input, and behind its last norm."""
  del plain

  @jax.jit
  def looked(x):
    with hooks.seen("middle_0", "middle_1", "middle_1/norm2") as calls:
      UNET.diffuser.network(x, T, TOLD)
    return {
      "after": calls["middle_1"][0].output,
      "before": calls["middle_0"][0].args[0],
      "middle": calls["middle_1/norm2"][0].output,
    }

  for at, wanted in looked(X).items():
    _, h = call(UNET, inner_place.Place(at=at))
    np.testing.assert_allclose(h, wanted, atol=1e-5)


def test_the_skips_are_not_touched():
  """The way up reads the map before the middle as it was."""
  place = inner_place.Place(at="before")
  inside = place.inside(UNET.diffuser.network)

  @jax.jit
  def read(offset):
    with hooks.seen("up1_0") as calls:
      inside(X, T, TOLD, offset)
    return calls["up1_0"][0].args[0]

  shape = place.shape(UNET)
  width = shape[-1]
  still, moved = (read(k * innerkit.normal(*shape, seed=2)) for k in (0, 1))
  np.testing.assert_array_equal(still[..., width:], moved[..., width:])
  assert float(jnp.abs(still - moved)[..., :width].max()) > 0.1


def test_tokens_of_a_transformer():
  owner = dit.DiT.tiny()
  given = model(owner)
  plain = jax.jit(lambda x: given.diffuser.network(x, T, TOLD))(X)
  found = []
  for block in (-1, 0, 1):
    place = inner_place.Place(at="tokens", block=block)
    assert place.shape(given) == (16, 32)
    raw, h = call(given, place, jnp.zeros((16, 32)))
    np.testing.assert_allclose(raw, plain, atol=1e-5)
    found.append(h)
    # Not the same everywhere: a norm would take that away again.
    moved, _ = call(given, place, innerkit.normal(16, 32, seed=1))
    assert float(jnp.abs(moved - plain).max()) > 1e-3
  # Of two blocks half are the first; -1 is none from the end.
  np.testing.assert_allclose(found[0], found[1], atol=1e-6)
  assert float(jnp.abs(found[1] - found[2]).max()) > 1e-3
  with pytest.raises(ValueError, match=r"walk.place.at='tokens'.*block=2 of 2"):
    inner_place.Place(at="tokens", block=2).shape(given)


def test_a_place_that_is_not_there_is_named():
  wanted = (
    (inner_place.Place(at="tokens"), UNET, "blocks/layers"),
    (inner_place.Place(at="after"), model(dit.DiT.tiny()), "middle_1"),
    (inner_place.Place(at="module", module="mid"), UNET, "'mid'"),
  )
  for place, given, words in wanted:
    with pytest.raises(ValueError, match=rf"walk.place.at.*{words}"):
      place.shape(given)
  scanned = dataclasses.replace(dit.DiT.tiny(), rt=runtime.Runtime(scan=True))
  with pytest.raises(ValueError, match=r"hardware\.scan"):
    inner_place.Place(at="tokens").shape(model(scanned))


def test_shapes_are_known_without_weights():
  owner = ddpm.DDPM.tiny()
  weights = jax.eval_shape(lambda: toydiffusion.fresh(owner))
  given = procedure.Model(method=owner, weights=weights, shapes=True)
  assert inner_place.Place().shape(given) == (4, 4, 32)
  toy = innerkit.MODELS["source"]
  assert inner_place.Place(**innerkit.PLACE).shape(toy) == innerkit.H


def test_a_module_that_is_called_twice_is_no_place():
  network = lambda x, t, told: innerkit.SOURCE.network(
    innerkit.SOURCE.network(x, t, told), t, told
  )
  inside = inner_place.Place(**innerkit.PLACE).inside(network)
  with pytest.raises(ValueError, match="called 2 times"):
    inside(innerkit.normal(B, *innerkit.SHAPE), T, TOLD)
