"""Principal directions of a small network, and edits by them."""

import dataclasses

import innerkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import h_space

STEPS, B = 4, 3
BATCH = {"index": jnp.arange(B), "label": jnp.zeros(B, jnp.int32)}


def made(**fields):
  m = h_space.HSpace(**{"components": 4, "shown": 2} | fields)
  return field.replace(m, walk=dict(place=innerkit.PLACE, steps=STEPS))


def rows(m, n=12, size=4):
  for at in range(0, n, size):
    batch = {"index": jnp.arange(at, at + size), "label": jnp.zeros(size, int)}
    draws = procedure.drawn(m, jax.random.key(1), innerkit.MODELS, batch)
    yield jax.device_get(m.collect(innerkit.MODELS, batch, draws))


@pytest.fixture(scope="module")
def held():
  """h of twelve walks."""
  return [*rows(made())]


def edited(m, fitted):
  draws = procedure.drawn(m, jax.random.key(2), innerkit.MODELS, BATCH)
  image = m.apply(innerkit.MODELS, fitted, BATCH, draws)["image"]
  return np.asarray(image), draws


@pytest.mark.parametrize("by_step", [False, True])
def test_directions_are_those_of_an_svd(held, by_step):
  found = made(by_step=by_step).fit(iter(held))
  h = np.concatenate([r["h"] for r in held]).astype(np.float64)
  h = h - h.mean(0)
  cuts = [h[:, i] for i in range(STEPS)] if by_step else [h]
  for i, x in enumerate(cuts):
    _, s, v = np.linalg.svd(x.reshape(12, -1), full_matrices=False)
    u, std = found["directions"], found["deviations"]
    u, std = (u[:, i], std[:, i]) if by_step else (u, std)
    np.testing.assert_allclose(std, s[:4] / np.sqrt(11), rtol=1e-4)
    turned = (u.reshape(4, -1) * v[:4]).sum(1)
    np.testing.assert_allclose(np.abs(turned), 1, atol=1e-4)


def test_all_components_are_one_less_than_the_samples(held):
  assert len(made(components=11).fit(iter(held))["directions"]) == 11
  with pytest.raises(errors.UserError, match="procedure.components=12, and 11"):
    made(components=12).fit(iter(held))
  alike = [{"h": np.concatenate([held[0]["h"]] * 2)}]  # of four walks, twice
  with pytest.raises(errors.UserError, match="procedure.components=4, and 3"):
    made().fit(iter(alike))


def test_signs_are_the_authors(held):
  u = made().fit(iter(held))["directions"]
  assert (u[:, 0, 0, 0, 0] > 0).all()
  u = made(by_step=True).fit(iter(held))["directions"]
  assert (u[:, 0, 0, 0, 0] > 0).all()
  assert ((u * u[:, :1]).sum((2, 3, 4)) >= 0).all()


def test_edits_are_linear_offsets_in_deviations(held):
  m = made(alphas=(-2.0, 0.0, 1.0))
  fitted = m.fit(iter(held))
  image, draws = edited(m, fitted)
  assert image.shape == (B, 1 + 2 * 3, *innerkit.SHAPE)
  for k in range(2):
    np.testing.assert_array_equal(image[:, 0], image[:, 2 + 3 * k])
    assert np.abs(image[:, 0] - image[:, 1 + 3 * k]).max() > 1e-2
  # By hand: the second component, once.
  opened = m.walk.opened(innerkit.SOURCE, BATCH)
  offset = fitted["directions"][1] * fitted["deviations"][1]
  begun = m.walk.begin(opened, BATCH, draws)
  wanted = m.walk.images_of(
    opened, begun, offsets=jnp.asarray(offset)[None], alphas=(1.0,)
  )
  np.testing.assert_allclose(image[:, 6], wanted[:, 1], atol=1e-5)


def lengths(offsets):
  """Of [k, steps, (b,) *h] over all but k and b."""
  axes = (1, *range(offsets.ndim - 3, offsets.ndim))
  return np.sqrt((np.asarray(offsets) ** 2).sum(axes))


@pytest.mark.parametrize("by_step", [False, True])
def test_random_directions_are_as_long(held, by_step):
  m = made(by_step=by_step)
  fitted = jax.tree.map(jnp.asarray, m.fit(iter(held)))
  control = dataclasses.replace(m, random=True)
  draws = procedure.drawn(control, jax.random.key(2), innerkit.MODELS, BATCH)
  assert draws["direction"].shape == (B, 2, STEPS, *innerkit.H)
  ours, other = m.offsets(fitted, {}), control.offsets(fitted, draws)
  assert other.shape == (2, STEPS, B, *innerkit.H)
  wanted = np.broadcast_to(lengths(ours)[:, None], (2, B))
  np.testing.assert_allclose(lengths(other), wanted, rtol=1e-4)
  assert np.abs(other[:, :, 0] - other[:, :, 1]).max() > 1e-2
  if not by_step:
    deviations = fitted["deviations"][:2]
    np.testing.assert_allclose(lengths(ours), deviations, rtol=1e-4)
  for one in (m, control):
    one = dataclasses.replace(one, length=3.0)
    found = lengths(one.offsets(fitted, draws))
    np.testing.assert_allclose(found, 3.0, rtol=1e-4)


def test_a_stream_keeps_the_first_directions(held):
  whole = made().fit(iter(held))
  cut = made(block=5, carried=11).fit(iter(held))
  np.testing.assert_allclose(
    whole["directions"][:3], cut["directions"][:3], atol=1e-3
  )


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"shown": 5}, "shown=5 of components=4"),
    ({"block": 1}, "block=1"),
    ({"block": 8, "carried": 3}, "carried=3 is less than components=4"),
  ],
)
def test_what_does_not_go_together_is_named(fields, words):
  with pytest.raises(ValueError, match=words):
    made(**fields).check(innerkit.MODELS)
