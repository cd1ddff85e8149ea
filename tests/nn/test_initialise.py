import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import initialise

KEY = jax.random.key(0)


@pytest.mark.parametrize("truncate, std", [(False, 0.02), (True, 0.0107916)])
def test_kernels_are_drawn_biases_zeroed_and_the_rest_kept(truncate, std):
  ones = jnp.ones((200, 100))
  params = {"a": {"kernel": ones, "bias": ones[0]}, "norm": {"scale": ones[0]}}
  params["b"] = {"kernel": ones}
  new = initialise.normal_kernels(KEY, params, truncate=truncate)
  for name in ("a", "b"):
    kernel = np.asarray(new[name]["kernel"])
    # Cut at one std: the variance is 0.29112 of what it was.
    assert kernel.std() == pytest.approx(std, rel=0.02)
    assert abs(kernel.mean()) < 4 * std / kernel.size**0.5
    assert truncate == (np.abs(kernel).max() <= 0.02)
  assert np.abs(new["a"]["kernel"] - new["b"]["kernel"]).max() > 0.01
  assert not np.any(new["a"]["bias"])
  np.testing.assert_array_equal(new["norm"]["scale"], 1)


def test_only_the_ends_of_stacked_branches_shrink_with_depth():
  ones = jnp.ones((3, 2, 2))
  layers = {
    "attn": {"proj": {"kernel": ones, "bias": ones}, "qkv": {"kernel": ones}},
    "mlp": {"fc1": {"kernel": ones}, "fc2": {"kernel": ones}},
  }
  params = {"blocks": {"layers": layers}, "proj": {"kernel": ones}}
  new = initialise.shrink_with_depth(params)
  shrunk = new["blocks"]["layers"]
  for leaf in (shrunk["attn"]["proj"], shrunk["mlp"]["fc2"]):
    factors = leaf["kernel"][:, 0, 0]
    np.testing.assert_allclose(factors, [2**-0.5, 4**-0.5, 6**-0.5], rtol=1e-6)
  for leaf in (
    shrunk["attn"]["proj"]["bias"],
    shrunk["attn"]["qkv"]["kernel"],
    shrunk["mlp"]["fc1"]["kernel"],
    new["proj"]["kernel"],
  ):
    np.testing.assert_array_equal(leaf, 1)


def test_mask_tokens_are_cut_at_one_std():
  token = np.asarray(initialise.mask_token(KEY, (1, 1, 5000)))
  assert 0.0198 < np.abs(token).max() <= 0.02
  assert token.std() == pytest.approx(0.0107916, rel=0.05)
