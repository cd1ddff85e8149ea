"""Dragging: what stays, what is exact, and that every part acts."""

import dataclasses
import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import blob
from jmim.methods.edit import diffuhaul

OWNER = blob.Blob.tiny()
MODELS = {
  "source": procedure.Model(
    method=OWNER, weights=toydiffusion.fresh(OWNER), key="procedure.source.path"
  )
}
B, STEPS = 2, 4
TINY = field.replace(
  diffuhaul.DiffUHaul(steps=STEPS, guidance=2.0),
  kept=dict(grow=1, feather=0),
  drag=dict(by=(0.375, 0.0)),
)
REAL = field.replace(TINY, begin=dict(real=True, buckets=2))
BATCH = toydiffusion.batch_of(REAL.inputs(MODELS), B)
BATCH["ellipses"] = np.array(
  [[[0.3, 0.3, 0.2, 0.15, 0.4], [0.5, 0.8, 0.25, 0.15, 0.0]]] * B, np.float32
)
OFF = dict(
  branches=dict(mask=False, share=False, anchor="off", copy="off"),
  kept=dict(blend=False, paste=False),
)


@functools.cache
def run(made):
  """Results of a procedure; each is compiled once."""
  made.check(MODELS)
  draws = procedure.drawn(made, jax.random.key(0), MODELS, BATCH)
  batch = {n: BATCH[n] for n in (*made.inputs(MODELS), "index")}
  apply = jax.jit(lambda b, d: made.apply(MODELS, {}, b, d))
  return jax.device_get(apply(batch, draws))


def test_drags_that_are_stored_are_each_pictures_own(monkeypatch):
  """The first is the one that TINY gives to all; the other thing's is not."""
  first = BATCH["ellipses"]
  to = np.stack([first[0, 0, :2] + [0.375, 0.0], [0.3, 0.6]]).astype("f4")
  stored = {"dragged": np.array([0, 1], np.int32), "drag_to": to}
  monkeypatch.setattr(sys.modules[__name__], "BATCH", BATCH | stored)
  found = run(field.replace(TINY, drag=dict(by=(), stored=True)))
  given = run(TINY)
  for name in ("image", "moved", "changed"):
    np.testing.assert_allclose(found[name][0], given[name][0], atol=1e-4)
  np.testing.assert_allclose(found["moved"][1, 1, :2], to[1], atol=1e-6)
  np.testing.assert_array_equal(found["moved"][1, 0], first[1, 0])
  assert (found["changed"][1] != given["changed"][1]).any()


STILL = field.replace(TINY, drag=dict(by=(0.0, 0.0)))


def test_without_a_drag_sharing_and_anchors_reproduce_the_source():
  """From one noise, all parts on and anchored all the way.

  Rows of one product are summed in another order here and there.
  """
  whole = field.replace(
    STILL,
    branches=dict(anchor="whole", until=0.0),
    kept=dict(blend=False, paste=False),
  )
  found = run(whole)
  np.testing.assert_allclose(
    found["image"], found["source"], rtol=1e-5, atol=1e-5
  )
  np.testing.assert_array_equal(found["moved"], found["ellipses"])
  # And copying late, as by default.
  late = run(field.replace(STILL, kept=dict(blend=False, paste=False)))
  np.testing.assert_allclose(
    late["image"], late["source"], rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize("made", [TINY, REAL])
def test_outside_of_the_mask_the_picture_is_the_source(made):
  found = run(made)
  kept = np.broadcast_to(found["changed"] == 0, found["image"].shape)
  assert kept.any() and not kept.all()
  far = np.abs(found["image"] - found["source"])
  assert far[kept].max() <= 1e-5 and far[~kept].max() > 1e-2
  if made is REAL:
    np.testing.assert_array_equal(found["source"], BATCH["image"])


def test_states_are_put_back_where_pixels_are_not():
  """What is diffused here are pixels: blending alone keeps them, too."""
  loose = dataclasses.replace(
    TINY, kept=dataclasses.replace(TINY.kept, paste=False)
  )
  found = run(loose)
  kept = np.broadcast_to(found["changed"] == 0, found["image"].shape)
  np.testing.assert_allclose(
    found["image"][kept], found["source"][kept], atol=1e-5
  )


def test_with_everything_off_both_are_samples_of_the_model():
  """The target of moved ellipses, from the same noise or from another."""
  made = field.replace(TINY, **OFF)
  found = run(made)
  draws = procedure.drawn(made, jax.random.key(0), MODELS, BATCH)
  source = MODELS["source"].diffuser
  table = made.table(source)

  @jax.jit
  def sampled(ellipses, x):
    told = source.tell(BATCH | {"ellipses": ellipses})
    denoise = source.denoise(*told, scale=2.0)
    return diffuhaul.samplers.sample(table, denoise, x)[0]

  for name, ellipses in (("source", "ellipses"), ("image", "moved")):
    wanted = sampled(found[ellipses], draws["start"])
    np.testing.assert_allclose(found[name], wanted, atol=1e-4)
  fresh = field.replace(made, begin=dict(fresh=True))
  draws = procedure.drawn(fresh, jax.random.key(0), MODELS, BATCH)
  wanted = sampled(found["moved"], draws["target"])
  np.testing.assert_allclose(run(fresh)["image"], wanted, atol=1e-4)


@pytest.mark.parametrize(
  "changes",
  [
    dict(branches=dict(mask=False)),
    dict(branches=dict(share=False)),
    dict(branches=dict(anchor="off")),
    dict(branches=dict(copy="off")),
    dict(kept=dict(blend=False)),
  ],
  ids=str,
)
def test_every_part_acts(changes):
  found, other = (
    run(TINY)["image"],
    run(field.replace(TINY, **changes))["image"],
  )
  assert np.abs(found - other).max() > 1e-5


def test_the_thing_is_moved_by_its_ellipse():
  found = run(TINY)
  by = found["moved"] - found["ellipses"]
  np.testing.assert_allclose(by[:, 0, :2], [[0.375, 0.0]] * B, atol=1e-6)
  assert not by[:, 1].any()


def test_words_that_all_things_get_make_pictures_independent_of_their_own():
  vague = field.replace(TINY, description=dict(words=(3,)))
  batch = {n: jnp.asarray(BATCH[n]) for n in (*vague.inputs(MODELS), "index")}
  draws = procedure.drawn(vague, jax.random.key(0), MODELS, batch)
  run = jax.jit(lambda b: vague.apply(MODELS, {}, b, draws)["image"])
  other = batch | {n: (batch[n] + 1) % 9 for n in ("tokens", "thing_tokens")}
  np.testing.assert_array_equal(run(batch), run(other))


def test_models_and_fields_that_will_not_do_are_named():
  toy = {"source": procedure.Model.of(toydiffusion.make())}
  with pytest.raises(ValueError, match="not told ellipses, .*edit.blob"):
    TINY.check(toy)
  with pytest.raises(ValueError, match="buckets=5 of 4 steps"):
    field.replace(REAL, begin=dict(buckets=5)).check(MODELS)
  with pytest.raises(ValueError, match="drag.which=2 of 2"):
    field.replace(TINY, drag=dict(which=2)).check(MODELS)
  with pytest.raises(ValueError, match="21 sampling steps"):
    field.replace(TINY, steps=21).check(MODELS)
