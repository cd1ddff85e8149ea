import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import autoencoder_kl
from jmim.nn.nets import autoencoder

B = 2
KL = field.replace(
  autoencoder_kl.AutoencoderKL(size=8),
  dims=dict(width=4, multipliers=(1, 2), blocks=1),
  losses=dict(disc_layers=1, disc_width=4, disc_start=3, disc_weight=0.3),
)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {"image": rng.uniform(-1, 1, (B, 8, 8, 3)).astype(np.float32)}


@pytest.fixture(scope="module")
def start(batch):
  return jax.jit(KL.init)(jax.random.key(0), batch)


def norm(tree):
  return float(np.sqrt(sum((np.asarray(x) ** 2).sum() for x in tree)))


def test_the_critic_moves_the_last_kernel_as_strongly_as_its_weight_says(
  start, batch
):
  params, _ = start
  x, noise = batch["image"], KL.drawn(jax.random.key(1), batch)["noise"]
  moments = jax.jit(KL.moments)(methods.Weights(params), batch, None)
  z = autoencoder.drawn(moments, noise)
  features = jax.jit(KL.net.features)(params["autoencoder"], z)

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
  grads = jax.jit(jax.jacrev(parts))(kernel)
  np.testing.assert_allclose(
    norm(grads[1:]), KL.losses.disc_weight * norm(grads[:1]), rtol=1e-3
  )


def test_the_critic_waits_for_its_start(start, batch):
  params, extra = start
  draws = KL.drawn(jax.random.key(1), batch)

  @jax.jit
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
