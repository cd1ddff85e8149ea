"""Texts of images: captions and classes, both scores, what cannot be asked."""

import dataclasses

import evalkit
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method as methods
from jmim.data import sources
from jmim.evals import zeroshot
from jmim.evals.lib import finite

COLOURS, SIZES = 3, 2


class Told(evalkit.Everything):
  """What an image shows is its first pixel; a text says two numbers."""

  def inputs(self):
    tokens = methods.Input((2,), jnp.int32, high=300)
    return super().inputs() | {"tokens": tokens}

  def query(self, weights, batch, key):
    """[b, 3]: on a circle by the first channel, and the second."""
    pixel = batch["image"][:, 0, 0]
    return vector(jnp.round(255 * pixel[:, 0]), jnp.round(255 * pixel[:, 1]))

  def text(self, weights, batch, key):
    return vector(*batch["tokens"].T)

  def match(self, weights, batch, key):
    seen = self.query(weights, batch, key)
    return -((seen[:, None] - batch["candidates"]) ** 2).sum(-1)

  def predict(self):
    own = {n: getattr(self, n) for n in ("query", "text", "match")}
    return super().predict() | own


def vector(colour, size):
  angle = 2 * np.pi * colour / COLOURS
  return jnp.stack([jnp.cos(angle), jnp.sin(angle), 0.5 * size], -1)


def source(n=40, wrong=0, seed=0):
  """Scenes of a colour and a size; the first `wrong` show another colour."""
  rng = np.random.default_rng(seed)
  colour, size = rng.integers(COLOURS, size=n), rng.integers(SIZES, size=n)
  image = np.zeros((n, 4, 4, 3), np.uint8)
  image[:, 0, 0, 0] = colour
  image[:wrong, 0, 0, 0] = (colour[:wrong] + 1) % COLOURS
  image[:, 0, 0, 1] = size
  return sources.ArraySource(
    {
      "image": image,
      "label": colour,
      "size": size,
      "tokens": np.stack([colour, size], 1).astype(np.int32),
    }
  )


def context(held, **kwargs):
  data = {"train": held, "eval": held}
  return evalkit.context(data=data, model=Told, **kwargs)


def values(over, **fields):
  evaluator = zeroshot.Evaluator(**fields)
  evaluator.check("evals.z", over.sources, over.widths)
  return dict(evaluator.run(over))


@pytest.mark.parametrize("score", zeroshot.SCORES)
def test_captions_of_the_split_are_told_apart(score):
  over = context(source(wrong=10))
  found = values(
    over, score=score, attributes=("label", "size"), k=(1, 2), piece=4
  )
  assert found["texts"] == COLOURS * SIZES and found["images"] == 40
  assert found["top1"] == found["label_top1"] == 75
  assert found["size_top1"] == 100
  assert "shuffled_top1" not in found
  assert found["top2"] == 75  # two sizes of the colour that is shown


class Peeks(Told):
  """Says of an image what the text beside it says."""

  def query(self, weights, batch, key):
    return vector(*batch["tokens"].T)


@pytest.mark.parametrize("score", zeroshot.SCORES)
def test_who_looks_at_the_text_beside_an_image_is_found_out(score):
  """Its answers follow the text; those of an image alone are chance."""
  held = source(n=60)
  told = np.asarray(held.column("tokens"))
  other = told[np.random.default_rng(0).permutation(60)]
  asked = dict(score=score, k=(1,), shuffled=True)
  for devices, batch in ((1, 7), (8, 16)):
    options = dict(batch=batch, devices=devices)
    found = values(context(held, **options), **asked)
    assert found["top1"] == 100
    same = 100 * (told == other).all(1).mean()
    np.testing.assert_allclose(found["shuffled_top1"], same)
    assert same < 35  # chance is a sixth
    data = {"train": held, "eval": held}
    peeks = evalkit.context(data=data, model=Peeks, **options)
    assert values(peeks, **asked)["shuffled_top1"] == 100


def test_the_first_choice_is_the_same_by_both_scores():
  over = context(source(wrong=10, seed=1))
  first, second = (values(over, score=s, k=(1,)) for s in zeroshot.SCORES)
  assert first == second


def test_texts_find_their_images():
  held = source(wrong=0)
  assert values(context(held), k=(1,))["found1"] == 100
  # All images of two of the six captions show another colour.
  tokens = np.asarray(held.column("tokens"))
  image = np.array(held.column("image"))
  there = tokens[:, 0] == 0
  image[there, 0, 0, 0] = 1
  spoilt = sources.ArraySource(
    {"image": image, "label": tokens[:, 0], "tokens": tokens}
  )
  found = values(context(spoilt), k=(1,))
  np.testing.assert_allclose(found["found1"], 100 * 2 / 6)


def test_one_device_and_eight_give_the_same_numbers_of_a_part():
  held = source(wrong=10)
  for score in zeroshot.SCORES:
    few, many = (
      values(context(held, batch=b, devices=n), score=score, limit=29)
      for b, n in ((5, 1), (16, 8))
    )
    assert few == many and few["images"] == 29


def test_classes_are_told_by_sentences():
  """Of "2" the token is 54, 4 and its byte: a multiple of 3, the colour 0."""
  over = context(source(wrong=10))
  over.spec = dataclasses.replace(
    over.spec, tokenizer="bytes", text_length=2, text_start=-1, text_end=-1
  )
  names = ("2", "3", "4")
  asked = dict(templates=("{}",), classes=names, k=(1,), shuffled=True)
  found = values(over, **asked)
  assert found["texts"] == 3 and found["top1"] == 75
  assert found["shuffled_top1"] < 60  # chance is a third
  twice = values(over, templates=("{}", "{}!"), classes=names, k=(1,))
  assert twice["texts"] == 3 and twice["top1"] == 75


def test_classes_may_be_those_of_another_data_set(tmp_path):
  """Which has no captions, and other images."""
  over = context(source())
  over.spec = dataclasses.replace(
    over.spec, tokenizer="bytes", text_length=2, text_start=-1, text_end=-1
  )
  held = source(n=20, wrong=5)
  columns = {n: np.asarray(held.column(n)) for n in ("image", "label")}
  np.savez(tmp_path / "birds.npz", **columns)
  found = values(
    over,
    templates=("{}",),
    classes=("2", "3", "4"),
    data="array",
    data_dir=str(tmp_path),
    data_split="birds",
  )
  assert found["images"] == 20 and found["top1"] == 75


def test_who_tells_nothing_finds_nothing():
  blind = source()
  image = np.zeros_like(np.asarray(blind.column("image")))
  same = {n: np.asarray(blind.column(n)) for n in ("label", "tokens")}
  same["tokens"] = np.stack([same["tokens"][:, 0] * 0, same["tokens"][:, 1]], 1)
  tokens = same["tokens"] + np.array([3, 0]) * (np.arange(40) % 4)[:, None]
  held = sources.ArraySource(same | {"image": image, "tokens": tokens})
  found = values(context(held), k=(1,))
  assert found["top1"] == 0  # every text of a size says the same


def test_what_is_not_finite_is_not_measured(monkeypatch):
  monkeypatch.setattr(
    Told, "query", lambda s, w, b, k: jnp.full((len(b["label"]), 3), jnp.nan)
  )
  with pytest.raises(finite.NotComputed):
    values(context(source()))


@pytest.mark.parametrize(
  ("fields", "key"),
  [
    ({"k": ()}, "evals.z.k"),
    ({"templates": ("a photo",)}, "evals.z.templates"),
    ({"templates": ("{}",)}, "evals.z.classes"),
    ({"templates": ("{}",), "classes": ("a", "b")}, "evals.z.classes"),
    ({"attributes": ("weight",)}, "evals.z.attributes"),
    ({"data": "array"}, "evals.z.templates"),
    (
      {
        "templates": ("{}",),
        "classes": ("a", "b", "c"),
        "attributes": ("size",),
      },
      "evals.z.attributes",
    ),
  ],
)
def test_mistakes_name_their_key_before_anything_runs(fields, key):
  over = context(source())
  evaluator = zeroshot.Evaluator(**fields)
  with pytest.raises(errors.UserError) as caught:
    evaluator.check("evals.z", over.sources, over.widths)
  assert caught.value.key == key


def test_sentences_need_a_tokenizer():
  """As `session.build` sees before anything runs."""
  assert zeroshot.Evaluator().texts() == ""
  assert zeroshot.Evaluator(templates=("{}",)).texts() == "templates"
