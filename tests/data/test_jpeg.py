"""The decoder "turbo": what it shows is what Pillow shows, in less time."""

import io

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image
from sklearn import datasets

from jmim.data import decode
from jmim.data import jpeg
from jmim.data import picture

pytestmark = pytest.mark.skipif(
  not jpeg.available(), reason="no libjpeg-turbo 3: pip install jmim[fast]"
)


def _encode(image, **options):
  file = io.BytesIO()
  if isinstance(image, np.ndarray):
    image = Image.fromarray(image)
  image.save(file, "jpeg", **{"quality": 92, **options})
  return file.getvalue()


@pytest.fixture(scope="module")
def photographs():
  return datasets.load_sample_images().images


_BOXES = [(0, 0, 427, 640), (100, 37, 224, 224), (101, 333, 326, 307)]
_BOXES += [(3, 5, 60, 80), (399, 601, 28, 39), (200, 1, 100, 300)]


def _apart(left, right):
  return np.abs(left.astype(int) - right)


@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_box_is_that_of_the_whole_image(photographs, sampling, progressive):
  data = _encode(photographs[0], subsampling=sampling, progressive=progressive)
  assert jpeg.size(data) == (427, 640)
  whole, shown = jpeg.crop(data, (0, 0, 427, 640), 3)
  assert shown == (0, 0, 427, 640)
  assert _apart(whole, decode.decode(data, 3)).max() <= 4
  for box in _BOXES:
    top, left, h, w = box
    found, shown = jpeg.crop(data, box, 3)
    assert shown == box
    np.testing.assert_array_equal(found, whole[top : top + h, left : left + w])


@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("denom", [1, 2, 4, 8])
def test_a_box_ending_anywhere_in_a_block_is_left_whole(
  photographs, sampling, denom
):
  data = _encode(photographs[1], subsampling=sampling)
  whole, _ = jpeg.crop(data, (0, 0, 427, 640), 3, denom)
  for bottom in range(100, 134):
    found, shown = jpeg.crop(data, (90, 0, bottom - 90, 640), 3, denom)
    top = shown[0] // denom
    np.testing.assert_array_equal(found, whole[top : top + len(found)])


@pytest.mark.parametrize("denom", [1, 2, 4, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_ramp_keeps_its_place_at_every_scale(denom, axis):
  # Half a pixel of shift would be 0.23 levels at full size, and more below.
  # Dithered and of no round slope: means of neighbours that all have the same
  # fraction would all be rounded the same way.
  ramp = np.broadcast_to(10 + 0.4637 * np.arange(480), (480, 480))
  dither = np.random.default_rng(0).uniform(size=ramp.shape)
  ramp = np.floor((ramp if axis else ramp.T) + dither).astype("u1")
  data = _encode(np.stack([ramp] * 3, -1), quality=100, subsampling=0)
  for box in ((0, 0, 400, 480), (40, 72, 304, 256), (31, 45, 201, 190)):
    found, (top, left, h, w) = jpeg.crop(data, box, 3, denom)
    start, extent = (left, w) if axis else (top, h)
    side = found.shape[axis]
    place = start + (np.arange(side) + 0.5) * extent / side - 0.5
    line = found[..., 1].mean(1 - axis)
    error = line - (10 + 0.4637 * place)
    assert abs(error.mean()) < 0.1 and np.abs(error).max() < 1.5
    assert top <= box[0] and left <= box[1]
    assert top + h >= box[0] + box[2] and left + w >= box[1] + box[3]
    assert max(box[0] - top, box[1] - left) < denom


def test_resized_boxes_are_near_those_of_pillow(photographs):
  # Mean absolute difference to decode, crop and antialiased resize.
  errors = []
  for image in photographs:
    data = _encode(image)
    for box in ((0, 0, 427, 640), *_BOXES[1:]):
      for size in (64, 96, 224):
        found, shown = picture.Picture(data, 3, "turbo").cut(box, size)
        # What it shows may be up to 7 pixels larger: compare the same place.
        top, left, h, w = shown
        exact = Image.fromarray(decode.decode(data, 3)).resize(
          (size, size),
          Image.Resampling.BICUBIC,
          box=(left, top, min(640, left + w), min(427, top + h)),
        )
        errors.append(_apart(found, np.asarray(exact)).mean())
  assert np.mean(errors) < 1.5 and max(errors) < 3


def test_the_quick_resize_shifts_nothing():
  # Dithered and of no round slope, as above.
  columns, rng = np.arange(300), np.random.default_rng(0)
  for size in (400, 224, 150, 110, 70, 33):
    place = (np.arange(size) + 0.5) * 300 / size - 0.5
    errors = []
    for slope, start in ((0.7637, 5), (-0.7637, 240)):
      ramp = start + slope * columns + rng.uniform(size=(300, 300))
      image = np.floor(ramp).astype("u1")[..., None]
      found = decode.quick_resize(image, size, size)
      error = found[..., 0].mean(0) - (start + slope * place)
      assert np.abs(error[3:-3]).max() < 2
      errors.append(error[3:-3].mean())
    # Half a pixel of the image would be 0.38 levels up here and down there;
    # the rounding of halved images is up in both.
    assert abs(errors[0] - errors[1]) / 2 < 0.05


def test_the_quick_resize_is_antialiased():
  board = (np.indices((240, 240)).sum(0) % 2 * 255).astype("u1")[..., None]
  for size in (120, 60, 40):
    found = decode.quick_resize(board, size, size)
    assert found.shape == (size, size, 1)
    assert np.abs(found[2:-2, 2:-2].astype(int) - 127).max() <= 3


def _exif(orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  return exif


@pytest.mark.parametrize(
  ("kind", "options"),
  [
    ("RGB", {}),
    ("L", {}),
    ("CMYK", {}),
    ("RGB", {"exif": _exif(1)}),
    ("RGB", {"exif": _exif(6)}),
    ("RGB", {"exif": _exif(3)}),
    ("RGB", {"progressive": True, "comment": b"hello"}),
  ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_jpeg_is_upright_and_of_its_colours(
  photographs, kind, options, channels
):
  data = _encode(Image.fromarray(photographs[1]).convert(kind), **options)
  exact = decode.decode(data, channels)
  opened = picture.Picture(data, channels, "turbo")
  assert opened.size == exact.shape[:2]
  assert _apart(opened.pixels, exact).mean() < 1
  h, w = opened.size
  box = (h // 4, w // 5, 200, 180)
  found, shown = picture.Picture(data, channels, "turbo").cut(box, 128)
  assert shown == box and found.shape == (128, 128, channels)
  wanted = decode.resize(
    exact[box[0] : box[0] + 200, box[1] : box[1] + 180], 128, 128
  )
  assert _apart(found, wanted).mean() < 2


def test_other_formats_take_the_general_path(photographs):
  file = io.BytesIO()
  Image.fromarray(photographs[0]).save(file, "png")
  found = picture.Picture(file.getvalue(), 3, "turbo").pixels
  np.testing.assert_array_equal(found, photographs[0])


def test_damage_is_bad_or_below_the_box(photographs):
  data = _encode(photographs[0])
  for broken in (
    b"",
    b"\xff\xd8",
    b"GIF?",
    data[:300],
    b"\xff\xd8" + data[99:],
  ):
    with pytest.raises(decode.BadImage):
      picture.Picture(broken, 3, "turbo").cut((0, 0, 50, 50), 16)
  half = data[: len(data) // 2]
  with pytest.raises(decode.BadImage):
    picture.Picture(half, 3, "turbo").cut((300, 0, 90, 90), 32)
  # Above the damage there is nothing wrong with the picture.
  found, _ = picture.Picture(half, 3, "turbo").cut((10, 10, 90, 90), 90)
  whole, _ = picture.Picture(data, 3, "turbo").cut((10, 10, 90, 90), 90)
  np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("end", [0, 1, 3, 25, 300, 700, 30_000])
def test_a_broken_file_does_not_change_how_the_next_is_read(photographs, end):
  data, box = _encode(photographs[0]), (10, 10, 300, 300)
  whole, _ = jpeg.crop(data, box, 3)
  for broken in (data[:end], b"\xff\xd8" + data[end:]):
    with pytest.raises(jpeg.Unsuited):
      jpeg.crop(broken, box, 3)
    np.testing.assert_array_equal(jpeg.crop(data, box, 3)[0], whole)


def test_tables_are_never_those_of_the_picture_before(photographs):
  data, box = _encode(photographs[0]), (10, 10, 300, 300)
  jpeg.crop(data, box, 3)
  with pytest.raises(jpeg.Unsuited, match="not defined"):
    jpeg.crop(data.replace(b"\xff\xdb", b"\xff\xee"), box, 3)


def test_wherever_a_file_ends_a_box_is_right_or_refused(photographs):
  data = _encode(photographs[0])
  for box in ((10, 10, 60, 90), (100, 37, 150, 224), (300, 0, 127, 640)):
    whole, _ = jpeg.crop(data, box, 3)
    refused = []
    for end in range(700, len(data), len(data) // 60):
      try:
        found, _ = jpeg.crop(data[:end], box, 3)
      except jpeg.Unsuited:
        refused.append(end)
      else:
        np.testing.assert_array_equal(found, whole)
    # A box that reaches the last row needs all of the file.
    assert refused and (refused[-1] < 0.9 * len(data)) == (sum(box[::2]) < 427)


@hypothesis.given(
  st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8)
)
@hypothesis.settings(deadline=None)
def test_corrupt_bytes_are_read_or_refused_and_always_alike(changes):
  ramp = np.add.outer(np.arange(60), np.arange(48))[..., None] + [0, 40, 90]
  data = bytearray(_encode(ramp.astype("u1")))
  for place, value in changes:
    data[int(place * len(data))] = value
  for box in ((0, 0, 60, 48), (5, 9, 20, 30)):
    found = []
    for _ in range(2):
      try:
        found.append(jpeg.crop(bytes(data), box, 3)[0])
      except jpeg.Unsuited:
        found.append(None)
    assert (found[0] is None) == (found[1] is None)
    if found[0] is not None:
      np.testing.assert_array_equal(*found)


def test_rubbish_between_the_scans_is_damage(photographs):
  data = _encode(photographs[0], progressive=True)
  place = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
  with pytest.raises(jpeg.Unsuited, match="extraneous"):
    jpeg.crop(data[:place] + b"rubbish" + data[place:], (10, 10, 60, 90), 3)


def test_damage_above_a_box_is_found_though_the_picture_is_shortened(
  photographs,
):
  data = bytearray(_encode(photographs[0]))
  assert jpeg.shortened(bytes(data), 100) != bytes(data)
  place = len(data) // 8
  data[place : place + 2] = b"\xff\xd9"  # an end that comes too early
  with pytest.raises(jpeg.Unsuited):
    jpeg.crop(bytes(data), (100, 0, 50, 50), 3)


@pytest.mark.parametrize(
  "options", [{"progressive": True}, {"restart_marker_blocks": 4}]
)
def test_what_cannot_be_shortened_is_left_as_it_is(photographs, options):
  data = _encode(photographs[0], **options)
  assert jpeg.shortened(data, 10) is data
  assert jpeg.shortened(b"\xff\xd8\xff", 10) == b"\xff\xd8\xff"
