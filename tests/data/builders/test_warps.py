import dataclasses
import pathlib

import builderkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import sources
from jmim.data.builders import warps
from jmim.data.procedural import warps as made

N = 6


@pytest.fixture
def few():
  """The builder makes 6 pairs of a split."""
  with builderkit.few(warps.Warps, train=N, test=N):
    yield


def test_pairs_are_functions_of_their_number_and_picture(
  few, tfds_dir, tmp_path
):
  (tmp_path / "cifar10").symlink_to(pathlib.Path(tfds_dir) / "cifar10")
  flows = {}
  for name in ("cifar10", "affine"):
    for split in ("train", "test"):
      raw = sources.build("cifar10", split, str(tmp_path))
      found = sources.build(f"warps/{name}", split, str(tmp_path))
      assert len(found) == N
      flows[name, split] = np.stack([found[i]["flow"] for i in range(N)])
      for i in (0, N - 1):
        example, picture = found[i], decode.decode(raw[i]["image"], 3)
        assert example["label"] == raw[i]["label"]
        shown = decode.decode(example["image"], 3)
        np.testing.assert_array_equal(shown, example["images"][1])
        config = dataclasses.replace(warps.Warps.builder_configs[name])
        again = warps.pair(config, split, i=i, picture=picture)
        np.testing.assert_array_equal(again["images"], example["images"])
        # The source is the picture where nothing lies on it.
        near = np.abs(example["images"][0] / 255 - picture / 255)
        assert np.median(near) < 2 * made.NOISE
        ends = made.pixels(warps.SIDE) + example["flow"]
        inside = ((ends >= 0) & (ends <= warps.SIDE - 1)).all(-1)
        np.testing.assert_array_equal(example["flow_known"], inside)
  kinds = [*flows.values()]
  for k, one in enumerate(kinds):
    assert all(np.abs(one - other).max() > 1 for other in kinds[:k])
  # An affine flow is linear along rows and columns; a bent one is not.
  bend = lambda f: np.abs(np.diff(f, 2, axis=1)).max()
  assert bend(flows["affine", "train"]) < 1e-4
  assert bend(flows["cifar10", "train"]) > 1e-2


def test_without_cifar10_the_message_says_how_to_get_it(few, tmp_path):
  with pytest.raises(errors.UserError, match="tfds build cifar10"):
    sources.build("warps/cifar10", "train", str(tmp_path))
