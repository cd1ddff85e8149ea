import io
import tracemalloc

import cv2
import hypothesis
import numpy as np
import pngkit
import pytest
from hypothesis import strategies as st
from PIL import Image

from jmim.data import decode


def _noise(h, w, c=3, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (h, w, c), np.uint8)


def _smooth(h, w):
  y, x = np.mgrid[:h, :w]
  return np.stack([x * 255 // w, y * 255 // h, (x + y) % 200], -1).astype("u1")


def _encode(picture, kind, **options):
  if isinstance(picture, np.ndarray):
    picture = Image.fromarray(picture)
  file = io.BytesIO()
  picture.save(file, kind, **options)
  return file.getvalue()


@pytest.mark.parametrize("kind", ["png", "bmp", "webp"])
def test_lossless_formats_come_back_exactly(kind):
  image = _noise(13, 9)
  options = {"lossless": True} if kind == "webp" else {}
  found = decode.decode(_encode(image, kind, **options), 3)
  np.testing.assert_array_equal(found, image)


def test_jpeg_is_close():
  image = _smooth(64, 48)
  found = decode.decode(_encode(image, "jpeg", quality=95), 3)
  assert found.shape == image.shape
  assert np.abs(found.astype(int) - image).mean() < 4


def test_grey_to_colour_and_back():
  grey = _noise(5, 7)[..., 0]
  found = decode.decode(_encode(grey, "png"), 3)
  np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, -1))
  np.testing.assert_array_equal(
    decode.decode(_encode(grey, "png"), 1), grey[..., None]
  )
  colour = _noise(5, 7)
  luma = colour @ [0.299, 0.587, 0.114]
  found = decode.decode(_encode(colour, "png"), 1)[..., 0]
  assert np.abs(found - luma).max() <= 1


def test_cmyk_jpeg_has_the_right_colours():
  image = np.empty((16, 16, 3), np.uint8)
  image[:] = [200, 30, 90]
  data = _encode(Image.fromarray(image).convert("CMYK"), "jpeg", quality=95)
  found = decode.decode(data, 3).astype(int)
  assert np.abs(found - [200, 30, 90]).max() <= 6


def test_palette_with_transparency_keeps_its_colours():
  picture = Image.new("P", (2, 1))
  picture.putpalette([10, 20, 30, 200, 100, 50])
  picture.putdata([0, 1])
  data = _encode(picture, "png", transparency=b"\x00\xff")
  assert decode.decode(data, 3).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_transparency_is_dropped():
  image = _noise(4, 4, 4)
  found = decode.decode(_encode(image, "png"), 3)
  np.testing.assert_array_equal(found, image[..., :3])


def test_one_bit_becomes_black_and_white():
  picture = Image.new("1", (2, 1))
  picture.putdata([0, 255])
  assert decode.decode(_encode(picture, "png"), 1).tolist() == [[[0], [255]]]


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bit_grey_is_rescaled_not_clipped(kind):
  deep = np.array([[0, 128, 129, 257, 30000, 65535]], np.uint16)
  found = decode.decode(_encode(deep, kind), 1)[0, :, 0]
  assert found.tolist() == np.rint(deep[0] / 257).tolist()


def test_16_bit_colour():
  deep = np.random.default_rng(0).integers(0, 65536, (6, 6, 3)).astype("u2")
  data = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
  found = decode.decode(data, 3)
  assert np.abs(found - deep / 257).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
  upright = _noise(5, 3)
  # What a camera stores so that the viewer's correction gives `upright`.
  stored = {
    1: upright,
    2: upright[:, ::-1],
    3: upright[::-1, ::-1],
    4: upright[::-1],
    5: upright.transpose(1, 0, 2),
    6: np.rot90(upright, 1),
    7: upright[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(upright, -1),
  }[orientation]
  exif = Image.Exif()
  exif[0x0112] = orientation
  data = _encode(np.ascontiguousarray(stored), "png", exif=exif)
  np.testing.assert_array_equal(decode.decode(data, 3), upright)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "bmp"])
def test_truncated_files_are_bad(kind):
  data = _encode(_noise(40, 40), kind)
  for share in (0, 0.01, 0.2, 0.5, 0.9):
    with pytest.raises(decode.BadImage):
      decode.decode(data[: int(share * len(data))], 3)


@hypothesis.given(
  st.sampled_from(["jpeg", "png", "webp", "gif"]),
  st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
)
def test_corrupt_bytes_decode_or_are_bad_but_nothing_else(kind, changes):
  data = bytearray(_encode(_smooth(24, 24), kind))
  for place, value in changes:
    data[int(place * len(data))] = value
  try:
    assert decode.decode(bytes(data), 3).dtype == np.uint8
  except decode.BadImage:
    pass


def test_arrays():
  image = _noise(4, 6)
  np.testing.assert_array_equal(decode.decode(image, 3), image)
  np.testing.assert_array_equal(decode.decode(image[..., 0], 1), image[..., :1])
  for bad in (image.astype(float), image[..., :2], image[:0], image[None]):
    with pytest.raises(decode.BadImage):
      decode.decode(bad, 3)


def test_centre_of_a_ramp_is_not_shifted():
  # Pixel i of the shrunk ramp covers the pixels 8 i ... 8 i + 7 of the large
  # one, whose mean is 8 i + 3.5. Half a pixel of shift would add 4.
  ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 256, 0)
  image = np.stack([ramp, ramp.T, ramp], -1)
  found = decode.center(image, 32, 32).astype(float)
  inner = slice(2, -2)
  expected = 8 * np.arange(32) + 3.5
  np.testing.assert_allclose(
    found[inner, inner, 0], np.tile(expected[inner], (28, 1)), atol=0.51
  )
  np.testing.assert_array_equal(found[..., 1], found[..., 0].T)


def test_shrinking_is_antialiased():
  board = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
  found = decode.center(board[..., None].astype(np.uint8), 16, 16)
  assert np.abs(found[2:-2, 2:-2].astype(int) - 127).max() <= 3


@pytest.mark.parametrize("shape", [(100, 75), (75, 100), (61, 47), (20, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_center_equals_pillow(shape, channels):
  image = _noise(*shape, channels)
  size, resize = 32, 40
  found = decode.center(image, size, resize)
  short = min(shape)
  h, w = (int(resize * side / short) for side in shape)
  picture = Image.fromarray(image.squeeze())
  whole = np.asarray(picture.resize((w, h), Image.Resampling.BICUBIC))
  top, left = round((h - size) / 2), round((w - size) / 2)
  expected = whole[top : top + size, left : left + size]
  np.testing.assert_array_equal(found.squeeze(), expected)


@hypothesis.given(
  st.integers(1, 400),
  st.integers(1, 400),
  st.floats(0.05, 1),
  st.floats(0.05, 1),
  st.integers(0, 2**32),
)
def test_boxes_lie_inside(height, width, a, b, seed):
  scale, ratio = (min(a, b), max(a, b)), (3 / 4, 4 / 3)
  rng = np.random.default_rng(seed)
  top, left, h, w = decode.crop_box(
    height, width, scale=scale, ratio=ratio, rng=rng
  )
  assert 0 <= top <= top + h <= height and 0 <= left <= left + w <= width
  assert h > 0 and w > 0


def test_boxes_have_the_areas_and_ratios_asked_for():
  # Small boxes always fit, so the tries are never refused and the areas and
  # log ratios must come out uniform.
  rng = np.random.default_rng(0)
  boxes = np.array(
    [
      decode.crop_box(1000, 1000, scale=(0.1, 0.4), ratio=(1 / 2, 2), rng=rng)
      for _ in range(4000)
    ]
  )
  top, left, h, w = boxes.T
  area, aspect = h * w / 1e6, np.log2(w / h)
  np.testing.assert_allclose(
    np.quantile(area, [0, 0.5, 1]), [0.1, 0.25, 0.4], atol=0.01
  )
  np.testing.assert_allclose(
    np.quantile(aspect, [0, 0.25, 0.5, 1]), [-1, -0.5, 0, 1], atol=0.06
  )
  for start, side in ((top, h), (left, w)):
    assert abs((start / (1000 - side)).mean() - 0.5) < 0.02


def test_fallback_is_a_central_box():
  # An area of 1 never has an allowed aspect here: all ten tries fail.
  rng, ratio = np.random.default_rng(0), (3 / 4, 4 / 3)
  box = decode.crop_box(100, 20, scale=(1, 1), ratio=ratio, rng=rng)
  assert box == (36, 0, 27, 20)
  box = decode.crop_box(20, 100, scale=(1, 1), ratio=ratio, rng=rng)
  assert box == (0, 36, 20, 27)
  box = decode.crop_box(30, 30, scale=(1, 1), ratio=(0.9, 0.95), rng=rng)
  assert box == (0, 1, 30, 28)


@pytest.mark.parametrize(
  "width, height", [(10**5, 10**5), (2**31 - 1, 2), (1, 2**31 - 1), (0, 9)]
)
def test_an_image_of_absurd_size_is_refused_before_memory_is_taken(
  width, height
):
  tracemalloc.start()
  with pytest.raises(decode.BadImage):
    decode.decode(pngkit.png_header(width, height), 3)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 10**7


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("short, long", [(1, 20000), (2, 30000), (1, 10**7)])
def test_a_thin_picture_is_cropped_in_little_memory(short, long, wide):
  image = np.full((long, short, 3), 50, np.uint8)
  image[long // 2 :] = 150
  image = image.transpose(1, 0, 2) if wide else image
  tracemalloc.start()
  found = decode.center(image, 224, 256)
  assert tracemalloc.get_traced_memory()[1] < 2**22
  tracemalloc.stop()
  assert found.shape == (224, 224, 3)
  found = found.transpose(1, 0, 2) if wide else found
  # The step in the middle of the long side, and nothing across it.
  assert (found == found[:, :1]).all()
  line = found[:, 0, 0].astype(int)
  assert np.abs(line + line[::-1] - 200).max() <= 1
  assert line[0] < 60 and (np.diff(line[40:-40]) >= 0).all()
