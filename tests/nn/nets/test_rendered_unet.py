import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.nn.nets import rendered_unet
from jmim.nn.nets import unet

RNG = np.random.default_rng(0)
normal = lambda *shape: jnp.asarray(RNG.normal(size=shape), jnp.float32)
DIMS = unet.Dims(
  width=8,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(2,),
  heads=2,
  norm_groups=4,
  dropout=0.0,
)
NET = rendered_unet.RenderedUNet(
  net=DIMS.net(out=3, transformer=1, code="added"),
  sides=(8, 4),
  film=4,
  width=5,
)
TOLD = rendered_unet.Told(
  rendering=normal(2, 16, 16, 3),
  latent=normal(2, 8, 8, 3),
  numbers=normal(2, 6),
  tokens=normal(2, 3, 7),
  identity=normal(2, 9),
  keep_rendering=jnp.ones(2),
  keep_tokens=jnp.ones(2),
)
Z, T = normal(2, 8, 8, 3), jnp.array([1.0, 7.0])
SHAPES = jax.eval_shape(NET.init, jax.random.key(0), Z, T, TOLD)["params"]
P = jax.tree.map(lambda s: 0.2 * normal(*s.shape), SHAPES)


def run(told=TOLD, z=Z):
  return np.asarray(NET.apply({"params": P}, z, T, told))


@pytest.mark.parametrize("name", TOLD._fields[:5])
def test_everything_told_is_seen_and_can_be_left_out(name):
  """Its own condition leaves it out, of its example alone."""
  side = "tokens" if name in ("tokens", "identity") else "rendering"
  other = {name: getattr(TOLD, name) + 1}
  assert np.abs(run(TOLD._replace(**other)) - run()).max() > 1e-3
  left = {f"keep_{side}": jnp.array([0.0, 1.0])}
  a, b = run(TOLD._replace(**left)), run(TOLD._replace(**left, **other))
  np.testing.assert_allclose(a[0], b[0], atol=1e-6)
  assert np.abs(a[1] - b[1]).max() > 1e-3


def test_modulations_begin_at_0():
  fresh = trees.named(NET.init(jax.random.key(0), Z, T, TOLD)["params"])
  own = lambda n: (
    n.startswith("net/")
    and n.split("/")[2]
    in (
      "rendering",
      "identity",
    )
  )
  found = [n for n in fresh if own(n)]
  assert len(found) == 2 * 2 * 8 and not any(fresh[n].any() for n in found)
  # Eight blocks: one and two on each level going down and up, two between.
  assert len({n.split("/")[1] for n in found}) == 8


def test_features_of_a_side_are_those_of_its_mean_pixels():
  pyramid = rendered_unet.Pyramid(sides=(8, 4), width=4)
  p = pyramid.init(jax.random.key(1), TOLD.rendering)
  maps = pyramid.apply(p, TOLD.rendering)
  assert [m.shape for m in maps] == [(2, 8, 8, 4), (2, 4, 4, 4)]
  r = np.asarray(TOLD.rendering)
  small = r.reshape(2, 4, 4, 4, 4, 3).mean((2, 4))
  layer = p["params"]["conv1"]
  want = jnp.pad(small, ((0, 0), (1, 1), (1, 1), (0, 0)))
  at = want[:, 0:3, 0:3]  # of the first pixel
  y = np.einsum("bijc,ijcd->bd", at, layer["kernel"]) + layer["bias"]
  np.testing.assert_allclose(
    maps[1][:, 0, 0], y / (1 + np.exp(-y)), rtol=1e-4, atol=1e-5
  )
