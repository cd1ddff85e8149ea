import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import validate
from jmim.methods.parts import mixing as mixings
from jmim.methods.parts import swin_dims
from jmim.methods.supervised import swin

TINY = swin.Swin.tiny()


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(1)
  images = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
  return {"image": images, "label": np.array([0, 5], np.int32)}


@pytest.fixture(scope="module")
def params(batch):
  return jax.jit(TINY.init)(jax.random.key(0), batch)[0]


def test_kernels_start_normal_of_std_002(params):
  main = params["main"]
  for kernel in (
    main["encoder"]["patch_embed"]["proj"]["kernel"],
    main["encoder"]["stage0"]["layers"]["block"]["mlp"]["fc1"]["kernel"],
    main["head"]["out"]["kernel"],
  ):
    std = np.asarray(kernel).std()
    assert std == pytest.approx(0.02, rel=4 / (2 * kernel.size) ** 0.5)


def test_the_head_reads_the_mean_of_all_tokens(params, batch):
  big = jax.tree.map(lambda x: 5 * x, params)
  weights = methods.Weights(big)
  z = jax.jit(TINY.encode)(weights, batch)["latent"]
  assert z.shape == (2, 16, 32)
  out = big["main"]["head"]["out"]
  logits = jax.jit(TINY.predict()["logits"])(weights, batch, None)
  np.testing.assert_allclose(
    logits, z.mean(1) @ out["kernel"] + out["bias"], atol=1e-4
  )
  tokens = jax.jit(TINY.predict()["tokens"])(weights, batch, None)
  np.testing.assert_allclose(tokens.reshape(2, 16, 32), z, atol=1e-5)


def test_drop_factors_are_those_of_all_stages(params, batch):
  m = dataclasses.replace(TINY, drop_path=0.5)
  draws = m.drawn(jax.random.key(0), {"image": jnp.zeros((2000, 16, 16, 3))})
  rates = (np.asarray(draws["drop"]) == 0).mean((0, 2))
  np.testing.assert_allclose(rates, [0, 0.25, 0.5], atol=0.03)
  weights = methods.Weights(params)
  kept = m.drawn(jax.random.key(1), batch) | {"drop": jnp.ones((2, 3, 2))}
  loss = jax.jit(m.loss)
  without = {name: x for name, x in kept.items() if name != "drop"}
  np.testing.assert_allclose(
    loss(weights, batch, kept, 0)[0],
    loss(weights, batch, without, 0)[0],
    rtol=1e-6,
  )


def test_flat_keys_of_older_recipes_and_of_config_files_are_read():
  older = dict(
    type="supervised.swin",
    variant="SwinT/2",
    size=16,
    width=16,
    depths=[2, 1],
    heads=(2, 4),
    window=4,
    mlp_ratio=2.0,
    classes=6,
    drop_path=0.2,
    mixup=0.8,
    cutmix=0.5,
    patch_norm=False,
  )
  m = validate.build(swin.Swin, older, "method")
  assert m == swin.Swin(
    size=16,
    classes=6,
    dims=swin_dims.SwinDims(
      variant="SwinT/2",
      width=16,
      depths=(2, 1),
      heads=(2, 4),
      window=4,
      mlp_ratio=2.0,
    ),
    mixing=mixings.Mixing(cutmix=0.5),
    drop_path=0.2,
    patch_norm=False,
  )
  assert m.encoder.size.depths == (2, 1)


@pytest.mark.parametrize(
  "fields, words",
  [
    (dict(variant="SwinT/3"), "size 16 does not divide by patch 3"),
    (dict(variant="SwinT/2", depths=(1, 1)), "2 depths and 4 heads"),
    (dict(variant="B/2"), "not '<size>/<patch>' with a size of SwinT"),
  ],
)
def test_what_cannot_be_built_is_named(fields, words):
  m = dataclasses.replace(TINY, dims=swin_dims.SwinDims(**fields))
  with pytest.raises(ValueError, match=words):
    m.inputs()
