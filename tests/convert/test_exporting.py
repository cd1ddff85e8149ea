"""A run as a folder of weights: arrays, config.json, preprocessing, card."""

import json

import kit
import numpy as np
import pytest

from jmim.convert import exporting
from jmim.convert import families
from jmim.convert import files
from jmim.convert import importing
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """(written, a run with these weights)."""
  written = kit.export("mae", kit.tiny("mim.mae"))
  folder = tmp_path_factory.mktemp("run")
  np.savez(folder / "w.npz", **written.theirs)
  config = configs.base()
  config.data.update(name="folder", size=16, mean=(0.1,) * 3, std=(0.5,) * 3)
  config.method = configs.section(
    type="mim.mae", **field.settings(written.method)
  )
  config.hardware.compile_cache = ""
  importing.run("mae", str(folder / "w.npz"), config, folder / "run")
  return written, folder / "run"


def test_leaves_are_read_one_at_a_time_by_name(run):
  written, workdir = run
  leaves = exporting.Leaves(workdir, "raw")
  assert set(leaves) == set(written.ours) and len(leaves) == len(written.ours)
  for name, (shape, dtype) in leaves.specs().items():
    assert (shape, dtype) == (written.ours[name].shape, np.float32)
    np.testing.assert_array_equal(leaves[name], written.ours[name])
  leaves.close()


@pytest.mark.parametrize("format_", exporting.FORMATS)
def test_every_format_holds_the_weights_or_says_why_not(tmp_path, run, format_):
  written, workdir = run
  if format_ == "big_vision":
    with pytest.raises(errors.UserError, match="--format=safetensors"):
      exporting.run(workdir, format_, tmp_path)
    return
  lines = exporting.run(workdir, format_, tmp_path)
  stored = files.read(tmp_path)
  note = json.loads((tmp_path / "jmim.json").read_text())
  name = note["family"]
  assert note["step"] == 0 and note["config"]["method"]["type"] == "mim.mae"
  if not name:
    want = written.ours
  else:
    want = kit.export(name, written.method, written.ours).theirs
  assert set(stored) == set(want)
  for key, array in want.items():
    np.testing.assert_array_equal(stored[key], array.astype("f4"), key)
  left = set(written.ours) - set(
    written.ours if not name else kit.export(name, written.method).ours
  )
  assert set(lines) == {f"no place for: {n}" for n in left}
  assert (tmp_path / "config.json").is_file() == (format_ in ("hf", "timm"))
  assert "jmim.load" in (tmp_path / "README.md").read_text()


def test_a_config_json_says_which_library_reads_it(tmp_path, run):
  _, workdir = run
  exporting.run(workdir, "hf", tmp_path / "hf")
  exporting.run(workdir, "timm", tmp_path / "timm")
  hf, timm = (
    json.loads((tmp_path / n / "config.json").read_text())
    for n in ("hf", "timm")
  )
  assert families.detect(hf) == "hf_vit_mae"
  assert families.detect(timm) == "timm_vit"
  assert timm["pretrained_cfg"]["mean"] == [0.1] * 3
  assert timm["pretrained_cfg"]["crop_pct"] == 1.0
  image = json.loads((tmp_path / "hf/preprocessor_config.json").read_text())
  assert image["image_std"] == [0.5] * 3


def test_weights_that_a_run_lacks_are_refused(tmp_path, run):
  _, workdir = run
  with pytest.raises(errors.UserError, match="has no ema"):
    exporting.run(workdir, "hf", tmp_path, weights="ema")
  with pytest.raises(errors.UserError, match="no checkpoint"):
    exporting.run(tmp_path / "nothing", "hf", tmp_path)


def test_the_card_has_the_last_figure_of_each_evaluation(tmp_path):
  assert exporting.read_figures(tmp_path) == []
  lines = [
    {"step": 1, "loss": 0.5},
    {"step": 2, "eval": "knn", "knn/top1": 0.25},
    {"step": 2, "eval": "probe", "probe/top1": 0.5, "probe/name": "x"},
    {"step": 4, "eval": "knn", "knn/top1": 0.75},
  ]
  text = "\n".join(map(json.dumps, lines))
  (tmp_path / "metrics.jsonl").write_text(text + "\n")
  assert exporting.read_figures(tmp_path)[2:] == [
    "| knn/top1 | 0.75 | 4 |",
    "| probe/top1 | 0.5 | 2 |",
  ]
