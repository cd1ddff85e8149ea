import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import diffumask
from jmim.methods.parts import adaptive_threshold
from jmim.methods.parts import word_tables

TINY = diffumask.DiffuMask.tiny()
MODELS = toydiffusion.models(TINY)
BATCH = jax.tree.map(
  jnp.asarray, toydiffusion.batch_of(TINY.inputs(MODELS), n=3)
)
BATCH["marks"] = jnp.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])


@jax.jit
def run(batch):
  draws = procedure.drawn(TINY, jax.random.key(0), MODELS, batch)
  return TINY.apply(MODELS, {}, batch, draws)


@pytest.fixture(scope="module")
def made():
  return jax.device_get(run(BATCH))


def test_the_mask_is_what_is_above_the_maps_own_threshold(made):
  rows = jnp.broadcast_to(word_tables.rows("plain"), (3, 5))
  found = adaptive_threshold.find(jnp.asarray(made["word_map"]), rows)
  np.testing.assert_allclose(made["threshold"], found.threshold, atol=1e-6)
  above = made["word_map"] > made["threshold"][:, None, None]
  np.testing.assert_array_equal(made["mask"], above)
  assert made["word_map"].max() <= 1 and not made["word_map"][2].any()


def test_seeds_are_things_ground_or_unknown(made):
  seeds, m = made["seeds"], made["word_map"]
  assert set(np.unique(seeds)) <= {0, 1, 255} and seeds.dtype == np.uint8
  assert not seeds[2].any()  # without a word there is no thing
  for i in (0, 1):
    for value in set(np.unique(seeds[i])) & {1}:
      assert m[i][seeds[i] == value].mean() > m[i][seeds[i] == 0].mean()


def test_without_a_field_seeds_are_the_two_levels():
  flat = field.replace(TINY, crf=dict(steps=0))
  m = jnp.linspace(0, 1, 16).reshape(1, 4, 4)
  found = adaptive_threshold.Found(*jnp.array([[0.5], [0.7], [0.3]]))
  seeds = flat.seeds(jnp.zeros((1, 4, 4, 3)), m, found)
  wanted = np.where(m > 0.7, 1, np.where(m > 0.3, 255, 0))
  np.testing.assert_array_equal(seeds, wanted)
  assert len(np.unique(wanted)) == 3


def test_a_marked_word_changes_the_map_and_not_the_image(made):
  other = run(BATCH | {"marks": BATCH["marks"][:, ::-1]})
  np.testing.assert_array_equal(other["image"], made["image"])
  assert np.abs(other["word_map"] - made["word_map"])[1].max() > 1e-3


def test_the_table_of_voc_reads_the_class():
  voc = dataclasses.replace(TINY, table="voc")
  assert voc.inputs(MODELS)["label"].high == 20
  assert "label" not in TINY.inputs(MODELS)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(sides=(2, 3)), r"attention of sides \[3\], and source has \[2\]"),
    (dict(table="voc"), r"sides \[8, 16\]"),
    (dict(sampler="dpmpp_2m", steps=50), "50 sampling steps"),
  ],
)
def test_what_does_not_fit_the_model_is_named(fields, said):
  with pytest.raises(ValueError, match=said):
    dataclasses.replace(TINY, **fields).check(MODELS)


def test_a_model_that_is_told_a_class_has_no_words():
  models = {"source": procedure.Model.of(toydiffusion.make())}
  with pytest.raises(ValueError, match="source is a model that is told no"):
    TINY.inputs(models)
