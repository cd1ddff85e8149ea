"""Weights in and out of runs: jmim.convert, --mode=export, jmim.load."""

import json
import os
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest

import jmim
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights
from jmim.convert import __main__ as command
from jmim.convert import exporting
from jmim.convert import families
from jmim.convert import files
from jmim.convert import importing
from jmim.convert import table
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import tree as trees
from jmim.core import validate
from jmim.methods.mim import mae
from jmim.modes import evaluate
from jmim.modes import train

RECIPE = """
from jmim.core import config as configs

def get_config(arg=None):
  config = configs.base()
  config.data.update(
    name="digits/plain", batch=16, size=8, channels=1, flip=False,
    mean=(0.4,), std=(0.3,),
  )
  config.method = configs.section(
    type="mim.mae", variant="Ti/4", size=8, channels=1, width=16, depth=2,
    heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2,
    norm_pix=False,
  )
  config.train.update(total_steps=2, log_steps=1)
  config.hardware.compile_cache = ""
  config.evals = configs.section(
    loss=configs.section(type="loss", limit=32)
  )
  return config
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
  path = tmp_path_factory.mktemp("recipe") / "tiny.py"
  path.write_text(RECIPE)
  return path


@pytest.fixture(scope="module")
def theirs(recipe):
  """A random file of the authors' MAE."""
  config = configs.load(str(recipe))
  fields = {k: v for k, v in config.method.items() if k != "type"}
  method = validate.build(mae.MAE, fields, "method")
  like = trees.named(importing.shapes(method))
  rng = np.random.default_rng(0)
  named = {n: rng.normal(size=x.shape).astype("f4") for n, x in like.items()}
  rules = families.find("mae").table(method)
  return dict(table.export_stream(rules, named))


@pytest.fixture(scope="module")
def converted(tmp_path_factory, recipe, theirs):
  folder = tmp_path_factory.mktemp("converted")
  np.savez(folder / "w.npz", **theirs)
  command.main(
    [
      "--from=mae",
      f"--weights={folder / 'w.npz'}",
      f"--config={recipe}",
      f"--out={folder / 'run'}",
    ]
  )
  return folder / "run"


def test_converted_weights_evaluate_and_start_a_run(
  tmp_path, converted, recipe, digits_home
):
  config = configs.load(str(recipe))
  config.data.data_dir = digits_home
  evaluate.run(config, converted)
  line = json.loads(
    (converted / "eval/metrics.jsonl").read_text().splitlines()[-1]
  )
  assert line["step"] == 0 and line["loss/loss"] > 0
  config.init_from.path = str(converted)
  config.optim.lr = 0.0
  train.run(config, tmp_path)
  before = weights.read_section(converted, "params")
  after = weights.read_section(tmp_path, "params")
  for name, array in before.items():
    np.testing.assert_array_equal(after[name], array, name)
  with pytest.raises(errors.UserError, match="holds converted weights"):
    train.run(config, converted)


def test_to_the_authors_and_back_is_bit_equal(tmp_path, converted, theirs):
  exporting.run(converted, "authors", tmp_path)
  found = files.read(tmp_path)
  assert set(found) == set(theirs)
  for name, array in theirs.items():
    np.testing.assert_array_equal(found[name], array, name)


def test_the_documented_commands_run(tmp_path, converted):
  command_line = [
    sys.executable,
    "-m",
    "jmim.main",
    "--mode=export",
    f"--workdir={converted}",
    "--format=hf",
    f"--out={tmp_path / 'hub'}",
  ]
  done = subprocess.run(command_line, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert set(p.name for p in (tmp_path / "hub").iterdir()) == {
    "config.json",
    "jmim.json",
    "model.safetensors",
    "README.md",
    "preprocessor_config.json",
  }
  command_line[-1] = "--weights=raw"
  done = subprocess.run(command_line, capture_output=True, text=True)
  assert done.returncode == 2 and "without --out" in done.stderr
  evil = tmp_path / "evil.pth"
  evil.write_bytes(pickle.dumps(os.getcwd, protocol=4))
  done = subprocess.run(
    [
      sys.executable,
      "-m",
      "jmim.convert",
      "--from=mae",
      f"--weights={evil}",
      f"--out={tmp_path / 'run'}",
    ],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 2 and "posix.getcwd" in done.stderr
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("library", ["safetensors", "hf", "authors"])
def test_every_export_loads_as_the_same_model(tmp_path, converted, library):
  exporting.run(converted, library, tmp_path / "out")
  images = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 1), np.uint8)
  want = jmim.load(converted)("features", images)
  model = jmim.load(tmp_path / "out")
  assert list(model.config["data"]["mean"]) == [0.4]
  file = jmim.load(tmp_path / "out/model.safetensors")  # the same by its file
  np.testing.assert_array_equal(file("features", images), want)
  np.testing.assert_array_equal(model("features", images), want)
  assert want.shape == (3, 16) and np.std(want) > 0.1
  assert set(model("reconstruct", images)) == {"image", "mask"}
  card = (tmp_path / "out/README.md").read_text()
  assert "jmim.load" in card and "mim.mae" in card


def test_timm_takes_the_encoder_and_says_what_is_left(tmp_path, converted):
  lines = exporting.run(converted, "timm", tmp_path)
  assert lines == ["no place for: params/main/decoder (19 arrays)"]
  model = jmim.load(tmp_path)
  images = np.zeros((1, 8, 8, 1), np.uint8)
  np.testing.assert_array_equal(
    model("features", images), jmim.load(converted)("features", images)
  )
  assert "reconstruct" not in model.offers
  config = json.loads((tmp_path / "config.json").read_text())
  assert config["pretrained_cfg"]["mean"] == [0.4]
  assert importing.processor(str(tmp_path))["mean"] == (0.4,)


def test_the_crop_of_timm_is_read(tmp_path):
  cfg = dict(
    mean=(0.5,) * 3, std=(0.2,) * 3, input_size=(3, 224, 224), crop_pct=0.875
  )
  text = json.dumps({"pretrained_cfg": cfg})
  (tmp_path / "config.json").write_text(text)
  found = importing.processor(str(tmp_path))
  assert found["eval_resize"] == 256 and found["eval_crop"] == "center"


def test_a_hub_folder_needs_no_config(tmp_path, converted, capsys):
  exporting.run(converted, "hf", tmp_path / "hub")
  (tmp_path / "hub/jmim.json").unlink()  # as others would have written it
  command.main([f"--weights={tmp_path / 'hub'}", f"--out={tmp_path / 'run'}"])
  assert "done" in capsys.readouterr().out
  config = checkpoint.read_config(tmp_path / "run")
  assert config["method"]["type"] == "mim.mae" and config["data"]["size"] == 8
  assert config["data"]["mean"] == [0.4]
  one, two = (
    weights.read_section(path, "params")
    for path in (converted, tmp_path / "run")
  )
  for name, array in one.items():
    np.testing.assert_array_equal(two[name], array, name)


def test_images_of_any_size_are_preprocessed(tmp_path, converted):
  model = jmim.load(converted)
  big = np.full((20, 31, 1), 102, np.uint8)
  got = model.preprocess([big])
  np.testing.assert_allclose(got, np.zeros((1, 8, 8, 1)), atol=1e-6)
  with pytest.raises(errors.UserError, match="output 'nothing'"):
    model("nothing", [big])


def test_the_decoder_stays_fresh_without_one(tmp_path, theirs, recipe, capsys):
  part = {
    n: x for n, x in theirs.items() if "decoder" not in n and n != "mask_token"
  }
  np.savez(tmp_path / "w.npz", **part)
  command.main(
    [
      "--from=mae",
      f"--weights={tmp_path / 'w.npz'}",
      f"--config={recipe}",
      f"--out={tmp_path / 'run'}",
      "--config.hardware.mesh.fsdp=4",
    ]
  )
  shown = capsys.readouterr().out
  assert "stays fresh: params/main/decoder/pred/kernel" in shown
  params = weights.read_section(tmp_path / "run", "params")
  assert params["main/decoder/pred/kernel"].std() > 0.01
  np.testing.assert_array_equal(
    params["main/encoder/norm/bias"], theirs["norm.bias"]
  )


@pytest.mark.parametrize(
  "arguments, seen",
  [
    (["--weights=x"], "no --out"),
    (["--out=x"], "no --weights"),
    (["--form=mae"], "did you mean '--from'"),
    (["--weights=/none", "--out=x"], "no such file"),
  ],
)
def test_mistakes_on_the_command_line(arguments, seen):
  with pytest.raises(errors.UserError, match=seen):
    command.main(arguments)


def test_what_cannot_be_exported_is_refused(converted, tmp_path):
  with pytest.raises(errors.UserError, match="--format=safetensors"):
    exporting.run(converted, "big_vision", tmp_path)
  with pytest.raises(errors.UserError, match="no checkpoint"):
    exporting.run(tmp_path / "nothing", "hf", tmp_path / "out")
  with pytest.raises(errors.UserError, match="has no ema"):
    exporting.run(converted, "hf", tmp_path / "out", "ema")


def test_a_loaded_model_samples(tmp_path):
  config = configs.base()
  config.data.update(
    name="digits/plain", size=8, channels=1, mean=(0.5,), std=(0.5,)
  )
  config.method = configs.section(
    type="diffusion.dit",
    variant="S/4",
    size=8,
    channels=1,
    width=16,
    depth=1,
    heads=2,
    classes=10,
    times=20,
    steps=2,
    mlp_ratio=4.0,
  )
  config.hardware.compile_cache = ""
  method = discovery.make(config.method)
  like = trees.named(importing.shapes(method))
  rng = np.random.default_rng(0)
  named = {n: rng.normal(0, 0.1, x.shape).astype("f4") for n, x in like.items()}
  rules = families.find("dit").table(method)
  np.savez(tmp_path / "w.npz", **dict(table.export_stream(rules, named)))
  importing.run("dit", str(tmp_path / "w.npz"), config, tmp_path / "run")
  exporting.run(tmp_path / "run", "hf", tmp_path / "hub")
  model = jmim.load(tmp_path / "hub")
  images = model.sample(3, seed=1)
  assert images.dtype == np.uint8 and images.shape == (3, 8, 8, 1)
  np.testing.assert_array_equal(
    images[:2], jmim.load(tmp_path / "run").sample(2, seed=1)
  )
  assert jax.tree.leaves(model.weights.params)
