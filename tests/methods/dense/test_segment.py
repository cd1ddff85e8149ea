import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method
from jmim.methods.dense import segment

TINY = segment.Segment.tiny()
PLAIN = field.replace(TINY, pasted=dict(warp=0.0, occlude=0.0, splice=0.0))
RNG = np.random.default_rng(0)
B, SIDE = 4, TINY.size
BATCH = {
  "image": jnp.asarray(RNG.normal(size=(B, SIDE, SIDE, 3)), "f4"),
  "mask": jnp.asarray(RNG.integers(0, 2, (B, SIDE, SIDE))).at[:, 0].set(3),
  "label": jnp.array([0, 1, 1, 0]),
}


@pytest.fixture(scope="module")
def weights():
  return method.Weights(TINY.init(jax.random.key(0), BATCH)[0])


def test_pixels_of_a_mask_are_of_the_examples_class():
  truth = np.asarray(TINY.truth(BATCH))
  own = 1 + np.asarray(BATCH["label"])[:, None, None]
  mask = np.asarray(BATCH["mask"])
  wanted = np.where(mask == 3, 3, np.where(mask > 0, own, 0))
  np.testing.assert_array_equal(truth, wanted)
  as_stored = dataclasses.replace(TINY, by_class=False)
  np.testing.assert_array_equal(as_stored.truth(BATCH), mask)
  assert "label" not in as_stored.inputs()


def test_the_loss_is_the_mean_over_known_pixels(weights):
  loss, aux = PLAIN.loss(weights, BATCH, {}, 0)
  scores = np.asarray(PLAIN.logits(weights.params, BATCH["image"]), np.float64)
  logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
  truth = np.asarray(PLAIN.truth(BATCH))
  known = truth < 3
  cost = -np.take_along_axis(logs, np.where(known, truth, 0)[..., None], -1)
  np.testing.assert_allclose(loss, cost[..., 0][known].mean(), rtol=1e-5)
  right = (scores.argmax(-1) == truth)[known].mean()
  np.testing.assert_allclose(aux["accuracy"], right, rtol=1e-5)


def test_unknown_pixels_do_not_count(weights):
  """Whatever the picture shows there: a gradient of 0 into the logits."""
  nothing = BATCH | {"mask": jnp.full((B, SIDE, SIDE), 3)}
  assert float(PLAIN.loss(weights, nothing, {}, 0)[0]) == 0


def test_draws_change_pictures_in_training_alone(weights):
  losses = [
    float(TINY.loss(weights, BATCH, TINY.drawn(jax.random.key(i), BATCH), 0)[0])
    for i in range(2)
  ]
  assert losses[0] != losses[1]
  out = TINY.predict()["segment"](weights, BATCH, None)
  np.testing.assert_array_equal(out["image"], BATCH["image"])
  scores = TINY.logits(weights.params, BATCH["image"])
  np.testing.assert_array_equal(out["guess"], scores.argmax(-1))
  alone = TINY.predict()["segment"](weights, {"image": BATCH["image"]}, None)
  assert set(alone) == {"image", "guess"}


def test_fields_that_do_not_go_together():
  with pytest.raises(ValueError, match="ignore=2 is one of 3"):
    dataclasses.replace(TINY, ignore=2).inputs()
  with pytest.raises(ValueError, match="size 7"):
    dataclasses.replace(TINY, size=7).inputs()


def test_evaluators_see_255_where_nothing_is_known(weights):
  """Whatever label of the maps says so, and of classes that are none."""
  found = TINY.segment(weights, BATCH, None)["truth"]
  truth = np.asarray(TINY.truth(BATCH))
  assert (truth == TINY.ignore).any()
  wanted = np.where(truth == TINY.ignore, 255, truth)
  np.testing.assert_array_equal(found, wanted)
  few = dataclasses.replace(PLAIN, classes=2, ignore=3, by_class=False)
  batch = BATCH | {"mask": jnp.full((B, SIDE, SIDE), 2)}
  made = method.Weights(few.init(jax.random.key(0), batch)[0])
  assert (np.asarray(few.segment(made, batch, None)["truth"]) == 255).all()
