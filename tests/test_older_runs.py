"""Runs from before methods were made of parts: recipe and config.json flat."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import jmim

ROOT = pathlib.Path(__file__).resolve().parents[1]

# A recipe of somebody else, written when all keys of a method were flat.
RECIPE = """
from jmim.core import config as configs

def get_config(arg=None):
  arg = configs.parse_arg(arg, steps=2)
  config = configs.base()
  config.data.update(name="array", batch=8, size=8)
  config.method = configs.section(
    type="mim.mae", variant="Ti/4", size=8, width=32, depth=1, heads=2,
    decoder_width=16, decoder_depth=1, decoder_heads=2, norm_pix=False,
  )
  config.train.update(total_steps=arg.steps, log_steps=1)
  config.hardware.compile_cache = ""
  config.evals = configs.section(loss=configs.section(type="loss"))
  return config
"""

# The section of that method in the config.json of such a run: complete.
METHOD = {
  "type": "mim.mae",
  "variant": "Ti/4",
  "size": 8,
  "channels": 3,
  "width": 32,
  "depth": 1,
  "heads": 2,
  "mlp_ratio": 0.0,
  "decoder_width": 16,
  "decoder_depth": 1,
  "decoder_heads": 2,
  "mask_ratio": 0.75,
  "norm_pix": False,
}


def shell(folder, steps, *flags):
  """Standard output of `python -m jmim.main` with the recipe."""
  done = subprocess.run(
    [
      sys.executable,
      "-m",
      "jmim.main",
      f"--config={folder / 'recipe.py'}:steps={steps}",
      f"--workdir={folder / 'run'}",
      f"--config.data.data_dir={folder}",
      *flags,
    ],
    cwd=ROOT,
    env={**os.environ, "PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.fixture(scope="module")
def older(tmp_path_factory):
  """A folder with the recipe, its data and a run whose config.json is flat."""
  folder = tmp_path_factory.mktemp("older")
  (folder / "recipe.py").write_text(RECIPE)
  rng = np.random.default_rng(0)
  for split in ("train", "test"):
    images = rng.integers(0, 256, (16, 8, 8, 3), np.uint8)
    np.savez(folder / f"{split}.npz", image=images)
  shell(folder, 2)
  path = folder / "run" / "config.json"
  config = json.loads(path.read_text())
  assert config["method"]["dims"]["width"] == 32  # today's are nested
  config["method"] = METHOD
  path.write_text(json.dumps(config))
  return folder


def test_a_run_is_loaded_evaluated_and_continued(older):
  images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
  model = jmim.load(older / "run")
  assert model.method.dims.width == 32 and model.method.dims.depth == 1
  features = model("features", images)
  assert features.shape == (3, 32) and np.isfinite(features).all()
  shell(older, 2, "--mode=eval")
  assert (older / "run" / "eval" / "metrics.jsonl").is_file()
  out = shell(older, 3)
  assert "resumed from step 2" in out
  # What only has another name is no change of the recipe.
  config = json.loads((older / "run" / "config.json").read_text())
  assert config["method"]["dims"]["variant"] == "Ti/4"
  assert config["method"]["decoder_dims"]["width"] == 16
  assert not set(config["method"]) & {"variant", "width", "decoder_width"}
