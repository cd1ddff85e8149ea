import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import pixel_critic
from jmim.nn import spectral

CRITIC = pixel_critic.PixelCritic(
  weight=0.5, width=4, perceptual=2.0, features="small"
)


@pytest.fixture(scope="module")
def images(normal):
  x = (1 / (1 + np.exp(-normal(2, 2, 8, 8, 3)))).astype(np.float32)
  return x[0], x[1]


@pytest.fixture(scope="module")
def weights(images):
  params, extra = CRITIC.init(jax.random.key(0), images[0][:1])
  consts = {n: c.init(jax.random.key(1)) for n, c in CRITIC.consts().items()}
  return methods.Weights(params, extra, consts)


@pytest.fixture(scope="module")
def losses(weights, images):
  made = jax.jit(
    lambda w, a, b: (CRITIC.of_maker(w, a, b), CRITIC.of_critic(w, a, b))
  )
  return made(weights, *images)


def test_the_makers_loss_is_its_weighted_terms(weights, images, losses):
  (loss, terms), _ = losses
  logits = np.asarray(CRITIC.logits(weights, images[1]), np.float64)
  adversarial = np.log1p(np.exp(-logits)).mean()
  np.testing.assert_allclose(terms["adversarial"], adversarial, rtol=1e-5)
  total = 2 * terms["perceptual"] + 0.5 * terms["adversarial"]
  np.testing.assert_allclose(loss, total, rtol=1e-6)
  assert terms["perceptual"] > 0
  arrays = weights.consts["perceptual"]
  assert CRITIC.distance(arrays, images[0], images[0]) == 0


def test_the_critics_loss_is_lower_the_further_apart_its_logits(
  weights, images, losses
):
  loss, aux = losses[1]
  real, fake = (
    np.asarray(CRITIC.logits(weights, x), np.float64) for x in images
  )
  wanted = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)
  np.testing.assert_allclose(aux["logits_real"], real.mean(), rtol=1e-4)


def test_directions_move_once_the_critic_has(weights):
  net, state = weights.params["discriminator"], weights.extra["spectral"]
  kept = CRITIC.after(weights, "discriminator")["spectral"]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
    kept,
    spectral.iterate(net, state),
  )
  assert kept.keys() == {
    *(f"down{i}" for i in range(3)),
    *(f"up{i}" for i in range(3)),
    "end0",
    "end1",
  }
  assert CRITIC.after(weights, "main") is weights.extra


def test_logits_do_not_see_how_large_a_normalised_kernel_is(weights, images):
  net = weights.params["discriminator"]
  wide = {"down1": jax.tree.map(lambda x: 3 * x, net["down1"])}
  moved = methods.Weights({"discriminator": net | wide}, weights.extra)
  np.testing.assert_allclose(
    CRITIC.logits(moved, images[0]),
    CRITIC.logits(weights, images[0]),
    rtol=1e-4,
    atol=1e-5,
  )


def test_vgg_counts_by_stages_and_the_two_finest_little(monkeypatch):
  """0.1, 0.1, 1, 1, 1, of what convolutions give before their ReLU."""
  vgg = field.replace(CRITIC, features="vgg19")
  shapes = jax.eval_shape(vgg.consts()["perceptual"].init, jax.random.key(0))
  assert shapes["features.34.weight"].shape == (512, 512, 3, 3)
  assert not [n for n in shapes if n.startswith("lin")]

  def features(layers, arrays, x, linear):
    assert linear and layers == pixel_critic.lpips.VGG19
    return [k * x[..., 0] for k in range(1, 6)]

  monkeypatch.setattr(pixel_critic.lpips, "features", features)
  x = jnp.zeros((1, 4, 4, 3))
  found = vgg.distance({}, x, x + 0.5)
  gap = 1 / pixel_critic.lpips.SCALE[0]
  np.testing.assert_allclose(found, (0.1 + 0.2 + 3 + 4 + 5) * gap, rtol=1e-5)


def test_nothing_is_there_where_nothing_weighs(images):
  none = pixel_critic.PixelCritic()
  assert none.players == () and none.consts() == {}
  assert none.init(jax.random.key(0), images[0]) == ({}, {})
  loss, terms = none.of_maker(methods.Weights({}), *images)
  assert loss == 0 and terms == {}


@pytest.mark.parametrize(
  "side, channels, said",
  [(12, 3, "critic.weight=0.5 .* multiple of 8"), (8, 1, "1 channels")],
)
def test_images_that_cannot_be_judged_are_named(side, channels, said):
  with pytest.raises(ValueError, match=said):
    CRITIC.check(side, channels)
  CRITIC.check(8, 3)
