"""Retrieval of a run: queries, galleries of all kinds, and what they lack."""

import dataclasses

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import sources
from jmim.evals import retrieval
from jmim.evals.lib import finite
from jmim.evals.lib import stored
from jmim.metrics import retrieval as metrics


def source(n, seed=0):
  """Example i: noise of its own, an id and half an id."""
  rng = np.random.default_rng(seed)
  return sources.ArraySource(
    {
      "image": rng.integers(0, 256, (n, 4, 4, 3), np.uint8),
      "label": np.arange(n) % 3,
      "origin": np.arange(n),
      "half": np.arange(n) // 2,
      "share": rng.random(n),
    }
  )


def context(train, held, **kwargs):
  return evalkit.context(data={"train": train, "eval": held}, **kwargs)


def values(evaluator, over):
  return dict(evaluator.run(over))


def part(whole, index):
  names = ("image", "label", "origin", "half", "share")
  return sources.ArraySource(
    {name: np.asarray(whole.column(name))[index] for name in names}
  )


def plain(**fields):
  return retrieval.Evaluator(predict="features", reference=False, **fields)


def test_queries_that_lie_in_the_gallery_are_found():
  whole = source(40)
  over = context(whole, part(whole, np.arange(3, 24)))
  for fields in ({"id": "origin"}, {"id": "origin", "gallery_id": "index"}):
    found = values(plain(**fields), over)
    assert found["map"] == found["top1"] == found["top5"] == 100
    assert found["queries"] == 21 and found["gallery"] == 40
    assert found["without_answer"] == 0


def test_numbers_are_those_of_the_metric_on_the_rows_of_the_run():
  over = context(source(40), source(21, 1))
  found = values(plain(k=(1, 3)), over)
  rows = {s: over.rows("features", s, None, "raw") for s in ("train", "eval")}
  (gallery, at), (query, of) = rows["train"], rows["eval"]
  above = metrics.wrong_above(query, gallery, of % 3, at % 3)
  want = 100 * metrics.average_precision(above).mean()
  assert found["map"] == pytest.approx(want)
  assert found["top3"] == pytest.approx(100 * metrics.found(above, 3).mean())
  assert found["top1"] <= found["top3"]


def test_ids_are_read_once_for_all_weights(monkeypatch):
  seen, read = [], stored.numbers

  def counted(over, split, *rest):
    seen.append(split)
    return read(over, split, *rest)

  monkeypatch.setattr(stored, "numbers", counted)
  found = values(
    retrieval.Evaluator(predict="features"), context(source(40), source(21, 1))
  )
  assert seen == ["eval", "train"] and found["untrained_map"] > 0


@pytest.mark.parametrize("where, key", [(0, "gallery_id"), (1, "id")])
def test_examples_without_a_label_are_refused(where, key):
  """-1 is no id: they would be answers to each other.

  What has no class is left out before; other ids are as stored.
  """
  both = [source(40), source(21, 1)]
  names = ("image", "label", "origin", "half", "share")
  columns = {n: np.array(both[where].column(n)) for n in names}
  columns["half"][[3, 5]] = -1
  both[where] = sources.ArraySource(columns)
  with pytest.raises(errors.UserError, match="2 of .* negative 'half'") as e:
    values(plain(id="half"), context(*both))
  assert e.value.key == f"evals.<name>.{key}"


def test_one_device_and_eight_and_any_batch_give_the_same_numbers():
  made = [
    values(retrieval.Evaluator(), evalkit.context(batch, devices=devices))
    for batch, devices in ((16, 8), (5, 1))
  ]
  assert made[0] == made[1] and made[0]["untrained_map"] > 0


def test_within_one_split_nobody_finds_himself():
  held = source(20)
  over = context(source(8, 1), held)
  found = values(plain(gallery="eval", id="half"), over)
  rows, at = over.rows("features", "eval", None, "raw")
  half = at // 2
  above = metrics.wrong_above(rows, rows, half, half, itself=np.arange(20))
  want = metrics.average_precision(above)
  assert found["map"] == pytest.approx(100 * want.mean())
  alone = values(plain(gallery="eval", id="label", gallery_limit=5), over)
  assert alone["gallery"] == 5
  assert alone["queries"] + alone["without_answer"] == 20
  with pytest.raises(finite.NotComputed, match="right answer"):
    values(plain(gallery="eval", id="origin"), over)


def test_another_data_set_may_be_the_gallery(tmp_path):
  whole = source(30)
  names = ("image", "label", "origin")
  arrays = {name: np.asarray(whole.column(name)) for name in names}
  np.savez(tmp_path / "pool.npz", **arrays)
  over = context(source(8, 1), part(whole, np.arange(0, 30, 4)))
  other = plain(
    gallery="array",
    gallery_dir=str(tmp_path),
    gallery_split="pool",
    id="origin",
  )
  found = values(other, over)
  assert found["map"] == 100 and found["gallery"] == 30
  less = dataclasses.replace(other, gallery_limit=15)
  found = values(less, over)
  assert found["queries"] + found["without_answer"] == 8
  assert found["without_answer"] > 0 and found["map"] == 100


def test_queries_of_another_data_set_know_where_they_come_from(tmp_path):
  whole, rng = source(30), np.random.default_rng(1)
  order = rng.permutation(30)[:9]
  images = np.asarray(whole.column("image"))
  np.savez(tmp_path / "asked.npz", image=images[order], origin=order)
  over = context(whole, source(8, 1))
  asked = plain(
    queries="array",
    queries_dir=str(tmp_path),
    queries_split="asked",
    id="origin",
    gallery_id="index",
  )
  asked.check("evals.r", over.sources, over.widths)
  found = values(asked, over)
  assert found["map"] == 100 and found["queries"] == 9
  assert found["gallery"] == 30
  # Where they are their own gallery, nobody is right.
  with pytest.raises(finite.NotComputed, match="right answer"):
    values(dataclasses.replace(asked, gallery="eval", gallery_id=""), over)


@pytest.mark.parametrize("gallery", ["", "eval"])
def test_a_sheet_shows_queries_beside_their_first_hits(gallery, monkeypatch):
  seen = {}
  monkeypatch.setattr(
    retrieval.draw, "sheet", lambda columns, pairs: seen.update(columns)
  )
  whole = source(12)
  over = context(whole, whole)
  names = values(plain(id="half", gallery=gallery, examples=3), over)
  assert "sheet" in names
  images = whole.column("image")
  rows, at = over.rows("features", "eval", None, "raw")
  unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
  near = np.argsort(-unit @ unit.T, axis=1, kind="stable")
  skip = int(gallery == "eval")  # the first is the query itself
  assert list(seen) == ["query", *(f"hit {j}" for j in range(1, 6))]
  np.testing.assert_array_equal(seen["query"], images[at[:3]])
  for j in range(5):
    wanted = images[at[near[:3, j + skip]]]
    np.testing.assert_array_equal(seen[f"hit {j + 1}"], wanted)


def test_vectors_of_gallery_and_queries_may_be_two_outputs():
  whole = source(12)
  over = context(whole, whole)
  same = values(plain(id="origin"), over)
  other = values(plain(id="origin", gallery_predict="cls"), over)
  assert same["map"] == 100 > other["map"]


@pytest.mark.parametrize(
  ("fields", "key"),
  [
    ({"id": "nobody"}, "evals.r.id"),
    ({"id": "share"}, "evals.r.id"),
    ({"gallery_id": "image"}, "evals.r.gallery_id"),
    ({"id": "image", "gallery_id": "label"}, "evals.r.gallery_id"),
    ({"gallery": "array"}, "evals.r.gallery_dir"),
    ({"gallery": "cifr10"}, "evals.r.gallery"),
    ({"queries": "array"}, "evals.r.queries_dir"),
    ({"queries": "cifr10"}, "evals.r.queries"),
    ({"predict": "layers"}, "evals.r.predict"),
    (
      {"predict": "layers/wide", "gallery_predict": "cls"},
      "evals.r.gallery_predict",
    ),
    ({"k": ()}, "evals.r.k"),
    ({"k": (0,)}, "evals.r.k"),
  ],
)
def test_mistakes_name_their_key_before_anything_runs(fields, key):
  over = context(source(8), source(8))
  evaluator = dataclasses.replace(plain(), **fields)
  with pytest.raises(errors.UserError) as caught:
    evaluator.check("evals.r", over.sources, over.widths)
  assert caught.value.key == key


def test_hits_without_an_image_are_refused():
  over = context(source(8), source(8))
  vectors = sources.ArraySource(
    {"vector": np.ones((8, 2), "f4"), "label": np.zeros(8, int)}
  )
  with pytest.raises(errors.UserError, match="image in each") as caught:
    plain(examples=2).check("evals.r", over.sources | {"train": vectors}, None)
  assert caught.value.key == "evals.r.examples"


def test_an_id_may_be_several_numbers():
  """The tokens of a caption: all of them have to agree."""
  whole = source(24)
  columns = {n: np.asarray(whole.column(n)) for n in ("image", "label")}
  columns["tokens"] = np.stack([np.arange(24) // 2, np.arange(24) % 2], 1)
  both = sources.ArraySource(columns | {"origin": np.arange(24)})
  over = context(both, both)
  plain(id="tokens").check("evals.r", over.sources, over.widths)
  found = values(plain(id="tokens"), over)
  assert found == values(plain(id="origin"), over) and found["map"] == 100
