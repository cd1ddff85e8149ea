import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion
import toys

from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import diffumask_masks
from jmim.nn import affinity
from jmim.nn import components

SIDE = 16
Y, X = np.mgrid[:SIDE, :SIDE]
DISC = np.hypot(Y - 8, X - 7) < 5
IMAGE = jnp.where(DISC[None, ..., None], 0.6, -0.5) * jnp.ones(
  (1, SIDE, SIDE, 3)
)
# A map that leaks out of the thing on one side.
LEAKY = np.clip(0.75 - np.hypot(Y - 8, X - 9) / 12, 0, 1)
MAP = jnp.asarray((LEAKY / LEAKY.max())[None], "f4")
MADE = field.replace(
  diffumask_masks.Masks(
    walked_least=4, least=4, thresholds=(0.3, 0.5, 0.7, 0.9)
  ),
  crf=dict(place=6.0, near=1.0),
)


def affinities():
  """Of a grid of 8 x 8: places within the disc, and those outside."""
  share = DISC.reshape(8, 2, 8, 2).mean((1, 3))
  features = jnp.asarray(6.0 * (share > 0.5))[None, ..., None]
  return affinity.matrix(affinity.edges(features, 4), 4)


def iou(a, b):
  return (np.asarray(a) & b).sum() / (np.asarray(a) | b).sum()


def test_the_walk_fills_the_thing_and_leaves_the_rest():
  before = iou(np.asarray(MAP[0]) > 0.45, DISC)
  walked = MADE.walked(affinities(), MAP)
  assert iou(walked[0], DISC) > max(0.8, before + 0.05)


def test_small_parts_of_the_walk_go():
  spot = jnp.zeros((1, SIDE, SIDE)).at[:, 2:6, 2:6].set(1.0)
  alone = jnp.eye(64)[None]  # nothing moves
  seen = lambda least: int(
    dataclasses.replace(MADE, walked_least=least).walked(alone, spot).sum()
  )
  assert seen(4) > 0 == seen(100)


def test_the_threshold_whose_mask_is_most_like_the_walks_is_taken():
  walked = jnp.asarray(DISC)[None]
  found = jax.jit(MADE.chosen)(IMAGE, MAP, walked)
  thing = MADE.crf.thing(IMAGE)
  scores, masks = [], []
  for g in MADE.thresholds:
    mask = np.asarray(thing(MAP > g)[..., 1] > 0.5)
    scores.append((mask & DISC).sum() / (mask.sum() + DISC.sum() + 1e-10))
    masks.append(mask)
  best = int(np.argmax(scores))
  assert len({round(float(s), 4) for s in scores}) > 1
  np.testing.assert_allclose(found["overlap"], [scores[best]], rtol=1e-5)
  np.testing.assert_allclose(found["threshold"], [MADE.thresholds[best]])
  wanted = components.large(jnp.asarray(masks[best]), MADE.least)
  np.testing.assert_array_equal(found["mask"], wanted)
  # The authors' overlap grows with the IoU: the same is best by both.
  assert best == int(np.argmax([iou(m[0], DISC) for m in masks]))


def test_without_any_overlap_there_is_no_mask():
  found = MADE.chosen(IMAGE, MAP, jnp.zeros((1, SIDE, SIDE), bool))
  assert not np.asarray(found["mask"]).any() and found["threshold"] == 0


def test_models_without_affinities_and_no_thresholds_are_refused():
  other = toys.MLP()
  model = procedure.Model(method=other, weights=toydiffusion.fresh(other))
  with pytest.raises(ValueError, match="affinity is a model that offers no"):
    MADE.inputs({"affinity": model})
  with pytest.raises(ValueError, match="thresholds"):
    dataclasses.replace(MADE, thresholds=()).check({})
