"""Crops that are moved and recoloured by numbers that were drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import crop_augment

SIDE = 9
AUGMENT = crop_augment.CropAugment()
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.uniform(-1, 1, (3, SIDE, SIDE, 3)), jnp.float32)


def draws(coins, **sizes):
  """All examples alike; sizes by place."""
  row = [sizes.get(f"s{k}", 0.0) for k in range(8)]
  return {
    "crop_coins": jnp.tile(jnp.asarray(coins, jnp.float32), (3, 1)),
    "crop_sizes": jnp.tile(jnp.asarray(row, jnp.float32), (3, 1)),
  }


OWN = np.stack(np.mgrid[:SIDE, :SIDE], -1).astype(np.float32)


def test_nothing_happens_where_no_coin_says_so():
  still = draws([1, 1, 1, 1], s0=0.5, s2=1.0, s4=1.0, s7=1.0)
  np.testing.assert_allclose(AUGMENT.places(still, SIDE)[0], OWN, atol=1e-5)
  np.testing.assert_array_equal(AUGMENT.recoloured(IMAGES, still), IMAGES)


def test_a_flip_is_left_to_right():
  places = np.asarray(AUGMENT.places(draws([1, 0, 1, 1]), SIDE))[0]
  np.testing.assert_allclose(places, OWN[:, ::-1], atol=1e-5)


def test_turn_scale_and_shift():
  """A quarter to either side, and half as far from the middle when doubled."""
  turned = crop_augment.CropAugment(turn=90.0, shift=(0.0, 0.0))
  places = np.asarray(turned.places(draws([0, 1, 1, 1], s0=1.0), SIDE))[0]
  np.testing.assert_allclose(places[..., 0], SIDE - 1 - OWN[..., 1], atol=1e-4)
  np.testing.assert_allclose(places[..., 1], OWN[..., 0], atol=1e-4)
  scaled = crop_augment.CropAugment(scale=0.5, shift=(0.0, 0.0))
  places = np.asarray(scaled.places(draws([0, 1, 1, 1], s1=1.0), SIDE))[0]
  np.testing.assert_allclose(places, 4 + (OWN - 4) / 1.5, atol=1e-5)
  # A ninth of the side is a pixel: one row down, one and a half columns.
  shifted = crop_augment.CropAugment(shift=(1 / 9, 3 / 9))
  coins = draws([0, 1, 1, 1], s2=1.0, s3=0.5)
  places = np.asarray(shifted.places(coins, SIDE))[0]
  want = np.abs(OWN - [1, 1.5])  # mirrored at the first pixel
  np.testing.assert_allclose(places, want, atol=1e-4)


def test_mirrors_stand_on_the_first_and_the_last_pixel():
  places = jnp.array([-2.0, -0.5, 0, 3, 3.5, 5])
  want = [2, 0.5, 0, 3, 2.5, 1]
  np.testing.assert_allclose(crop_augment.mirrored(places, 4), want, atol=1e-6)
  assert not np.asarray(crop_augment.mirrored(places, 1)).any()


def test_colours_change_as_they_say():
  darker = draws([1, 1, 0, 1], s4=-1.0)
  found = np.asarray(AUGMENT.recoloured(IMAGES, darker))
  want = np.clip((IMAGES + 1) / 2 * 0.8, 0, 1) * 2 - 1
  np.testing.assert_allclose(found, want, atol=1e-5)
  # A turn of hue by a third of a circle moves the channels on; grey stays.
  turned = crop_augment.CropAugment(hue=1 / 3)
  found = np.asarray(turned.recoloured(IMAGES, draws([1, 1, 0, 1], s7=1.0)))
  np.testing.assert_allclose(found, np.roll(IMAGES, 1, -1), atol=1e-5)
  grey = jnp.broadcast_to(IMAGES[..., :1], IMAGES.shape)
  both = draws([1, 1, 0, 1], s6=1.0, s7=0.7)
  np.testing.assert_allclose(AUGMENT.recoloured(grey, both), grey, atol=1e-5)


def test_a_blur_keeps_what_is_flat_and_means_the_rest():
  blurred = draws([1, 1, 1, 0])
  found = np.asarray(AUGMENT.recoloured(IMAGES, blurred))
  np.testing.assert_allclose(
    found[0, 4, 4], IMAGES[0, 3:6, 3:6].mean((0, 1)), atol=1e-5
  )
  flat = jnp.full_like(IMAGES, 0.3)
  np.testing.assert_allclose(AUGMENT.recoloured(flat, blurred), 0.3, atol=1e-5)


@pytest.mark.parametrize("rate", ["flip", "colour", "blur", "move"])
def test_rates_are_those_asked_for(rate):
  none = dict(flip=0.0, colour=0.0, blur=0.0, move=0.0)
  often = crop_augment.CropAugment(**none | {rate: 0.25})
  drawn = often.draw(randomness.Keys(jax.random.key(0)), (4000,))
  images = jnp.asarray(RNG.uniform(-1, 1, (4000, 4, 4, 3)), jnp.float32)
  places = np.asarray(often.places(drawn, 4))
  own = np.stack(np.mgrid[:4, :4], -1)
  moved = np.abs(places - own).max((1, 2, 3)) > 1e-4
  changed = np.abs(often.recoloured(images, drawn) - images).max((1, 2, 3))
  share = (moved | (np.asarray(changed) > 1e-4)).mean()
  assert share == pytest.approx(0.25, abs=0.03)
