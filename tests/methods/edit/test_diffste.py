"""What the card says of both branches; the goldens have the numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.edit import diffste

M = diffste.DiffSTE.tiny()
RNG = np.random.default_rng(0)
B = 2
ALONE = field.replace(M, told=dict(branches=("text",)))


def batch():
  mask = np.zeros((B, 4, 8), np.int32)
  mask[:, 1:3, 2:6] = 1
  return {
    "image": jnp.asarray(RNG.normal(size=(B, *M.shape)), jnp.float32),
    "mask": jnp.asarray(mask),
    "tokens": jnp.array([[1, 5, 6, 2], [1, 7, 2, 0]]),
    "characters": jnp.array([[4, 5, 0], [9, 9, 2]]),
  }


BATCH = batch()


@pytest.fixture(scope="module")
def weights():
  """No leaf is zero: last layers would hide what is before them."""
  shapes, _ = jax.eval_shape(M.init, jax.random.key(0), BATCH)
  fill = lambda s: jnp.asarray(0.3 * RNG.normal(size=s.shape), jnp.float32)
  return methods.Weights(jax.tree.map(fill, shapes))


def loss(m, weights, batch=BATCH, **draws):
  drawn = m.drawn(jax.random.key(1), batch) | {"told_drop": jnp.ones(B)}
  return jax.jit(lambda w: m.loss(w, batch, drawn | draws, 0))(weights)


def of_text(weights):
  """What a UNet with the text alone has of these weights."""
  main = weights.params["main"]
  net = {n: x.get("text", x) for n, x in main["net"].items()}
  told = {"text": main["told"]["text"]}
  return methods.Weights({"main": {"net": net, "told": told}})


def test_without_characters_it_is_the_unet_of_the_text_alone(weights):
  """So weights of Stable Diffusion give what they gave."""
  z = BATCH["image"]
  t, ids = jnp.array([3.0, 7.0]), M.told.ids(BATCH)

  @jax.jit
  def both(w, own):
    shown = M.painted.beside(M.first_stage, w, BATCH) | M.contexts(w, ids)
    whole = M.network(w.params, z, t, shown)
    del shown["char"]
    left = M.network(w.params, z, t, shown)
    return whole, left, ALONE.network(own.params, z, t, shown)

  whole, left, alone = both(weights, of_text(weights))
  np.testing.assert_allclose(left, alone, atol=1e-5)
  assert np.abs(whole - left).max() > 1e-2


def test_an_even_weight_makes_it_the_mean_squared_error(weights):
  even = field.replace(M, painted=dict(alpha=1.0))
  found, aux = loss(even, weights)
  np.testing.assert_allclose(found, aux["loss_unweighted"], rtol=1e-6)
  more, same = loss(M, weights)
  np.testing.assert_allclose(same["loss_unweighted"], found, rtol=1e-5)
  assert more > found  # 5 in the mask


def test_dropped_examples_are_told_nothing(weights):
  nothing = {k: 0 * BATCH[k] for k in ("tokens", "characters")}
  dropped, _ = loss(M, weights, told_drop=jnp.zeros(B))
  empty, _ = loss(M, weights, batch=BATCH | nothing)
  told, _ = loss(M, weights)
  np.testing.assert_allclose(dropped, empty, rtol=1e-6)
  assert np.abs(dropped - told) > 1e-4


def test_what_is_hidden_does_not_reach_the_network(weights):
  """Of the picture only noise is seen in the mask, in sampling nothing."""
  hidden = BATCH["mask"][..., None] > 0
  other = BATCH | {"image": jnp.where(hidden, 9.0, BATCH["image"])}
  edit = jax.jit(M.edit)
  one, two = (edit(weights, b, jax.random.key(2)) for b in (BATCH, other))
  np.testing.assert_array_equal(one["made"], two["made"])
  np.testing.assert_array_equal(one["image"], two["image"])


def test_pixels_around_the_mask_stay_exactly(weights):
  found = jax.jit(M.edit)(weights, BATCH, jax.random.key(2))
  kept = np.broadcast_to(BATCH["mask"][..., None] == 0, found["image"].shape)
  np.testing.assert_array_equal(found["image"][kept], BATCH["image"][kept])
  np.testing.assert_array_equal(found["image"][~kept], found["made"][~kept])
  gap = jax.jit(M.predict()["outside"])(weights, BATCH, jax.random.key(2))
  assert not np.asarray(gap["image"]).any() and gap["made"].min() > 0.01


def test_guidance_of_one_is_the_conditional_prediction(weights):
  """And above it both encoders are left out at once."""
  plain = field.replace(M, sampling=dict(guidance=1.0))
  made = lambda m, b: jax.jit(m.edit)(weights, b, jax.random.key(2))["made"]
  nothing = {k: 0 * BATCH[k] for k in ("tokens", "characters")}
  one = made(plain, BATCH)
  assert np.abs(made(M, BATCH) - one).max() > 1e-3
  # Told nothing, there is nothing to guide by.
  none = made(plain, BATCH | nothing)
  np.testing.assert_allclose(made(M, BATCH | nothing), none, atol=1e-4)


@pytest.mark.parametrize(
  ("fields", "seen"),
  [
    (dict(dims=dict(dropout=0.1)), "dims.dropout"),
    (dict(size=(4, 7), dims=dict(multipliers=(1, 2))), "7 does not divide"),
    (dict(size=(4,)), "height and width"),
    (dict(noise=dict(times=3)), "time 3 of 3"),
  ],
)
def test_what_cannot_be_is_refused(fields, seen):
  with pytest.raises(ValueError, match=seen):
    field.replace(M, **fields).inputs()


def test_without_a_way_back_to_pixels_nothing_is_sampled():
  m = field.replace(
    M, size=(2, 2), channels=4, first_stage=dict(variant="kl-f8")
  )
  assert m.predict() == {} and list(M.predict()) == [
    "sample",
    "edit",
    "outside",
  ]
  assert set(M.sample_reads()) == set(M.inputs())
