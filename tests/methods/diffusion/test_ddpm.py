import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.diffusion import ddpm

B = 4
UNET = ddpm.DDPM.tiny()


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  image = rng.uniform(-1, 1, (B, 8, 8, 3)).astype(np.float32)
  return {"image": image, "label": np.array([0, 1, 2, 1], np.int32)}


@pytest.fixture(scope="module")
def start(batch):
  """Method -> its fresh parameters, drawn once, in a tree of their own."""
  init = lambda method: jax.jit(method.init)(jax.random.key(0), batch)[0]
  once = functools.cache(init)
  return lambda method: jax.tree.map(jnp.asarray, once(method))


def loss_of(method, params, batch, draws):
  return jax.jit(lambda p: method.loss(methods.Weights(p), batch, draws, 0))(
    params
  )


def test_the_prediction_starts_at_zero(batch, start):
  params, draws = start(UNET), UNET.drawn(jax.random.key(1), batch)
  _, aux = loss_of(UNET, params, batch, draws)
  np.testing.assert_allclose(
    aux["loss_unweighted"], (draws["noise"] ** 2).mean(), rtol=1e-5
  )


@pytest.mark.parametrize("prediction", ["x0", "v", "velocity"])
def test_other_predictions_have_their_own_target(prediction, batch, start):
  method = dataclasses.replace(UNET, prediction=prediction)
  params, draws = start(UNET), UNET.drawn(jax.random.key(1), batch)
  _, a, s = method.noise.add(batch["image"], draws["t"], draws["noise"])
  x, eps = batch["image"], draws["noise"]
  target = {"x0": x, "v": a * eps - s * x, "velocity": x - eps}[prediction]
  loss, _ = loss_of(method, params, batch, draws)
  np.testing.assert_allclose(loss, (target**2).mean(), rtol=1e-5)


def test_min_snr_weighs_by_time(batch, start):
  method = dataclasses.replace(UNET, weight="min_snr")
  params, draws = start(UNET), UNET.drawn(jax.random.key(1), batch)
  draws["t"] = np.array([0, 1, 8, 19])  # SNR on both sides of 5
  _, a, s = method.noise.add(batch["image"], draws["t"], draws["noise"])
  snr = np.asarray(a / s) ** 2
  wanted = (np.minimum(snr, 5) / snr * np.asarray(draws["noise"]) ** 2).mean()
  loss, aux = loss_of(method, params, batch, draws)
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)
  assert aux["loss_unweighted"] != loss


def test_a_learned_variance_adds_the_bound_and_teaches_v_alone(batch, start):
  """L_hybrid, by its parts; what predicts the noise hears of L_simple only."""
  noise = dict(learn_variance=True, variance="learned")
  method = field.replace(UNET, noise=noise, sampling=dict(sampler="ddpm"))
  params, draws = start(method), method.drawn(jax.random.key(1), batch)
  head = params["main"]["conv_out"]
  assert head["bias"].shape == (6,)
  rng = np.random.default_rng(1)
  head["kernel"] = 0.1 * rng.normal(size=head["kernel"].shape)
  x_t, _, _ = method.noise.add(batch["image"], draws["t"], draws["noise"])
  label = method.labels.dropped(batch, draws)

  def made(bias):
    main = {**params["main"], "conv_out": {**head, "bias": bias}}
    loss, aux = method.loss(methods.Weights({"main": main}), batch, draws, 0)
    raw = method.network({"main": main}, x_t, draws["t"], label)
    return loss, (aux, raw)

  run = jax.jit(jax.value_and_grad(made, has_aux=True))
  (loss, (aux, raw)), grad = run(head["bias"])
  simple = ((raw[..., :3] - draws["noise"]) ** 2).mean()
  np.testing.assert_allclose(aux["loss_unweighted"], simple, rtol=1e-5)
  terms = method.noise.errors(raw, batch["image"], draws)
  np.testing.assert_allclose(loss, simple + terms["vb"].mean(), rtol=1e-5)
  np.testing.assert_allclose(aux["loss_vb"], terms["vb"].mean(), rtol=1e-5)
  # of mean squares over b, h, w, c by the bias of a channel
  expected = 2 * (raw[..., :3] - draws["noise"]).mean((0, 1, 2)) / 3
  np.testing.assert_allclose(grad[:3], expected, rtol=1e-4, atol=1e-7)
  assert np.all(grad[3:] != 0)


def test_samples_and_errors_of_a_learned_variance(batch, start):
  """Errors are those of the same network without it."""
  noise = dict(learn_variance=True, variance="learned")
  method = field.replace(UNET, noise=noise, sampling=dict(sampler="ddpm"))
  params = start(method)
  weights, key = methods.Weights(params), jax.random.key(2)
  assert np.isfinite(jax.jit(method.sample)(weights, batch, key)).all()
  head = jax.tree.map(lambda x: x[..., :3], params["main"]["conv_out"])
  plain = methods.Weights({"main": {**params["main"], "conv_out": head}})
  found = jax.jit(method.errors)(weights, batch, key)["eps"]
  want = jax.jit(UNET.errors)(plain, batch, key)["eps"]
  np.testing.assert_allclose(found, want, rtol=1e-5)


def test_dropout_comes_from_the_draws(batch, start):
  method = field.replace(UNET, dims={"dropout": 0.5})
  params = jax.tree.map(
    lambda x: x + 0.1 * np.random.default_rng(0).normal(size=x.shape),
    start(UNET),
  )
  draws = method.drawn(jax.random.key(1), batch)
  assert "dropout" not in UNET.drawn(jax.random.key(1), batch)
  first, again = (loss_of(method, params, batch, draws)[0] for _ in range(2))
  assert first == again
  other = {**draws, "dropout": draws["dropout"] + 1}
  assert loss_of(method, params, batch, other)[0] != first


@pytest.mark.parametrize(
  "change, message",
  [
    ({"size": 9}, r"side \(size\) 9 "),
    ({"dims": {"heads": 3}}, "3 heads"),
    ({"noise": {"variance": "learned"}}, "learned"),
    ({"weight": "min_snr", "prediction": "velocity"}, "velocity"),
    ({"noise": {"learn_variance": True}, "prediction": "v"}, "L_vb"),
  ],
)
def test_what_cannot_work_is_refused(change, message):
  with pytest.raises(ValueError, match=message):
    field.replace(UNET, **change).inputs()
