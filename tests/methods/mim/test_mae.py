import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import runtime
from jmim.core import tree as trees
from jmim.masks import tokens as masking
from jmim.methods.mim import mae
from jmim.nn import patch as patching
from jmim.nn import sizes

B, N, KEEP, PIXELS = 3, 16, 4, 48
TINY = mae.MAE.tiny()
_KEY = jax.random.key(0)
_forward = jax.jit(TINY.forward)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {"image": rng.normal(size=(B, 16, 16, 3)).astype(np.float32)}


@pytest.fixture(scope="module")
def draws():
  return {"noise": np.random.default_rng(1).random((B, N), np.float32)}


@pytest.fixture(scope="module")
def params(fill, batch):
  """Every leaf normal, so that no bias or scale is trivial."""
  return fill(TINY, batch, seed=2, scale=0.2)[0]


@pytest.fixture(scope="module")
def out(params, batch, draws):
  return _forward(params, batch, draws)


def _repaint(images, where, seed=9):
  """Other pixels in the patches where [b, n] is true."""
  rng = np.random.default_rng(seed)
  patches = np.asarray(patching.patchify(images, 4))
  other = rng.normal(size=patches.shape).astype(np.float32)
  patches = np.where(where[..., None], other, patches)
  return {"image": np.asarray(patching.unpatchify(patches, 4))}


def _loss(method, params, batch, draws):
  return method.loss(methods.Weights(params), batch, draws, 0)


def test_the_smallest_noise_is_kept(out, draws):
  mask = out["mask"]
  order = np.argsort(draws["noise"], axis=1)
  np.testing.assert_array_equal(mask.keep, order[:, :KEEP])
  np.testing.assert_array_equal(mask.mask.sum(1), [N - KEEP] * B)
  assert out["latent"].shape == (B, 1 + KEEP, 32)


def test_hidden_pixels_do_not_reach_the_prediction(params, batch, draws, out):
  hidden = np.asarray(out["mask"].mask) == 1
  changed = _forward(params, _repaint(batch["image"], hidden), draws)
  np.testing.assert_array_equal(changed["pred"], out["pred"])
  seen = _forward(params, _repaint(batch["image"], ~hidden), draws)
  difference = np.abs(np.asarray(seen["pred"]) - out["pred"])
  assert difference.max(axis=-1).min() > 1e-4


def test_visible_targets_do_not_reach_the_loss(batch, out):
  mask = np.asarray(out["mask"].mask)

  def loss(images):
    error = (out["pred"] - TINY.target(images)) ** 2
    return masking.masked_mean(error.mean(-1), mask)

  expected = loss(batch["image"])
  visible = _repaint(batch["image"], mask == 0)
  assert loss(visible["image"]) == expected
  hidden = _repaint(batch["image"], mask == 1)
  assert abs(loss(hidden["image"]) - expected) > 1e-2


@pytest.mark.parametrize("norm_pix", [False, True])
def test_target_is_the_patch_normalised_by_its_unbiased_variance(
  batch, norm_pix
):
  method = dataclasses.replace(TINY, norm_pix=norm_pix)
  expected = np.asarray(patching.patchify(batch["image"], 4), np.float64)
  if norm_pix:
    mean = expected.mean(-1, keepdims=True)
    var = ((expected - mean) ** 2).sum(-1, keepdims=True) / (PIXELS - 1)
    expected = (expected - mean) / np.sqrt(var + 1e-6)
  actual = method.target(batch["image"])
  assert actual.dtype == jnp.float32
  # The biased variance would be 1 % off.
  np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_flat_patch_has_a_finite_target():
  target = TINY.target(jnp.full((1, 16, 16, 3), 0.7))
  np.testing.assert_allclose(target, np.zeros((1, N, PIXELS)), atol=1e-3)


def test_loss_is_the_mean_square_error_of_hidden_patches(
  params, batch, draws, out
):
  error = np.asarray(out["pred"] - TINY.target(batch["image"]), np.float64)
  rows = (error**2).mean(-1)
  expected = np.mean(
    [rows[b, n] for b, n in np.ndindex(B, N) if out["mask"].mask[b, n]]
  )
  loss, aux = jax.jit(lambda *a: _loss(TINY, *a))(params, batch, draws)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  assert aux == {}


def test_nothing_masked_gives_zero_loss_and_zero_gradient(params, batch, draws):
  method = dataclasses.replace(TINY, mask_ratio=0.0)
  assert not method.mask(draws).mask.any()
  step = jax.jit(
    jax.value_and_grad(lambda p: _loss(method, p, batch, draws)[0])
  )
  loss, gradient = step(params)
  assert loss == 0
  for leaf in jax.tree.leaves(gradient):
    np.testing.assert_array_equal(leaf, np.zeros_like(leaf))


def test_bfloat16_loss_is_float32_and_close(params, batch, draws):
  rt = runtime.Runtime(dtype=jnp.bfloat16, scan=True)
  half = dataclasses.replace(TINY, rt=rt)
  actual, expected = (
    jax.jit(lambda *a, m=m: _loss(m, *a)[0])(params, batch, draws)
    for m in (half, TINY)
  )
  assert actual.dtype == jnp.float32
  np.testing.assert_allclose(actual, expected, rtol=0.02)


def test_noise_is_uniform_and_depends_on_the_key_only(batch):
  many = {"image": np.zeros((500, 16, 16, 3), np.float32)}
  draw = jax.jit(TINY.drawn)
  noise = np.asarray(draw(_KEY, many, 3)["noise"])
  assert noise.shape == (500, N)
  assert noise.min() >= 0 and noise.max() < 1
  distance = np.abs(
    np.sort(noise.ravel()) - np.linspace(0, 1, noise.size)
  ).max()
  assert distance < 1.95 / noise.size**0.5
  painted = {"image": many["image"] + 1}
  np.testing.assert_array_equal(draw(_KEY, painted, 4)["noise"], noise)
  other = draw(jax.random.key(1), many, 3)["noise"]
  assert (np.asarray(other) != noise).mean() > 0.99


class Perfect(mae.MAE):
  """Predicts its target."""

  def forward(self, params, batch, draws):
    return {"pred": self.target(batch["image"]), "mask": self.mask(draws)}


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_reconstruction_is_in_the_units_of_the_image(norm_pix, channels):
  method = Perfect(
    dims=sizes.Dims(variant="Ti/4"),
    size=16,
    channels=channels,
    norm_pix=norm_pix,
  )
  rng = np.random.default_rng(0)
  images = 3 + 2 * rng.normal(size=(B, 16, 16, channels)).astype(np.float32)
  reconstruct = jax.jit(method.predict()["reconstruct"])
  shown = reconstruct(methods.Weights({}), {"image": images}, _KEY)
  np.testing.assert_allclose(shown["image"], images, atol=1e-5)


def test_reconstruction_mask_shows_the_hidden_patches(batch, params):
  weights = methods.Weights(params)
  shown = jax.jit(TINY.predict()["reconstruct"])(weights, batch, _KEY)
  hidden = TINY.mask(TINY.drawn(_KEY, batch)).mask
  pixels = np.kron(np.asarray(hidden).reshape(B, 4, 4), np.ones((4, 4)))
  np.testing.assert_array_equal(shown["mask"][..., 0], pixels)
  assert shown["image"].shape == batch["image"].shape


def test_features_are_those_of_the_unmasked_encoder(params, batch, draws):
  everything = dataclasses.replace(TINY, mask_ratio=0.0)
  out = jax.jit(everything.forward)(params, batch, draws)
  latent = np.asarray(out["latent"])
  raster = masking.take(latent[:, 1:], out["mask"].restore)
  expected = {
    "features": latent[:, 1:].mean(1),
    "cls": latent[:, 0],
    "tokens": raster.reshape(B, *TINY.grid, -1),
  }
  predict = TINY.predict()
  assert set(predict) == {*expected, "layers", "attention", "reconstruct"}
  for name, value in expected.items():
    first, second = (
      jax.jit(predict[name])(
        methods.Weights(params), batch, jax.random.key(seed)
      )
      for seed in (0, 1)
    )
    np.testing.assert_allclose(first, value, atol=1e-5)
    np.testing.assert_array_equal(first, second)


def test_layers_and_attention_are_those_of_the_blocks(params, batch):
  predict = TINY.predict()
  weights = methods.Weights(params)
  layers = jax.jit(predict["layers"])(weights, batch, _KEY)
  assert list(layers) == ["block_01", "block_02"]
  # The final norm of the last block's tokens gives the latent again.
  norm = params["main"]["encoder"]["norm"]
  out = TINY.encode(weights, batch, ("block", "attention"))
  last = out["block"][-1]
  z = (last - last.mean(-1, keepdims=True)) / jnp.sqrt(
    last.var(-1, keepdims=True) + 1e-6
  )
  np.testing.assert_allclose(
    z * norm["scale"] + norm["bias"], out["latent"], atol=1e-4
  )
  for i, mean in enumerate(layers.values()):
    np.testing.assert_allclose(mean, out["block"][i, :, 1:].mean(1), atol=1e-5)
  maps = jax.jit(predict["attention"])(weights, batch, _KEY)
  np.testing.assert_allclose(maps.sum(-1), 1, rtol=1e-5)
  for i in range(2):
    np.testing.assert_allclose(maps[:, i], out["attention"][i], atol=1e-5)


def test_features_of_bfloat16_are_float32(params, batch):
  method = dataclasses.replace(TINY, rt=runtime.Runtime(dtype=jnp.bfloat16))
  shape = jax.eval_shape(
    method.predict()["features"], methods.Weights(params), batch, _KEY
  )
  assert shape.dtype == jnp.float32


_SEEDS = 48


@pytest.fixture(scope="module")
def starts(batch):
  """Leaf name -> [seed, ...] fresh parameters."""
  init = jax.jit(jax.vmap(lambda key: TINY.init(key, batch)[0]))
  keys = jax.random.split(_KEY, _SEEDS)
  return {n: np.asarray(x) for n, x in trees.named(init(keys)).items()}


def test_kernels_start_xavier_uniform_layer_by_layer(starts):
  kernels = {n: x for n, x in starts.items() if n.endswith("kernel")}
  assert len(kernels) == 1 + 4 + 1 + 4 + 1
  for name, x in kernels.items():
    # qkv is one [w, 3w] matrix: its fan-out is 3w.
    bound = (6 / (x.shape[-2] + x.shape[-1])) ** 0.5
    layers = x.shape[1] if "/layers/" in name else 1
    for layer in x.reshape(_SEEDS, layers, -1).swapaxes(0, 1):
      assert 0.99 * bound < np.abs(layer).max() <= bound * (1 + 1e-6), name
      np.testing.assert_allclose(layer.std(), bound / 3**0.5, rtol=0.03)
      assert abs(layer.mean()) < 4 * bound / (3 * layer.size) ** 0.5


def test_biases_norms_and_tokens_start_as_released(starts):
  for name, x in starts.items():
    if name == "main/encoder/patch_embed/proj/bias":
      bound = PIXELS**-0.5
      assert 0.95 * bound < np.abs(x).max() <= bound
      np.testing.assert_allclose(x.std(), bound / 3**0.5, rtol=0.06)
    elif name.endswith("_token"):
      np.testing.assert_allclose(x.std(), 0.02, rtol=0.15)
      assert abs(x.mean()) < 4 * 0.02 / x.size**0.5
    elif name.endswith("bias"):
      assert not x.any(), name
    elif name.endswith("scale"):
      assert (x == 1).all(), name


def test_layers_and_seeds_start_differently(starts):
  kernel = starts["main/encoder/blocks/layers/mlp/fc1/kernel"]
  rows = kernel.reshape(_SEEDS * 2, -1)
  correlation = np.corrcoef(rows) - np.eye(len(rows))
  assert np.abs(correlation).max() < 6 / rows.shape[1] ** 0.5


def test_a_model_has_no_other_parameters(starts):
  names = {re.sub(r"/(kernel|bias|scale)$", "", n) for n in starts}
  block = ["attn/proj", "attn/qkv", "mlp/fc1", "mlp/fc2", "norm1", "norm2"]
  layers = [f"blocks/layers/{n}" for n in block]
  encoder = ["cls_token", "norm", "patch_embed/proj", *layers]
  decoder = ["mask_token", "embed", "norm", "pred", *layers]
  expected = {f"main/encoder/{n}" for n in encoder}
  assert names == expected | {f"main/decoder/{n}" for n in decoder}


def test_cls_and_mask_tokens_alone_are_decayed_besides_kernels(starts):
  (group,) = TINY.groups()
  assert group.decay == 1.0
  assert [n for n in starts if trees.matches(group.pattern, n)] == [
    "main/decoder/mask_token",
    "main/encoder/cls_token",
  ]


def test_sizes_reach_both_networks():
  method = mae.MAE(
    dims=sizes.Dims(variant="L/16", depth=3, mlp_ratio=2.0),
    decoder_dims=sizes.Blocks(width=0, depth=2, heads=0),
  )
  for net, depth in ((method.encoder, 3), (method.decoder, 2)):
    size = sizes.Size(width=1024, depth=depth, heads=16, mlp_ratio=2.0)
    assert net.size == size
  assert method.grid == (14, 14)
  # A ratio of the variant is that of the encoder only.
  giant = mae.MAE(dims=sizes.Dims(variant="g/14"))
  assert giant.decoder.size.mlp_ratio == 4.0


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"size": 18}, "side 18 does not divide by patch 4"),
    (
      {"dims": sizes.Dims(variant="Ti/4", heads=5)},
      "width 192 does not divide by 5 heads",
    ),
    ({"dims": sizes.Dims(variant="Q/4")}, "variant 'Q/4'"),
    (
      {"decoder_dims": sizes.Blocks(width=18, heads=3)},
      "decoder_width 18 does not divide by 4",
    ),
  ],
)
def test_impossible_sizes_are_refused(change, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(TINY, **change).inputs()


def test_rectangles_have_tokens_in_raster_order_and_their_own_loss():
  """A wide image: what its last patch shows is the last token's target."""
  wide = dataclasses.replace(TINY, height=8, size=24, norm_pix=False)
  assert wide.grid == (2, 6)
  assert wide.inputs()["image"].shape == (8, 24, 3)
  x = np.random.default_rng(0).normal(size=(2, 8, 24, 3)).astype("f4")
  batch = {"image": x}
  params, _ = wide.init(_KEY, batch)
  draws = wide.drawn(_KEY, batch)
  assert draws["noise"].shape == (2, 12)
  np.testing.assert_array_equal(
    wide.target(x)[:, -1], x[:, 4:, 20:].reshape(2, -1)
  )
  weights = methods.Weights(params)
  shown = wide.reconstruct(weights, batch, _KEY)
  assert shown["image"].shape == x.shape
  hidden = np.broadcast_to(shown["mask"], x.shape)
  want = ((shown["image"] - x) ** 2 * hidden).sum() / hidden.sum()
  found, _ = wide.loss(weights, batch, wide.drawn(_KEY, batch), 0)
  np.testing.assert_allclose(found, want, rtol=1e-5)


@pytest.mark.parametrize(("height", "size"), [(10, 24), (8, 26)])
def test_both_sides_divide_by_the_patch(height, size):
  with pytest.raises(ValueError, match="does not divide by patch 4"):
    dataclasses.replace(TINY, height=height, size=size).inputs()
