import types

import numpy as np
import pytest

from jmim.data import decode
from jmim.data import shape_pictures
from jmim.data.procedural import spots
from jmim.data.procedural import tiny

MADE = {
  "spot": (shape_pictures.spot_features, shape_pictures.spot),
  "told": (shape_pictures.told_features, shape_pictures.told),
}


@pytest.mark.parametrize("name", MADE)
def test_examples_have_the_features_that_are_declared(name):
  features, make = MADE[name]
  config = types.SimpleNamespace(size=16)
  declared, made = features(config), make(config, np.random.default_rng(0))
  assert declared.keys() == made.keys()
  image = decode.decode(made["image"].getvalue(), 3)
  assert image.shape == declared["image"].shape


def test_labels_are_the_colour_and_the_kind_that_are_named_first():
  for seed in range(20):
    made = shape_pictures.told(None, np.random.default_rng(seed))
    colour, kind = made["caption"].split()[:2]
    assert tiny.COLOURS[made["label"]] == colour
    assert tiny.KINDS[made["kind"]] == kind
    assert made["count"] == 1 + ("left" in made["caption"])
    np.testing.assert_array_equal(made["tokens"], tiny.tokens(made["caption"]))


def test_a_spot_is_of_its_label():
  config = types.SimpleNamespace(size=32)
  rng = lambda: np.random.default_rng(3)
  made, again = shape_pictures.spot(config, rng()), rng()
  label = int(again.integers(len(spots.KINDS)))
  image = spots.spot(32, label, again).round().clip(0, 255)
  assert made["label"] == label
  np.testing.assert_array_equal(
    decode.decode(made["image"].getvalue(), 3), image.astype(np.uint8)
  )
