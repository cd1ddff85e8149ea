"""The data sets of a config, opened."""

import io
import pathlib
import tarfile

import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.data import combine
from jmim.data import formats
from jmim.data import groups
from jmim.data import sources
from jmim.data import write
from jmim.evals import fewshot
from jmim.evals import knn
from jmim.evals import loss
from jmim.session import opened

RECIPES = pathlib.Path(__file__).parents[2] / "configs"


def config(*items):
  made = configs.base()
  made.data.name = "array"
  return configs.override(made, items)


@pytest.fixture
def arrays(tmp_path):
  """A folder of one split of 12 images."""
  np.savez(
    tmp_path / "train.npz",
    image=np.zeros((12, 8, 8, 3), np.uint8),
    label=np.arange(12) % 3,
  )
  return str(tmp_path)


def test_both_splits_are_opened_and_a_missing_one_names_its_key(arrays):
  made = config(f"data.data_dir={arrays}", "data.eval_split=train")
  splits = opened.make_sources(made)
  assert len(splits["train"]) == len(splits["eval"]) == 12
  with pytest.raises(errors.UserError) as caught:
    opened.make_sources(config(f"data.data_dir={arrays}"))
  assert caught.value.key == "data.eval_split"


def test_a_share_is_held_out_in_place_of_a_split(arrays):
  made = config(f"data.data_dir={arrays}", "data.eval_share=0.25")
  splits = opened.make_sources(made)
  train, held = splits["train"], splits["eval"]
  assert len(train) == 9 and len(held) == 3
  assert sorted([*train.index, *held.index]) == list(range(12))
  # Of a mixture the same examples are not trained on.
  parts = "data.mixture=(('array', 1), ('array', 3.0))"
  both = opened.make_sources(
    config(f"data.data_dir={arrays}", "data.eval_share=0.25", parts)
  )["train"]
  assert len(both) == 18
  with pytest.raises(errors.UserError) as caught:
    opened.make_sources(
      config(f"data.data_dir={arrays}", "data.eval_share=0.99")
    )
  assert caught.value.key == "data.eval_share"


def test_a_class_that_only_the_test_split_has_names_its_key(tmp_path):
  for path in ("train/cat/1.png", "test/cat/1.png", "test/ant/1.png"):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(b"x")
  made = config(f"data.data_dir={tmp_path}", "data.name=folder")
  with pytest.raises(errors.UserError, match="ant") as caught:
    opened.make_sources(made)
  assert caught.value.key == "data.eval_split"


def test_a_mixture_and_a_cache_wrap_the_training_split(arrays):
  items = (f"data.data_dir={arrays}", "data.eval_split=train")
  parts = "data.mixture=(('array', 1), ('array', 3.0))"
  source = opened.make_sources(config(*items, parts, "data.cache=1000"))[
    "train"
  ]
  assert isinstance(source, combine.Cached)
  assert len(source) == 24 and source.weights == (1, 3.0)
  for wrong in ("data.mixture=(('array', 0),)", "data.mixture=('array',)"):
    with pytest.raises(errors.UserError) as caught:
      opened.make_sources(config(*items, wrong))
    assert caught.value.key == "data.mixture"


def test_a_split_that_evaluators_fit_on_is_opened_once(arrays):
  made = config(f"data.data_dir={arrays}", "data.eval_share=0.25")
  data = opened.make_sources(made)
  evaluators = {
    "near": knn.Evaluator(train_split="train[:6]"),
    "few": fewshot.Evaluator(train_split="train[:6]"),
    "own": knn.Evaluator(),
    "loss": loss.Evaluator(),
  }
  found = opened.make_splits(made, evaluators, data)
  assert list(found) == ["train[:6]"] and len(found["train[:6]"]) == 6
  evaluators["other"] = knn.Evaluator(train_split="labelled")
  with pytest.raises(errors.UserError, match="labelled.npz") as caught:
    opened.make_splits(made, evaluators, data)
  assert caught.value.key == "evals.other.train_split"


def test_a_list_of_examples_is_kept_and_the_rest_is_not_trained_on(
  arrays, tmp_path
):
  (tmp_path / "list.txt").write_text("1 2 5 8")
  items = [f"data.data_dir={arrays}", f"data.keep={tmp_path}/list.txt"]
  train = opened.make_sources(config(*items, "data.eval_split=train"))
  assert train["train"].index.tolist() == [1, 2, 5, 8]
  assert len(train["eval"]) == 12  # another split is whole
  held = opened.make_sources(config(*items, "data.eval_share=0.25"))
  both = [*held["train"].index, *held["eval"].index]
  assert sorted(both) == [1, 2, 5, 8]
  other = "data.mixture=(('digits/plain', 1),)"
  with pytest.raises(errors.UserError) as caught:
    opened.make_sources(config(*items, "data.eval_split=train", other))
  assert caught.value.key == "data.keep"


def test_groups_are_of_every_split_and_held_out_whole(arrays):
  items = [
    f"data.data_dir={arrays}",
    "data.eval_split=train",
    "data.group=label",
    "data.members=4",
  ]
  for cached in ([], ["data.cache=100000"]):
    made = config(*items, *cached)
    data = opened.make_sources(made)
    for source in data.values():
      assert len(source) == 3 and isinstance(source, groups.Grouped)
    own = isinstance(data["train"].source, combine.Cached)
    assert own == bool(cached)
    asked = {"knn": knn.Evaluator(train_split="train")}
    (fitted,) = opened.make_splits(made, asked, data).values()
    assert isinstance(fitted, groups.Grouped)
  data = opened.make_sources(config(*items, "data.eval_share=0.3"))
  labels = [{s[i]["label"] for i in range(len(s))} for s in data.values()]
  assert labels[0] | labels[1] == {0, 1, 2} and not labels[0] & labels[1]
  with pytest.raises(errors.UserError) as caught:
    opened.make_sources(config(*items, "data.mixture=(('array', 1),)"))
  assert caught.value.key == "data.group"


def test_the_limit_of_pixels_holds_for_what_a_source_decodes(tmp_path):
  picture = np.zeros((1, 4, 4, 1), np.uint8)
  rows = {"image": picture, "mask": picture, "label": np.zeros(1, np.int64)}
  pictures = ("image", "mask")
  write.dataset(
    "masks",
    tmp_path,
    features=write.features_of(rows, pictures, 0),
    description="one",
    splits=lambda: {
      split: iter([write.example(rows, 0, pictures)])
      for split in ("train", "test")
    },
  )
  told = (f"data.data_dir={tmp_path}", "data.name=masks")
  splits = opened.make_sources(config(*told, "data.max_pixels=16"))
  assert splits["train"][0]["mask"].shape == (4, 4, 1)
  splits = opened.make_sources(config(*told, "data.max_pixels=15"))
  for source in splits.values():
    with pytest.raises(formats.BadImage, match="above the limit of 15"):
      source[0]


def test_shards_that_are_not_whole_are_left_out_where_bad_records_are(tmp_path):
  whole = io.BytesIO()
  with tarfile.open(fileobj=whole, mode="w") as tar:
    for name in ("a.jpg", "b.jpg"):
      tar.addfile(tarfile.TarInfo(name), io.BytesIO())
  for split in ("train", "test"):
    (tmp_path / f"{split}-0.tar").write_bytes(whole.getvalue())
    (tmp_path / f"{split}-1.tar").write_bytes(whole.getvalue()[:600])
  told = (f"data.data_dir={tmp_path}", "data.name=tar")
  index = tmp_path / "index"
  with pytest.raises(errors.UserError, match="train-1.tar"):
    opened.make_sources(config(*told), index)
  skip = (*told, "data.on_bad_record=skip")
  with pytest.raises(errors.UserError) as caught:
    opened.make_sources(config(*skip), index)
  assert caught.value.key == "data.max_bad_share"
  made = config(*skip, "data.max_bad_share=0.5")
  found = opened.make_sources(made, index)
  assert [len(source) for source in found.values()] == [2, 2]


def test_sets_of_single_classes_are_one_of_all(monkeypatch):
  """As segment_voc mixes them: each has one class of twenty, masks of it."""
  made = configs.load(f"{RECIPES}/segment_voc.py:classes=21")
  assert [weight for _, weight in made.data.mixture] == [1.0] * 20
  names = [name for name, _ in made.data.mixture]

  def build(name, split, data_dir, **how):
    one = {
      "image": np.zeros((50, 8, 8, 3), np.uint8),
      "mask": np.ones((50, 8, 8), np.uint8),
      "label": np.full(50, names.index(name)),
    }
    return sources.ArraySource(one, num_classes=20)

  monkeypatch.setattr(sources, "build", build)
  splits = opened.make_sources(made)
  train, method = splits["train"], discovery.make(made.method)
  assert len(train) == 20 * 50 - 1 and len(splits["eval"]) == 1
  seen = [train[i] for i in range(len(train))]
  batch = {n: np.stack([x[n] for x in seen]) for n in ("mask", "label")}
  truth = np.asarray(method.truth(batch))
  np.testing.assert_array_equal(np.unique(truth), np.arange(1, 21))
  assert splits["eval"][0]["label"] == 2 and method.inputs()["label"].high == 20
