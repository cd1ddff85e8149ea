import io

import jax
import numpy as np
import PIL.Image
import pytest
import scipy.fft

from jmim.metrics import restoration
from jmim.nn.degrade import jpeg


def photograph(h, w):
  """uint8 [h, w, 3] with edges, slopes and some noise."""
  y, x = np.mgrid[:h, :w] / np.array([h, w]).reshape(2, 1, 1)
  disc = (y - 0.4) ** 2 + (x - 0.6) ** 2 < 0.08
  image = np.stack([120 * y + 90, 200 * x, 160 - 90 * y * x], -1)
  image[disc] = [220, 60, 40]
  image += np.random.default_rng(0).normal(0, 6, image.shape)
  return image.round().clip(0, 255).astype(np.uint8)


def pillow(image, quality, subsampling):
  file = io.BytesIO()
  picture = PIL.Image.fromarray(image)
  picture.save(file, "JPEG", quality=quality, subsampling=subsampling)
  return np.asarray(PIL.Image.open(file))


@pytest.fixture(scope="module")
def written():
  return {
    halved: jax.jit(lambda x, q, h=halved: jpeg.apply(x, q, h))
    for halved in (True, False)
  }


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_files_are_those_of_libjpeg(written, quality):
  image = photograph(43, 50)  # no multiple of a block
  x, q = image[None] / np.float32(255), np.array([quality], "f4")
  found = np.asarray(written[False](x, q))[0] * 255
  want = pillow(image, quality, 0).astype(float)
  # libjpeg's cosines are off by a tenth: some are rounded to the other side,
  # and move a block by a part of their step.
  assert abs(found - want).mean() < 0.8
  assert np.quantile(abs(found - want), 0.99) < 7
  # But there is no bias, and as much is lost.
  assert abs((found - want).mean((0, 1))).max() < 0.05
  lost = [abs(x - image).mean() for x in (found, want)]
  np.testing.assert_allclose(*lost, rtol=0.02)
  # With colours at half the resolution files are read in another way, but
  # lose as much.
  found = np.asarray(written[True](x, q))[0]
  want = pillow(image, quality, 2) / 255
  psnr = restoration.psnr
  assert psnr(found, want) > 31
  truth = image / 255
  assert abs(psnr(found, truth) - psnr(want, truth)) < 1.5


def test_grey_images_are_those_of_libjpeg_too():
  image = photograph(24, 32)[..., 0]
  file = io.BytesIO()
  PIL.Image.fromarray(image).save(file, "JPEG", quality=40)
  want = np.asarray(PIL.Image.open(file)).astype(float)
  x = image[None, ..., None] / np.float32(255)
  found = np.asarray(jpeg.apply(x, np.array([40.0], "f4")))[0, ..., 0] * 255
  assert abs(found - want).mean() < 0.3 and abs(found - want).max() <= 4


def test_tables_are_those_that_pillow_writes():
  for quality in (1, 30, 50, 77, 100):
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    stored = PIL.Image.open(file).quantization
    found = np.asarray(jpeg.tables(np.array([quality], "f4")))[0]
    for number, table in enumerate(found):
      np.testing.assert_array_equal(table.ravel(), stored[number])


def test_blocks_are_cosines():
  x = np.random.default_rng(1).normal(size=(8, 8))
  turn = jpeg._cosines()
  want = scipy.fft.dctn(x, norm="ortho")
  np.testing.assert_allclose(turn @ x @ turn.T, want, atol=1e-5)
