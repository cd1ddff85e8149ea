import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn.nets import srdiff

DIMS = srdiff.Dims(width=4, multipliers=(1, 2))
NET = DIMS.net(2, 3, runtime.Runtime())


def test_every_third_map_is_read_from_the_third_on(normal):
  maps = normal(18, 2, 4, 4, 5)
  found = srdiff.read(maps)
  assert found.shape == (2, 4, 4, 30)
  for n, i in enumerate((2, 5, 8, 11, 14, 17)):
    np.testing.assert_array_equal(found[..., 5 * n : 5 * n + 5], maps[i])
  assert srdiff.read(maps[:7]).shape[-1] == 10


@pytest.fixture(scope="module")
def made(fill, normal):
  x, seen = normal(2, 8, 8, 3), normal(2, 4, 4, 5, seed=1)
  params = fill(NET, x, np.zeros(2), seen)["params"]
  run = jax.jit(lambda p, x, t, s: NET.apply({"params": p}, x, t, s))
  return params, run, x, seen


def test_the_condition_is_added_once_and_the_time_to_every_block(made):
  params, run, x, seen = made
  names = set(trees.named(params))
  blocks = {n.split("/")[0] for n in names if "/block1/" in n}
  assert len(blocks) == 8  # two per level and in the middle, two going up
  assert {f"{b}/time/kernel" for b in blocks} <= names
  assert params["condition"]["kernel"].shape == (4, 4, 5, 4)
  t = np.array([0.0, 3.0])
  first = run(params, x, t, seen)
  assert abs(np.asarray(run(params, x, t, 0 * seen) - first)).max() > 1e-3
  moved = np.asarray(run(params, x, t + [0.0, 1.0], seen) - first)
  np.testing.assert_array_equal(moved[0], 0)
  assert abs(moved[1]).max() > 1e-4


def test_the_finest_skip_is_not_read(made):
  """The last block reads what was doubled and nothing else."""
  params, *_ = made
  assert params["last"]["conv"]["kernel"].shape == (3, 3, 4, 4)
  assert params["up1_0"]["block1"]["conv"]["kernel"].shape == (3, 3, 16, 4)


def test_parameters_of_the_published_size(normal):
  """Counted by hand: blocks, changes of side, time and condition."""
  net, seen = srdiff.Dims().net(4, 3, runtime.Runtime()), 6 * 64
  shapes = jax.eval_shape(
    net.init,
    jax.random.key(0),
    normal(1, 16, 16, 3),
    np.zeros(1),
    normal(1, 4, 4, seen),
  )
  conv = lambda i, o, k=3: k * k * i * o + o
  block = lambda i, o: (
    conv(i, o) + conv(o, o) + conv(64, o, 1) + (conv(i, o, 1) if i != o else 0)
  )
  widths = (64, 128, 192, 256)
  down = sum(
    block(i, o) + block(o, o)
    for i, o in zip((3, *widths[:-1]), widths, strict=True)
  )
  down += sum(conv(w, w) for w in widths[:-1]) + 2 * block(256, 256)
  up = sum(
    block(2 * o, i) + block(i, i) + conv(i, i, 4)
    for i, o in zip(widths[:-1], widths[1:], strict=True)
  )
  rest = conv(64, 256, 1) + conv(256, 64, 1) + conv(seen, 64, 8)
  rest += conv(64, 64) + conv(64, 3, 1)
  assert sum(x.size for x in jax.tree.leaves(shapes)) == down + up + rest


@pytest.mark.parametrize(
  "change, side, said",
  [
    ({}, 9, "size=9 with 2 levels"),
    ({}, 2, "to 2 pixels or more"),
    (dict(multipliers=(2, 4)), 8, "dims.multipliers=.*the finest"),
    (dict(width=5), 8, "dims.width=5"),
  ],
)
def test_sides_and_widths_that_do_not_fit_are_named(change, side, said):
  with pytest.raises(ValueError, match=said):
    dataclasses.replace(DIMS, **change).check(side)
  DIMS.check(8)
