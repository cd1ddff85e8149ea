import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import dense_features
from jmim.nn import resize

CONV = field.replace(
  dense_features.Convolutions(),
  dims=dict(width=8, multipliers=(1, 2), norm_groups=4),
)
VIT = field.replace(
  dense_features.Plain(), dims=dict(variant="Ti/4", width=16, depth=4, heads=2)
)
SWIN = field.replace(
  dense_features.Stages(),
  backbone=dict(
    variant="SwinT/2", width=8, depths=(1, 1), heads=(2, 2), window=2
  ),
)
BEIT = field.replace(
  dense_features.Stages(),
  backbone=dict(variant="Ti/4", width=16, depths=(2,), heads=(2,)),
)
SIDE = 16


@pytest.mark.parametrize(
  "net, sides, most",
  [
    (CONV, [(16, 8), (8, 16)], 2),
    (VIT, [(4, 16), (4, 16)], 4),
    (SWIN, [(4, 16), (4, 16)], 2),
    (BEIT, [(4, 16), (4, 16)], 2),
  ],
)
def test_maps_of_every_kind_of_network(net, sides, most):
  net.check(SIDE)
  assert net.most == most
  params = jax.eval_shape(lambda k: net.init(k, SIDE), jax.random.key(0))
  look = lambda p, x: net.maps(p, x, last=2)
  found = jax.eval_shape(look, params, jnp.zeros((3, SIDE, SIDE, 3)))
  assert [(m.shape[1], m.shape[3]) for m in found] == sides
  assert "mask_token" not in params


def test_a_vit_is_read_at_the_ends_of_equal_parts_of_its_depth():
  params = VIT.init(jax.random.key(0), SIDE)
  x = jax.random.normal(jax.random.key(1), (1, SIDE, SIDE, 3))
  net = dense_features.vit.build(VIT.dims, SIDE)
  out = net.apply({"params": params}, x, taps=("block",))
  first, last = VIT.maps(params, x, last=2)
  flat = lambda m: m.reshape(1, 16, -1)
  np.testing.assert_allclose(flat(first), out["block"][1][:, 1:], atol=1e-6)
  np.testing.assert_allclose(flat(last), out["latent"][:, 1:], atol=1e-6)


def test_every_parameter_that_is_read_gets_a_gradient():
  for net in (VIT, SWIN, BEIT):
    params = net.init(jax.random.key(0), SIDE)
    x = jax.random.normal(jax.random.key(1), (2, SIDE, SIDE, 3))
    total = lambda p, x=x, net=net: sum(
      (m**2 * jnp.arange(1.0, 1 + m.size).reshape(m.shape)).sum()
      for m in net.maps(p, x, last=2)
    )
    grads = jax.grad(total)(params)
    for path, g in jax.tree_util.tree_leaves_with_path(grads):
      name = jax.tree_util.keystr(path)
      assert np.abs(g).max() > 0, name


def test_maps_are_brought_to_one_grid():
  fine = jnp.arange(16.0).reshape(1, 4, 4, 1)
  coarse = jnp.arange(1.0, 2.0).reshape(1, 1, 1, 1)
  a, b = dense_features.gathered([fine, coarse], (2, 2))
  np.testing.assert_allclose(a[0, ..., 0], [[2.5, 4.5], [10.5, 12.5]])
  np.testing.assert_allclose(b, jnp.ones((1, 2, 2, 1)))
  (same,) = dense_features.gathered([fine], (4, 4))
  np.testing.assert_array_equal(same, resize.images(fine, (4, 4)))
