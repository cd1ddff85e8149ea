import io
import re

import numpy as np
import pytest
from PIL import Image

from jmim.tools import bench_input


@pytest.fixture(scope="module")
def files():
  return bench_input.photographs(4)


def test_the_photographs_are_alike_in_size_and_all_different(files):
  for data in files:
    with Image.open(io.BytesIO(data)) as picture:
      assert picture.size == (500, 375)
    assert 50_000 < len(data) < 130_000
  assert len(set(files)) == 4
  assert bench_input.photographs(4) == files


def test_contestants_make_the_same_picture(files):
  runners = bench_input.contestants()
  pictures = ("Pillow", "jmim turbo", "tf.image, bicubic")
  for data, box in zip(files, bench_input.boxes(4), strict=True):
    exact = runners["Pillow"](data, box).astype(int)
    for name in set(pictures) & set(runners):
      assert np.abs(runners[name](data, box) - exact).mean() < 4


def test_the_fastest_round_of_each_image_counts(files, monkeypatch):
  clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0, 30.0, 39.0])
  monkeypatch.setattr(bench_input.time, "perf_counter", lambda: next(clock))
  found = bench_input.race({"a": lambda data, box: None}, files[:2], 2)
  assert found == {"a": (2 + 1) / 2}


def test_it_says_whether_the_input_is_enough(capsys):
  flags = ["--images=2", "--rounds=1", "--seconds=0.1", "--threads=1"]
  assert bench_input.main([*flags, "--needs=1e9"]) == 0
  text = capsys.readouterr().out
  assert re.search(r"Pillow +\d+ images/s +1\.00 x Pillow", text)
  assert "the step needs 1000000000 images/s" in text and "TOO SLOW" in text
  shares = re.findall(r"(?:read|resize|copy) +([\d.]+)%", text)
  assert len(shares) == 3 and 95 < sum(map(float, shares)) <= 101


def test_a_recipe_that_cannot_be_read_is_one_error(tmp_path, capsys):
  flags = ["--images=2", "--rounds=1", "--config=configs/mae_digits.py"]
  for key, value in (("data.flipp", "1"), ("data.std", "(0,)")):
    assert bench_input.main([*flags, f"--config.{key}={value}"]) == 2
    assert key in capsys.readouterr().err
