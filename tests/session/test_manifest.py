"""config.json and run.json."""

import dataclasses
import json
import sys
import types

import pytest
import tinyrun

from jmim.core import config as configs
from jmim.core import version
from jmim.session import aot
from jmim.session import assemble
from jmim.session import manifest


@pytest.fixture(scope="module")
def mae():
  """Parts of a method with parts, and an evaluator."""
  config = tinyrun.small(tinyrun.recipe("nowhere"), keep=("knn", "loss"))
  data = {"train": aot.NoData(), "eval": aot.NoData()}
  return assemble.make(config, stand_in=data)


def test_the_config_is_complete_and_a_change_is_named(mae, tmp_path):
  assert manifest.config(tmp_path, 0, mae) == []
  stored = json.loads((tmp_path / "config.json").read_text())
  assert stored["method"]["dims"]["depth"] == 2
  assert stored["method"]["decoder_dims"]["width"] == 16
  assert stored["evals"]["knn"]["temperature"] == 0.07
  config = configs.override(mae.config, ["method.dims.depth=3"])
  other = dataclasses.replace(mae, config=config)
  assert manifest.config(tmp_path, 7, other) == ["method.dims.depth: 2 -> 3"]
  # Of a run that begins again at 0 nothing is compared.
  assert manifest.config(tmp_path, 0, mae) == []


def test_an_older_name_of_a_key_is_no_change(mae, tmp_path):
  stored = json.loads(mae.config.to_json())
  dims = stored["method"].pop("dims")
  stored["method"] |= dims  # as configs were before there were parts
  (tmp_path / "config.json").write_text(json.dumps(stored))
  assert manifest.config(tmp_path, 7, mae) == []
  stored["method"]["depth"] = 5
  (tmp_path / "config.json").write_text(json.dumps(stored))
  assert manifest.config(tmp_path, 7, mae) == ["method.dims.depth: 5 -> 2"]


def test_an_evaluator_that_is_new_is_a_change(mae, tmp_path):
  stored = json.loads(mae.config.to_json())
  del stored["evals"]["knn"]
  (tmp_path / "config.json").write_text(json.dumps(stored))
  changes = manifest.config(tmp_path, 7, mae)
  assert changes and all(x.startswith("evals.knn.") for x in changes)


def test_defaults_are_those_of_the_class_whatever_is_set(mae):
  found = manifest.defaults(mae)
  assert found["method.mask_ratio"] == 0.75
  assert found["method.dims.width"] == 0 and found["method.dims.depth"] == 0
  assert found["evals.knn.temperature"] == 0.07
  assert not any(isinstance(x, dict) for x in found.values())
  assert not any(key.endswith(".rt") for key in found)


class Compiled:
  """A step whose memory is known, or not."""

  def __init__(self, known=True):
    sizes = ("argument", "temp", "output")
    stats = {f"{s}_size_in_bytes": 2000 for s in sizes}
    self.memory_analysis = lambda: (
      types.SimpleNamespace(**stats) if known else None
    )


def test_starts_are_remembered_but_not_for_ever(mae, tmp_path, monkeypatch):
  monkeypatch.setattr(manifest, "STARTS", 3)
  for step in range(5):
    manifest.write(
      tmp_path,
      step,
      parts=mae,
      tables={"parameters": 7},
      peak="1 TFLOP/s",
      compiled=Compiled(),
    )
  content = json.loads((tmp_path / "run.json").read_text())
  assert [start["step"] for start in content["starts"]] == [2, 3, 4]
  assert content["total"] == 8 and content["model"] == {"parameters": 7}
  rows = dict(content["hardware"]["rows"])
  assert rows["peak"] == "1 TFLOP/s" and rows["step: outputs"] == "2 kB"
  assert "data=8" in rows["mesh"]
  packages = dict(content["environment"])
  assert packages["jax"] == version.libraries()["jax"]


def test_memory_that_is_unknown_says_so():
  assert manifest.program(Compiled(known=False)) == [
    ["step: memory", "unknown on this backend"]
  ]


@pytest.mark.parametrize(
  "words, told",
  [
    (["/a b/bin/jmim", "--config=x"], "jmim --config=x"),
    (["-m", "jmim.main", "--a=b c"], "python -m jmim.main '--a=b c'"),
    (["mine.py"], "python mine.py"),
  ],
)
def test_a_start_has_the_command_as_it_was_typed(monkeypatch, words, told):
  monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3", *words])
  assert manifest.start(3)["command"] == told
