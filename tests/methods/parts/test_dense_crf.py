import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import dense_crf

SIDE = 16
RNG = np.random.default_rng(0)
Y, X = np.mgrid[:SIDE, :SIDE]
DISC = np.hypot(Y - 7.5, X - 7.5) < 5
IMAGE = jnp.where(DISC[None, ..., None], 0.6, -0.5) * jnp.ones(
  (1, SIDE, SIDE, 3)
)
CRF = dense_crf.Crf(place=6.0, near=1.0)


@pytest.mark.parametrize("exact_side", [64, 0])
def test_a_rough_mask_takes_the_form_of_the_thing(exact_side):
  rough = DISC ^ (RNG.random(DISC.shape) < 0.12)
  crf = dataclasses.replace(CRF, exact_side=exact_side)
  q = np.asarray(crf.thing(IMAGE)(jnp.asarray(rough)[None]))
  assert q.shape == (1, SIDE, SIDE, 2)
  assert ((q[0, ..., 1] > 0.5) != DISC).mean() <= 0.01 < (rough != DISC).mean()
  assert (q > 0).all() and (q.sum(-1) <= 1 + 1e-6).all()


def test_without_steps_a_label_has_its_certainty():
  crf = dataclasses.replace(CRF, steps=0, certainty=0.7)
  q = np.asarray(crf.thing(IMAGE)(jnp.asarray(DISC)[None]))[0]
  np.testing.assert_allclose(q[..., 1], np.where(DISC, 0.7, 0.015), atol=1e-6)
  np.testing.assert_allclose(q[..., 0], np.where(DISC, 0.015, 0.7), atol=1e-6)


def test_the_certainty_is_what_a_lone_pixel_is_kept_by():
  spot = jnp.zeros((1, SIDE, SIDE), bool).at[0, 7, 7].set(True)
  kept = lambda p: float(
    dataclasses.replace(CRF, certainty=p).thing(IMAGE)(spot)[0, 7, 7, 1]
  )
  assert kept(0.5) < 0.5 < kept(0.9999999)
