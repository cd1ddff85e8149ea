import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import discovery
from jmim.methods.supervised import backbone

TINY = dict(
  variant="Ti/4",
  size=16,
  width=32,
  depth=2,
  heads=4,
  classes=6,
  mixup=0.0,
  cutmix=0.0,
  registers=2,
)


@pytest.fixture(scope="module")
def images():
  x = np.random.default_rng(1).normal(size=(2, 16, 16, 3))
  return jnp.asarray(x, jnp.float32)


def filled(method, images):
  rng = np.random.default_rng(0)
  batch = {"image": images, "label": jnp.zeros(2, jnp.int32)}
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
  draw = lambda s: jnp.asarray(0.3 * rng.normal(size=s.shape), s.dtype)
  return jax.tree.map(draw, shapes)


def head(params, pooled):
  out = params["main"]["head"]["out"]
  return pooled @ out["kernel"] + out["bias"]


@pytest.mark.parametrize("pool", backbone.POOLS)
def test_the_head_reads_the_pool(images, pool):
  method = backbone.Backbone(**TINY, pool=pool)
  params = filled(method, images)
  z = method.encode(params, {"image": images})["latent"]
  assert z.shape == (2, 1 + 2 + 16, 32)
  parts = {"cls": z[:, 0], "mean": z[:, 3:].mean(1)}
  pooled = jnp.concatenate([parts[p] for p in pool.split("_")], axis=-1)
  np.testing.assert_allclose(
    method.logits(params, images), head(params, pooled), atol=1e-4
  )


def test_the_head_of_a_swin_reads_the_mean(images):
  method = discovery.find("supervised.swin").tiny()
  params = filled(method, images)
  z = method.encode(params, {"image": images})["latent"]
  np.testing.assert_allclose(
    method.logits(params, images), head(params, z.mean(1)), atol=1e-4
  )


def test_one_table_for_all_blocks_is_equal_tables_in_each(images):
  plain = dict(TINY, registers=0, positions="none", key_bias=False)
  shared = backbone.Backbone(**plain, relative="shared")
  params = filled(shared, images)
  each = dataclasses.replace(shared, relative="block")
  own = jax.tree.map(lambda a: a, params)
  table = own["main"]["encoder"].pop("rel_pos_bias")["table"]
  layers = own["main"]["encoder"]["blocks"]["layers"]
  layers["relative"] = {"table": jnp.stack([table] * 2)}
  want = shared.logits(params, images)
  np.testing.assert_allclose(each.logits(own, images), want, atol=1e-5)
  layers["relative"] = {"table": jnp.stack([table, 0 * table])}
  assert np.abs(each.logits(own, images) - want).max() > 1e-3


def test_options_that_do_not_go_together_are_refused():
  for wrong in (
    dict(pool="cls", cls=False),
    dict(relative="block"),
    dict(positions="rotary", heads=16),
  ):
    with pytest.raises(ValueError, match=r"without cls|registers|per head"):
      backbone.Backbone(**(TINY | wrong)).inputs()
