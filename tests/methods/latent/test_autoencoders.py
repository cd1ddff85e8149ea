import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import autoencoder_vq
from jmim.methods.parts import codebook as codebooks
from jmim.nn import vq
from jmim.nn.frozen import lpips
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec
from jmim.training import microbatch

B = 2
SMALL = dict(width=4, multipliers=(1, 2), blocks=1)
CRITIC = dict(disc_layers=1, disc_width=4, disc_start=3)
KL = field.replace(
  autoencoder_kl.AutoencoderKL(size=8),
  dims=SMALL,
  losses=dict(**CRITIC, disc_weight=0.3),
)
VQ = field.replace(
  autoencoder_vq.AutoencoderVQ(size=8),
  dims=SMALL,
  losses=CRITIC,
  codebook=dict(codes=6),
)
jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {"image": rng.uniform(-1, 1, (B, 8, 8, 3)).astype(np.float32)}


@functools.cache
def start(method):
  return jit(method.init)(jax.random.key(0), {"image": jnp.ones((B, 8, 8, 3))})


def norm(tree):
  return float(np.sqrt(sum((np.asarray(x) ** 2).sum() for x in tree)))


def test_the_critic_moves_the_last_kernel_as_strongly_as_its_weight_says(batch):
  params, _ = start(KL)
  x, noise = batch["image"], KL.drawn(jax.random.key(1), batch)["noise"]
  moments = jit(KL.moments)(methods.Weights(params), batch, None)
  z = autoencoder.drawn(moments, noise)
  features = jit(KL.net.features)(params["autoencoder"], z)

  def parts(kernel):
    last = {**params["autoencoder"]["last"], "kernel": kernel}
    changed = {**params, "autoencoder": {**params["autoencoder"], "last": last}}
    _, terms = KL.losses.generator_loss(
      methods.Weights(changed),
      x,
      features,
      9,
      net=KL.net,
      likelihood=KL.likelihood,
    )
    adversarial = terms["disc_weight"] * terms["adversarial"]
    return jnp.stack([terms["nll"], adversarial])

  kernel = params["autoencoder"]["last"]["kernel"]
  grads = jit(jax.jacrev(parts))(kernel)
  np.testing.assert_allclose(
    norm(grads[1:]), KL.losses.disc_weight * norm(grads[:1]), rtol=1e-3
  )


def test_the_critic_waits_for_its_start(batch):
  params, extra = start(KL)
  draws = KL.drawn(jax.random.key(1), batch)

  @jit
  def losses(step):
    inputs = methods.Weights(params, extra), batch, draws, step
    return (
      KL.loss(*inputs, player="autoencoder"),
      KL.loss(*inputs, player="discriminator")[0],
    )

  (early, aux), nothing = losses(2)
  assert nothing == 0
  np.testing.assert_allclose(early, aux["nll"] + 1e-6 * aux["kl"], rtol=1e-6)
  (late, aux), critic = losses(3)
  assert aux["disc_weight"] > 0 and critic > 0.5
  wanted = early + aux["disc_weight"] * aux["adversarial"]
  np.testing.assert_allclose(late, wanted, rtol=1e-5)


def test_divergence_is_zero_only_of_the_standard_normal():
  zero = jnp.zeros((1, 2, 2, 6))
  assert autoencoder.divergence(zero)[0] == 0
  for channel in (0, 3):  # a mean, a log variance
    for change in (-0.1, 0.1):
      moved = zero.at[0, 1, 1, channel].set(change)
      assert autoencoder.divergence(moved)[0] > 1e-3
  loud = jnp.full((1, 1, 1, 2), 100.0)
  assert autoencoder.posterior(loud)[1].max() == 20


@pytest.mark.parametrize("legacy", [True, False])
def test_beta_is_on_the_side_that_legacy_says(legacy):
  codebook = codebooks.Codebook(legacy=legacy, beta=0.25)
  codes = jnp.asarray([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
  z = jnp.full((1, 1, 1, 3), 0.8)
  loss = lambda codes, z: codebook.quantise(codes, z)[2]
  g_codes, g_z = jax.grad(loss, (0, 1))(codes, z)
  pull = 2 * 0.2 / 3  # of a mean square over three channels
  sides = (0.25, 1.0) if legacy else (1.0, 0.25)
  np.testing.assert_allclose(g_codes[1], pull * sides[0], rtol=1e-5)
  np.testing.assert_allclose(g_z[0, 0, 0], -pull * sides[1], rtol=1e-5)
  assert not g_codes[0].any()


def test_averaged_codes_go_to_their_vectors_and_dead_ones_start_again():
  rng = np.random.default_rng(0)
  centres = np.array([[2.0, 0.0], [-2.0, 0.0]], np.float32)
  z = jnp.asarray(np.repeat(centres, 50, 0) + 0.1 * rng.normal(size=(100, 2)))
  codes = jnp.asarray([[1.0, 0.0], [-1.0, 0.1], [0.0, 90.0]])
  state = (jnp.ones(3), codes, codes)
  for _ in range(60):
    new = vq.statistics(z, vq.nearest(z, state[2]), 3)
    state = vq.update(state[:2], new, state[2], 0.9)
  for k in (0, 1):
    mean = np.asarray(z)[50 * k : 50 * k + 50].mean(0)
    np.testing.assert_allclose(state[2][k], mean, atol=2e-2)
  np.testing.assert_allclose(state[2][2], codes[2], rtol=1e-5)
  n, total, again = vq.restart(state, z[:3], 0.1)
  np.testing.assert_array_equal(again[2], z[2])
  np.testing.assert_allclose(total[2] / n[2], z[2], rtol=1e-6)
  np.testing.assert_array_equal(again[:2], state[2][:2])


def averaged(codes):
  return field.replace(VQ, codebook=dict(codes=codes, ema=0.5, restart=0.1))


def test_codes_of_moving_averages_are_extra_state(batch):
  method = averaged(6)
  params, extra = jit(method.init)(jax.random.key(0), batch)
  assert "codes" not in params["autoencoder"]
  draws = method.drawn(jax.random.key(1), batch)
  weights = methods.Weights(params, extra)
  _, aux = jit(method.loss)(weights, batch, draws, 0)
  new = method.after(weights, aux, 0, player="autoencoder")
  used = np.asarray(aux["count"]) > 0
  moved = np.abs(new["codes"] - extra["codes"]).max(1) > 0
  np.testing.assert_array_equal(moved, used)
  assert method.after(weights, {}, 0, player="discriminator") is extra
  assert draws["pick"].max() < B * 16


@pytest.mark.parametrize("codes", [6, 8])
def test_restarts_are_vectors_of_the_batch_under_accumulation(codes):
  """Also with as many codes as examples, which once were cut like them."""
  rng, b = np.random.default_rng(0), 8
  method = averaged(codes)
  batch = {"image": rng.uniform(-1, 1, (b, 8, 8, 3)).astype(np.float32)}
  params, extra = jit(method.init)(jax.random.key(0), batch)
  weights = methods.Weights(params, extra)
  draws = method.drawn(jax.random.key(1), batch)
  microbatch.check(draws, b, method.shared)
  z = np.asarray(jit(method.moments)(weights, batch, None)).reshape(-1, 3)
  run = jit(lambda x, d: method.loss(weights, x, d, 0)[1])
  parts = zip(
    microbatch.split(batch, 2),
    microbatch.split(draws, 2, method.shared),
    strict=True,
  )
  aux = jax.tree.map(lambda *x: sum(x) / 2, *[run(x, d) for x, d in parts])
  dead = {**extra, "used": jnp.zeros(codes)}
  aux["count"] = 0 * aux["count"]
  new = method.after(
    methods.Weights(params, dead), aux, 0, player="autoencoder"
  )
  np.testing.assert_allclose(new["codes"], z[draws["pick"]], rtol=1e-5)


def test_distances_of_features_have_finite_gradients_where_all_are_dead():
  layers = lpips.small(4, 2)
  p = lpips.random(jax.random.key(0), layers)
  p = p | {n: x - 99.0 for n, x in p.items() if n.endswith("bias")}
  x = jnp.ones((1, 8, 8, 3))
  value, grad = jax.value_and_grad(
    lambda y: lpips.distance(layers, p, x, y).sum()
  )(0.5 * x)
  assert value == 0 and not np.asarray(grad).any()


def test_vgg_counts_like_torchvision():
  convolutions = [layer.index for layer in lpips.VGG16]
  assert convolutions == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
  seen = [layer.index for layer in lpips.VGG16 if layer.tap]
  assert seen == [2, 7, 14, 21, 28]


@pytest.mark.parametrize("name", codec.SIZES)
def test_a_code_is_smaller_by_the_factor_in_the_name(name):
  net = autoencoder.Autoencoder(codec.size(name, width=32), 0)
  factor = int(name.split("-")[1].removeprefix("f"))
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  params = jax.eval_shape(net.init, jax.random.key(0))
  moments, _ = jax.eval_shape(net.encode, params, image)
  assert moments.shape == (1, 64 // factor, 64 // factor, 2 * net.size.code)
  z = jax.ShapeDtypeStruct(moments.shape[:3] + (net.size.code,), jnp.float32)
  assert jax.eval_shape(net.decode, params, z).shape == image.shape
