import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import liif
from jmim.nn.nets import stages

NONE = liif.Dims(hidden=())


def build(variant, **changes):
  fields = dict(by_frame=False, width=4, blocks=1, codes=0, implicit=NONE)
  return stages.build(variant, rt=runtime.Runtime(), **(fields | changes))


@pytest.mark.parametrize(
  ("variant", "latents", "entry"),
  [
    ("none", (5, 8, 8, 3), {"video": (5, 8, 8, 3)}),
    ("fold2", (4, 4, 12), {"image": (8, 8, 3)}),
    ("kl-f4", (2, 3, 3), {"image": (8, 12, 3)}),
    ("kl-f4", (5, 2, 2, 3), {"video": (5, 8, 8, 3)}),
    ("deep-f2x2", (3, 4, 4, 8), {"video": (5, 8, 8, 3)}),
    ("adaptive-f2x4", (3, 2, 2, 8), {"video": (5, 8, 8, 3)}),
  ],
)
def test_shapes_of_pixels_are_those_that_are_encoded(variant, latents, entry):
  stage = build(variant)
  stage.check(latents)
  assert stage.pixels(latents) == entry
  batch = {k: np.zeros((1, *s), "f4") for k, s in entry.items()}
  params = None
  if stage.net:
    params = jax.eval_shape(stage.net.init, jax.random.key(0))
  made = jax.eval_shape(stage.encode, params, batch)
  stored = stage.moments(latents)["moments"] if stage.net else latents
  assert made.shape == (1, *stored)
  z = jax.ShapeDtypeStruct((1, *latents), np.float32)
  (pixels,) = entry.values()
  assert jax.eval_shape(stage.decode, params, z).shape == (1, *pixels)


def test_frames_are_seen_alone_where_asked():
  whole, alone = build("deep-f2x2"), build("deep-f2x2", by_frame=True)
  assert whole.whole and not alone.whole and alone.of_clips
  assert alone.pixels((3, 4, 4, 8)) == {"video": (3, 8, 8, 3)}
  assert build("kl-f4").factor == 4 and build("fold2").factor == 2
  with pytest.raises(ValueError, match="codes clips"):
    whole.check((4, 4, 8))
  with pytest.raises(ValueError, match="channels 3"):
    whole.check((3, 4, 4, 3))
