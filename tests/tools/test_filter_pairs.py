"""Noise filter by folds: pairs whose masks others would not predict go."""

import pathlib
import types

import ml_collections
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method
from jmim.data import keep
from jmim.data import sources
from jmim.tools import filter_pairs

N, SIDE = 12, 8
X = np.mgrid[:SIDE, :SIDE][1]
WIDTH = 2 + np.arange(N) % 4
TRUTH = (X[None] < WIDTH[:, None, None]).astype(np.uint8)
WRONG = np.array([3, 8])  # masks that are the other half
MASK = TRUTH.copy()
MASK[WRONG] = 1 - TRUTH[WRONG]


class Source(sources.ArraySource):
  """Pairs of which the picture shows the truth."""

  def __init__(self, index=None):
    index = np.arange(N) if index is None else index
    image = np.repeat(255 * TRUTH[..., None], 3, -1)
    rows = {"image": image, "mask": MASK, "label": np.arange(N) % 2}
    super().__init__({k: x[index] for k, x in rows.items()})
    self._index = index

  def places(self):
    return self._index


class Method(method.Method):
  """Says what the picture shows."""

  def inputs(self):
    return {"image": 0, "mask": 0}

  def predict(self):
    return {"segment": self.segment}

  def segment(self, weights, batch, key):
    guess = (batch["image"][..., 0] > 0).astype(int)
    return {"guess": guess, "truth": batch["mask"].astype(int)}


def model(split, name="pairs"):
  """A run that was trained on a part of the pairs."""
  half = (0.5, 0.5, 0.5)
  data = dict(name=name, data_dir="", train_split=split, channels=3)
  config = {"data": data | dict(mean=half, std=half)}
  config["method"] = {"type": "dense.segment"}
  return types.SimpleNamespace(
    method=Method(),
    weights=method.Weights({}),
    config=ml_collections.ConfigDict(config),
  )


FOLDS = {"a": "train[50%:]", "b": "train[:50%]"}


@pytest.fixture
def pairs(monkeypatch):
  def build(name, split, folder):
    assert name == "pairs"
    half = {"train[50%:]": slice(N // 2, None), "train[:50%]": slice(N // 2)}
    return Source(np.arange(N)[half.get(split, slice(None))])

  monkeypatch.setattr(filter_pairs.sources, "build", build)
  found = lambda run, which, key: model(FOLDS[run])
  monkeypatch.setattr(filter_pairs.models, "of_run", found)


def test_overlap_is_of_the_right_class():
  truth = np.array([[[1, 1, 0, 255]], [[0, 0, 0, 0]], [[2, 0, 0, 0]]])
  guess = np.array([[[1, 2, 0, 1]], [[0, 0, 0, 0]], [[0, 2, 0, 0]]])
  found = filter_pairs.overlaps(truth, guess)
  np.testing.assert_allclose(found, [0.5, 1.0, 0.0])


def test_runs_judge_what_they_have_not_seen(pairs, monkeypatch):
  asked = []
  plain = filter_pairs.judged

  def judged(one, whole, index):
    asked.append((one.config["data"]["train_split"], index.tolist()))
    return plain(one, whole, index)

  monkeypatch.setattr(filter_pairs, "judged", judged)
  found, labels = filter_pairs.scores(["a", "b"])
  assert asked == [
    ("train[50%:]", [*range(6)]),
    ("train[:50%]", [*range(6, 12)]),
  ]
  wrong = np.isin(np.arange(N), WRONG)
  assert (found[~wrong] == 1).all() and (found[wrong] == 0).all()
  np.testing.assert_array_equal(labels, np.arange(N) % 2)


def test_the_list_is_one_that_data_keep_reads(pairs, tmp_path, capsys):
  out = tmp_path / "keep.npy"
  assert filter_pairs.main(["--runs=a,b", f"--out={out}"]) == 0
  kept = keep.part(Source(), str(out))
  assert sorted(kept.index) == [i for i in range(N) if i not in WRONG]
  assert "10 of 12 pairs" in capsys.readouterr().out


def test_a_class_may_have_a_bound_of_its_own(pairs, tmp_path):
  out = tmp_path / "keep.npy"
  flags = ["--runs=a,b", f"--out={out}", "--least_of=1:0"]
  assert filter_pairs.main(flags) == 0
  gone = set(range(N)) - set(np.load(out).tolist())
  assert gone == {i for i in WRONG.tolist() if i % 2 == 0}


@pytest.mark.parametrize(
  "flags, said",
  [
    (["--runs=a"], "6 of 12 examples were seen by all"),
    (["--runs=a,b", "--least=1.1"], "no pair reaches"),
    (["--runs=a,b", "--least_of=x"], "LABEL:IOU"),
  ],
)
def test_mistakes_end_in_a_screen(pairs, tmp_path, flags, said, capsys):
  out = pathlib.Path(tmp_path) / "keep.npy"
  assert filter_pairs.main([*flags, f"--out={out}"]) == 2
  assert said in capsys.readouterr().err and not out.exists()


def test_runs_of_other_data_are_refused(pairs, monkeypatch):
  runs = {"a": model(FOLDS["a"]), "b": model("train", "others")}
  found = lambda run, which, key: runs[run]
  monkeypatch.setattr(filter_pairs.models, "of_run", found)
  with pytest.raises(errors.UserError, match="b: dense.segment of others"):
    filter_pairs.scores(["a", "b"])
