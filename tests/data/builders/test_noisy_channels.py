import pathlib

import builderkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import sources
from jmim.data.builders import noisy_channels


@pytest.fixture
def few():
  """The builder makes 8 images of a split."""
  with builderkit.few(noisy_channels.NoisyChannels, limit=8):
    yield


def read(name, split, root):
  source = sources.build(name, split, str(root))
  found = [source[i] for i in range(8)]
  images = np.stack([decode.decode(e["image"], 3) for e in found])
  return images, [int(e["label"]) for e in found]


def test_a_quarter_of_the_channels_is_noise_and_the_rest_untouched(
  few, tfds_dir, tmp_path
):
  (tmp_path / "cifar10").symlink_to(pathlib.Path(tfds_dir) / "cifar10")
  where = np.tile(noisy_channels.channels(12), (8, 8, 1))
  assert where.sum() == 12 * 64
  kept = {}
  for split in ("train", "test"):
    raw, labels = read("cifar10", split, tmp_path)
    clean, same = read("noisy_channels/cifar10_clean", split, tmp_path)
    noisy, still = read("noisy_channels/cifar10", split, tmp_path)
    assert labels == same == still
    wanted = noisy_channels.stored(noisy_channels.standardised(raw))
    np.testing.assert_array_equal(clean, wanted)
    np.testing.assert_array_equal(noisy[:, ~where], clean[:, ~where])
    z = (noisy[:, where] / 255 - noisy_channels.MEAN) / noisy_channels.STD
    # 6144 numbers; those beyond 2.7 deviations are cut.
    np.testing.assert_allclose([z.mean(), z.std()], [0, 2], atol=0.08)
    assert abs(np.corrcoef(z)[np.triu_indices(8, 1)]).max() < 0.15
    kept[split] = z
  assert not (kept["train"] == kept["test"]).all()


def test_without_cifar10_the_message_says_how_to_get_it(few, tmp_path):
  with pytest.raises(errors.UserError, match="tfds build cifar10"):
    sources.build("noisy_channels/cifar10", "train", str(tmp_path))


def test_the_same_image_has_the_same_noise_whatever_is_replaced():
  image = np.zeros((8, 8, 3), np.float32)
  make = lambda count: noisy_channels.replaced(
    image, noisy_channels.channels(count), np.random.default_rng(3)
  )
  few, many = make(12), make(24)
  np.testing.assert_array_equal(few[few != 0], many[few != 0])
  assert not make(0).any()
