"""Boxes cut out of one image, encoded or not."""

import io

import numpy as np
import PIL.Image
import pytest

from jmim.data import decode
from jmim.data import jpeg
from jmim.data import picture


def _smooth(h=60, w=80):
  y, x = np.mgrid[:h, :w]
  return np.stack([255 * y / h, 255 * x / w, 0 * x], -1).astype("u1")


def _jpeg(image, **options):
  file = io.BytesIO()
  PIL.Image.fromarray(image).save(file, "jpeg", quality=95, **options)
  return file.getvalue()


def _decoders():
  turbo = pytest.param(
    "turbo",
    marks=pytest.mark.skipif(not jpeg.available(), reason="no libjpeg-turbo"),
  )
  return ["pillow", turbo]


@pytest.mark.parametrize("decoder", _decoders())
def test_a_cut_is_the_resized_box_of_the_whole(decoder):
  image, box = _smooth(), (8, 16, 32, 40)
  opened = picture.Picture(_jpeg(image), 3, decoder=decoder)
  assert opened.size == (60, 80)
  found, shown = opened.cut(box, 16)
  assert found.shape == (16, 16, 3)
  top, left, height, width = shown
  assert top <= 8 and left <= 16
  assert top + height >= 40 and left + width >= 56
  rows = 255 * (top + (np.arange(16) + 0.5) * height / 16) / 60
  columns = 255 * (left + (np.arange(16) + 0.5) * width / 16) / 80
  inner = slice(1, -1)
  assert np.abs(found[inner, 8, 0] - rows[inner]).max() < 6
  assert np.abs(found[8, inner, 1] - columns[inner]).max() < 6


def test_no_pixel_outside_the_box_bleeds_in():
  image = np.zeros((40, 40, 3), np.uint8)
  image[10:30, 10:30] = 200
  found, shown = picture.Picture(image, 3).cut((10, 10, 20, 20), 8)
  assert shown == (10, 10, 20, 20)
  assert (found == 200).all()


@pytest.mark.skipif(not jpeg.available(), reason="no libjpeg-turbo")
def test_a_turned_photograph_is_upright_with_either_decoder():
  exif = PIL.Image.Exif()
  exif[0x0112] = 6
  data = _jpeg(_smooth(), exif=exif)
  sizes = {
    picture.Picture(data, 3, decoder=d).size for d in ("pillow", "turbo")
  }
  assert sizes == {(80, 60)}


@pytest.mark.parametrize("decoder", _decoders())
def test_several_boxes_are_cut_from_one_decoding(monkeypatch, decoder):
  decoded = []
  for module, name in ((decode, "decode"), (jpeg, "crop")):
    monkeypatch.setattr(module, name, _counted(getattr(module, name), decoded))
  data = _jpeg(_smooth())
  opened = picture.Picture(data, 3, decoder=decoder, whole=True)
  assert opened.pixels.shape == (60, 80, 3)
  one, _ = opened.cut((0, 0, 30, 30), 30)
  np.testing.assert_array_equal(one, opened.pixels[:30, :30])
  other, _ = opened.cut((20, 40, 30, 30), 30)
  np.testing.assert_array_equal(other, opened.pixels[20:50, 40:70])
  assert len(decoded) == 1


def _counted(function, calls):
  def count(*args):
    calls.append(args)
    return function(*args)

  return count


def test_what_is_no_image_says_so():
  with pytest.raises(decode.BadImage):
    picture.Picture(b"no image", 3)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
def test_a_cut_is_resized_with_the_kernel_asked_for(kernel):
  image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
  found, _ = picture.Picture(image, 3, kernel=kernel).cut((5, 9, 30, 40), 24)
  box = PIL.Image.fromarray(image).crop((9, 5, 49, 35))
  expected = box.resize((24, 24), PIL.Image.Resampling[kernel.upper()])
  np.testing.assert_array_equal(found, np.asarray(expected))
