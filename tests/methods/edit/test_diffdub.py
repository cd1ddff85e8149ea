"""Invariants of the renderer that the card names; goldens have the numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.edit import diffdub
from jmim.methods.parts import shown_frames

M = diffdub.DiffDub.tiny()
RNG = np.random.default_rng(0)
IMAGES = np.tanh(RNG.normal(size=(2, 2, 8, 8, 3))).astype(np.float32)
BATCH = {"image": jnp.asarray(IMAGES)}
STILL = dict(flip=0.0, colour=0.0, blur=0.0, move=0.0)


@pytest.fixture(scope="module")
def weights():
  """No leaf is zero: last layers would hide what is before them."""
  shapes, _ = jax.eval_shape(M.init, jax.random.key(0), BATCH)
  fill = lambda s: jnp.asarray(0.2 * RNG.normal(size=s.shape), jnp.float32)
  return methods.Weights(jax.tree.map(fill, shapes))


def loss(m, weights, batch, key=1):
  draws = m.drawn(jax.random.key(key), batch)
  return jax.jit(lambda w, b: m.loss(w, b, draws, 0))(weights, batch)[0]


def without_code(weights):
  """The same where no block is told what the code is."""
  zero = lambda n, x: jnp.zeros_like(x) if "/code/" in n else x
  named = {n: zero(n, x) for n, x in trees.named(weights.params).items()}
  return methods.Weights(trees.nested(named))


def error(m, weights, keep, image=IMAGES):
  """(loss [b], x_t, prediction) under a mask."""
  batch = {"image": jnp.asarray(image)}
  shown, draws = (
    shown_frames.first(batch, 1),
    m.drawn(jax.random.key(1), batch),
  )
  code = jnp.ones((2, m.width))
  run = lambda w: m.frames(w).error(shown, keep, code=code, draws=draws)
  return jax.jit(run)(weights)


def test_x_t_is_the_picture_where_it_is_known_at_every_time(weights):
  keep = jnp.asarray(RNG.integers(0, 2, (2, 8, 8, 1)), jnp.float32)
  _, x_t, _ = error(M, weights, keep)
  known = np.broadcast_to(keep > 0, x_t.shape)
  np.testing.assert_array_equal(x_t[known], IMAGES[:, 0][known])
  assert (np.asarray(x_t)[~known] != IMAGES[:, 0][~known]).all()


def test_a_mask_of_ones_costs_nothing(weights):
  assert not np.asarray(error(M, weights, jnp.ones((2, 8, 8, 1)))[0]).any()
  assert np.asarray(error(M, weights, jnp.zeros((2, 8, 8, 1)))[0]).all()


def test_noise_in_the_kept_region_is_never_seen(weights):
  """Neither in the input nor in what is compared."""
  draws = M.drawn(jax.random.key(1), BATCH)
  keep = M.face.keep(BATCH["image"][:, 0], None)
  moved = draws | {"noise": draws["noise"] + 7 * keep}
  run = jax.jit(lambda w, d: M.loss(w, BATCH, d, 0)[0])
  np.testing.assert_array_equal(run(weights, moved), run(weights, draws))
  in_hole = draws | {"noise": draws["noise"] + 7 * (1 - keep)}
  assert run(weights, in_hole) != run(weights, draws)


def test_the_gradient_of_kept_predictions_is_zero(weights):
  pred = jnp.asarray(RNG.normal(size=(2, 8, 8, 3)), jnp.float32)
  keep = M.face.keep(BATCH["image"][:, 0], None)
  grad = jax.grad(lambda p: M.clean.errors(keep, p, 0 * p).sum())(pred)
  known = np.broadcast_to(keep > 0, pred.shape)
  assert not np.asarray(grad)[known].any() and np.asarray(grad)[~known].all()


def test_a_code_whose_maps_are_zero_has_no_effect(weights):
  deaf = without_code(weights)
  m = field.replace(M, augment=STILL)
  # Another crop, the same picture elsewhere: it lies outside of what is shown.
  wide = field.replace(m, face=dict(crop=(0.0, 0.0, 1.0, 1.0)))
  assert loss(m, deaf, BATCH) == loss(wide, deaf, BATCH)
  assert loss(m, weights, BATCH) != loss(wide, weights, BATCH)


def test_augmentation_changes_the_code_alone(weights):
  plain = loss(field.replace(M, augment=STILL), weights, BATCH)
  often = loss(field.replace(M, augment=dict(flip=1.0)), weights, BATCH)
  assert plain != often
  deaf = without_code(weights)
  found = [
    loss(field.replace(M, augment=STILL | {"flip": f}), deaf, BATCH)
    for f in (0.0, 1.0)
  ]
  assert found[0] == found[1]


def test_landmarks_say_where_the_hole_is():
  m = field.replace(M, face=dict(kind="landmarks", chin=0.0, grow=0))
  assert m.inputs()["landmarks"].shape == (2, 68, 2)
  points = np.zeros((2, 2, 68, 2), np.float32)
  for k, at in {6: (1.5, 5.5), 10: (5.5, 5.5), 8: (3.5, 6.5)}.items():
    points[:, :, k] = at
  points[:, :, 21], points[:, :, 30] = (3, 0.5), (3, 3.5)
  batch = BATCH | {"landmarks": jnp.asarray(points)}
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), batch)
  fill = lambda s: jnp.asarray(0.2 * RNG.normal(size=s.shape), jnp.float32)
  own = methods.Weights(jax.tree.map(fill, shapes))
  draws = m.drawn(jax.random.key(1), batch)
  _, aux = jax.jit(lambda w, b: m.loss(w, b, draws, 0))(own, batch)
  # Rows 4 and 5, columns 2 to 5; row 6 of the chin has column 3 or 4.
  assert 8 <= float(aux["hole"]) * 64 <= 11


def test_without_hole_and_reference_it_is_diff_ae():
  m = field.replace(M, references=0, face=dict(kind="none"), augment=STILL)
  assert m.inputs()["image"].shape == (8, 8, 3)
  batch = {"image": BATCH["image"][:, 0]}
  params, _ = jax.jit(lambda k: m.init(k, batch))(jax.random.key(0))
  draws = m.drawn(jax.random.key(1), batch)
  run = jax.jit(lambda w: m.loss(w, batch, draws, 0))
  value, aux = run(methods.Weights(params))
  # A fresh network predicts nothing: the error is that of the noise, whole.
  assert float(aux["hole"]) == 1
  np.testing.assert_allclose(value, (draws["noise"] ** 2).mean(), rtol=1e-5)


@pytest.mark.parametrize(
  "wrong, says",
  [
    (dict(sampling=dict(guidance=2.0)), "sampling.guidance"),
    (dict(dims=dict(dropout=0.1)), "dims.dropout"),
    (dict(face=dict(hole=(0.5, 0, 0.5, 1))), "face.hole"),
    (dict(size=9), "size"),
  ],
)
def test_what_does_not_go_together(wrong, says):
  with pytest.raises(ValueError, match=says):
    field.replace(M, **wrong).inputs()
