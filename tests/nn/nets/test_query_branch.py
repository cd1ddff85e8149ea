import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn.nets import query_branch
from jmim.nn.nets import unet

RNG = np.random.default_rng(0)
B, D = 2, 6
MAPS = [
  RNG.normal(size=(B, side, side, wide)).astype(np.float32)
  for side, wide in ((4, 8), (2, 16), (2, 16), (4, 8))
]
X, T = RNG.normal(size=(B, D)).astype(np.float32), np.array([3.0, 700.0])
NET = query_branch.QueryBranch(tokens=2, head_width=4, groups=4)


@pytest.fixture(scope="module")
def run(fill):
  variables = fill(NET, X, T, MAPS)
  return jax.jit(lambda x, t, maps: NET.apply(variables, x, t, maps))


def test_the_vector_its_time_and_every_map_are_read(run):
  found = run(X, T, MAPS)
  assert found.shape == X.shape and found.dtype == jnp.float32
  changed = {"vector": (X + 1, T, MAPS), "time": (X, T + 50, MAPS)}
  for i, one in enumerate(MAPS):
    other = [*MAPS[:i], one[::-1], *MAPS[i + 1 :]]
    changed[f"map {i}"] = (X, T, other)
  for name, given in changed.items():
    assert np.abs(run(*given) - found).max(-1).min() > 1e-4, name


def test_what_a_map_shows_counts_and_not_where_nor_how_strong(run):
  """Keys are a set, and normalised."""
  found = run(X, T, MAPS)
  moved = [m[:, ::-1, ::-1] for m in MAPS]
  np.testing.assert_allclose(run(X, T, moved), found, atol=2e-5)
  louder = [3 * m for m in MAPS]
  np.testing.assert_allclose(run(X, T, louder), found, atol=2e-3)


def test_examples_do_not_see_each_other(run):
  turned = run(X[::-1], T[::-1], [m[::-1] for m in MAPS])
  np.testing.assert_allclose(turned[::-1], run(X, T, MAPS), atol=1e-5)


def test_the_branch_is_as_wide_as_each_scale(fill):
  made = fill(NET, X, T, MAPS)["params"]
  widths = [made[f"norm_mlp_{i}"]["scale"].shape[0] for i in range(4)]
  assert widths == [8, 16, 16, 8]
  assert {n for n in made if n.startswith("width_")} == {"width_1", "width_3"}
  assert made["embed"]["kernel"].shape == (D, 2 * 8)


def test_dimensions_make_it_for_the_levels_of_a_unet(fill):
  dims, rt = query_branch.Dims(tokens=2, head_width=4), runtime.Runtime()
  levels = unet.Dims(width=8, multipliers=(1, 2), norm_groups=4)
  assert dims.net(levels, rt) == NET
  maps = [np.zeros((1, 1, 1, c)) for c in (8, 16, 16, 16, 8)]
  wanted = fill(NET, X[:1], T[:1], maps)["params"]
  shapes = lambda tree: jax.tree.map(jnp.shape, tree)
  made = jax.eval_shape(
    lambda key: dims.init(key, levels, D, rt), jax.random.key(0)
  )
  assert shapes(made) == shapes(wanted)
  dims.check(levels, "branch.")
  with pytest.raises(ValueError, match=r"branch\.head_width 4 .* 10"):
    dims.check(unet.Dims(width=10, multipliers=(1, 2)), "branch.")
