import appliedkit
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.session import applied
from jmim.session import applying
from jmim.session import results

RNG = np.random.default_rng(0)


@pytest.fixture
def stored(tmp_path):
  """(parts, folder) of six numbers, written in two parts."""
  parts = applied.make(appliedkit.numbers(), appliedkit.find)
  where = results.begin(parts, tmp_path)
  index = applying.chosen(6, 6).astype(np.int32)
  for at in (slice(4, 6), slice(0, 4)):
    rows = {"many": 10.0 * index[at], "index": index[at]}
    name = results.add(where / "eval", rows, ())
    assert name.startswith("part_")
  return parts, where


def test_evaluators_see_what_is_stored(stored):
  parts, where = stored
  context = results.Results(parts, where)
  context.start(results.NO_STATE)
  seen = [
    *context.outputs("apply/many", "eval", None, "raw", entries=("label",))
  ]
  values = np.concatenate([x for x, _ in seen])
  labels = np.concatenate([e["label"] for _, e in seen])
  assert sorted(values) == [0, 10, 20, 30, 40, 50]
  np.testing.assert_array_equal(labels, values // 10)
  whole = next(context.outputs("apply", "eval", 2, "raw"))[0]
  assert set(whole) == {"many", "index"} and len(whole["many"]) == 2
  assert context.shape("apply/many") == ()


def test_what_is_not_there_is_named(stored):
  parts, where = stored
  context = results.Results(parts, where)
  context.start(results.NO_STATE)
  with pytest.raises(errors.UserError, match="apply/many") as e:
    next(context.outputs("apply/few", "eval", None, "raw"))
  assert e.value.key == "evals.<name>.predict"
  with pytest.raises(errors.UserError) as e:
    next(context.outputs("apply", "train", None, "raw"))
  assert e.value.key == "apply.splits"
  with pytest.raises(errors.UserError) as e:
    context.weights("untrained")
  assert e.value.key == "evals"
  # Rows of other data would be taken for the results of these.
  with pytest.raises(errors.UserError) as e:
    context.on({"train": context.sources["eval"]})
  assert e.value.key == "evals"
  with pytest.raises(errors.UserError) as e:
    context.fitted_on("labelled")
  assert e.value.key == "evals"
  assert context.fitted_on("") is context


def test_pictures_stand_beside_each_other():
  one = RNG.integers(0, 255, (2, 4, 4, 1)).astype(np.uint8)
  many = RNG.integers(0, 255, (2, 3, 6, 6, 3)).astype(np.uint8)
  sheet = results.sheet_of({"one": one, "many": many}, ("one", "many"))
  assert sheet.shape == (2, 6, 4 + 1 + 18 + 1, 3)
  np.testing.assert_array_equal(sheet[:, :4, :4], np.repeat(one, 3, -1))
  assert (sheet[:, 4:, :4] == 255).all() and (sheet[:, :, 4] == 255).all()
  np.testing.assert_array_equal(sheet[:, :, 5:11], many[:, 0])


def test_a_data_set_is_written_once(stored, tmp_path):
  parts, where = stored
  items = ["apply.store=made", f"data.data_dir={tmp_path / 'data'}"]
  config = configs.override(parts.config, items)
  parts = results.applied.dataclasses.replace(parts, config=config)
  lines = []
  context = results.Results(parts, where)
  results.store(parts, context, lines.append)
  results.store(parts, context, lines.append)
  assert [line.split(":")[0] for line in lines] == ["stored", "stored before"]
  # Of other splits it would be another data set.
  config = configs.override(config, ["apply.splits=('train', 'eval')"])
  parts = results.applied.dataclasses.replace(parts, config=config)
  results.begin(parts, tmp_path)
  rows = results.load(where / "eval", applying.chosen(6, 6))
  results.add(where / "train", rows, ())
  context = results.Results(parts, where)
  with pytest.raises(errors.UserError) as e:
    results.store(parts, context, lines.append)
  assert e.value.key == "apply.store"


def test_without_a_folder_a_data_set_lies_where_others_do(
  stored, tmp_path, monkeypatch
):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  parts, where = stored
  items = ["apply.store=made", "data.data_dir="]
  config = configs.override(parts.config, items)
  parts = results.applied.dataclasses.replace(parts, config=config)
  results.store(parts, results.Results(parts, where), lambda line: None)
  folder = tmp_path / "cache" / "jmim" / "data" / "made" / "1.0.0"
  assert (folder / "dataset_info.json").is_file()
