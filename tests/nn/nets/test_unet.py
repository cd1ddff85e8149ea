import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn.nets import unet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
T = np.array([3.0, 700.0])
DIMS = unet.Dims(
  width=8,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(2,),
  heads=2,
  norm_groups=4,
  dropout=0.0,
)


def net(**fields):
  return unet.UNet(
    width=8,
    multipliers=(1, 2),
    blocks=1,
    attend_at=(2,),
    heads=2,
    groups=4,
    **fields,
  )


def test_the_prediction_starts_at_zero():
  start = jax.jit(net().init_with_output)
  found, variables = start(jax.random.key(0), X, T)
  assert not np.asarray(found).any() and found.shape == X.shape
  assert "conv_out" in variables["params"]


@pytest.mark.parametrize("updown", [False, True])
def test_time_and_label_reach_every_pixel(fill, updown):
  model = net(classes=3, updown=updown, scale_shift=updown)
  label = np.array([0, 2])
  variables = fill(model, X, T, label)
  apply = jax.jit(lambda t, y: model.apply(variables, X, t, y))
  found = apply(T, label)
  assert np.abs(apply(T + 50, label) - found).max(-1).min() > 1e-4
  none = apply(T, np.array([0, 3]))  # `classes` is none
  np.testing.assert_allclose(none[0], found[0], atol=1e-5)
  assert np.abs(none[1] - found[1]).max() > 1e-4


def test_heads_are_so_many_or_so_wide_and_may_differ_going_up():
  assert net().heads_at(16) == 2
  assert net(up_heads=4).heads_at(16, up=True) == 4
  wide = unet.UNet(heads=0, head_width=8)
  assert wide.heads_at(32) == wide.heads_at(32, up=True) == 4


def test_resampling_without_convolutions_has_no_parameters():
  names = lambda **f: set(
    jax.eval_shape(net(**f).init, jax.random.key(0), X, T)["params"]
  )
  convolutions = {"down0_conv", "up1_conv"}
  assert convolutions <= names()
  assert not convolutions & names(resample_conv=False)
  assert {"down0_half", "up1_twice"} <= names(updown=True)


def test_dims_make_the_network_they_name():
  made = DIMS.net(out=5, classes=2)
  assert made == net(out=5, classes=2)
  DIMS.check(8)


@pytest.mark.parametrize(
  "fields, side, seen",
  [
    ({}, 7, "does not divide by 2"),
    (dict(heads=3), 8, "by 3 heads"),
    (dict(heads=0, head_width=5), 8, "head_width 5"),
    (dict(norm_groups=3), 8, "3 norm_groups"),
  ],
)
def test_dims_that_cannot_be_built_are_refused(fields, side, seen):
  with pytest.raises(ValueError, match=seen):
    dataclasses.replace(DIMS, **fields).check(side)


def test_a_context_is_needed_by_a_transformer(fill):
  model = net(transformer=1)
  context = RNG.normal(size=(2, 3, 6)).astype(np.float32)
  variables = fill(model, X, T, None, context)
  apply = jax.jit(lambda c: model.apply(variables, X, T, None, c))
  moved = np.abs(apply(context + 1.0) - apply(context))
  assert moved.max() > 1e-4
  assert jnp.isfinite(moved).all()
