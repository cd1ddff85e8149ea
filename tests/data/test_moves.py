"""Inputs that must be moved together; more in test_inputs."""

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import moves
from jmim.data import specs

IMAGE = {"image": np.zeros((1, 4, 4, 3), np.uint8)}


@pytest.mark.parametrize("key", ["flip", "turn"])
@pytest.mark.parametrize("still", ["moments", "view_pose", "view_focal"])
def test_what_stays_beside_what_is_turned_is_refused_by_the_key(key, still):
  spec = specs.Spec(size=4, **({"flip": False} | {key: True}))
  with pytest.raises(errors.UserError) as caught:
    moves.check(spec, IMAGE, ("image", still))
  assert caught.value.key == f"data.{key}"


@pytest.mark.parametrize("still", ["moments", "landmarks", "view_focal"])
def test_what_stays_beside_a_random_crop_of_the_host(still):
  spec = specs.Spec(size=4, flip=False, host_crop="resized")
  with pytest.raises(errors.UserError, match=still) as caught:
    moves.check(spec, IMAGE, ("image", still))
  assert caught.value.key == "data.host_crop"
  assert moves.check(spec, IMAGE, (still,)) is None
  assert moves.check(spec, IMAGE, ("image", "label")) is None
  part = specs.Spec(size=4, flip=False, box=(0, 0, 2, 2))
  with pytest.raises(errors.UserError, match=still) as caught:
    moves.check(part, IMAGE, ("image", still))
  assert caught.value.key == "data.box"


def test_what_stays_alone_or_where_nothing_moves_is_fine():
  turned = specs.Spec(size=4, flip=True)
  still = specs.Spec(size=4, flip=False)
  assert moves.check(still, IMAGE, ("image", "moments")) is None
  assert moves.check(turned, IMAGE, ("moments",)) is None
  assert moves.check(turned, {}, ("image", "moments")) is None


@pytest.mark.parametrize(
  ("key", "crop"),
  [("device_crop", "pad"), ("host_crop", "resized"), ("box", (0, 0, 2, 2))],
)
def test_rectangles_of_an_image_that_is_cropped(key, crop):
  spec = specs.Spec(size=4, flip=False, **{key: crop})
  with pytest.raises(errors.UserError, match="objects") as caught:
    moves.check(spec, IMAGE, ("image", "objects"))
  assert caught.value.key == f"data.{key}"
