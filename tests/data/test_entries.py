"""The table of batch entries, against the pipeline that makes them."""

import pathlib
import re

import numpy as np
import pytest

from jmim.core.settings import data as settings
from jmim.data import entries
from jmim.data import pipeline
from jmim.data import sources

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = (
  entries.PIXELS,
  entries.MAP,
  entries.VIEW_BOXES,
  entries.RECTANGLES,
  entries.VOLUME,
  entries.VOLUME_MAP,
  entries.POINTS,
  entries.NUMBERS,
  entries.SERVICE,
)
# Settings under which each kind of example is made.
WAYS = {
  "still": {},
  "views": {"views": 2},
  "locals": {"local_views": 3, "local_size": 8},
  "views and locals": {"views": 2, "local_views": 1, "local_size": 8},
  "clip": {"frames": 2, "stride": 1},
  "volume": {"volume": (2, 4, 4)},
}


def _source():
  """Examples that hold everything."""
  rng = np.random.default_rng(0)
  pixels = lambda *shape: rng.integers(0, 256, shape, np.uint8)
  return sources.ArraySource(
    {
      "image": pixels(6, 16, 16, 3),
      "low": pixels(6, 16, 16, 3),
      "high": pixels(6, 16, 16, 3),
      "video": pixels(6, 4, 16, 16, 3),
      "volume": pixels(6, 3, 6, 5),
      "label": np.arange(6),
      "segmentation": pixels(6, 16, 16),
      "depth": rng.random((6, 16, 16)),
      "objects": rng.random((6, 2, 5)),
      "vector": rng.random((6, 7)),
    }
  )


@pytest.mark.parametrize("fields", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("training", [True, False])
def test_the_pipeline_makes_what_the_table_says(fields, training):
  spec = pipeline.Spec(batch=3, size=16, threads=0, **fields)
  batch = pipeline.check_example(_source(), spec, training)
  for name, entry in entries.ENTRIES.items():
    if entry.shape is None:
      continue
    shape = entry.shape(spec)
    still = not (spec.frames or spec.volume)
    if shape is None and entry.evaluated and not training and still:
      shape = spec.image
    assert (name in batch) == (shape is not None), name
    if shape is not None:
      assert batch[name].shape[1:] == shape, name
      assert batch[name].dtype == entry.dtype, name
  assert batch["vector"].dtype == np.float32  # in no table


def test_kinds_and_what_goes_with_what():
  for name, entry in entries.ENTRIES.items():
    assert entry.kind in KINDS, name
    assert bool(entry.of) == (
      entry.kind
      in (
        entries.MAP,
        entries.VIEW_BOXES,
        entries.RECTANGLES,
        entries.VOLUME_MAP,
      )
    )
    if entry.of:
      volume = entry.kind == entries.VOLUME_MAP
      kind = entries.VOLUME if volume else entries.PIXELS
      assert entries.ENTRIES[entry.of].kind == kind
    several = (entries.APART, entries.ALIKE) if entry.several else ("",)
    assert entry.several in several
    assert entry.remedy


def test_an_unknown_name_is_a_number_as_stored():
  entry = entries.of("heat")
  assert entry.kind == entries.NUMBERS and entry.shape is None
  assert not entry.sent


@pytest.mark.parametrize(
  ("shape", "side", "fit"),
  [
    ((8, 8), (32, 32), True),
    ((94, 125), (375, 500), True),
    ((94, 125, 3), (375, 500), True),
    ((125, 94), (375, 500), False),
    ((6, 64, 64), (64, 64), False),
    ((64,), (64, 64), False),
  ],
)
def test_a_map_has_the_aspect_of_its_image(shape, side, fit):
  assert entries.fits(shape, *side) == fit


def test_what_goes_with_an_image_is_named_and_nothing_else():
  names = ["segmentation", "boxes", "objects", "points", "label", "image"]
  assert set(entries.going_with("image", names)) == {"segmentation", "objects"}
  assert set(entries.going_with("views", names)) == {"boxes"}
  assert not entries.going_with("video", names)


def test_pictures_and_labels_travel_beside_what_is_read():
  assert entries.sent(["tokens", "label"]) == ("image", "label", "tokens")


def test_service_is_for_no_method():
  names = ["index", "valid", "image", "anything"]
  assert entries.readable(names) == ["image", "anything"]


def test_stored_pictures_are_those_of_the_table():
  assert entries.FEATURES == {"image", "video", "volume", "low", "high"}
  assert set(entries.PICTURES) == {"pair"}


def test_the_documentation_lists_every_entry():
  text = (ROOT / "docs" / "data.md").read_text()
  rows = re.findall(r"^\| (`\w+`[^|]*)\|", text.partition("can read")[2], re.M)
  listed = set(re.findall(r"`(\w+)`", " ".join(rows)))
  service = set(entries.among(entries.ENTRIES, entries.SERVICE))
  assert set(entries.ENTRIES) - service <= listed


def test_image_is_the_shape_of_one():
  assert settings.Data(size=8, channels=1).image == (8, 8, 1)
