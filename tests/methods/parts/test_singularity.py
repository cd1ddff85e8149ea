import math

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import singularity
from jmim.nn import singularity as measures

B, N, W, L = 2, 6, 5, 3
HIDDEN = np.array([[1, 0, 0, 1, 1, 0], [0, 1, 0, 1, 0, 1]], np.float32)
PART = singularity.Singularity()


@pytest.fixture(scope="module")
def layers(normal):
  return jnp.asarray(normal(L + 1, B, N, W))


def test_fewer_masked_tokens_are_hidden_in_each_layer():
  np.testing.assert_array_equal(PART.counts(24, 4), [24, 16, 8, 0])
  np.testing.assert_array_equal(PART.counts(118, 12)[[0, 1, -1]], [118, 108, 0])
  np.testing.assert_array_equal(PART.counts(5, 1), [5])
  half = singularity.Singularity(kappa0=0.5)
  wanted = [math.ceil(0.5 * (1 - i / 4) * 7) for i in range(5)]
  np.testing.assert_array_equal(half.counts(7, 5), wanted)


@pytest.mark.parametrize("off", [{"recalibrate": False}, {"kappa0": 0.0}])
def test_without_recalibration_attention_has_no_hook(off):
  part = singularity.Singularity(**off)
  assert part.bias_of(jnp.asarray(HIDDEN), 3, L) is None
  assert part.on  # the losses are
  none = dict.fromkeys(("lambda_spa", "lambda_e", "lambda_r"), 0.0)
  assert not singularity.Singularity(**off, **none).on
  assert singularity.Singularity(**none).on


def test_the_hook_of_a_layer_hides_its_count(normal):
  normed = jnp.asarray(normal(B, 1 + N, W))
  hook = PART.bias_of(jnp.asarray(HIDDEN), 3, L)
  for i, count in enumerate((3, 2, 0)):
    one = type(hook)(hook.func, hook.args[0][i])
    columns = (one(normed)[:, 0].min(1) < 0).sum(-1)
    np.testing.assert_array_equal(columns, count)


def test_shallow_layers_count_for_one_loss_and_deep_ones_for_the_other(
  layers, normal
):
  token, patches = normal(1, 1, W), normal(B, N, W, seed=1)
  found = PART.terms(
    layers, jnp.asarray(HIDDEN), token=jnp.asarray(token), patches=patches
  )
  cos = measures.cosines(layers)
  spa = np.mean(measures.interaction(cos, HIDDEN), axis=1)
  entropy = np.mean(measures.row_entropy(cos, HIDDEN, 0.1), axis=1)
  rise = np.arange(L + 1) / L
  a, b = (1 - rise) / (1 - rise).sum(), rise / rise.sum()
  np.testing.assert_allclose(found["spa"], a @ spa, rtol=1e-5)
  np.testing.assert_allclose(found["entropy"], b @ entropy, rtol=1e-5)
  one = measures.likeness(jnp.asarray(token), patches, HIDDEN).mean()
  np.testing.assert_allclose(found["singular"], one, rtol=1e-6)


def test_weights_rise_over_the_warm_up_and_each_has_its_switch():
  terms = {"spa": 2.0, "entropy": 3.0, "singular": 5.0}
  part = singularity.Singularity(warmup_steps=10)
  whole = 0.1 * 2 + 0.01 * 3 + 0.1 * 5
  for step, share in ((0, 0), (5, 0.5), (10, 1), (99, 1)):
    np.testing.assert_allclose(part.added(terms, step), share * whole)
  assert PART.added(terms, 0) == pytest.approx(whole)
  for name, key in zip(
    terms, ("lambda_spa", "lambda_e", "lambda_r"), strict=True
  ):
    part = singularity.Singularity(**{key: 0.0})
    rest = (
      whole
      - {"spa": 0.1, "entropy": 0.01, "singular": 0.1}[name] * (terms[name])
    )
    np.testing.assert_allclose(part.added(terms, 0), rest, rtol=1e-6)


def test_outputs_have_the_names_of_the_layers(layers):
  found = singularity.by_layer(PART.measure(layers, jnp.asarray(HIDDEN)))
  assert len(found) == 2 * (L + 1)
  assert found["heterogeneity_03"].shape == (B,)
  cos = measures.cosines(layers[1])
  wanted = measures.row_entropy(cos, HIDDEN, 0.1)
  np.testing.assert_allclose(found["entropy_01"], wanted, rtol=1e-5)


def test_layers_are_patches_of_what_is_read_and_of_the_output(normal):
  normed, latent = normal(L, B, 1 + N, W), normal(B, 1 + N, W, seed=1)
  found = singularity.layers_of(normed, latent)
  np.testing.assert_array_equal(found[:L], normed[:, :, 1:])
  np.testing.assert_array_equal(found[L], latent[:, 1:])
