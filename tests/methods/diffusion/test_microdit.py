import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import targets
from jmim.masks import tokens as masking
from jmim.methods.diffusion import microdit
from jmim.nn import patch as patching

TINY = microdit.MicroDiT.tiny()
B = 4


@pytest.fixture(scope="module")
def batch(normal):
  tokens = np.random.default_rng(0).integers(1, 6, (B, 3))
  return {"image": normal(B, 8, 8, 3), "tokens": tokens}


@pytest.fixture(scope="module")
def draws(batch):
  return TINY.drawn(jax.random.key(5), batch) | {"caption_drop": jnp.ones(B)}


@pytest.fixture(scope="module")
def weights(fill, batch):
  return methods.Weights(fill(TINY, batch, seed=2, scale=0.2)[0])


def noisy(batch, draws):
  sigma = TINY.noise.sigma(draws)
  t = TINY.noise.time(sigma)
  return TINY.noise.add(batch["image"], t, draws["noise"])[0], t, sigma


def loss(method, weights, batch, draws):
  return jax.jit(lambda *a: method.loss(*a, 0)[0])(weights, batch, draws)


def test_at_first_the_loss_is_that_of_skip_x(batch, draws):
  """The last layer starts at zero, so D(x) = c_skip x."""
  weights = methods.Weights(jax.jit(TINY.init)(jax.random.key(0), batch)[0])
  x, t, sigma = noisy(batch, draws)
  skip = TINY.noise.scales(t, 4).skip
  error = TINY.noise.errors(skip * x, batch["image"], sigma)
  whole = jax.jit(lambda w: TINY.errors(w, batch, draws, 0.0))(weights)
  np.testing.assert_allclose(whole, error.mean((1, 2, 3)), rtol=1e-5)


def test_removed_patches_are_exactly_skip_x(weights, batch, draws):
  x, t, _ = noisy(batch, draws)
  mask = masking.hide(draws["mask"], TINY.mask_ratio)
  told = TINY.caption.vectors(weights, batch)

  @jax.jit
  def call(weights):
    raw = TINY.network(weights.params, x, t, told, mask=mask)
    return TINY.noise.denoised(raw, x, t), TINY.noise.scales(t, 4).skip * x

  made, skip = (patching.patchify(a, 2) for a in call(weights))
  same = np.asarray(made == skip).all(-1)
  np.testing.assert_array_equal(same, mask.mask == 1)


def test_only_kept_patches_count(weights, batch, draws):
  x, t, sigma = noisy(batch, draws)
  mask = masking.hide(draws["mask"], TINY.mask_ratio)
  told = TINY.caption.vectors(weights, batch)
  raw = jax.jit(lambda w: TINY.network(w.params, x, t, told, mask=mask))(
    weights
  )
  made = TINY.noise.denoised(raw, x, t)
  error = TINY.noise.errors(made, batch["image"], sigma)
  rows = patching.patchify(error, 2).mean(-1)
  want = np.mean([rows[i][mask.keep[i]].mean() for i in range(B)])
  np.testing.assert_allclose(loss(TINY, weights, batch, draws), want, rtol=1e-5)


def test_nothing_removed_is_the_masked_loss_with_all_kept(
  weights, batch, draws
):
  x, t, sigma = noisy(batch, draws)
  every = masking.from_scores(draws["mask"], 16)
  told = TINY.caption.vectors(weights, batch)

  @jax.jit
  def masked(weights):
    raw = TINY.network(weights.params, x, t, told, mask=every)
    made = TINY.noise.denoised(raw, x, t)
    error = TINY.noise.errors(made, batch["image"], sigma)
    rows = patching.patchify(error, 2).mean(-1)
    return masking.row_means(rows, 1 - every.mask).mean()

  whole = dataclasses.replace(TINY, mask_ratio=0.0)
  np.testing.assert_allclose(
    loss(whole, weights, batch, draws), masked(weights), rtol=1e-5
  )


def test_captions_act_and_dropped_ones_do_not(weights, batch, draws):
  other = batch | {"tokens": batch["tokens"][::-1]}
  first, second = (loss(TINY, weights, x, draws) for x in (batch, other))
  assert abs(first - second) > 1e-5
  gone = draws | {"caption_drop": jnp.zeros(B)}
  first, second = (loss(TINY, weights, x, gone) for x in (batch, other))
  assert first == second


def test_the_null_branch_is_what_the_text_layers_make_of_zeros(weights):
  """Not zeros: so guidance compares with something that was trained."""
  net = TINY.patches.net(TINY.shape)
  params = {"params": weights.params["main"]["net"]}
  none = jnp.zeros((1, *TINY.caption.shape))
  out = jax.jit(net.apply)(params, jnp.zeros((1, 8, 8, 3)), jnp.zeros(1), none)
  assert np.abs(out["told"]).max() > 0.05


def test_guidance_acts_on_f(weights, batch):
  """Scale 1 is one pass; other scales are a line through it."""
  x, t = batch["image"], jnp.full(B, 0.1)
  cond, null = TINY.caption.condition(weights, batch)

  def raw(scale):
    sampling = field.replace(TINY.sampling, guidance=scale)
    denoise = sampling.denoiser(
      lambda x, t, told: TINY.network(weights.params, x, t, told),
      lambda raw, x, level: targets.Output(raw, raw),
      condition=(cond, null),
      end=TINY.noise.end,
      channels=3,
    )
    # Behind the middle of the path times are negative, and it still guides.
    level = jax.tree.map(lambda a: jnp.float32(a[-1]), table.level)
    return denoise(x, level).x0

  table = TINY.noise.table(TINY.sampling)
  assert table.level.time[-1] < 0
  none, one, three = (
    jax.jit(raw, static_argnums=0)(s) for s in (0.0, 1.0, 3.0)
  )
  np.testing.assert_allclose(three, none + 3 * (one - none), atol=1e-4)
  assert np.abs(one - none).max() > 1e-3
  plain = jax.jit(lambda w: TINY.network(w.params, x, t, cond))(weights)
  assert plain.shape == one.shape


def test_errors_are_measured_with_and_without_removal(weights, batch):
  key = jax.random.key(3)
  found = jax.jit(TINY.measured)(weights, batch, key)
  assert found.keys() == {"whole", "masked"}
  drawn = TINY.drawn(key, batch)
  np.testing.assert_allclose(
    found["masked"].mean(), loss(TINY, weights, batch, drawn), rtol=1e-5
  )
  assert np.abs(found["masked"] - found["whole"]).max() > 1e-3


def test_all_parameters_are_decayed():
  (group,) = TINY.groups()
  assert group.decay == 1 and not group.pattern
