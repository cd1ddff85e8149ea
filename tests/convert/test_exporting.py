"""A run as a folder of weights: arrays, config.json, preprocessing, card."""

import json
import shutil

import kit
import numpy as np
import pytest

from jmim import hub
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
  assert all("/decoder/" in n for n in left)
  told = f"no place for: params/main/decoder ({len(left)} arrays)"
  assert lines == [told] * bool(left)
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


@pytest.mark.parametrize("format_", ["safetensors", "hf", "timm"])
def test_a_part_that_others_have_no_words_for_is_told(tmp_path, run, format_):
  """On the screen and in the card; jmim.load reads it of the note."""
  _, workdir = run
  copied = tmp_path / "run"
  shutil.copytree(workdir, copied)
  config = json.loads((copied / "config.json").read_text())
  config["data"] |= {"box": [3, 5, 16, 20], "eval_crop": "center"}
  (copied / "config.json").write_text(json.dumps(config))
  lines = exporting.run(copied, format_, tmp_path / "out")
  line = "cut each picture to [3:19, 5:25]"
  told = [text for text in lines if line in text]
  card = (tmp_path / "out" / "README.md").read_text()
  assert len(told) == (format_ != "safetensors")
  assert all(text in card for text in told)
  plain = exporting.run(workdir, format_, tmp_path / "plain")
  assert not [text for text in plain if "data.box" in text]
  pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
  own = hub.load(tmp_path / "out")
  np.testing.assert_array_equal(
    own.preprocess(pixels), hub.load(copied).preprocess(pixels)
  )


@pytest.mark.parametrize("library", ["hf", "timm"])
def test_classes_have_their_names_in_what_is_exported(library):
  config = configs.override(configs.base(), ["data.size=16"])
  method = kit.tiny("supervised.swin")
  _, family = families.for_export(library, "supervised.swin", method)
  names = [f"kind {i}" for i in range(method.classes)]
  of = lambda names: exporting.describe(config, family, method, names)
  named, bare = (of(n)["config.json"] for n in (names, names[1:]))
  if library == "timm":
    assert named["label_names"] == names and "label_names" not in bare
  else:
    assert named["id2label"]["1"] == "kind 1"
    assert named["label2id"]["kind 1"] == 1
    assert bare["id2label"]["1"] == "LABEL_1"  # they do not fit the head


def test_the_note_and_the_card_go_with_an_export(tmp_path, run):
  _, workdir = run
  (workdir / "data.json").write_text('{"classes": ["ant", "bee"]}')
  exporting.run(workdir, "safetensors", tmp_path)
  (workdir / "data.json").unlink()
  assert hub.load(tmp_path).classes == ("ant", "bee")
  assert "\nlicense: " in (tmp_path / "README.md").read_text()


def test_weights_that_a_run_lacks_are_refused(tmp_path, run):
  _, workdir = run
  with pytest.raises(errors.UserError, match="has no ema"):
    exporting.run(workdir, "hf", tmp_path, weights="ema")
  with pytest.raises(errors.UserError, match="no checkpoint"):
    exporting.run(tmp_path / "nothing", "hf", tmp_path)
