"""Invariants of the second stage."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.edit import diffdub_speech

M = field.replace(
  diffdub_speech.DiffDubSpeech.tiny(),
  blocks=dict(dropout=0.0),
  dims=dict(cross_dropout=0.0),
)
RNG = np.random.default_rng(0)
SOUND = RNG.normal(size=(3, 2, 18, 5)).astype(np.float32)
CODES = RNG.normal(size=(3, 9, 4)).astype(np.float32)
BATCH = {"sound": jnp.asarray(SOUND), "codes": jnp.asarray(CODES)}


@pytest.fixture(scope="module")
def weights():
  params, extra = jax.eval_shape(M.init, jax.random.key(0), BATCH)
  fill = lambda s: jnp.asarray(0.3 * RNG.normal(size=s.shape), jnp.float32)
  extra = jax.tree.map(lambda s: jnp.ones(s.shape), extra)
  return methods.Weights(jax.tree.map(fill, params), extra)


def loss(m, weights, batch=BATCH, start=(0, 0, 0)):
  draws = {"start": jnp.asarray(start)}
  return jax.jit(lambda w, b: m.loss(w, b, draws, 0))(weights, batch)[0]


def test_windows_are_cut_where_they_begin():
  start = jnp.array([0, 1, 1])
  heard, known, truth, valid = M.window(BATCH, start)
  for i, s in enumerate(start.tolist()):
    np.testing.assert_array_equal(heard[i], SOUND[i, :, 2 * s : 2 * s + 10])
    np.testing.assert_array_equal(truth[i], CODES[i, s : s + 5])
    np.testing.assert_array_equal(known[i], CODES[i, s + 5 : s + 8])
  assert valid.all()
  drawn = [M.drawn(jax.random.key(i), BATCH)["start"] for i in range(30)]
  assert set(np.concatenate(drawn)) == {0, 1}


def test_frames_behind_the_end_do_not_count(weights):
  padded = dataclasses.replace(M, padded=True)
  assert padded.inputs()["valid"].high == 10
  end = {"valid": jnp.array([3, 9, 5])}
  value = loss(padded, weights, BATCH | end)
  moved = CODES.copy()
  moved[0, 3:5] += 2  # of the window's five frames
  again = loss(padded, weights, BATCH | end | {"codes": jnp.asarray(moved)})
  np.testing.assert_allclose(again, value, rtol=1e-6)
  moved[0, 2] += 2
  changed = loss(padded, weights, BATCH | end | {"codes": jnp.asarray(moved)})
  assert abs(changed - value) > 1e-3
  # Over all frames, those that do not count among them.
  none = loss(padded, weights, BATCH | {"valid": jnp.zeros(3, jnp.int32)})
  assert none == 0


def test_shares_of_layers_start_equal_and_sum_to_one(weights):
  params, extra = jax.jit(lambda k: M.init(k, BATCH))(jax.random.key(0))
  np.testing.assert_allclose(M.shares(methods.Weights(params, extra)), 0.5)
  np.testing.assert_allclose(M.shares(weights).sum(), 1, rtol=1e-6)
  found = M.predict()["shares"](weights, BATCH, jax.random.key(0))
  assert found.keys() == {"layer0", "layer1"} and found["layer1"].shape == (3,)


def test_statistics_move_and_are_read(weights):
  draws = {"start": jnp.zeros(3, jnp.int32)}
  step = jax.jit(lambda w: M.loss(w, BATCH, draws, 0)[1])
  new = M.after(weights, step(weights), 0)
  assert jax.tree.structure(new) == jax.tree.structure(weights.extra)
  changed = [
    np.abs(a - b).max()
    for a, b in zip(*map(jax.tree.leaves, (new, weights.extra)), strict=True)
  ]
  assert min(changed) > 0
  codes = lambda w: M.predict()["codes"](w, BATCH, jax.random.key(0))
  moved = methods.Weights(weights.params, new)
  assert np.abs(jax.jit(codes)(weights) - jax.jit(codes)(moved)).max() > 1e-4


def test_codes_are_those_of_every_frame(weights):
  run = jax.jit(lambda b: M.predict()["codes"](weights, b, jax.random.key(0)))
  made = run(BATCH)
  assert made.shape == CODES.shape and made.dtype == jnp.float32
  # The first three are what is known, unless others are given.
  given = BATCH | {"references": BATCH["codes"][:, :3]}
  np.testing.assert_array_equal(run(given), made)
  other = CODES.copy()
  other[:, 3:] += 1
  np.testing.assert_array_equal(
    run(BATCH | {"codes": jnp.asarray(other)}), made
  )


def test_errors_are_measured_against_standing_still(weights):
  run = jax.jit(lambda b: M.predict()["errors"](weights, b, jax.random.key(0)))
  found = run(BATCH)
  still = ((CODES - CODES[:, :3].mean(1, keepdims=True)) ** 2).mean((1, 2))
  np.testing.assert_allclose(found["still"], still, rtol=1e-5)


def test_errors_count_frames_before_the_end(weights):
  padded = dataclasses.replace(M, padded=True)
  run = jax.jit(
    lambda b: padded.predict()["errors"](weights, b, jax.random.key(0))
  )
  end = {"valid": jnp.array([4, 9, 0])}
  found = run(BATCH | end)
  still = (CODES - CODES[:, :3].mean(1, keepdims=True)) ** 2
  want = [still[0, :4].mean(), still[1].mean(), 0]
  np.testing.assert_allclose(found["still"], want, rtol=1e-5)
  assert np.isfinite(found["mse"]).all()


@pytest.mark.parametrize(
  "wrong, says",
  [
    (dict(frames=8), "length=9"),
    (dict(dims=dict(cross_heads=3)), "cross_heads"),
    (dict(blocks=dict(kernel=4)), "kernel"),
  ],
)
def test_what_does_not_go_together(wrong, says):
  with pytest.raises(ValueError, match=says):
    field.replace(M, **wrong).inputs()
