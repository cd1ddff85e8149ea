"""Singular directions of each example, and edits by them."""

import dataclasses

import innerkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import injection
from jmim.diffusion import jacobian
from jmim.methods.edit import h_space_jacobian

STEPS, B = 4, 2
BATCH = {"index": jnp.arange(B), "label": jnp.zeros(B, jnp.int32)}


def made(**fields):
  fields = {
    "directions": 2,
    "at": 1,
    "iterations": 100,
    "alphas": (3.0,),
  } | fields
  m = h_space_jacobian.HSpaceJacobian(**fields)
  return field.replace(m, walk=dict(place=innerkit.PLACE, steps=STEPS))


@dataclasses.dataclass
class Made:
  """What a procedure makes of the batch, and what it stood on."""

  m: h_space_jacobian.HSpaceJacobian

  def __post_init__(self):
    m, models = self.m, innerkit.MODELS
    m.check(models)
    draws = procedure.drawn(m, jax.random.key(2), models, BATCH)
    self.opened = m.walk.opened(innerkit.SOURCE, BATCH)
    self.begun = m.walk.begin(self.opened, BATCH, draws)
    apply = jax.jit(lambda draws: m.apply(models, {}, BATCH, draws))
    self.found = jax.device_get(apply(draws))

  def images(self, offset, alpha=1.0):
    """By hand: of an offset [steps, b, *h]."""
    found = self.m.walk.images_of(
      self.opened, self.begun, offsets=offset[None], alphas=(alpha,)
    )
    return np.asarray(found[:, 1])


@pytest.fixture(scope="module")
def one():
  return Made(made())


def test_values_and_directions_are_those_of_the_explicit_jacobian(one):
  table = one.m.walk.table(innerkit.SOURCE)
  plain = injection.walk(table, one.opened.denoise(), one.begun.x)
  f = one.opened.response(plain.states[1], jacobian.level_of(table, 1))
  whole = np.asarray(jacobian.whole(f, jnp.zeros((B, *innerkit.H))))
  assert one.found["values"].shape == (B, 2, 1)
  for i in range(B):
    _, s, v = np.linalg.svd(whole[i].astype(np.float64))
    np.testing.assert_allclose(one.found["values"][i, :, 0], s[:2], rtol=1e-4)
    u = one.found["directions"][i, :, 0].reshape(2, -1)
    np.testing.assert_allclose(np.abs((u * v[:2]).sum(1)), 1, atol=2e-3)
    assert (u[:, 0] >= 0).all()  # one of them is 0 but for rounding


def test_the_offset_is_applied_at_every_step_in_singular_values(one):
  u, s = one.found["directions"][:, 1, 0], one.found["values"][:, 1, 0]
  offset = np.broadcast_to(s[:, None, None, None] * u, (STEPS, *u.shape))
  wanted = one.images(jnp.asarray(offset), 3.0)
  np.testing.assert_allclose(one.found["image"][:, 2], wanted, atol=1e-4)
  assert np.abs(one.found["image"][:, 0] - wanted).max() > 1e-2


def test_a_window_limits_the_steps():
  near = made(at=2, window=1).near()
  assert near.tolist() == [0, 1, 1, 1]
  assert made(at=0, window=0).near().tolist() == [1, 0, 0, 0]
  assert made(at=2).near().tolist() == [1] * 4
  found = Made(made(at=2, window=0))
  u, s = found.found["directions"][:, 0, 0], found.found["values"][:, 0, 0]
  offset = np.zeros((STEPS, *u.shape), np.float32)
  offset[2] = s[:, None, None, None] * u
  wanted = found.images(jnp.asarray(offset), 3.0)
  np.testing.assert_allclose(found.found["image"][:, 1], wanted, atol=1e-4)


def test_each_step_has_its_own_on_one_side(one):
  each = Made(made(at=-1))
  u, s = each.found["directions"], each.found["values"]
  assert u.shape == (B, 2, STEPS, *innerkit.H) and s.shape == (B, 2, STEPS)
  np.testing.assert_allclose(s[:, :, 1:2], one.found["values"], rtol=1e-4)
  assert ((u * u[:, :, :1]).sum((3, 4, 5)) >= 0).all()
  offset = np.moveaxis(s[..., None, None, None] * u, 0, 2)[1]
  wanted = each.images(jnp.asarray(offset), 3.0)
  np.testing.assert_allclose(each.found["image"][:, 2], wanted, atol=1e-4)


def test_a_mask_leaves_directions_that_move_its_pixels_alone():
  found = Made(made(mask=(0.0, 0.0, 0.5, 0.5))).found
  u = np.abs(found["directions"][:, :, 0])  # of cells of two pixels a side
  assert u[:, :, 0, 0].max() > 0.1
  assert u[:, :, 1].max() < 1e-4 and u[:, :, 0, 1].max() < 1e-4


def test_no_direction_moves_the_noise_more(one):
  """|J u_1| >= |J r| of every unit r, and above their mean by far."""
  table = one.m.walk.table(innerkit.SOURCE)
  plain = injection.walk(table, one.opened.denoise(), one.begun.x)
  f = one.opened.response(plain.states[1], jacobian.level_of(table, 1))
  r = innerkit.normal(16, B, *innerkit.H, seed=3)
  r = r / jnp.sqrt((r**2).sum((2, 3, 4), keepdims=True))
  there = jnp.zeros((B, *innerkit.H))
  push = lambda v: jax.jvp(f, (there,), (v,))[1]
  size = lambda x: jnp.sqrt((x**2).sum((-3, -2, -1)))
  random = size(jax.vmap(push)(r))
  first = one.found["values"][:, 0, 0]
  assert (first >= random.max(0)).all() and (first > 1.4 * random.mean(0)).all()


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"at": 4}, "at=4 of walk.steps=4"),
    ({"at": -1, "window": 2}, "window=2 around no step"),
    ({"mask": (0.0, 0.0, 0.01, 0.01)}, "mask="),
    ({"directions": 20}, "directions=20 and more=2 of 20 numbers"),
  ],
)
def test_what_does_not_go_together_is_named(fields, words):
  with pytest.raises(ValueError, match=words):
    made(**fields).check(innerkit.MODELS)
