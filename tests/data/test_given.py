import io
import pathlib

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from jmim.core import errors
from jmim.data import decode
from jmim.data import given

X = np.random.default_rng(0).integers(0, 256, (5, 16, 3), np.uint8)


def pixels(images):
  return [decode.decode(x, 3) for x in given.images(images)]


@pytest.fixture
def file(tmp_path, monkeypatch):
  PIL.Image.fromarray(X).save(tmp_path / "a b.png")
  monkeypatch.setenv("HOME", str(tmp_path))
  return tmp_path / "a b.png"


def test_one_image_is_one_image(file):
  alone = [X, jnp.asarray(X), PIL.Image.fromarray(X), file, str(file)]
  alone += ["~/a b.png", pathlib.Path("~/a b.png"), file.read_bytes()]
  for image in alone:
    (found,) = pixels(image)
    np.testing.assert_array_equal(found, X)
    (found,) = pixels([image])
    np.testing.assert_array_equal(found, X)
  found = pixels(alone)  # all kinds in one list
  assert len(found) == len(alone)
  np.testing.assert_array_equal(found[-2], X)


def test_grey_is_one_image_too():
  for grey in (X[..., 0], X[..., :1]):
    (found,) = pixels(grey)
    np.testing.assert_array_equal(found, np.repeat(X[..., :1], 3, -1))


def test_an_array_of_four_dimensions_is_a_batch():
  batch = np.stack([X, X[::-1]])
  for images in (batch, jnp.asarray(batch), list(batch), iter(batch)):
    np.testing.assert_array_equal(pixels(images), batch)


def test_pictures_are_upright_and_of_any_mode():
  rgb = PIL.Image.fromarray(X)
  file = io.BytesIO()
  exif = PIL.Image.Exif()
  exif[274] = 6  # to be turned by 90 degrees
  rgb.save(file, "png", exif=exif)
  with PIL.Image.open(file) as turned:
    assert turned.size == (16, 5)
    (found,) = pixels(turned)
  np.testing.assert_array_equal(found, np.rot90(X, -1))
  np.testing.assert_array_equal(
    decode.decode(file.getvalue(), 3), found
  )  # as from its bytes
  for mode in ("L", "P", "CMYK", "RGBA", "HSV", "1", "LA"):
    picture = rgb.convert(mode)
    (found,) = pixels(picture)
    np.testing.assert_allclose(
      found.astype(int), np.asarray(picture.convert("RGB")), atol=3
    )


@pytest.mark.parametrize(
  "images, text",
  [
    (X / np.float32(255), "float32"),
    (X.astype(np.int64), "int64"),
    (np.stack([X[..., 0]] * 2), "uint8"),  # [b, h, w]
    (X[None, None], "uint8"),
    (X[:0], "uint8"),
    ([X, X[0, 0]], "image 1"),
    ([], "none"),
    (3, "int"),
    ([None], "NoneType"),
    ("nowhere.png", "FileNotFoundError"),
    (["/"], "image 0: IsADirectoryError"),
  ],
)
def test_what_is_no_image_is_named(images, text):
  with pytest.raises(errors.UserError, match=text):
    given.images(images)
