import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.decoders import mae as decoder

GRID, B = (2, 3), 2
_SPLIT = masking.Mask(
  keep=np.array([[4, 0, 3], [1, 5, 2]], np.int32),
  restore=np.array([[1, 3, 4, 2, 0, 5], [3, 0, 2, 4, 5, 1]], np.int32),
  mask=np.array([[0, 1, 1, 0, 0, 1], [1, 0, 0, 1, 1, 0]], np.float32),
)


def _norm(p, x):
  x = np.asarray(x, np.float64)
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  return x * p["scale"] + p["bias"]


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
  expected = tokens @ p["pred"]["kernel"] + p["pred"]["bias"]
  actual = jax.jit(model.apply)(variables, latent, _SPLIT)
  np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_decoder_does_not_depend_on_the_order_of_kept_tokens(fill, latent):
  model, order = _decoder(1), np.array([1, 2, 0])
  variables = fill(model, latent, _SPLIT)
  apply = jax.jit(model.apply)
  expected = apply(variables, latent, _SPLIT)
  shuffled = np.concatenate([latent[:, :1], latent[:, 1:][:, order]], axis=1)
  split = masking.from_ids(_SPLIT.keep[:, order], 6)
  actual = apply(variables, shuffled, split)
  np.testing.assert_allclose(actual, expected, atol=1e-5)
  # Through attention, the cls token reaches every prediction.
  other = apply(
    variables, np.concatenate([-latent[:, :1], latent[:, 1:]], 1), _SPLIT
  )
  assert np.abs(np.asarray(other) - expected).max(axis=(0, 2)).min() > 1e-3


def test_decoder_predicts_float32_under_bfloat16(fill, latent):
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  variables = fill(_decoder(0), latent, _SPLIT)
  expected = jax.jit(_decoder(0).apply)(variables, latent, _SPLIT)
  actual = jax.jit(_decoder(0, rt=rt).apply)(variables, latent, _SPLIT)
  assert actual.dtype == jnp.float32
  np.testing.assert_allclose(actual, expected, atol=0.05)


def test_the_sign_of_the_table_is_its_sign(fill, latent):
  """At depth 0 both predictions are exact in closed form."""
  variables = fill(_decoder(0), latent, _SPLIT)
  p = variables["params"]
  y = latent @ p["embed"]["kernel"] + p["embed"]["bias"]
  tokens = np.tile(p["mask_token"], (B, 6, 1))
  for b in range(B):
    tokens[b, _SPLIT.keep[b]] = y[b, 1:]
  for sign in (1, -1):
    z = _norm(p["norm"], tokens + sign * posemb.sincos_2d(8, GRID))
    expected = z @ p["pred"]["kernel"] + p["pred"]["bias"]
    found = jax.jit(_decoder(0, sign=sign).apply)(variables, latent, _SPLIT)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tokens_that_fill_up_are_mask_tokens(fill, latent):
  """Of three kept tokens two valid ones: as if two had been kept."""
  model = _decoder(1)
  variables = fill(model, latent, _SPLIT)
  apply = jax.jit(model.apply)
  valid = np.arange(3) < np.full((B, 1), 2)
  split = masking.from_ids(_SPLIT.keep[:, :2], 6)
  expected = apply(variables, latent[:, :3], split)
  found = apply(variables, latent, _SPLIT, valid)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  other = latent.copy()
  other[:, 3] = np.nan  # whatever it holds
  np.testing.assert_array_equal(apply(variables, other, _SPLIT, valid), found)


def test_hooks_and_taps_see_the_tokens_that_enter(fill, latent):
  model = _decoder(2, rt=runtime.Runtime(pad_tokens=8))
  variables = fill(model, latent, _SPLIT)
  plain = model.apply(variables, latent, _SPLIT)
  shapes = []

  def nothing(normed):
    shapes.append(normed.shape)
    return jnp.zeros((normed.shape[1],) * 2)

  out = model.apply(
    variables, latent, _SPLIT, bias_of=nothing, taps=("normed",), method="run"
  )
  np.testing.assert_allclose(out["pred"], plain, atol=1e-5)
  assert shapes == [(B, 7, 8)] * 2  # not filled up
  p = variables["params"]
  entered = out["patches"] + posemb.sincos_2d(8, GRID)
  norm1 = jax.tree.map(lambda a: a[0], p["blocks"]["layers"]["norm1"])
  wanted = _norm(norm1, entered)
  np.testing.assert_allclose(out["normed"][0, :, 1:], wanted, atol=1e-5)
  hidden = np.asarray(_SPLIT.mask, bool)
  np.testing.assert_array_equal(
    out["patches"][hidden], np.tile(p["mask_token"][0], (6, 1))
  )
