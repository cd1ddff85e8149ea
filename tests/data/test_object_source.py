import importlib
import io
import json
import sys
import types

import numpy as np
import PIL.Image
import pytest

from jmim.core import errors
from jmim.core import run_config
from jmim.data import formats
from jmim.data import sources
from jmim.data import splits

PIXELS = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)


def encoded(pixels):
  file = io.BytesIO()
  PIL.Image.fromarray(pixels).save(file, "PNG")
  return file.getvalue()


class Pairs:
  """As torchvision has it: pairs, names of classes, all labels at once."""

  classes = ("cat", "dog", "owl")
  targets = (0, 1, 0)

  def __len__(self):
    return 3

  def __getitem__(self, i):
    return PIL.Image.fromarray(PIXELS[i]), self.targets[i]


class Names:
  names = ("a", "b")


class Table:
  """As Hugging Face's datasets have it: columns, features, rows."""

  column_names = ["img", "fine_label"]
  features = {"img": None, "fine_label": Names()}

  def __len__(self):
    return 3

  def __getitem__(self, key):
    if isinstance(key, str):
      return [1, 0, 1]
    file = {"bytes": encoded(PIXELS[key]), "path": None}
    return {"img": file, "fine_label": 1 - key % 2}


@pytest.fixture
def my_data(monkeypatch):
  rows = [
    {"image": x, "label": i, "extra": np.ones(2)} for i, x in enumerate(PIXELS)
  ]
  module = types.ModuleType("my_objects")
  module.rows = {"train": rows, "test": rows[:1]}
  module.pairs = lambda split: Pairs()
  module.table = lambda split, data_dir: Table() if data_dir else None
  module.floats = {"train": [(PIXELS[0] / 255.0, 1)]}
  module.triples = {"train": [(PIXELS[0], 1, 2)]}
  module.number = 3
  module.stream = {"train": iter(())}
  monkeypatch.setitem(sys.modules, "my_objects", module)
  return module


def test_dicts(my_data):
  source = sources.build("my_objects.rows", "train")
  assert len(source) == 3 and source.num_classes == 3
  np.testing.assert_array_equal(source[2]["image"], PIXELS[2])
  assert source[1]["label"] == 1 and source[1]["extra"].tolist() == [1, 1]
  assert source.labels().tolist() == [0, 1, 2]
  part = sources.build("my_objects.rows", "train[1:]")
  assert [part[i]["label"] for i in range(2)] == [1, 2]


def test_pairs_of_torchvision(my_data):
  source = sources.build("my_objects.pairs", "train")
  np.testing.assert_array_equal(source[1]["image"], PIXELS[1])
  assert source[1]["label"] == 1 and source.classes == ("cat", "dog", "owl")
  assert source.labels().tolist() == [0, 1, 0] and source.num_classes == 3


def test_rows_of_hugging_face(my_data):
  source = sources.build("my_objects.table", "train", "somewhere")
  assert source[2]["image"] == encoded(PIXELS[2]) and source[2]["label"] == 1
  assert source.labels().tolist() == [1, 0, 1] and source.classes == ("a", "b")


def test_a_function_gets_the_folder_only_if_it_asks(my_data):
  seen = []

  def make(split, size=32, *, root="r"):
    seen.append((split, size, root))
    return my_data.rows[split]

  my_data.make = make
  my_data.asks = lambda split, data_dir="": make(split, data_dir)
  for name in ("make", "asks"):
    sources.build(f"my_objects.{name}", "train", "somewhere")
  assert seen == [("train", 32, "r"), ("train", "somewhere", "r")]


@pytest.mark.parametrize(
  "name, split, seen",
  [
    ("nowhere_at_all.data", "train", "no module nowhere_at_all"),
    ("my_objects.other", "train", "my_objects has no other"),
    ("my_objects.rows", "val", "no split 'val'"),
    ("my_objects.number", "train", "is a int"),
    ("my_objects.stream", "train", "without len"),
    ("my_objects.floats", "train", r"float64\[4, 5, 3\]"),
    ("my_objects.triples", "train", "a tuple of 3"),
  ],
)
def test_what_is_no_data_is_named(my_data, name, split, seen):
  with pytest.raises(errors.UserError, match=seen):
    sources.build(name, split)


def test_classes_are_those_of_the_split_trained_on(my_data):
  """No number of another split means something else, or is one more."""
  train = sources.build("my_objects.rows", "train[:2]", trained_on=True)
  test = sources.build("my_objects.rows", "test", like=train)
  assert test.num_classes == 3 and test.labels().tolist() == [0]
  rows = my_data.rows["train"]
  my_data.more = {"train": rows[:2], "test": rows}
  train = sources.build("my_objects.more", "train")
  with pytest.raises(errors.UserError, match="has the label 2"):
    sources.build("my_objects.more", "test", like=train)

  class Others(Pairs):
    classes = ("dog", "cat", "owl")

  my_data.both = {"train": Pairs(), "test": Others()}
  train = sources.build("my_objects.both", "train")
  with pytest.raises(errors.UserError, match="classes dog, cat, owl"):
    sources.build("my_objects.both", "test", like=train)
  my_data.beyond = {"train": type("B", (Pairs,), {"classes": ("cat",)})()}
  with pytest.raises(errors.UserError, match="has the label 1"):
    sources.build("my_objects.beyond", "train")


def test_one_object_under_two_names_is_noticed(my_data):
  my_data.same = {"train": my_data.rows["train"], "test": my_data.rows["train"]}
  both = [sources.build("my_objects.same", n) for n in ("train", "test")]
  assert splits.common(*both) == 3
  apart = [sources.build("my_objects.rows", n) for n in ("train", "test")]
  assert splits.common(*apart) == 0


def test_a_picture_that_cannot_be_read_is_one_bad_example(my_data, tmp_path):
  """As in a folder: the reader leaves it out where that is asked for."""

  def load():
    raise OSError("image file is truncated")  # as Pillow says it

  cut = PIL.Image.fromarray(PIXELS[0])
  cut.load = load
  my_data.bad = {"train": [PIXELS[0], str(tmp_path / "none.png"), cut]}
  source = sources.build("my_objects.bad", "train")
  with pytest.raises(FileNotFoundError):
    source[1]
  with pytest.raises(formats.BadImage):
    source[2]
  my_data.bad["train"].pop(0)
  with pytest.raises(errors.UserError, match="No such file"):
    sources.build("my_objects.bad", "train")


@pytest.mark.parametrize(
  "config, key",
  [
    ({"data": {"name": "a_stranger.x"}}, "data.name"),
    # Imported long ago, and called with the name of a split it does harm.
    ({"data": {"name": "os.system", "train_split": "true"}}, "data.name"),
    ({"data": {"name": "numpy.load"}}, "data.name"),
    ({"data": {"name": "jmim.main.parse"}}, "data.name"),
    ({"data": {"mixture": [["os.system", 1.0]]}}, "data.mixture"),
    (
      {"evals": {"x": {"type": "retrieval", "gallery": "os.system"}}},
      "evals.x.gallery",
    ),
  ],
)
def test_the_config_of_a_folder_runs_no_data(tmp_path, config, key):
  (tmp_path / "config.json").write_text(json.dumps(config))
  with pytest.raises(errors.UserError, match="a file says so") as caught:
    run_config.load(tmp_path)
  assert caught.value.key == key


def test_a_module_made_by_hand_is_the_users(my_data, tmp_path):
  (tmp_path / "config.json").write_text('{"data": {"name": "my_objects.rows"}}')
  assert run_config.load(tmp_path).data.name == "my_objects.rows"


def test_what_the_user_has_imported_is_opened(
  tmp_path, monkeypatch, unimported
):
  (tmp_path / "own_data.py").write_text("from os import system\nrows = {}\n")
  monkeypatch.syspath_prepend(tmp_path)
  unimported("own_data")
  write = (tmp_path / "config.json").write_text
  write('{"data": {"name": "own_data.rows"}}')
  with pytest.raises(errors.UserError, match="own_data"):
    run_config.load(tmp_path)
  importlib.import_module("own_data")
  assert run_config.load(tmp_path).data.name == "own_data.rows"
  write('{"data": {"name": "own_data.system"}}')
  with pytest.raises(errors.UserError, match="own_data.system"):
    run_config.load(tmp_path)
