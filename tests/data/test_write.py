import numpy as np
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import sources
from jmim.data import write

RNG = np.random.default_rng(0)
ROWS = {
  "image": RNG.integers(0, 256, (5, 6, 4, 3)).astype(np.uint8),
  "grey": RNG.integers(0, 256, (5, 4, 4, 1)).astype(np.uint8),
  "latent": RNG.normal(size=(5, 2, 3)).astype(np.float32),
  "score": RNG.normal(size=5).astype(np.float32),
  "label": np.array([2, 0, 1, 1, 2], np.int32),
  "index": np.arange(5, dtype=np.int32),
}
PICTURES = ("image", "grey")


def make(tmp_path, name="made", **options):
  rows = (write.example(ROWS, i, PICTURES) for i in range(5))
  return write.dataset(
    name,
    tmp_path,
    features=write.features_of(ROWS, PICTURES, classes=3),
    description="rows",
    splits=lambda: {"train": rows},
    **options,
  )


def test_what_is_written_is_read(tmp_path):
  folder = make(tmp_path)
  assert folder == write.folder_of("made", tmp_path)
  found = sources.build("made", "train", str(tmp_path))
  assert len(found) == 5 and found.num_classes == 3
  by_index = {int(found[i]["index"]): found[i] for i in range(5)}
  for i in range(5):
    got = by_index[i]
    image = decode.decode(got["image"], 3)
    np.testing.assert_array_equal(image, ROWS["image"][i])
    for name in ("latent", "score", "label"):
      np.testing.assert_array_equal(got[name], ROWS[name][i])


def test_a_data_set_is_not_written_over(tmp_path):
  make(tmp_path)
  with pytest.raises(errors.UserError, match="is there") as e:
    make(tmp_path, key="apply.store")
  assert e.value.key == "apply.store"
