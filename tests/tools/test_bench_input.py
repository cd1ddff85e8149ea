import io
import os
import re

import numpy as np
import pytest
from PIL import Image

from jmim.tools import bench_input
from jmim.tools import decode_race


@pytest.fixture(scope="module")
def files():
  return decode_race.photographs(4)


def test_the_photographs_are_alike_in_size_and_all_different(files):
  for data in files:
    with Image.open(io.BytesIO(data)) as picture:
      assert picture.size == (500, 375)
    assert 50_000 < len(data) < 130_000
  assert len(set(files)) == 4
  assert decode_race.photographs(4) == files


def test_contestants_make_the_same_pictures(files):
  runners = decode_race.contestants(files, decode_race.boxes(4))
  exact = np.concatenate(list(runners["Pillow"]())).astype(int)
  assert exact.shape == (4, 224, 224, 3)
  for name in {"jmim turbo", "tf.data, bicubic"} & set(runners):
    for _ in range(2):  # as often as one likes
      found = np.concatenate(list(runners[name]()))
      assert np.abs(found - exact).mean((1, 2, 3)).max() < 4


def test_the_fastest_round_counts(monkeypatch):
  clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0, 30.0, 39.0])
  monkeypatch.setattr(decode_race.time, "process_time", lambda: next(clock))
  runners = {"a": lambda: iter("xy"), "b": lambda: iter("xy")}
  found = decode_race.race(runners, 2, 2)
  assert found == {"a": 2 / 2, "b": 1 / 2}


def test_the_core_is_given_back():
  before = os.sched_getaffinity(0)
  with decode_race.one_core():
    assert len(os.sched_getaffinity(0)) == 1
  assert os.sched_getaffinity(0) == before


def test_it_says_whether_the_input_is_enough(capsys):
  flags = ["--images=2", "--rounds=1", "--seconds=0.1", "--threads=1"]
  assert bench_input.main([*flags, "--needs=1e9"]) == 0
  text = capsys.readouterr().out
  assert re.search(r"Pillow +\d+ images/s +1\.00 x Pillow", text)
  assert "the step needs 1000000000 images/s" in text and "TOO SLOW" in text
  shares = re.findall(r"(?:read|decode|resize|copy|rest) +([\d.]+)%", text)
  assert len(shares) == 5 and 99 < sum(map(float, shares)) <= 101


def test_a_recipe_that_cannot_be_read_is_one_error(tmp_path, capsys):
  flags = ["--images=2", "--rounds=1", "--config=configs/mae_digits.py"]
  for key, value in (("data.flipp", "1"), ("data.std", "(0,)")):
    assert bench_input.main([*flags, f"--config.{key}={value}"]) == 2
    assert key in capsys.readouterr().err
