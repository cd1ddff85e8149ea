import io
import os

import numpy as np
import pytest
from PIL import Image

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
      made = np.concatenate(list(runners[name]()))
      assert np.abs(made - exact).mean((1, 2, 3)).max() < 4


def test_the_fastest_round_counts(monkeypatch):
  clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0, 30.0, 39.0])
  monkeypatch.setattr(decode_race.time, "process_time", lambda: next(clock))
  runners = {"a": lambda: iter("xy"), "b": lambda: iter("xy")}
  seconds = decode_race.race(runners, 2, 2)
  assert seconds == {"a": 2 / 2, "b": 1 / 2}


def test_the_core_is_given_back():
  before = os.sched_getaffinity(0)
  with decode_race.one_core():
    assert len(os.sched_getaffinity(0)) == 1
  assert os.sched_getaffinity(0) == before


def test_boxes_are_inside_and_the_same_for_all():
  boxes = decode_race.boxes(50)
  assert boxes == decode_race.boxes(50) and len(set(boxes)) > 45
  for top, left, height, width in boxes:
    assert 0 <= top <= 375 - height and 0 <= left <= 500 - width
    assert 0.19 < height * width / (375 * 500) <= 1.0
