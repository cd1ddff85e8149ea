import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import diffir
from jmim.nn import spectral

B = 3
TINY = diffir.DiffIR.tiny()
PLAIN = field.replace(TINY, critic=dict(weight=0.0, perceptual=0.0))
FIRST = field.replace(PLAIN, stage="condition")


@pytest.fixture(scope="module")
def batch(normal):
  image = 1 / (1 + np.exp(-normal(B, 32, 32, 3)))
  return {"image": image.astype(np.float32), "index": np.arange(B)}


@pytest.fixture(scope="module")
def weights(fill):
  """Of all players, random; the frozen encoder as well."""
  params, extra = fill(TINY, {}, scale=0.2)
  params, extra = jax.tree.map(jnp.asarray, (params, extra))
  state = spectral.iterate(params["discriminator"], extra["spectral"])
  consts = TINY.consts()
  init = lambda key: {n: c.init(key) for n, c in consts.items()}
  shapes = jax.eval_shape(init, jax.random.key(0))
  rng = np.random.default_rng(1)
  random = lambda s: jnp.asarray(0.2 * rng.normal(size=s.shape), s.dtype)
  made = jax.tree.map(random, shapes)
  return methods.Weights(params, {"spectral": state}, made)


@pytest.fixture(scope="module")
def draws(batch):
  return TINY.drawn(jax.random.key(0), batch)


def graded(method, weights, batch, draws):
  """((loss, aux), gradient) of "main"."""

  def loss(main):
    params = weights.params | {"main": main}
    moved = dataclasses.replace(weights, params=params)
    return method.loss(moved, batch, draws, 0)

  run = jax.jit(jax.value_and_grad(loss, has_aux=True))
  return run(weights.params["main"])


@pytest.fixture(scope="module")
def joint(weights, batch, draws):
  return graded(TINY, weights, batch, draws)


@pytest.fixture(scope="module")
def condition(weights, batch, draws):
  return graded(FIRST, weights, batch, draws)


def largest(tree):
  return max(float(np.abs(x).max()) for x in jax.tree.leaves(tree))


def test_the_loss_is_the_sum_of_its_terms(joint):
  """The divergence is told, and not in it."""
  (loss, aux), _ = joint
  terms = aux["loss_vector"] + aux["loss_pixels"]
  critic = TINY.critic
  terms += critic.weight * aux["adversarial"]
  terms += critic.perceptual * aux["perceptual"]
  np.testing.assert_allclose(loss, terms, rtol=1e-5)
  assert aux["kl"] > 0


def test_first_the_condition_and_the_denoiser_learn_alone(joint, condition):
  (loss, aux), grads = condition
  np.testing.assert_allclose(loss, joint[0][1]["loss_vector"], rtol=1e-5)
  assert "loss_pixels" not in aux
  assert largest(grads["net"]) == 0
  assert largest(grads["condition"]) > 0 and largest(grads["denoiser"]) > 0
  (rule,) = FIRST.groups()
  assert rule.frozen and TINY.groups() == ()


def test_then_the_restorer_learns_and_tells_what_vector_it_wants(
  joint, condition
):
  grads = joint[1]
  assert largest(grads["net"]) > 0
  # Pixels and critic pull the vector, too.
  gap = jax.tree.map(np.subtract, grads["denoiser"], condition[1]["denoiser"])
  assert largest(gap) > 1e-4 * largest(grads["denoiser"])


def test_the_vector_it_guesses_has_not_seen_the_truth(weights, batch):
  """Two truths that are spoilt alike: one vector, two that know them."""
  pairs = field.replace(PLAIN, degraded=dict(degradation="pairs"))
  y = batch["image"][:, ::2, ::2]
  truths = (batch["image"], batch["image"][:, ::-1])

  @jax.jit
  def outputs(weights, y, x):
    batch, key = {"low": y, "high": x}, jax.random.key(3)
    normal = lambda *sides: jax.random.normal(key, (B, *sides))
    return (
      pairs.vectors(weights, y, x, normal),
      pairs.oracle(weights, batch, key),
    )

  (a, known_a), (b, known_b) = (outputs(weights, y, x) for x in truths)
  np.testing.assert_array_equal(a, b)
  assert np.abs(known_a - known_b).max() > 1e-4


def test_noise_is_an_images_own(weights, batch):
  """Whatever its place in a batch; another key, another noise."""
  features = jax.jit(PLAIN.features)
  made = features(weights, batch, jax.random.key(4))
  turned = {name: x[::-1] for name, x in batch.items()}
  other = features(weights, turned, jax.random.key(4))
  np.testing.assert_allclose(other[::-1], made, rtol=1e-4, atol=1e-6)
  moved = features(weights, batch, jax.random.key(5))
  assert np.abs(moved - made).max() > 1e-3


def test_errors_are_distances_of_guessed_and_true_vectors(weights, batch):
  @jax.jit
  def outputs(weights, batch):
    key = jax.random.key(4)
    names = ("features", "known", "errors")
    return [PLAIN.predict()[n](weights, batch, key) for n in names]

  made, known, errors = outputs(weights, batch)
  wanted = np.abs(np.asarray(made) - known).mean(-1)
  np.testing.assert_allclose(errors["vector"], wanted, rtol=1e-4)
  wanted = np.abs(np.mean(known, 0) - known).mean(-1)
  np.testing.assert_allclose(errors["spread"], wanted, rtol=1e-4)


def test_the_critic_sees_what_is_restored_and_keeps_its_state(
  weights, batch, draws
):
  @jax.jit
  def outputs(weights):
    loss, aux = TINY.loss(weights, batch, draws, 0, player="discriminator")
    y, x = TINY.pair(batch, draws)
    z = TINY.known(weights, y, x)
    main = weights.params["main"]
    made = TINY.walked(main, y, TINY.walk.noised(z, draws["noise"]))[-1]
    return (
      loss,
      aux,
      TINY.critic.of_critic(weights, x, TINY.restored(main, y, made)),
    )

  loss, _, (wanted, _) = outputs(weights)
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)
  extra = TINY.after(weights, {}, 0, player="discriminator")
  moved = jax.tree.map(np.subtract, extra, weights.extra)
  assert largest(moved) > 1e-3
  assert TINY.after(weights, {}, 0) is weights.extra


def test_the_divergence_by_hand():
  z, made = np.array([[0.3, 0.0]], "f4"), np.array([[0.0, 0.0]], "f4")
  p = 1 / (1 + np.exp(-2.0))
  wanted = p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))
  np.testing.assert_allclose(diffir.divergence(z, made), wanted, rtol=1e-5)


@pytest.mark.parametrize(
  "changes, said",
  [
    (dict(vector="constant"), "vector='constant'"),
    (dict(stage="condition"), "critic.weight and critic.perceptual"),
    (dict(size=36), "with images of side 36"),
  ],
)
def test_fields_that_do_not_go_together_are_named(changes, said):
  with pytest.raises(ValueError, match=said):
    field.replace(TINY, **changes).inputs()
  FIRST.inputs()
