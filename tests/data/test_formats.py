"""Encoded files, and what their values mean; alike in every decoder."""

import io
import os
import struct
import tracemalloc

import numpy as np
import pngkit
import pytest
from PIL import Image
from PIL import PngImagePlugin

from jmim.core.settings import data as settings
from jmim.data import decode
from jmim.data import formats
from jmim.data import given
from jmim.data import jpeg
from jmim.data import paths
from jmim.data import picture

XMP = (
  b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
  b'tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
)
_TURBO = pytest.mark.skipif(not jpeg.available(), reason="no libjpeg-turbo")
DECODERS = ["pillow", pytest.param("turbo", marks=_TURBO)]


def _image(h=24, w=40):
  """Smooth, and different in its four corners."""
  y, x = np.mgrid[:h, :w]
  return np.stack([x * 6, y * 10, (x + y) * 3], -1).astype("u1")


def _file(image, kind="jpeg", **options):
  file = io.BytesIO()
  made = Image.fromarray(image) if isinstance(image, np.ndarray) else image
  if kind != "jpeg":
    made.save(file, kind, **options)
    return file.getvalue()
  notes = options.pop("xmp", None)  # which Pillow 10 does not write
  made.save(file, kind, **{"quality": 95} | options)
  return _with_xmp(file.getvalue(), notes) if notes else file.getvalue()


def _with_xmp(data, notes):
  """A JPEG with another segment, behind those that must come first."""
  place = 2
  while data[place + 1] in (0xE0, 0xE1):  # JFIF, EXIF
    place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
  text = b"http://ns.adobe.com/xap/1.0/\0" + notes
  segment = b"\xff\xe1" + struct.pack(">H", 2 + len(text)) + text
  return data[:place] + segment + data[place:]


def _exif(orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  return exif.tobytes()


def _raw_exif(kind, count, value):
  """EXIF of one entry, orientation, with a type, count and bytes of choice."""
  entry = struct.pack("<HHI", 0x0112, kind, count) + value
  return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4)


UPRIGHT = {
  "none": {},
  "0": {"exif": _exif(0)},
  "9": {"exif": _exif(9)},
  "text": {"exif": _raw_exif(2, 4, b"6ab\0")},
  "cut short": {"exif": _exif(6)[:20]},
  "no header": {"exif": b"Exif\0\0" + b"\xff" * 30},
  "empty": {"exif": b"Exif\0\0"},
  "place beyond the end": {"exif": _raw_exif(3, 9, b"\xff\xff\xff\x7f")},
  "XMP 1": {"xmp": XMP % 1},
  "XMP 9": {"xmp": XMP % 9},
  "XMP of something else": {"xmp": b"<x:xmpmeta/>"},
}
TURNED = {
  "EXIF": {"exif": _exif(6)},
  "XMP": {"xmp": XMP % 6},
  "both": {"exif": _exif(6), "xmp": XMP % 3},
  "odd EXIF and XMP": {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0", "xmp": XMP % 6},
  "after a long profile": {"exif": _exif(6), "icc_profile": bytes(200_000)},
}


def _pixels(data, decoder):
  opened = picture.Picture(data, 3, decoder=decoder)
  found, _ = opened.cut((0, 0, *opened.size), 24)
  return opened.size, found.astype(int)


@pytest.mark.filterwarnings("ignore:(Corrupt EXIF|Truncated)")
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("notes", UPRIGHT)
def test_odd_notes_leave_whole_pixels_as_they_are(notes, decoder):
  size, found = _pixels(_file(_image(), **UPRIGHT[notes]), decoder)
  _, want = _pixels(_image(), decoder)
  assert size == (24, 40) and np.abs(found - want).mean() < 3


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("notes", TURNED)
def test_orientation_is_obeyed_wherever_it_stands(notes, decoder):
  size, found = _pixels(_file(_image(), **TURNED[notes]), decoder)
  _, want = _pixels(np.ascontiguousarray(np.rot90(_image(), -1)), decoder)
  assert size == (40, 24) and np.abs(found - want).mean() < 3


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_orientation_by_xmp_in_other_formats(kind):
  text = PngImagePlugin.PngInfo()
  text.add_itxt("XML:com.adobe.xmp", (XMP % 8).decode())
  options = {
    "png": {"pnginfo": text},
    "webp": {"lossless": True, "xmp": XMP % 8},
  }
  found = decode.decode(_file(_image(), kind, **options[kind]), 3)
  np.testing.assert_array_equal(found, np.rot90(_image(), 1))


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation, turns", [(3, 2), (6, -1), (8, 1)])
def test_orientation_in_other_formats(kind, orientation, turns, tmp_path):
  """Pillow turns a TIFF as it loads it: it is not turned again."""
  options = {"lossless": True} if kind == "webp" else {}
  if kind == "tiff":
    options["tiffinfo"] = {0x0112: orientation}
  else:
    options["exif"] = _exif(orientation)
  path = tmp_path / "turned"
  path.write_bytes(_file(_image(), kind, **options))
  want = np.rot90(_image(), turns)
  np.testing.assert_array_equal(decode.decode(path.read_bytes(), 3), want)
  with Image.open(path) as opened:
    np.testing.assert_array_equal(given.images(opened)[0], want)
  assert formats.sides(str(path)) == want.shape[:2]


def test_the_header_of_a_jpeg_tells_whether_it_is_upright():
  upright = _file(_image())
  assert formats.stored_upright(upright)
  assert formats.stored_upright(_file(_image(), exif=_exif(1)))
  assert not formats.stored_upright(_file(_image(), exif=_exif(3)))
  assert not formats.stored_upright(upright[:2] + b"\0" + upright[2:])


def _jpeg_header(width, height):
  data = bytearray(_file(_image()))
  place = data.index(b"\xff\xc0") + 5
  data[place : place + 4] = struct.pack(">HH", height, width)
  return bytes(data)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("make", [pngkit.png_header, _jpeg_header])
@pytest.mark.parametrize(
  "size", [(60000, 60000), (13000, 13000), (3000, 60000)]
)
def test_what_is_too_large_is_not_decoded(make, size, decoder, monkeypatch):
  # Whatever Pillow itself is told to allow.
  monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
  tracemalloc.start()
  with pytest.raises(formats.BadImage, match=f"limit of {formats.MAX_PIXELS}"):
    picture.Picture(make(*size), 3, decoder=decoder)
  assert tracemalloc.get_traced_memory()[1] < 2**20
  tracemalloc.stop()


def test_pillow_refuses_it_too():
  with pytest.raises(formats.BadImage, match="DecompressionBomb"):
    formats.read(pngkit.png_header(60000, 60000), "RGB", max_pixels=10**12)


@pytest.mark.parametrize("decoder", DECODERS)
def test_how_many_pixels_are_too_many_can_be_said(decoder):
  data = _file(_image())
  height, width = _image().shape[:2]
  picture.Picture(data, 3, decoder=decoder, max_pixels=height * width)
  fewer = height * width - 1
  with pytest.raises(formats.BadImage, match=f"limit of {fewer} .*max_pixels"):
    picture.Picture(data, 3, decoder=decoder, max_pixels=fewer)
  with pytest.raises(formats.BadImage, match=f"limit of {fewer}"):
    formats.check(data, max_pixels=fewer)


def test_the_default_limit_is_that_of_the_key():
  assert settings.Data.max_pixels == formats.MAX_PIXELS


@pytest.mark.parametrize(
  "kind", ["ico", "tga", "pcx", "dds", "eps", "jpeg2000"]
)
def test_only_known_formats_are_opened(kind):
  data = _file(Image.fromarray(_image()), kind)
  for look in (formats.check, lambda d: formats.read(d, "RGB")):
    with pytest.raises(formats.BadImage, match="no picture in JPEG, PNG"):
      look(data)


def test_values_without_a_range_are_bad():
  floats = Image.fromarray(np.ones((4, 4), np.float32))
  with pytest.raises(formats.BadImage, match="without a known range"):
    formats.read(_file(floats, "tiff"), "L")


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_read(kind):
  frames = [Image.new("RGB", (6, 6), c) for c in ("#ff0000", "#0000ff")]
  options = {"lossless": True} if kind == "webp" else {}
  options |= {"save_all": True, "append_images": frames[1:], "duration": 9}
  found = decode.decode(_file(frames[0], kind, **options), 3)
  assert (found == [255, 0, 0]).all()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("mode", ["CMYK", "L", "RGB"])
def test_colours_of_a_jpeg_are_alike_in_every_decoder(mode, decoder):
  data = _file(Image.fromarray(_image()).convert(mode))
  _, found = _pixels(data, decoder)
  _, want = _pixels(decode.decode(data, 3), decoder)
  assert np.abs(found - want).max() <= 1


@pytest.mark.parametrize("ending", paths.PICTURES)
def test_every_ending_that_is_listed_can_be_read(ending):
  image = _image()
  kind = Image.registered_extensions()[f".{ending}"]
  grey = ending == "pgm"
  stored = Image.fromarray(image).convert("L") if grey else image
  read = decode.decode(_file(stored, kind), 1 if grey else 3)
  wanted = np.asarray(stored) if grey else image
  exact = ending in ("png", "bmp", "tif", "tiff", "ppm", "pgm")
  error = np.abs(read.reshape(wanted.shape).astype(int) - wanted)
  # GIF has 256 colours, JPEG and WebP lose some.
  assert error.max() == 0 if exact else error.mean() < 8


def test_of_a_file_of_several_pictures_the_first_is_read():
  first, second = _image(), 255 - _image()
  for kind in ("tiff", "gif"):
    pages = [Image.fromarray(second)]
    data = _file(first, kind, save_all=True, append_images=pages)
    read = decode.decode(data, 3).astype(int)
    assert np.abs(read - first).mean() < 8 < np.abs(read - second).mean()


def test_sides_are_read_from_the_header_alone(tmp_path):
  path = tmp_path / "a.jpg"
  Image.new("RGB", (40, 24)).save(path)
  assert formats.sides(str(path)) == (24, 40)
  path.write_bytes(path.read_bytes()[:700])  # the pixels are cut off
  assert formats.sides(str(path)) == (24, 40)
  Image.new("RGB", (40, 24)).save(path, exif=_exif(6))  # it lies on its side
  assert formats.sides(str(path)) == (40, 24)
  path.write_bytes(b"no picture")
  assert formats.sides(str(path)) is None
  os.mkfifo(tmp_path / "pipe")
  assert formats.sides(str(tmp_path / "pipe")) is None
