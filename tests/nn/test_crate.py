"""What the card of CRATE-MAE states exactly of its blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn import crate
from jmim.nn import norm

B, T, W = 2, 5, 8
STEP, THRESHOLD = 0.1, 0.5


def attention(w):
  """softmax(w w' / sqrt(d)) w of [..., t, d], float64."""
  w = np.asarray(w, np.float64)
  logits = np.einsum("...td,...sd->...ts", w, w) / w.shape[-1] ** 0.5
  return scipy.special.softmax(logits, -1) @ w


def layer_norm(x, p):
  x = np.asarray(x, np.float64)
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
  return x * p["scale"] + p["bias"]


# ISTA.


def test_without_dictionary_and_threshold_ista_is_relu(normal):
  x = normal(T, W)
  got = crate.ista(x, jnp.zeros((W, W)), step=STEP, threshold=0.0)
  np.testing.assert_array_equal(got, np.maximum(x, 0))


def test_with_the_identity_ista_is_a_shifted_relu(normal):
  x = normal(T, W)
  got = crate.ista(x, jnp.eye(W), step=STEP, threshold=THRESHOLD)
  shift = np.float32(STEP * THRESHOLD)
  np.testing.assert_array_equal(got, np.maximum(x - shift, 0))


def test_ista_is_one_proximal_gradient_step(normal):
  x, kernel = normal(T, W), normal(W, W, seed=1)

  def smooth(z):
    return ((x - z @ kernel) ** 2).sum() / 2

  # The proximal operator of step * threshold |z|_1 on z >= 0: shift, clip.
  moved = x - STEP * jax.grad(smooth)(x)
  expected = np.maximum(moved - STEP * THRESHOLD, 0)
  got = crate.ista(x, kernel, step=STEP, threshold=THRESHOLD)
  np.testing.assert_allclose(got, expected, atol=1e-5)
  assert 0.1 < (np.asarray(got) == 0).mean() < 0.9


def test_both_factors_of_ista_are_one_weight(fill, normal):
  """Its gradient is the sum of those of D and D' apart."""
  x, kernel = normal(B, T, W), normal(W, W, seed=1)
  out = lambda k: crate.ista(x, k, step=STEP, threshold=THRESHOLD).sum()

  def apart(first, second):
    y = x + STEP * ((x - x @ first) @ second) - STEP * THRESHOLD
    return jnp.maximum(y, 0).sum()

  of_first, of_second = jax.grad(apart, (0, 1))(kernel, kernel.T)
  np.testing.assert_allclose(
    jax.grad(out)(kernel), of_first + of_second.T, atol=1e-5
  )
  block = crate.EncoderBlock(heads=2)
  leaves = trees.named(fill(block, normal(1, T, W))["params"])
  assert [n for n in leaves if n.startswith("ista")] == ["ista/kernel"]


# Attention.


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_has_one_projection_for_q_k_and_v(fill, normal, heads):
  x = normal(B, T, W)
  model = crate.SubspaceAttention(heads=heads)
  params = fill(model, x)["params"]
  names = set(trees.named(params))
  # One head alone has no projection of the output.
  more = {"proj/kernel", "proj/bias"} if heads > 1 else set()
  assert names == {"qkv/kernel"} | more
  assert params["qkv"]["kernel"].shape == (W, W)
  if heads > 1:
    params["proj"] = {"kernel": np.eye(W), "bias": np.zeros(W)}
  got, tapped = jax.jit(
    lambda p: model.apply({"params": p}, x, taps=("q", "k", "v"))
  )(params)
  w = (x @ params["qkv"]["kernel"]).reshape(B, T, heads, -1).swapaxes(1, 2)
  expected = attention(w).swapaxes(1, 2).reshape(B, T, W)
  np.testing.assert_allclose(got, expected, atol=1e-5)
  for tap in ("q", "k", "v"):
    np.testing.assert_allclose(tapped[tap], w, atol=1e-5)


def test_logits_are_symmetric(fill, normal):
  x = normal(B, T, W)
  model = crate.SubspaceAttention(heads=2)
  variables = fill(model, x)
  _, tapped = model.apply(variables, x, taps=("attention",))
  np.testing.assert_allclose(tapped["attention"].sum(-1), 1, rtol=1e-5)
  # log A_ij = l_ij - z_i: with l symmetric, log A_ij - log A_ji = z_j - z_i,
  # so around a triangle these differences add up to 0.
  logs = np.log(np.asarray(tapped["attention"], np.float64))
  m = logs - logs.swapaxes(-1, -2)
  around = m[..., 0, 1] + m[..., 1, 2] + m[..., 2, 0]
  np.testing.assert_allclose(around, 0, atol=1e-5)
  assert np.abs(m).max() > 0.1


def test_tokens_of_the_mask_are_not_attended_to(fill, normal):
  x = normal(1, T, W)
  mask = jnp.arange(T)[None] < 3
  for block in (crate.EncoderBlock(heads=2), crate.DecoderBlock(heads=2)):
    variables = fill(block, x)
    short, _ = block.apply(variables, x[:, :3])
    got, _ = block.apply(variables, x, mask=mask)
    np.testing.assert_allclose(got[:, :3], short, atol=1e-5)


# Blocks.


def test_an_encoder_block_is_half_a_step_and_ista_without_a_residual(
  fill, normal
):
  x = normal(B, T, W)
  block = crate.EncoderBlock(heads=2, step=0.2, threshold=0.3)
  variables = fill(block, x)
  p = variables["params"]
  out, tapped = jax.jit(
    lambda v: block.apply(v, x, taps=("middle", "block", "nonzero"))
  )(variables)
  y, _ = crate.SubspaceAttention(heads=2).apply(
    {"params": p["attn"]}, layer_norm(x, p["norm1"]).astype(np.float32)
  )
  np.testing.assert_allclose(tapped["middle"], x + y, atol=1e-5)
  expected = crate.ista(
    layer_norm(x + y, p["norm2"]), p["ista"]["kernel"], step=0.2, threshold=0.3
  )
  np.testing.assert_allclose(out, expected, atol=1e-5)
  np.testing.assert_array_equal(tapped["block"], out)
  assert np.asarray(out).min() == 0
  share = (np.asarray(out) != 0).mean((1, 2))
  np.testing.assert_allclose(tapped["nonzero"], share, rtol=1e-6)
  assert 0.1 < share.mean() < 0.9


def test_a_decoder_block_without_attention_is_its_first_norm(fill, normal):
  x = normal(B, T, W)
  block = crate.DecoderBlock(heads=2)
  variables = fill(block, x)
  p = variables["params"]
  p["linear"]["kernel"] = np.eye(W, dtype=np.float32)
  p["attn"]["proj"] = jax.tree.map(np.zeros_like, p["attn"]["proj"])
  got, _ = block.apply(variables, x)
  np.testing.assert_allclose(got, layer_norm(x, p["norm1"]), atol=1e-5)


def test_a_decoder_block_subtracts_its_attention(fill, normal):
  x = normal(B, T, W)
  block = crate.DecoderBlock(heads=2)
  variables = fill(block, x)
  p = variables["params"]
  y = layer_norm(x, p["norm1"]) @ p["linear"]["kernel"]
  z, _ = crate.SubspaceAttention(heads=2).apply(
    {"params": p["attn"]}, layer_norm(y, p["norm2"]).astype(np.float32)
  )
  got, taps = block.apply(variables, x)
  np.testing.assert_allclose(got, y - z, atol=1e-5)
  assert taps == {} and np.abs(z).max() > 0.1


def test_bfloat16_blocks_are_near_those_of_float32(fill, normal):
  x = normal(B, T, W)
  for kind in (crate.EncoderBlock, crate.DecoderBlock):
    exact = kind(heads=2)
    variables = fill(exact, x)
    half = kind(heads=2, rt=runtime.Runtime(dtype=jnp.bfloat16, flat="all"))
    got, _ = half.apply(variables, x)
    assert got.dtype == jnp.bfloat16
    want = exact.apply(variables, x)[0]
    np.testing.assert_allclose(got.astype(jnp.float32), want, atol=0.06)


# The rate.


def test_the_rate_is_that_of_the_large_determinant(normal):
  """log det of I_t + c ZZ', as the card has the authors' measure."""
  w = normal(B, 3, 7, 4)
  z = np.asarray(norm.unit(w), np.float64)
  gram = np.einsum("bhtd,bhsd->bhts", z, z)
  logs = np.linalg.slogdet(np.eye(7) + 4 / (7 * 0.01) * gram)[1]
  np.testing.assert_allclose(crate.coding_rate(w), logs.sum(1) / 2, rtol=1e-5)


def test_rates_of_equal_and_of_orthogonal_tokens(normal):
  heads, t, d = 3, 8, 4
  equal = np.broadcast_to(normal(1, heads, 1, d), (1, heads, t, d))
  np.testing.assert_allclose(
    crate.coding_rate(equal), heads * np.log(1 + d / 0.01) / 2, rtol=1e-4
  )
  # Every direction twice: Z'Z = (t / d) I. Lengths do not matter.
  axes = 7 * np.tile(np.eye(d), (t // d, 1))[None, None].repeat(heads, 1)
  np.testing.assert_allclose(
    crate.coding_rate(axes), heads * d * np.log(1 + 1 / 0.01) / 2, rtol=1e-5
  )


def test_the_tap_is_the_rate_of_what_attention_reads(fill, normal):
  x = normal(B, T, W)
  block = crate.EncoderBlock(heads=2)
  variables = fill(block, x)
  _, tapped = block.apply(variables, x, taps=("rate", "k"))
  np.testing.assert_allclose(
    tapped["rate"], crate.coding_rate(tapped["k"]), rtol=1e-6
  )
  assert tapped["rate"].shape == (B,)
