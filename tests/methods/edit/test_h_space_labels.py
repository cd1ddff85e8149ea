"""Directions of attributes: by a classifier's scores, and by labels."""

import dataclasses

import innerkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import errors
from jmim.core import field
from jmim.core import procedure
from jmim.methods.edit import h_space_labels
from jmim.methods.supervised import attributes

STEPS, N = 4, 10
NET = dataclasses.replace(attributes.Attributes.tiny(), size=4, cells=1)
SCORER = procedure.Model(
  method=NET, weights=toydiffusion.fresh(NET), key="procedure.scorer.path"
)
MODELS = innerkit.MODELS | {"scorer": SCORER}


def made(images=False, scorer="", **fields):
  m = h_space_labels.HSpaceLabels(**{"extremes": 3, "alphas": (1.0,)} | fields)
  walk = dict(place=innerkit.PLACE, steps=STEPS, images=images)
  return field.replace(m, walk=walk, scorer={"path": scorer})


def batch(m, n=N):
  return jax.tree.map(jnp.asarray, toydiffusion.batch_of(m.inputs(MODELS), n))


def rows(m, size=N):
  """What is collected of a batch, so many at a time."""
  m.check(MODELS)
  whole = batch(m)
  draws = procedure.drawn(m, jax.random.key(1), MODELS, whole)
  found = jax.device_get(m.collect(MODELS, whole, draws))
  parts = range(0, N, size)
  return whole, [{k: x[i : i + size] for k, x in found.items()} for i in parts]


def test_scores_are_the_classifiers_of_what_was_sampled():
  m = made(wanted=("label:0-2",), unwanted=("place:3",))
  whole, (found,) = rows(m)
  draws = procedure.drawn(m, jax.random.key(1), MODELS, whole)
  opened = m.walk.opened(innerkit.SOURCE, whole)
  begun = m.walk.begin(opened, whole, draws)
  none = jnp.zeros((0, STEPS, *innerkit.H))
  images = m.walk.images_of(opened, begun, offsets=none, alphas=())[:, 0]
  logits = NET.scores(SCORER.weights.params, images)
  label = logits["label"]
  wanted = jnp.stack([label[:, 0] - label[:, 2], logits["place"][:, 3]], 1)
  np.testing.assert_allclose(found["scores"], wanted, atol=1e-4)
  assert found["h"].shape == (N, STEPS, *innerkit.H)


def test_a_direction_is_between_the_extremes():
  m = made(wanted=("label:0-2",))
  _, parts = rows(m, size=4)
  found = m.fit(iter(parts))["directions"]
  h, score = (np.concatenate([p[n] for p in parts]) for n in ("h", "scores"))
  order = np.argsort(score[:, 0])
  wanted = h[order[-3:]].mean(0) - h[order[:3]].mean(0)
  np.testing.assert_allclose(found[0], wanted, atol=1e-5)


def test_labelled_images_are_inverted():
  m = made(images=True, by="labels", wanted=("kind:0-1", "label:2"), classes=4)
  assert "scorer" not in m.models()
  assert set(m.inputs(MODELS)) == {"image", "label", "kind"}
  whole, (found,) = rows(m)
  opened = m.walk.opened(innerkit.SOURCE, whole)
  h = np.asarray(jnp.moveaxis(m.walk.begin(opened, whole, {}).back[0], 0, 1))
  kind, label = np.asarray(whole["kind"]), np.asarray(whole["label"])
  fitted = m.fit(iter([found]))["directions"]
  wanted = h[kind == 0].mean(0) - h[kind == 1].mean(0)
  np.testing.assert_allclose(fitted[0], wanted, atol=1e-5)
  wanted = h[label == 2].mean(0) - h[label != 2].mean(0)
  np.testing.assert_allclose(fitted[1], wanted, atol=1e-5)


def test_wanted_directions_are_orthogonal_to_the_unwanted():
  names = ("label:0-2", "place:3", "kind:0")
  plain, freed = made(wanted=names), made(wanted=names[:1], unwanted=names[1:])
  _, parts = rows(plain)
  directions = plain.fit(iter(parts))["directions"].reshape(3, -1)
  found = freed.fit(iter(parts))["directions"].reshape(1, -1)
  scale = np.linalg.norm(directions, axis=1)
  products = found @ directions[1:].T / scale[1:]
  np.testing.assert_allclose(products, 0, atol=1e-4 * scale[0])
  assert np.abs(found - directions[:1]).max() > 1e-3


def test_a_direction_of_which_nothing_is_left_is_named():
  """Of two classes, one from all others is the other's reverse."""
  m = made(wanted=("label:0-2", "kind:0"), unwanted=("kind:1", "place:3"))
  rng = np.random.default_rng(0)
  kind = rng.normal(size=N)
  scores = np.stack([rng.normal(size=N), kind, -kind, rng.normal(size=N)], 1)
  row = {"h": rng.normal(size=(N, STEPS, *innerkit.H)), "scores": scores}
  with pytest.raises(errors.UserError, match="of kind:0 nothing is left") as e:
    m.fit(iter([row]))
  assert e.value.key == "procedure.unwanted"


def test_edits_follow_the_directions():
  m = made(alphas=(0.0, 2.0))
  whole, parts = rows(m)
  fitted = jax.tree.map(jnp.asarray, m.fit(iter(parts)))
  draws = procedure.drawn(m, jax.random.key(3), MODELS, whole)
  image = m.apply(MODELS, fitted, whole, draws)["image"]
  assert image.shape == (N, 3, *innerkit.SHAPE)
  np.testing.assert_array_equal(image[:, 0], image[:, 1])
  assert float(jnp.abs(image[:, 2] - image[:, 0]).max()) > 1e-2


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"wanted": ("label0",)}, "label0"),
    ({"wanted": ()}, "wanted=()"),
    ({"wanted": ("label:0-0",)}, "wanted or unwanted"),
    ({"unwanted": ("label:0-1",)}, "in both"),
    ({"unwanted": ("label:1-0",)}, "in both"),
    (
      {"by": "labels", "images": True, "scorer": "x"},
      "scorer, and by='labels'",
    ),
    (
      {"wanted": ("hue:0-1",)},
      "hue:1, and scorer tells kind:0 to 1, label:0 to 2",
    ),
    ({"wanted": ("place:4",)}, "place:4, and scorer tells"),
    ({"by": "labels"}, "walk.images"),
    (
      {"by": "labels", "images": True, "wanted": ("kind:7",), "classes": 4},
      "kind:7 of classes=4",
    ),
  ],
)
def test_what_does_not_go_together_is_named(fields, words):
  with pytest.raises(
    ValueError, match=words.replace("(", r"\(").replace(")", r"\)")
  ):
    made(**fields).check(MODELS)


def test_a_classifier_of_other_images_or_none_is_named():
  other = attributes.Attributes.tiny()
  given = dataclasses.replace(
    SCORER, method=other, weights=toydiffusion.fresh(other)
  )
  with pytest.raises(ValueError, match=r"scorer of images \(8, 8, 3\)"):
    made().check(MODELS | {"scorer": given})
