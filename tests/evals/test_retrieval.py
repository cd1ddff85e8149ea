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
    ({"gallery": "array"}, "evals.r.gallery_dir"),
    ({"gallery": "cifr10"}, "evals.r.gallery"),
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
