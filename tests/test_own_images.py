"""docs/own_images.md, as a new user would: from images to an export."""

import json
import os
import pathlib
import re
import subprocess
import sys

import commandkit
import numpy as np
import pytest
from PIL import Image

import jmim as jmim_api

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "own_images.md"
SMALL = ":size=32,variant=Ti/4,batch=16"
STEPS = "--config.train.total_steps=20"


def images(folder, classes=("cat", "dog"), number=30):
  """JPEGs of different sizes, each class of another colour."""
  rng = np.random.default_rng(0)
  for k, name in enumerate(classes):
    (folder / name).mkdir(parents=True)
    for i in range(number):
      h, w = rng.integers(40, 90, 2)
      pixels = rng.integers(0, 128, (h, w, 3), np.uint8)
      pixels[..., k] += 100
      Image.fromarray(pixels).save(folder / name / f"{i:03}.jpg")


def commands():
  """What the page gives to jmim.main, as lists of words."""
  found = commandkit.of_page(PAGE)
  start = commandkit.START
  return [words[3:] for words in found if words[:3] == start]


def jmim(words, cwd):
  env = {**os.environ, "PYTHONPATH": str(ROOT)}
  env.pop("XLA_FLAGS", None)  # one device is enough
  done = subprocess.run(
    [sys.executable, "-m", "jmim.main", *words],
    cwd=cwd,
    env=env,
    text=True,
    capture_output=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


def smaller(words):
  """The command of a smaller model, for twenty steps."""
  recipe = r"(--config=\w+_folder)$"
  short = [re.sub(recipe, rf"\1{SMALL}", w) for w in words]
  trains = any(w.startswith("--config=") for w in words)
  return [*short, STEPS] if trains and STEPS not in words else short


@pytest.mark.slow
def test_the_page_is_true_from_an_empty_folder(tmp_path):
  images(tmp_path / "images")
  pretrain, short, finetune, *exports = commands()
  assert STEPS in short
  assert all(words[0] == "--mode=export" for words in exports)
  out = jmim(smaller(pretrain), tmp_path)
  assert re.search(r"images are \d\d to \d\d pixels wide", out)
  assert "cat 27, dog 27" in out and "probe/accuracy" in out
  out = jmim(smaller(finetune), tmp_path)
  assert "begins with runs/mine: main/encoder/blocks (12 arrays)" in out
  assert "fresh: main/encoder/pos_embed, main/head (" in out
  assert "accuracy" in out
  config = (tmp_path / "runs" / "mine_ft" / "config.json").read_text()
  assert re.search(r'"classes": 2\b', config)
  for words in exports:
    jmim(words, tmp_path)
  for name in ("mine_timm", "mine_ft_timm", "mine_ft_hf"):
    assert list((tmp_path / name).glob("*.safetensors")), name
  config = json.loads((tmp_path / "mine_ft_hf" / "config.json").read_text())
  assert config["id2label"] == {"0": "cat", "1": "dog"}
  probe = [*exports[0][:-1], "--out=probe_timm", "--head=probe"]
  jmim(probe, tmp_path)
  config = json.loads((tmp_path / "probe_timm" / "config.json").read_text())
  assert config["label_names"] == ["cat", "dog"]


@pytest.mark.slow
def test_images_without_classes_need_no_other_key(tmp_path):
  (tmp_path / "images").mkdir()
  for i in range(24):
    Image.new("RGB", (50 + i, 70), (9 * i, 90, 40)).save(
      tmp_path / "images" / f"{i}.png"
    )
  out = jmim(commands()[1], tmp_path)
  assert "without labels, left out: evals probe" in out


def striped(folder, number=60):
  """Three classes of stripes in colours that are the same for all of them."""
  rng = np.random.default_rng(0)
  for name in ("across", "down", "slanted"):
    (folder / name).mkdir(parents=True)
    for i in range(number):
      h, w = rng.integers(36, 60, 2)
      y, x = np.mgrid[:h, :w]
      along = {"across": y, "down": x, "slanted": (x + y) / 2**0.5}[name]
      wave = np.sin(2 * np.pi * along / rng.uniform(6, 9) + rng.uniform(0, 6))
      colours = rng.integers(0, 256, (2, 3))
      pixels = np.where(wave[..., None] > 0, *colours)
      pixels = (pixels + rng.normal(0, 10, pixels.shape)).clip(0, 255)
      image = Image.fromarray(pixels.astype(np.uint8))
      image.save(folder / name / f"{i}.{'png' if i % 2 else 'jpg'}")


@pytest.mark.slow
def test_a_few_hundred_images_are_learnt(tmp_path):
  """With the learning rate of the recipe, in a few hundred steps."""
  striped(tmp_path / "images")
  config = jmim_api.recipe(
    "finetune_folder:size=32,variant=Ti/8,batch=32,steps=400",
    f"data.data_dir={tmp_path / 'images'}",
    "method.dims.width=96",
    "method.dims.depth=3",
  )
  run = jmim_api.train(config, tmp_path / "run", quiet=True)
  assert run.results["accuracy/examples"] == 18
  assert run.results["accuracy/top1"] >= 90  # a guess: 33


@pytest.mark.parametrize("name", ["mae_folder", "finetune_folder"])
def test_what_is_learnt_does_not_follow_the_number_of_images(name):
  config = jmim_api.recipe(f"{name}:steps=200,lr=2e-3,batch=16")
  assert config.train.total_steps == 200 and config.train.total_epochs == 0
  assert (config.optim.lr, config.optim.lr_batch) == (2e-3, 0)
  assert config.train.checkpoint_steps == 20
  assert config.schedule.warmup_share == 0.1
  large = jmim_api.recipe(f"{name}:epochs=50,steps=200")
  assert large.train.total_epochs == 50 and large.train.total_steps == 0
  assert large.train.checkpoint_epochs == 5
  for made, unit in ((config, "steps"), (large, "epochs")):
    often = [e for e in made.evals.values() if e.get(f"every_{unit}")]
    assert often and {e[f"every_{unit}"] for e in often} == {
      made.train[f"total_{unit}"] / 10
    }
  short = jmim_api.recipe(f"{name}:steps=4")  # every step, not never
  assert short.train.checkpoint_steps == 1
