import pathlib

import numpy as np
import PIL.Image
import pytest

from jmim.core import errors
from jmim.data import sources
from jmim.data import splits


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "pictures").mkdir()
  for i in range(4):
    pixels = np.full((4, 4, 3), 50 * i, np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "pictures" / f"{i}.png")
  rows = ["path,label", *(f"pictures/{i}.png,{'ab'[i % 2]}" for i in range(3))]
  (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
  (tmp_path / "test.csv").write_text("file,class\npictures/3.png,b\n")
  return tmp_path


def test_a_file_of_paths_and_names(folder):
  source = sources.build("csv", "train", str(folder))
  assert len(source) == 3 and source.num_classes == 2
  assert source.classes == ("a", "b") and source.labels().tolist() == [0, 1, 0]
  stored = (folder / "pictures" / "1.png").read_bytes()
  assert source[1]["image"] == stored and source[1]["label"] == 1
  assert source.file(1) == str(folder / "pictures" / "1.png")
  # The classes of the other split are those of "train".
  test = sources.build("csv", "test", str(folder))
  assert test.classes == ("a", "b") and test[0]["label"] == 1
  assert splits.common(source, test) == 0


def test_a_picture_in_both_files_is_noticed(folder):
  with (folder / "test.csv").open("a") as file:
    file.write("pictures/0.png,a\n")
  both = [sources.build("csv", n, str(folder)) for n in ("train", "test")]
  assert splits.common(*both) == 1


@pytest.mark.parametrize(
  "text, seen",
  [
    ("a,b\n1,2\n", "columns a, b"),
    ("path,label\n", "has no rows"),
    ("path,label\npictures/3.png,c\n", "lacks: c"),
    ("path,label\npictures/3.png,1\n", "lacks: 1"),
    ("path,label\npictures/3.png,\udcff\n", "UTF-8|utf-8"),
  ],
)
def test_what_is_wrong_with_a_file_is_said(folder, text, seen):
  text = text.encode("utf-8", "surrogateescape")
  (folder / "test.csv").write_bytes(text)
  with pytest.raises(errors.UserError, match=seen):
    sources.build("csv", "test", str(folder))


def labelled(folder, split, *labels):
  rows = [f"pictures/{i % 4}.png,{x}" for i, x in enumerate(labels)]
  text = "\n".join(["path,label", *rows]) + "\n"
  (folder / f"{split}.csv").write_text(text)
  return lambda **how: sources.build("csv", split, str(folder), **how)


def test_classes_are_those_of_the_split_trained_on(folder):
  """Numbers and names; whichever of them another split happens to have."""
  train = labelled(folder, "train", "2", "10", "cat")()
  assert train.classes == ("10", "2", "cat")
  # Nothing but digits here: names all the same.
  test = labelled(folder, "test", "2", "10")
  assert (
    test().labels().tolist() == test(like=train).labels().tolist() == [1, 0]
  )
  train = labelled(folder, "train", "0", "2.0", "1")()
  assert train.num_classes == 3 and not train.classes
  test = labelled(folder, "test", "1", "0")(like=train)
  assert test.num_classes == 3 and test.labels().tolist() == [1, 0]
  for found in (("3", "0"), ("cat", "0")):
    with pytest.raises(errors.UserError, match=f"lacks: .*{found[0]}"):
      labelled(folder, "test", *found)()
  # Of two files to train on, the one that is trained on counts.
  other = labelled(folder, "all", "0", "1", "4")
  assert other(trained_on=True).num_classes == 5


def test_an_empty_entry_is_no_label(folder):
  source = labelled(folder, "train", "b", "", "a")()
  assert source.classes == ("a", "b") and source.labels().tolist() == [1, -1, 0]
  source = labelled(folder, "train", "1", "", "0")()
  assert source.num_classes == 2 and source.labels().tolist() == [1, -1, 0]
  source = labelled(folder, "train", "", "-1")()
  assert source.num_classes is None and source.labels().tolist() == [-1, -1]
  source = labelled(folder, "train", "-7", "1")()
  assert "-7" in source.fault and source.num_classes is source.labels() is None


def test_a_file_that_is_not_there(folder):
  with pytest.raises(errors.UserError, match="here are test.csv, train.csv"):
    sources.build("csv", "val", str(folder))


def test_parquet_as_the_hub_has_it(folder):
  pyarrow = pytest.importorskip("pyarrow")
  parquet = pytest.importorskip("pyarrow.parquet")
  files = [(folder / "pictures" / f"{i}.png").read_bytes() for i in range(3)]
  for shard, part in enumerate((files[:2], files[2:])):
    table = pyarrow.table(
      {
        "image": [{"bytes": x, "path": None} for x in part],
        "label": list(range(shard, shard + len(part))),
      }
    )
    parquet.write_table(table, folder / f"train-{shard:05d}.parquet")
  source = sources.build("parquet", "train", str(folder))
  assert len(source) == 3 and source.num_classes == 2
  assert [source[i]["image"] for i in range(3)] == files
  assert source.labels().tolist() == [0, 1, 1]
  assert pathlib.Path(source.name(0)).name.startswith("train-00000")
