import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.cost import flops
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import vit

SIZE = sizes.Size(width=16, depth=2, heads=2)
GRID, P, B = (2, 3), 4, 2
KEEP = np.array([[4, 0, 3], [1, 5, 2]], np.int32)


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
  return jax.jit(_model().apply, static_argnames=("stop", "taps"))


@pytest.fixture(scope="module")
def full(apply, variables, images):
  """All patches, raster order, with taps."""
  return apply(variables, images, taps=("block",))


def test_tokens_are_patches_times_kernel_plus_positions(
  full, variables, images
):
  proj = variables["params"]["patch_embed"]["proj"]
  expected = np.asarray(patching.patchify(images, P)) @ proj["kernel"]
  expected += proj["bias"] + posemb.sincos_2d(16, GRID)
  np.testing.assert_allclose(full["tokens"], expected, atol=1e-5)


def test_the_exit_before_the_first_block_shows_what_goes_in(
  apply, variables, images
):
  out = apply(variables, images, KEEP, stop=0)
  params = variables["params"]
  tokens = np.asarray(out["tokens"])
  kept = np.stack([tokens[b, KEEP[b]] for b in range(B)])
  cls = np.broadcast_to(params["cls_token"], (B, 1, 16))
  expected = _norm(params["norm"], np.concatenate([cls, kept], axis=1))
  np.testing.assert_allclose(out["latent"], expected, atol=1e-5)


def test_order_of_kept_tokens_does_not_matter(apply, variables, images):
  order = np.array([2, 0, 1])
  expected = np.asarray(apply(variables, images, KEEP)["latent"])
  actual = np.asarray(apply(variables, images, KEEP[:, order])["latent"])
  np.testing.assert_allclose(actual[:, 0], expected[:, 0], atol=1e-5)
  np.testing.assert_allclose(
    actual[:, 1:], expected[:, 1:][:, order], atol=1e-5
  )
  assert np.abs(expected[:, 1] - expected[:, 2]).max() > 0.1


def test_keeping_everything_equals_no_mask(apply, variables, images, full):
  everything = np.array([[5, 1, 0, 2, 4, 3]] * B)
  latent = apply(variables, images, everything)["latent"]
  expected = full["latent"][:, 1:][:, everything[0]]
  np.testing.assert_allclose(latent[:, 1:], expected, atol=1e-5)


@pytest.mark.parametrize("positions", ["sincos", "learned", "none"])
def test_hidden_patches_are_not_embedded(fill, images, positions):
  """The cost is that of an image of as many patches, and so is the gradient."""
  small = vit.ViT(size=SIZE, patch=P, grid=(1, 3), positions=positions)
  model = _model(positions=positions)
  params = fill(model, images)

  def work(model, params, images, *keep):
    encode = lambda p: model.apply(p, images, *keep)["latent"].sum()
    return flops.count(jax.grad(encode), params)

  of_three = work(small, fill(small, images[:, :P]), images[:, :P])
  assert work(model, params, images, KEEP) == of_three

  run = lambda p, early: model.apply(
    p,
    images if early else None,
    KEEP,
    tokens=None if early else model.apply(p, images, method="embed"),
  )
  grads = jax.grad(lambda p, early: (run(p, early)["latent"] ** 3).sum())
  for a, b in zip(
    *(jax.tree.leaves(grads(params, early)) for early in (True, False)),
    strict=True,
  ):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


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
  latent = jax.jit(model.apply)({"params": params}, images)["latent"]
  np.testing.assert_allclose(latent, full["block"][-1], atol=1e-5)


def test_learned_positions_start_as_the_table(variables, images, full):
  model = _model(positions="learned")
  start = jax.jit(lambda k: model.init(k, images)["params"]["pos_embed"])
  pos = start(jax.random.key(0))
  np.testing.assert_array_equal(pos[0], posemb.sincos_2d(16, GRID, prefix=1))
  params = {**variables["params"], "pos_embed": pos}
  latent = jax.jit(model.apply)({"params": params}, images)["latent"]
  np.testing.assert_allclose(latent, full["latent"], atol=1e-5)


def test_without_cls_only_patches_come_out(variables, images):
  model = _model(cls=False)
  params = {k: v for k, v in variables["params"].items() if k != "cls_token"}
  run = jax.jit(model.apply, static_argnames="stop")
  out = run({"params": params}, images, KEEP, stop=0)
  kept = [np.asarray(out["tokens"])[b, KEEP[b]] for b in range(B)]
  expected = _norm(params["norm"], np.stack(kept))
  np.testing.assert_allclose(out["latent"], expected, atol=1e-5)


def test_dropping_every_branch_leaves_the_input(apply, variables, images):
  drop = np.zeros((SIZE.depth, 2, B), np.float32)
  actual = apply(variables, images, KEEP, drop=drop)["latent"]
  expected = apply(variables, images, KEEP, stop=0)["latent"]
  np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_bfloat16_stays_close_on_float32_parameters(
  fill, variables, images, full
):
  model = _model(rt=runtime.Runtime(dtype=jnp.bfloat16, scan=True))
  for leaf in jax.tree.leaves(fill(model, images)):
    assert leaf.dtype == np.float32
  out = jax.jit(model.apply, static_argnames="taps")(
    variables, images, taps=("block",)
  )
  assert out["latent"].dtype == out["block"].dtype == jnp.bfloat16
  for name in ("latent", "block"):
    actual = np.asarray(out[name], np.float32)
    error = np.linalg.norm(actual - full[name]) / np.linalg.norm(full[name])
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
  actual = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
  assert actual == _encoder_parameters(size, patch)
  if variant in _CLASSIFIERS:
    positions = (1 + grid[0] * grid[1]) * size.width
    head = 1000 * size.width + 1000
    assert actual == _CLASSIFIERS[variant] - positions - head


def test_registers_stand_behind_cls_and_have_no_position(fill, images):
  model = vit.ViT(
    size=SIZE, patch=P, grid=GRID, positions="learned", registers=2
  )
  variables = fill(model, images)
  out, params = jax.jit(model.apply)(variables, images), variables["params"]
  rows, registers = out["embedded"], params["register_tokens"]
  expected = np.broadcast_to(registers, (B, 2, 16))
  np.testing.assert_array_equal(rows[:, 1:3], expected)
  cls = params["cls_token"] + params["pos_embed"][:, :1]
  np.testing.assert_allclose(rows[:, :1] - cls, 0, atol=1e-6)
  np.testing.assert_array_equal(rows[:, model.prefix :], out["tokens"])


def test_a_token_stands_for_replaced_patches(fill, images):
  model = _model(maskable=True)
  variables = fill(model, images)
  replaced = np.array([[0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0]], np.float32)
  out = jax.jit(model.apply)(variables, images, replaced=replaced)
  params, plain = variables["params"], jax.jit(model.apply)(variables, images)
  token = params["mask_token"][0, 0] + posemb.sincos_2d(16, GRID)
  expected = np.where(replaced[..., None] == 1, token, plain["tokens"])
  np.testing.assert_allclose(out["tokens"], expected, atol=1e-5)


def test_tokens_kept_to_fill_up_are_not_attended_to(apply, variables, images):
  valid = np.array([[True, True, False]] * B)
  shorter = apply(variables, images, KEEP[:, :2])["latent"]
  padded = apply(variables, images, KEEP, valid=valid)["latent"]
  np.testing.assert_allclose(padded[:, :3], shorter, atol=1e-5)


def test_rotary_angles_are_those_of_the_kept_patches(fill, images):
  """All patches, in another order: the same latents in that order."""
  model = vit.ViT(size=SIZE, patch=P, grid=GRID, positions="rotary")
  variables = fill(model, images)
  run = jax.jit(model.apply)
  whole = run(variables, images)["latent"]
  order = np.array([[5, 1, 0, 2, 4, 3]] * B)
  moved = run(variables, images, order)["latent"]
  np.testing.assert_allclose(moved[:, 1:], whole[:, 1:][:, order[0]], atol=1e-5)


def test_a_section_of_a_config_builds_it():
  dims = sizes.Dims(variant="Ti/4", width=16, depth=2, heads=2)
  model = vit.build(dims, 12, cls=False)
  assert model == vit.ViT(size=SIZE, patch=4, grid=(3, 3), cls=False)


def test_tokens_stand_for_the_images_they_are_made_of(apply, variables, images):
  tokens = _model().apply(variables, images, method="embed")
  whole, given = (
    apply(variables, images, KEEP),
    apply(variables, None, KEEP, tokens=tokens),
  )
  for name in ("tokens", "embedded", "stream", "latent"):
    np.testing.assert_array_equal(given[name], whole[name])


def test_embedded_tokens_have_the_mask_token(fill, images):
  model = _model(maskable=True)
  variables = fill(model, images)
  replaced = np.array([[0, 1, 0, 0, 1, 0]] * B, np.float32)
  found = model.apply(variables, images, replaced, method="embed")
  out = model.apply(variables, images, replaced=replaced, stop=0)
  np.testing.assert_array_equal(found, out["tokens"])


@pytest.mark.parametrize("scan", [False, True])
def test_segments_of_a_stream_are_the_encoder(variables, images, full, scan):
  model = _model(rt=runtime.Runtime(scan=scan))
  first = model.apply(variables, images, stop=1)
  second = model.apply(
    variables, stream=first["stream"], start=1, taps=("block",)
  )
  np.testing.assert_allclose(second["latent"], full["latent"], atol=1e-5)
  np.testing.assert_allclose(second["block"], full["block"][1:], atol=1e-5)
  assert "tokens" not in second
  # Fewer tokens in the second: those of a stream from which they were cut.
  kept = first["stream"][:, :3]
  short = model.apply(variables, stream=kept, start=1)["latent"]
  valid = np.arange(len(GRID) * 3) < 2
  padded = model.apply(
    variables,
    stream=first["stream"],
    start=1,
    valid=np.broadcast_to(valid, (B, 6)),
  )
  np.testing.assert_allclose(short, padded["latent"][:, :3], atol=1e-5)


@pytest.mark.parametrize("given", [(), ("images", "tokens"), ("tokens",) * 2])
def test_one_input_is_given(variables, images, given):
  inputs = dict.fromkeys(given, images)
  if len(inputs) == 1:
    inputs["stream"] = images
  with pytest.raises(ValueError, match="one of images, tokens and stream"):
    _model().apply(variables, **inputs)


def test_what_attention_reads_is_the_norm_of_what_enters(
  apply, variables, images
):
  out = apply(variables, images, KEEP, taps=("normed", "block"))
  norms = variables["params"]["blocks"]["layers"]["norm1"]
  first, second = (jax.tree.map(lambda a, i=i: a[i], norms) for i in range(2))
  wanted = [_norm(first, out["embedded"]), _norm(second, out["block"][0])]
  np.testing.assert_allclose(out["normed"], wanted, atol=1e-5)


def test_hooks_reach_the_blocks_whose_they_are(variables, images, full):
  """In the second block alone: nobody sees another token than itself."""
  lone = lambda on, logits: logits - on * 1e9 * (1 - jnp.eye(7))
  edit = jax.tree_util.Partial(lone, jnp.array([0.0, 1.0]))
  bias_of = lambda normed: 0 * normed[:, None, :, :1]
  # Tokens are not filled up to 8: hooks have the shape of the 7.
  model = _model(rt=runtime.Runtime(pad_tokens=8))
  out = model.apply(
    variables, images, edit=edit, bias_of=bias_of, taps=("block", "attention")
  )
  np.testing.assert_allclose(out["block"][0], full["block"][0], atol=1e-5)
  diagonal = np.broadcast_to(np.eye(7), out["attention"][1].shape)
  np.testing.assert_allclose(out["attention"][1], diagonal, atol=1e-6)
  plain = model.apply(variables, images, edit=edit)["latent"]
  np.testing.assert_allclose(out["latent"], plain, atol=1e-6)
