import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import backbone
from jmim.nn import sizes
from jmim.nn.decoders import heads

TINY = backbone.Backbone(
  size=16,
  classes=6,
  dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
  mixing=mixings.Mixing(mixup=0.0, cutmix=0.0),
  registers=2,
)


def make(**fields):
  return dataclasses.replace(TINY, **fields)


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


@pytest.mark.parametrize("pool", heads.POOLS)
def test_the_head_reads_the_pool(images, pool):
  method = make(pool=pool)
  params = filled(method, images)
  z = method.encode(methods.Weights(params), {"image": images})["latent"]
  assert z.shape == (2, 1 + 2 + 16, 32)
  parts = {"cls": z[:, 0], "mean": z[:, 3:].mean(1)}
  pooled = jnp.concatenate([parts[p] for p in pool.split("_")], axis=-1)
  out = params["main"]["head"]["out"]
  np.testing.assert_allclose(
    method.logits(params, images),
    pooled @ out["kernel"] + out["bias"],
    atol=1e-4,
  )


def test_evaluators_see_neither_class_nor_register_tokens(images):
  params = filled(TINY, images)
  weights, batch = methods.Weights(params), {"image": images}
  z = TINY.encode(weights, batch)["latent"]
  outputs = {n: f(weights, batch, None) for n, f in TINY.predict().items()}
  np.testing.assert_allclose(outputs["features"], z[:, 3:].mean(1), atol=1e-6)
  np.testing.assert_allclose(outputs["cls"], z[:, 0], atol=1e-6)
  np.testing.assert_allclose(outputs["tokens"][:, 0, 0], z[:, 3], atol=1e-6)


def test_one_table_for_all_blocks_is_equal_tables_in_each(images):
  shared = make(
    registers=0, positions="none", key_bias=False, relative="shared"
  )
  params = filled(shared, images)
  each = dataclasses.replace(shared, relative="block")
  copy = jax.tree.map(lambda a: a, params)
  table = copy["main"]["encoder"].pop("rel_pos_bias")["table"]
  layers = copy["main"]["encoder"]["blocks"]["layers"]
  layers["relative"] = {"table": jnp.stack([table] * 2)}
  want = shared.logits(params, images)
  np.testing.assert_allclose(each.logits(copy, images), want, atol=1e-5)
  layers["relative"] = {"table": jnp.stack([table, 0 * table])}
  assert np.abs(each.logits(copy, images) - want).max() > 1e-3


def test_options_that_do_not_go_together_are_refused():
  narrow = dataclasses.replace(TINY.dims, heads=16)
  for wrong in (
    dict(pool="cls", cls=False),
    dict(relative="block"),
    dict(positions="rotary", dims=narrow),
  ):
    with pytest.raises(ValueError, match=r"without cls|registers|per head"):
      make(**wrong).inputs()


def test_flat_keys_of_older_recipes_and_of_config_files_are_read():
  older = dict(
    type="supervised.backbone",
    variant="S/14",
    size=28,
    channels=1,
    width=24,
    depth=2,
    heads=3,
    mlp_ratio=2.0,
    classes=10,
    layer_scale=0.1,
    pool="mean",
    mixup=0.5,
    drop_path=0.2,
  )
  m = validate.build(backbone.Backbone, older, "method")
  assert m.dims == sizes.Dims(
    variant="S/14", width=24, depth=2, heads=3, mlp_ratio=2.0
  )
  assert m.mixing == mixings.Mixing(mixup=0.5)
  assert (m.size, m.channels, m.classes, m.drop_path) == (28, 1, 10, 0.2)
  assert (m.encoder.layer_scale, m.head.pool) == (0.1, "mean")
