"""Pieces of a long clip, made by a rule that shows who saw what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import two_pass
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import long_clips

B, SHAPE = 2, (2, 4, 3)


def like(n):
  return jnp.zeros((B, n, *SHAPE))


def counting(seen):
  """Makes each frame 1 + its number + 100 b, and notes how."""

  def make(frames, known, given, number):
    n = len(frames)
    seen.append((frames, given, number))
    clip = np.repeat(np.arange(B), n)[:, None]
    value = 1.0 + np.tile(frames, (B, 1)) + 100 * clip
    made = jnp.broadcast_to(value[..., None, None, None], known.shape)
    there = np.asarray(known)[:, given]
    # What is given is what was made before.
    np.testing.assert_array_equal(there, np.asarray(made)[:, given])
    return jnp.where(given[:, None, None, None], known, made)

  return make


@pytest.mark.parametrize(
  "n, most, stride", [(8, 8, 4), (20, 4, 3), (21, 8, 4), (13, 5, 1), (9, 8, 3)]
)
def test_every_frame_is_made_once_and_comes_to_its_place(n, most, stride):
  seen = []
  part = long_clips.LongClips(frames=n, stride=stride)
  z = part.sample(counting(seen), most, like(n))
  want = 1.0 + np.arange(n) + 100 * np.arange(B)[:, None]
  np.testing.assert_array_equal(z[..., 0, 0, 0], want)
  made = np.concatenate([f[:, ~g].ravel() for f, g, _ in seen])
  assert sorted(made) == list(range(n))
  assert len({number for *_, number in seen}) == len(seen)


def sampled(part, most, scale=1.0, seed=0, calls=None):
  """With a network that predicts part of x and of what it is told."""
  process = gaussian.Gaussian(times=20, beta_start=1e-3, beta_end=0.5)
  sampler = guided.Guided(steps=3, clip=0.0, guidance=scale)

  def network(x, t, shown):
    if calls is not None:
      calls.append((x.shape, shown["beside"]["pose"].shape, t.shape))
    given = shown["given"][..., None, None, None]
    x = jnp.where(given, shown["known"], x)
    mean = x.mean(1, keepdims=True)
    keep = shown["keep"][:, None, None, None, None]
    return 0.5 * x + 0.1 * mean + 0.3 * shown["beside"]["pose"] + keep

  shown = {
    "told": jnp.zeros((B, 1)),
    "beside": {"pose": like(part.frames).at[1].set(1.0)},
  }
  both = lambda told: (
    told | {"keep": jnp.ones(len(told["told"]))},
    told | {"keep": jnp.zeros(len(told["told"]))},
  )
  make = long_clips.maker(
    sampler,
    process,
    network,
    shown=shown,
    both=both,
    batch={"index": jnp.arange(B)},
    key=jax.random.key(seed),
  )
  return make, part.sample(make, most, like(part.frames))


def test_given_frames_come_back_unchanged():
  make, _ = sampled(long_clips.LongClips(frames=9, stride=3), 8)
  frames = np.array([[0, 1, 2, 3], [3, 4, 5, 6]])
  known = jax.random.normal(jax.random.key(3), (2 * B, 4, *SHAPE))
  given = np.array([True, False, False, True])
  out = make(frames, known, given, 1)
  np.testing.assert_array_equal(out[:, given], known[:, given])
  assert np.abs(out[:, ~given] - known[:, ~given]).min() > 1e-4


def test_guidance_of_scale_1_is_one_call_and_the_plain_prediction():
  part, calls = long_clips.LongClips(frames=4), []
  _, plain = sampled(part, 8, calls=calls)
  assert {x[0] for x, *_ in calls} == {B}
  # With both predictions equal any scale gives the same.
  _, guided_by = sampled(part, 8, scale=2.0, calls=calls)
  assert {x[0] for x, *_ in calls} == {B, 2 * B}
  assert np.abs(plain - guided_by).max() > 1e-3


def test_pieces_have_noise_of_their_own_and_samples_do_not_depend_on_others():
  part = long_clips.LongClips(frames=13, stride=4)
  _, z = sampled(part, 8)
  flat = np.asarray(z).reshape(B * 13, -1)
  assert np.isfinite(flat).all()
  gaps = np.abs(flat[:, None] - flat[None]).max(-1)
  assert gaps[~np.eye(len(gaps), dtype=bool)].min() > 1e-3
  again, other = sampled(part, 8)[1], sampled(part, 8, seed=1)[1]
  np.testing.assert_array_equal(z, again)
  assert np.abs(z - other).max() > 1e-2


def test_pieces_of_one_length_are_a_batch_with_their_own_frames():
  calls = []
  part = long_clips.LongClips(frames=13, stride=4)
  sampled(part, 8, calls=calls)
  chunks, between = two_pass.plan(13, 8, 4)
  sizes = {(x[0], x[1]) for x, *_ in calls}
  assert sizes == {(B, len(chunks[0].frames)), (B * len(between), 5)}
  assert all(x == beside for x, beside, _ in calls)


@pytest.mark.parametrize(
  "own, given, told",
  [
    (dict(frames=30), 2, "long.frames=30 of the 20"),
    (dict(frames=20, stride=8), 2, "long.stride 8.*clip.frames"),
    (dict(frames=20, stride=4), 1, "2 are given.*clip.given"),
    (dict(frames=20, stride=1), 0, "1 are given"),
  ],
)
def test_what_cannot_be_made_is_refused(own, given, told):
  long_clips.LongClips(frames=20).check(20, 8, 2)
  long_clips.LongClips(frames=8).check(20, 8, 0)
  with pytest.raises(ValueError, match=told):
    long_clips.LongClips(**own).check(20, 8, given)
