"""Preprocessing of others: the same numbers, or refused by name."""

import numpy as np
import PIL.Image
import pytest

from jmim.convert import preprocessing
from jmim.core import config as configs
from jmim.core import errors
from jmim.data import plain

HF = dict(
  image_processor_type="BitImageProcessor",
  do_resize=True,
  do_center_crop=True,
  do_rescale=True,
  rescale_factor=1 / 255,
  do_normalize=True,
  image_mean=[0.1, 0.2, 0.3],
  image_std=[0.5, 0.4, 0.3],
  resample=3,
  size={"shortest_edge": 20},
  crop_size={"height": 16, "width": 16},
)
X = np.random.default_rng(0).integers(0, 256, (30, 44, 3), np.uint8)
SQUARE = {"height": 20, "width": 20}


def seen(keys, image=X):
  """What evaluation makes of an image under some keys of data."""
  config = configs.base()
  config.data.update(keys)
  data = config.data
  shown = plain.cut(
    image, data.size, data.eval_crop, data.eval_resize, kernel=data.kernel
  )
  return (shown / 255 - np.asarray(data.mean)) / np.asarray(data.std)


def theirs(config, image=X):
  """The steps of a processor of Transformers, one by one, with Pillow."""
  size, center = config["size"], config["do_center_crop"]
  h, w = image.shape[:2]
  shape = size.get("height"), size.get("width")
  if "shortest_edge" in size:
    shape = [size["shortest_edge"] * s // min(h, w) for s in (h, w)]
  picture = PIL.Image.fromarray(image).resize(shape[::-1], config["resample"])
  x = np.asarray(picture).astype(np.float64)
  if center:
    side = config["crop_size"]["height"]
    top, left = ((s - side) // 2 for s in x.shape[:2])
    x = x[top : top + side, left : left + side]
  if config["do_rescale"]:
    x = x * config["rescale_factor"]
  if config["do_normalize"]:
    x = (x - config["image_mean"]) / config["image_std"]
  return x


CASES = {
  "plain": {},
  "bilinear": dict(resample=2),
  "as pixels": dict(do_normalize=False),
  "raw pixels": dict(do_normalize=False, do_rescale=False),
  "not rescaled": dict(do_rescale=False),
  "another factor": dict(rescale_factor=1 / 127.5),
  "short factor": dict(rescale_factor=0.00392156862745098),
  "squashed": dict(do_center_crop=False, size=SQUARE),
  "squashed and cut": dict(size=SQUARE),
}


@pytest.mark.parametrize("case", CASES)
def test_images_are_seen_as_by_transformers_there_and_back(case):
  config = HF | CASES[case]
  keys = preprocessing.from_hf(config)
  want = theirs(config)
  np.testing.assert_allclose(seen(keys), want, rtol=1e-6, atol=1e-5)
  base = configs.base()
  base.data.update(keys)
  written = preprocessing.to_hf(base)
  np.testing.assert_allclose(theirs(written), want, rtol=1e-6, atol=1e-5)
  again = preprocessing.from_hf(written)
  assert again.keys() == keys.keys()
  np.testing.assert_allclose(seen(again), want, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
  "changes, text",
  [
    (dict(resample=0), "resample=0"),
    (dict(resample=1), "resample=1"),
    (dict(size={"height": 20, "width": 24}), "a square"),
    (dict(size={"longest_edge": 20}), "a square"),
    (dict(crop_size={"height": 16, "width": 12}), "crop_size"),
    (dict(crop_size=24), "crop_size=24 of images of 20"),
    (dict(do_resize=False), "without do_resize"),
    (dict(do_center_crop=False), "without do_center_crop"),
    (dict(do_flip_channel_order=True), "do_flip_channel_order"),
    (dict(do_pad=True), "do_pad"),
  ],
)
def test_what_has_no_words_here_is_refused_by_name(changes, text):
  with pytest.raises(errors.UserError, match=text):
    preprocessing.from_hf(HF | changes)


@pytest.mark.parametrize(
  "config, want",
  [
    (dict(size=20), dict(eval_crop="squash", kernel="bicubic", size=20)),
    (
      dict(feature_extractor_type="ViTFeatureExtractor", size=20),
      dict(eval_crop="squash", kernel="bilinear", size=20),
    ),
    (
      dict(image_processor_type="CLIPFeatureExtractor", size=20, crop_size=16),
      dict(eval_crop="center", eval_resize=20, kernel="bicubic", size=16),
    ),
    (
      dict(image_processor_type="DeiTImageProcessor", size=20, crop_size=16),
      dict(eval_crop="squash", eval_resize=20, size=16),
    ),
  ],
)
def test_what_a_file_leaves_out_is_what_its_processor_takes(config, want):
  said = dict(image_mean=[0.1] * 3, image_std=[0.2] * 3)
  found = preprocessing.from_hf(config | said)
  assert found.items() >= want.items()
  assert found["mean"] == (0.1,) * 3 and found["std"] == (0.2,) * 3


@pytest.mark.parametrize("key", ["image_mean", "image_std"])
def test_a_normalisation_that_is_not_said_is_refused(key):
  left = {k: v for k, v in HF.items() if k != key}
  with pytest.raises(errors.UserError, match=f"no {key}"):
    preprocessing.from_hf(left)
  plain = preprocessing.from_hf(left | dict(do_normalize=False))
  assert plain["mean"] == (0.0,) * 3 and plain["std"] == (1.0,) * 3


TIMM = dict(mean=[0.1, 0.2, 0.3], std=[0.5] * 3, input_size=[3, 224, 224])


def test_preprocessing_of_timm():
  norm = dict(mean=(0.1, 0.2, 0.3), std=(0.5,) * 3, kernel="bicubic")
  assert preprocessing.from_timm(TIMM) == norm
  cut = dict(eval_crop="center", eval_resize=256)
  assert preprocessing.from_timm(TIMM | dict(crop_pct=0.875)) == norm | cut
  squash = TIMM | dict(
    crop_pct=0.875, crop_mode="squash", interpolation="bilinear"
  )
  assert preprocessing.from_timm(squash) == norm | dict(
    eval_crop="squash", eval_resize=256, kernel="bilinear"
  )
  for wrong in (dict(interpolation="lanczos"), dict(crop_mode="border")):
    with pytest.raises(errors.UserError, match=next(iter(wrong))):
      preprocessing.from_timm(TIMM | dict(crop_pct=0.9) | wrong)
