"""Features of TFDS data sets: modules they name, and their pictures."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jmim.core import errors
from jmim.data import formats
from jmim.data import tfds_features

_MASK = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)


def _file(kind="png"):
  file = io.BytesIO()
  Image.fromarray(_MASK[..., 0]).save(file, kind)
  return file.getvalue()


@pytest.fixture(scope="module")
def features():
  return tfds.features.FeaturesDict(
    {
      "image": tfds.features.Image(shape=(None, None, 3)),
      "mask": tfds.features.Image(shape=(None, None, 1)),
      "video": tfds.features.Sequence(
        tfds.features.Image(shape=(None, None, 1))
      ),
      "parts": tfds.features.FeaturesDict(
        {"mask": tfds.features.Image(shape=(None, None, 1)), "n": np.int64}
      ),
      "label": tfds.features.ClassLabel(num_classes=2),
    }
  )


def _decoded(features, **changed):
  stored = {
    "image": b"not looked at",
    "mask": _file(),
    "video": [_file(), _file()],
    "parts": {"mask": _file(), "n": 3},
    "label": 1,
  }
  decoders = tfds_features.decoders(features)
  return features.decode_example_np(stored | changed, decoders=decoders)


def test_pictures_are_decoded_as_before_but_for_the_image(features):
  found = _decoded(features)
  assert found["image"] == b"not looked at" and found["label"] == 1
  frames = [*found["video"], found["mask"], found["parts"]["mask"]]
  assert len(frames) == 4
  for mask in frames:
    np.testing.assert_array_equal(mask, _MASK)


@pytest.mark.parametrize(
  "data", [_file("jpeg2000"), _file()[:60], b""], ids=len
)
@pytest.mark.parametrize("name", ["mask", "video", "parts"])
def test_other_formats_and_damage_are_bad_pictures(features, name, data):
  wrong = {"mask": data, "video": [_file(), data]}
  wrong["parts"] = {"mask": data, "n": 3}
  with pytest.raises(formats.BadImage):
    _decoded(features, **{name: wrong[name]})


@pytest.mark.parametrize("name", ["mask", "video", "parts"])
def test_the_limit_of_pixels_holds_for_other_pictures(features, name):
  few = {n: x for n, x in features.items() if n in (name, "label")}
  features = tfds.features.FeaturesDict(few)
  stored = {
    "mask": _file(),
    "video": [_file()],
    "parts": {"mask": _file(), "n": 3},
  }
  example = {name: stored[name], "label": 1}
  decode = lambda limit: features.decode_example_np(
    example, decoders=tfds_features.decoders(features, limit)
  )
  assert decode(12).keys() == {name, "label"}
  with pytest.raises(formats.BadImage, match="above the limit of 11"):
    decode(11)


def test_a_data_set_without_pictures_needs_no_decoder():
  features = tfds.features.FeaturesDict({"x": np.float32})
  assert tfds_features.decoders(features) == {}


def test_a_feature_of_another_module_is_not_imported(tmp_path, monkeypatch):
  connector = tfds.features.FeatureConnector
  before = connector.__dict__["cls_from_name"]
  (tmp_path / "a_feature.py").write_text("raise AssertionError('it ran')")
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(errors.UserError, match=r"class a_feature\.Evil"):
    with tfds_features.only_known():
      connector.cls_from_name("a_feature.Evil")
  image = "tensorflow_datasets.core.features.image_feature.Image"
  with tfds_features.only_known():
    assert connector.cls_from_name(image) is tfds.features.Image
  assert connector.__dict__["cls_from_name"] is before
