"""Walks through a frozen model, from noise and from images."""

import dataclasses

import innerkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import procedure
from jmim.core import randomness
from jmim.methods.parts import inner_walk

B, STEPS = 3, 4
SOURCE = innerkit.SOURCE
BATCH = {
  "image": 0.5 * innerkit.normal(B, *innerkit.SHAPE, seed=1),
  "label": jnp.array([0, 1, 2]),
}


def made(**fields):
  walk = field.replace(inner_walk.Walk(), place=innerkit.PLACE, steps=STEPS)
  walk = dataclasses.replace(walk, **fields)
  walk.check(innerkit.MODELS["source"])
  return walk


def draws_of(walk, source=SOURCE):
  one = lambda key: walk.draw(randomness.Keys(key), source)
  return jax.vmap(one)(jax.random.split(jax.random.key(0), B))


def test_what_is_drawn():
  names = lambda **fields: {
    n: x.shape for n, x in draws_of(made(**fields)).items()
  }
  state, path = (B, *innerkit.SHAPE), (B, STEPS, *innerkit.SHAPE)
  assert names() == {"start": state}
  assert names(eta=0.5) == {"start": state, "noise": path}
  assert names(images=True) == {}
  assert names(images=True, eta=1.0) == {"path": path}
  random = dataclasses.replace(SOURCE, random=True)
  assert set(draws_of(made(images=True), random)) == {"posterior"}


def test_noises_and_start_are_not_the_same():
  draws = draws_of(made(eta=1.0))
  noises = jnp.concatenate([draws["start"][:, None], draws["noise"]], 1)
  flat = np.asarray(noises).reshape(B * (STEPS + 1), -1)
  close = np.corrcoef(flat) - np.eye(len(flat))
  assert np.abs(close).max() < 0.9


def test_eta_of_each_step_stands_for_eta():
  same = made(eta=0.7).table(SOURCE)
  np.testing.assert_array_equal(
    made(etas=(0.7,) * 4).table(SOURCE).std, same.std
  )
  last = made(etas=(0.0, 0.0, 0.7, 0.7)).table(SOURCE)
  assert not last.std[:2].any() and last.std[2] == same.std[2]
  # Into clean data none is added, whatever eta is.
  assert made(etas=(1.0, 1.0, 1.0, 9.0)).table(SOURCE).std[3] == 0


def test_the_model_is_told_nothing_unless_it_is_asked_for():
  assert made().opened(SOURCE, BATCH).told.tolist() == [innerkit.CLASSES] * B
  told = made(conditional=True).opened(SOURCE, BATCH).told
  assert told.tolist() == [0, 1, 2]
  alone = dataclasses.replace(SOURCE, tell=lambda batch: (None, None), reads={})
  assert made().opened(alone, BATCH).told is None


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_images_come_back_from_their_own_noises(eta):
  source = innerkit.source(steps=1000)
  walk = made(images=True, eta=eta)
  walk = dataclasses.replace(walk, steps=80)
  assert set(walk.inputs(source)) == {"image", "label"}
  opened = walk.opened(source, BATCH)
  begun = walk.begin(opened, BATCH, draws_of(walk, source))
  offsets = jnp.zeros((1, 80, *innerkit.H))

  @jax.jit
  def images(x, offsets):
    moved = begun._replace(x=x)
    return walk.images_of(opened, moved, offsets=offsets, alphas=(2.0,))

  found = images(begun.x, offsets)
  assert found.shape == (B, 2, *innerkit.SHAPE)
  np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-5)
  fresh = images(innerkit.normal(B, *innerkit.SHAPE, seed=9), offsets)
  far = lambda x: float(jnp.abs(x[:, 0] - BATCH["image"]).mean())
  assert 2 * far(found) < far(fresh)


def test_h_of_an_image_is_that_of_its_way_back():
  walk = made(images=True)
  opened = walk.opened(SOURCE, BATCH)
  h, end = walk.seen(opened, BATCH, {})
  assert h.shape == (B, STEPS, *innerkit.H)
  np.testing.assert_array_equal(end, BATCH["image"])
  begun = walk.begin(opened, BATCH, {})
  np.testing.assert_array_equal(jnp.moveaxis(begun.back[0], 0, 1), h)


def test_h_of_noise_is_that_of_its_walk():
  walk = made(eta=1.0)
  opened, draws = walk.opened(SOURCE, BATCH), draws_of(walk)
  h, end = walk.seen(opened, BATCH, draws)
  first = innerkit.INSIDE(draws["start"], jnp.full(B, 30.0), opened.told, None)[
    1
  ]
  np.testing.assert_allclose(h[:, 0], first, atol=1e-5)
  begun = walk.begin(opened, BATCH, draws)
  plain = walk.images_of(
    opened, begun, offsets=jnp.zeros((0, STEPS, *innerkit.H)), alphas=()
  )
  np.testing.assert_allclose(plain[:, 0], end, atol=1e-5)


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"etas": (1.0,)}, "walk.etas of 1 steps, and walk.steps=4"),
    ({"etas": (1.0, 1.0, -0.1, 1.0)}, "0 or more"),
    ({"etas": (0.0, 0.0, 1.0, 1.0), "images": True}, "walk.etas that are 0"),
    ({"steps": 41}, "walk.steps.*41 sampling steps of 40"),
    ({"eta": 3.0}, "walk.eta.*eta=3 adds more noise"),
    ({"etas": (3.0, 1.0, 1.0, 1.0)}, "walk.eta.*eta=3 adds more noise"),
  ],
)
def test_what_does_not_go_together_is_named(fields, words):
  with pytest.raises(ValueError, match=words):
    made(**fields)


def test_models_that_will_not_do_are_named():
  blind = dataclasses.replace(SOURCE, can=("decode",))
  walk = made()
  walk.check(procedure.Model.of(blind))
  with pytest.raises(ValueError, match="cannot encode"):
    dataclasses.replace(walk, images=True).check(procedure.Model.of(blind))
  straight = dataclasses.replace(SOURCE, schedule=None)
  with pytest.raises(ValueError, match="source is a model of straight paths"):
    walk.check(procedure.Model.of(straight))
  alone = dataclasses.replace(SOURCE, reads={})
  with pytest.raises(ValueError, match="walk.conditional"):
    dataclasses.replace(walk, conditional=True).check(procedure.Model.of(alone))
  toy = procedure.Model.of(toydiffusion.make())
  with pytest.raises(ValueError, match="no module at all"):
    walk.check(toy)
