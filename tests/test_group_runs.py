"""Runs on groups with further pictures: resumed ones are equal, bit by bit."""

import jax
import numpy as np
import pytest
import tinyrun

from jmim.core import config as configs
from jmim.modes import train
from jmim.session import assemble
from jmim.session import batches as feeds


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
  """24 images of 6 clips, garments of 4 x 6, of which 20 are kept."""
  folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
  n = 24
  np.savez(
    folder / "train.npz",
    image=rng.integers(0, 256, (n, 8, 8, 3), np.uint8),
    garment=rng.integers(0, 256, (n, 4, 6, 3), np.uint8),
    share=rng.random(n).astype("f4"),
    place=np.arange(n),
    clip=np.arange(n) // 4,
  )
  (folder / "kept.txt").write_text("\n".join(map(str, range(20))))
  config = configs.base()
  config.data.update(
    name="array",
    data_dir=str(folder),
    eval_split="train",
    keep=str(folder / "kept.txt"),
    group="clip",
    members=2,
    pictures=(("garment", 4, 6),),
    batch=8,
    size=8,
    flip=False,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
  )
  config.method = configs.section(type="groupkit")
  config.optim.lr = 0.1
  config.train.update(total_steps=6, checkpoint_steps=2, log_steps=1)
  config.hardware.compile_cache = ""
  config.evals = configs.section(loss=configs.section(type="loss"))
  return config


def test_a_resumed_run_is_the_whole_one(recipe, tmp_path):
  train.run(recipe, tmp_path / "whole")
  with tinyrun.killed(4):
    train.run(recipe, tmp_path / "cut")
  train.run(recipe, tmp_path / "cut")
  lines = tinyrun.lines(tmp_path / "whole")
  assert tinyrun.lines(tmp_path / "cut") == lines
  evaluated = [line for line in lines if "protocol" in line]
  assert evaluated[-1]["protocol"]["data.group"] == "clip"
  whole = tinyrun.final_state(tmp_path / "whole", recipe)
  for name, leaf in tinyrun.final_state(tmp_path / "cut", recipe).items():
    np.testing.assert_array_equal(leaf, whole[name], name)


def test_batches_on_eight_devices_hold_what_was_kept(recipe):
  parts = assemble.make(recipe)
  assert parts.examples == 5  # groups of what was kept
  batches = feeds.Batches(parts, [])
  seen = [jax.device_get(next(batches)) for _ in range(5)]
  batches.close()
  places = np.concatenate([batch["place"] for batch in seen])
  assert places.max() < 20
  assert (places[:, 0] // 4 == places[:, 1] // 4).all()
  assert seen[0]["garment"].dtype == seen[0]["image"].dtype == np.uint8
  assert seen[0]["image"].shape == (8, 2, 8, 8, 3)
  assert set(seen[0]) == {"image", "garment", "share", "place"}
