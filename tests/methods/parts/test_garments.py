import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.data.builders import dancers
from jmim.methods.parts import garments

RNG = np.random.default_rng(0)
VIDEO = jnp.asarray(RNG.normal(size=(2, 5, 6, 8, 3)), jnp.float32)


def boxes():
  """A box in each frame, at a place of its own."""
  masks = np.zeros((2, 5, 6, 8), np.int32)
  for i in range(2):
    for t in range(5):
      masks[i, t, 1 : 3 + t % 2, 2 + i : 6 + i] = 1
  return jnp.asarray(masks)


MASKS = boxes()
WHOLE = dict(frames=VIDEO, masks=MASKS)


def test_a_box_is_stretched_to_the_size():
  found = garments.cut(VIDEO[:, 0], MASKS[:, 0], (2, 4))
  want = jnp.stack([VIDEO[0, 0, 1:3, 2:6], VIDEO[1, 0, 1:3, 3:7]])
  np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
  flat = jnp.full((2, 6, 8, 3), 0.7)
  large = garments.cut(flat, MASKS[:, 1], (8, 8))
  np.testing.assert_allclose(large, 0.7, rtol=1e-5)


def test_what_is_around_the_mask_is_0_and_nothing_of_nothing():
  mask = MASKS[:, 0].at[:, 1, 4].set(0)  # a hole in the box
  found = garments.cut(VIDEO[:, 0], mask, (2, 4))
  np.testing.assert_array_equal(found[0, 0, 2], 0)
  np.testing.assert_array_equal(found[1, 0, 1], 0)
  none = garments.cut(VIDEO[:, 0], jnp.zeros_like(mask), (2, 4))
  np.testing.assert_array_equal(none, 0)


@pytest.mark.parametrize("source", ["video", "clip"])
def test_the_frame_is_drawn_of_the_video_or_of_the_clip(source):
  part = garments.Garments(source=source, size=(2, 4))
  chosen = jnp.array([[1, 3], [0, 2]])
  among = {"video": [range(5)] * 2, "clip": np.asarray(chosen)}[source]
  hit = [set(), set()]
  for u in np.linspace(0, 1 - 1e-7, 11):
    draws = {"reference": jnp.full(2, u)}
    found = part.picture({}, draws, **WHOLE, chosen=chosen)
    for i in range(2):
      (t,) = [
        t
        for t in range(5)
        if np.allclose(
          garments.cut(VIDEO[i, t][None], MASKS[i, t][None], (2, 4))[0],
          found[i],
          atol=1e-6,
        )
      ]
      hit[i].add(t)
  assert hit == [set(x) for x in among]
  drawn = part.draw(randomness.Keys(jax.random.key(0)), (7, 2, 3))
  assert drawn["reference"].shape == (7,)


def test_a_stored_garment_is_read_and_nothing_is_drawn():
  part = garments.Garments(source="stored", size=(2, 4), tokens=3, width=5)
  batch = {name: jnp.ones((2, 2, 4, 3)) for name in ("garment", "other")}
  batch["garment_embedding"] = jnp.zeros((2, 3, 5))
  assert part.picture(batch, {}, **WHOLE, chosen=None) is batch["garment"]
  assert part.embedding(batch, "garment").shape == (2, 3, 5)
  assert part.draw(randomness.Keys(jax.random.key(0)), (7,)) == {}
  inputs = {n: x.shape for n, x in part.inputs(3).items()}
  assert inputs == {
    **dict.fromkeys(("garment", "other"), (2, 4, 3)),
    **dict.fromkeys(("garment_embedding", "other_embedding"), (3, 5)),
  }
  cut = garments.Garments(size=(2, 4))
  assert set(cut.inputs(3)) == {"other"}
  assert cut.embedding(batch, "garment") is None


def test_a_garment_cut_out_of_a_dancer_has_its_colours():
  config = dancers.Dancers.BUILDER_CONFIGS[0]
  x = dancers.Dancers.example(config, "train", 3)
  few = lambda name: jnp.asarray(x[name][:4], jnp.float32)
  frames, masks = few("frames"), few("masks")
  found = garments.cut(frames / 255, masks, (16, 16))
  flat = x["garment"].mean((0, 1)) / 255
  middle = found[:, 4:12, 4:12].mean((1, 2))
  assert np.abs(middle - flat).max() < 0.15


def test_sides_that_patches_do_not_divide_are_refused():
  garments.Garments(size=(4, 8)).check(4)
  with pytest.raises(ValueError, match=r"garments.size=\(4, 6\)"):
    garments.Garments(size=(4, 6)).check(4)
