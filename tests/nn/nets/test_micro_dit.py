import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn.nets import micro_dit

LAYER = micro_dit.Layer(inner=8, hidden=8)
MOE = dataclasses.replace(LAYER, experts=2)
NET = micro_dit.MicroDiT(
  width=16,
  head=4,
  patch=2,
  grid=(4, 4),
  out=3,
  layers=(LAYER, MOE, LAYER),
  mixer=(LAYER,),
  mixer_width=8,
  text_hidden=8,
)
NAIVE = NET.clone(mixer=(), mixer_width=16)


@pytest.fixture(scope="module")
def inputs(normal):
  return (
    normal(2, 8, 8, 3),
    normal(2, seed=1),
    normal(2, 3, 5, seed=2),
  )


@pytest.fixture(scope="module")
def mask():
  scores = np.random.default_rng(3).uniform(size=(2, 16))
  return masking.from_scores(scores, 4)


def run(net, variables, inputs, mask=None):
  return jax.jit(net.apply)(variables, *inputs, mask)


@pytest.mark.parametrize("net, sees", [(NET, True), (NAIVE, False)])
def test_kept_patches_know_of_removed_ones_through_the_mixer_alone(
  net, sees, inputs, mask, fill
):
  variables, (x, t, told) = fill(net, *inputs), inputs
  first = run(net, variables, inputs, mask)["pred"]
  gone = int(np.flatnonzero(mask.mask[0])[0])
  row, column = np.array(divmod(gone, 4)) * 2
  moved = x.copy()
  moved[0, row : row + 2, column : column + 2] += 1.0
  second = run(net, variables, (moved, t, told), mask)["pred"]
  change = np.abs(first - second)
  assert (change.max() > 1e-4) == sees
  assert not change[1].any()


def test_what_is_removed_is_zero_and_what_is_kept_is_not(inputs, mask, fill):
  pred = run(NET, fill(NET, *inputs), inputs, mask)["pred"]
  patches = np.asarray(pred).reshape(2, 4, 2, 4, 2, 3).swapaxes(2, 3)
  size = np.abs(patches).reshape(2, 16, -1).max(-1)
  np.testing.assert_array_equal(size == 0, mask.mask == 1)


def test_keeping_all_in_any_order_changes_nothing(inputs, fill):
  variables = fill(NET, *inputs)
  scores = np.random.default_rng(5).uniform(size=(2, 16))
  every = masking.from_scores(scores, 16)
  whole, shuffled = (
    run(NET, variables, inputs, m)["pred"] for m in (None, every)
  )
  np.testing.assert_allclose(whole, shuffled, atol=2e-5)


def test_maps_stand_around_a_mixer_of_another_width_only(inputs):
  def names(net):
    made = jax.eval_shape(lambda k: net.init(k, *inputs), jax.random.key(0))
    return set(made["params"])

  maps = {"mixer_in", "mixer_out", "mixer_text"}
  maps |= {f"{name}_norm" for name in maps}
  wide = names(NET.clone(mixer_width=16))
  assert names(NET) - wide == maps and not wide & maps
  assert wide - names(NAIVE) == {"mixer_0"}


def test_recomputation_changes_nothing(inputs, mask, fill):
  variables = fill(NET, *inputs)

  def grad(rt):
    net = NET.clone(rt=rt)
    loss = lambda v: (net.apply(v, *inputs, mask)["pred"] ** 2).sum()
    return jax.jit(jax.grad(loss))(variables)

  one, other = grad(runtime.Runtime()), grad(runtime.Runtime(remat="full"))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3),
    one,
    other,
  )


def test_positions_of_a_grid_twice_as_fine_lie_between_those_before():
  coarse, fine = (
    micro_dit.posemb.sincos_2d(16, grid, step=step)
    for grid, step in (((4, 4), 1.0), ((8, 8), 0.5))
  )
  np.testing.assert_allclose(
    fine.reshape(8, 8, 16)[::2, ::2], coarse.reshape(4, 4, 16), atol=1e-6
  )


def test_captions_act_by_cross_attention_and_the_condition_alone(inputs, fill):
  x, t, told = inputs
  variables = fill(NET, *inputs)
  p = variables["params"]
  change = lambda: np.abs(
    run(NET, variables, inputs)["pred"]
    - run(NET, variables, (x, t, -told))["pred"]
  ).max()
  assert change() > 1e-3
  for name in ("block_0", "block_1", "block_2", "mixer_0"):
    p[name]["cross"]["proj"]["kernel"][:] = 0
  assert change() > 1e-5  # by the condition
  p["text_pool"]["fc2"]["kernel"][:] = 0
  assert change() == 0
