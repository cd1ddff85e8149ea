"""Classifiers that evaluators fitted are read for the step they are of."""

import numpy as np
import pytest

from jmim.checkpoints import heads
from jmim.core import errors
from jmim.runlog import writer as writers


def keep(folder, step, value=1.0, weights="raw"):
  writer = writers.Writer(folder)
  kernel, bias = np.full((3, 2), value), np.zeros(2)
  content = dict(predict="cls", weights=weights, kernel=kernel, bias=bias)
  writer.head(step, "probe", **content)
  writer.close()


def test_that_of_the_step_is_read_from_training_or_from_eval(tmp_path):
  keep(tmp_path, 10, value=1.0)
  keep(tmp_path / "eval", 20, value=2.0)
  for step, value in ((10, 1.0), (20, 2.0)):
    head = heads.read(tmp_path, "probe", step, "raw")
    assert head.predict == "cls" and head.kernel.dtype == np.float32
    np.testing.assert_array_equal(head.kernel, np.full((3, 2), value))
  keep(tmp_path, 30, value=3.0)  # in the place of the older one
  assert heads.read(tmp_path, "probe", 30, "raw").kernel[0, 0] == 3
  with pytest.raises(errors.UserError, match="of step 30, weights=raw; of st"):
    heads.read(tmp_path, "probe", 10, "raw")


def test_those_of_other_weights_or_names_are_refused(tmp_path):
  keep(tmp_path, 10, weights="ema")
  assert heads.read(tmp_path, "probe", 10, "ema").predict == "cls"
  with pytest.raises(errors.UserError, match="weights=ema"):
    heads.read(tmp_path, "probe", 10, "raw")
  with pytest.raises(errors.UserError, match="none in ") as e:
    heads.read(tmp_path, "knn", 10, "raw")
  assert e.value.key == "--head"


_KERNEL, _BIAS = np.ones((3, 2), np.float32), np.ones(2, np.float32)
_WORDS = {"step": 10, "weights": "raw", "predict": "cls"}


@pytest.mark.parametrize(
  "arrays",
  [
    {},
    _WORDS,
    {"kernel": _KERNEL, "bias": _BIAS},
    _WORDS | {"kernel": _KERNEL, "bias": _BIAS, "step": [10, 20]},
    _WORDS | {"kernel": _KERNEL[0], "bias": _BIAS},
    _WORDS | {"kernel": _KERNEL, "bias": np.ones(3)},
    _WORDS | {"kernel": np.full((3, 2), "x"), "bias": _BIAS},
    _WORDS | {"kernel": _KERNEL, "bias": _BIAS, "names": "a"},
    _WORDS | {"kernel": _KERNEL, "bias": _BIAS, "std": np.ones(2)},
    _WORDS | {"kernel": _KERNEL, "bias": _BIAS, "std": ["a", "b", "c"]},
  ],
)
def test_a_file_that_holds_something_else_is_told(tmp_path, arrays):
  path = tmp_path / "heads/probe.npz"
  path.parent.mkdir()
  np.savez(path, **arrays)
  with pytest.raises(errors.UserError, match=r"probe.npz .*no classifier"):
    heads.read(tmp_path, "probe", 10, "raw")
  np.savez(path, **_WORDS, kernel=_KERNEL, bias=_BIAS)
  assert heads.read(tmp_path, "probe", 10, "raw").predict == "cls"
  path.write_bytes(path.read_bytes()[:200])
  with pytest.raises(errors.UserError, match=r"probe.npz cannot be read"):
    heads.read(tmp_path, "probe", 10, "raw")


def test_names_and_deviations_are_read_where_they_were_kept(tmp_path):
  keep(tmp_path, 10)
  plain = heads.read(tmp_path, "probe", 10, "raw")
  assert plain.names == () and plain.std.shape == (0,)
  writer = writers.Writer(tmp_path)
  content = dict(predict="code", weights="raw", bias=np.zeros(2))
  more = dict(names=("a", "b=1"), std=np.full(3, 2.0), kernel=np.ones((3, 2)))
  writer.head(10, "attributes", **content, **more)
  writer.close()
  told = heads.read(tmp_path, "attributes", 10, "raw")
  assert told.names == ("a", "b=1")
  np.testing.assert_array_equal(told.std, np.full(3, 2.0, np.float32))


@pytest.mark.parametrize("name", ["probe cls", "a/b", "../out"])
def test_any_name_of_an_evaluator_is_found_again(tmp_path, name):
  """And none leads out of the workdir."""
  writer = writers.Writer(tmp_path / "run")
  content = dict(predict="cls", weights="raw", kernel=_KERNEL, bias=_BIAS)
  writer.head(10, name, **content)
  writer.close()
  assert heads.read(tmp_path / "run", name, 10, "raw").predict == "cls"
  assert [p.name for p in tmp_path.iterdir()] == ["run"]
