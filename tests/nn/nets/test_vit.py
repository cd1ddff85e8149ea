import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.decoders import mae as decoder
from jmim.nn.nets import vit

SIZE = sizes.Size(width=16, depth=2, heads=2)
GRID, P, B = (2, 3), 4, 2
_SPLIT = masking.Mask(
  keep=np.array([[4, 0, 3], [1, 5, 2]], np.int32),
  restore=np.array([[1, 3, 4, 2, 0, 5], [3, 0, 2, 4, 5, 1]], np.int32),
  mask=np.array([[0, 1, 1, 0, 0, 1], [1, 0, 0, 1, 1, 0]], np.float32),
)

# Compiled once and run once: optimising takes longer than it saves.
_jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def _model(**options):
  return vit.ViT(size=SIZE, patch=P, grid=GRID, **options)


def _norm(p, x):
  x = np.asarray(x, np.float64)
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  return x * p["scale"] + p["bias"]


@pytest.fixture(scope="module")
def images(normal):
  return normal(B, GRID[0] * P, GRID[1] * P, 3)


@pytest.fixture(scope="module")
def variables(fill, images):
  return fill(_model(), images)


@pytest.fixture(scope="module")
def apply():
  return _jit(_model().apply, static_argnames=("stop", "taps"))


@pytest.fixture(scope="module")
def full(apply, variables, images):
  """All patches, raster order, with taps."""
  return apply(variables, images, taps=("block",))


def test_tokens_are_patches_times_kernel_plus_positions(
  full, variables, images
):
  proj = variables["params"]["patch_embed"]["proj"]
  wanted = np.asarray(patching.patchify(images, P)) @ proj["kernel"]
  wanted += proj["bias"] + posemb.sincos_2d(16, GRID)
  np.testing.assert_allclose(full["tokens"], wanted, atol=1e-5)


def test_the_exit_before_the_first_block_shows_what_goes_in(
  apply, variables, images
):
  out = apply(variables, images, _SPLIT, stop=0)
  params = variables["params"]
  tokens = np.asarray(out["tokens"])
  kept = np.stack([tokens[b, _SPLIT.keep[b]] for b in range(B)])
  cls = np.broadcast_to(params["cls_token"], (B, 1, 16))
  wanted = _norm(params["norm"], np.concatenate([cls, kept], axis=1))
  np.testing.assert_allclose(out["latent"], wanted, atol=1e-5)


def test_order_of_kept_tokens_does_not_matter(apply, variables, images):
  order = np.array([2, 0, 1])
  wanted = np.asarray(apply(variables, images, _SPLIT)["latent"])
  shuffled = _SPLIT._replace(keep=_SPLIT.keep[:, order])
  found = np.asarray(apply(variables, images, shuffled)["latent"])
  np.testing.assert_allclose(found[:, 0], wanted[:, 0], atol=1e-5)
  np.testing.assert_allclose(found[:, 1:], wanted[:, 1:][:, order], atol=1e-5)
  assert np.abs(wanted[:, 1] - wanted[:, 2]).max() > 0.1


def test_keeping_everything_equals_no_mask(apply, variables, images, full):
  everything = masking.from_ids(np.array([[5, 1, 0, 2, 4, 3]] * B), 6)
  latent = apply(variables, images, everything)["latent"]
  raster = masking.take(latent[:, 1:], everything.restore)
  np.testing.assert_allclose(raster, full["latent"][:, 1:], atol=1e-5)


def test_taps_and_early_exit_agree(apply, variables, images, full):
  norm = variables["params"]["norm"]
  assert len(full["block"]) == SIZE.depth
  last = _norm(norm, full["block"][-1])
  np.testing.assert_allclose(full["latent"], last, atol=1e-5)
  early = apply(variables, images, stop=1)["latent"]
  np.testing.assert_allclose(early, _norm(norm, full["block"][0]), atol=1e-5)


def test_without_final_norm_the_last_block_comes_out(variables, images, full):
  model = _model(final_norm=False)
  params = {k: v for k, v in variables["params"].items() if k != "norm"}
  latent = _jit(model.apply)({"params": params}, images)["latent"]
  np.testing.assert_allclose(latent, full["block"][-1], atol=1e-5)


def test_learned_positions_start_as_the_table(variables, images, full):
  model = _model(positions="learned")
  start = _jit(lambda k: model.init(k, images)["params"]["pos_embed"])
  pos = start(jax.random.key(0))
  np.testing.assert_array_equal(pos[0], posemb.sincos_2d(16, GRID, prefix=1))
  params = {**variables["params"], "pos_embed": pos}
  latent = _jit(model.apply)({"params": params}, images)["latent"]
  np.testing.assert_allclose(latent, full["latent"], atol=1e-5)


def test_without_cls_only_patches_come_out(variables, images):
  model = _model(cls=False)
  params = {k: v for k, v in variables["params"].items() if k != "cls_token"}
  run = _jit(model.apply, static_argnames="stop")
  out = run({"params": params}, images, _SPLIT, stop=0)
  kept = [np.asarray(out["tokens"])[b, _SPLIT.keep[b]] for b in range(B)]
  wanted = _norm(params["norm"], np.stack(kept))
  np.testing.assert_allclose(out["latent"], wanted, atol=1e-5)


def test_dropping_every_branch_leaves_the_input(apply, variables, images):
  drop = np.zeros((SIZE.depth, 2, B), np.float32)
  found = apply(variables, images, _SPLIT, drop=drop)["latent"]
  wanted = apply(variables, images, _SPLIT, stop=0)["latent"]
  np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_bfloat16_stays_close_on_float32_parameters(
  fill, variables, images, full
):
  model = _model(rt=runtime.Runtime(dtype=jnp.bfloat16, scan=True))
  for leaf in jax.tree.leaves(fill(model, images)):
    assert leaf.dtype == np.float32
  out = _jit(model.apply, static_argnames="taps")(
    variables, images, taps=("block",)
  )
  assert out["latent"].dtype == out["block"].dtype == jnp.bfloat16
  for name in ("latent", "block"):
    found = np.asarray(out[name], np.float32)
    error = np.linalg.norm(found - full[name]) / np.linalg.norm(full[name])
    assert error < 0.03, name


def _encoder_parameters(size, patch):
  w, hidden = size.width, int(size.width * size.mlp_ratio)
  norm = 2 * w
  attention = w * 3 * w + 3 * w + w * w + w
  mlp = w * hidden + hidden + hidden * w + w
  embedding = patch * patch * 3 * w + w
  return embedding + w + size.depth * (2 * norm + attention + mlp) + norm


# Parameters of the ImageNet classifiers (DeiT, ViT, MAE papers' code), which
# have learned positions and a head besides.
_CLASSIFIERS = {
  "Ti/16": 5_717_416,
  "S/16": 22_050_664,
  "B/16": 86_567_656,
  "L/16": 304_326_632,
  "H/14": 632_045_800,
}


@pytest.mark.parametrize("variant", [*_CLASSIFIERS, "g/14"])
def test_variants_have_the_known_number_of_parameters(variant):
  size, patch = sizes.parse(variant)
  grid = (224 // patch,) * 2
  model = vit.ViT(size=size, patch=patch, grid=grid)
  shapes = jax.eval_shape(
    model.init, jax.random.key(0), np.zeros((1, 224, 224, 3), np.float32)
  )
  found = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
  assert found == _encoder_parameters(size, patch)
  if variant in _CLASSIFIERS:
    positions = (1 + grid[0] * grid[1]) * size.width
    head = 1000 * size.width + 1000
    assert found == _CLASSIFIERS[variant] - positions - head


def test_giant_has_the_hidden_width_of_its_paper():
  size, _ = sizes.parse("g/14")
  assert int(size.width * size.mlp_ratio) == 6144


@pytest.mark.parametrize("variant", ["B", "B16", "X/16", "B/", "B/0", "b/16"])
def test_unknown_variants_are_refused(variant):
  with pytest.raises(ValueError, match="Ti, S, B, L, H, g") as error:
    sizes.parse(variant)
  assert repr(variant) in str(error.value)


@pytest.mark.parametrize(
  ("change", "side", "message"),
  [
    ({}, 30, "image side 30 does not divide by patch 4"),
    ({"heads": 3}, 32, "width 16 does not divide by 3 heads"),
    ({"width": 18}, 32, "width 18 does not divide by 4"),
  ],
)
def test_impossible_sizes_are_refused(change, side, message):
  with pytest.raises(ValueError, match=message):
    sizes.check(dataclasses.replace(SIZE, **change), side, P)


def test_learned_positions_do_not_need_a_multiple_of_four():
  sizes.check(dataclasses.replace(SIZE, width=18), 32, P, table=False)


def test_registers_stand_behind_cls_and_have_no_position(fill, images):
  model = vit.ViT(
    size=SIZE, patch=P, grid=GRID, positions="learned", registers=2
  )
  variables = fill(model, images)
  out, params = _jit(model.apply)(variables, images), variables["params"]
  rows, registers = out["embedded"], params["register_tokens"]
  wanted = np.broadcast_to(registers, (B, 2, 16))
  np.testing.assert_array_equal(rows[:, 1:3], wanted)
  cls = params["cls_token"] + params["pos_embed"][:, :1]
  np.testing.assert_allclose(rows[:, :1] - cls, 0, atol=1e-6)
  np.testing.assert_array_equal(rows[:, model.prefix :], out["tokens"])


@pytest.fixture(scope="module")
def latent(normal):
  return normal(B, 1 + 3, 16)


def _decoder(depth, **options):
  return decoder.MaskedDecoder(
    size=sizes.Size(width=8, depth=depth, heads=2), grid=GRID, out=5, **options
  )


def test_decoder_puts_tokens_back_and_adds_positions(fill, latent):
  model = _decoder(0)
  variables = fill(model, latent, _SPLIT)
  p = variables["params"]
  y = latent @ p["embed"]["kernel"] + p["embed"]["bias"]
  tokens = np.tile(p["mask_token"], (B, 6, 1))
  for b in range(B):
    tokens[b, _SPLIT.keep[b]] = y[b, 1:]
  tokens = _norm(p["norm"], tokens + posemb.sincos_2d(8, GRID))
  wanted = tokens @ p["pred"]["kernel"] + p["pred"]["bias"]
  found = _jit(model.apply)(variables, latent, _SPLIT)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_decoder_does_not_depend_on_the_order_of_kept_tokens(fill, latent):
  model, order = _decoder(1), np.array([1, 2, 0])
  variables = fill(model, latent, _SPLIT)
  apply = _jit(model.apply)
  wanted = apply(variables, latent, _SPLIT)
  shuffled = np.concatenate([latent[:, :1], latent[:, 1:][:, order]], axis=1)
  split = masking.from_ids(_SPLIT.keep[:, order], 6)
  found = apply(variables, shuffled, split)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  # Through attention, the cls token reaches every prediction.
  other = apply(
    variables, np.concatenate([-latent[:, :1], latent[:, 1:]], 1), _SPLIT
  )
  assert np.abs(np.asarray(other) - wanted).max(axis=(0, 2)).min() > 1e-3


def test_decoder_predicts_float32_under_bfloat16(fill, latent):
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  variables = fill(_decoder(0), latent, _SPLIT)
  wanted = _jit(_decoder(0).apply)(variables, latent, _SPLIT)
  found = _jit(_decoder(0, rt=rt).apply)(variables, latent, _SPLIT)
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(found, wanted, atol=0.05)
