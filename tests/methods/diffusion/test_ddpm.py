import dataclasses

import jax
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


def start(method, batch):
  return jax.jit(method.init)(jax.random.key(0), batch)[0]


def loss_of(method, params, batch, draws):
  return jax.jit(lambda p: method.loss(methods.Weights(p), batch, draws, 0))(
    params
  )


def test_the_prediction_starts_at_zero(batch):
  params, draws = start(UNET, batch), UNET.drawn(jax.random.key(1), batch)
  _, aux = loss_of(UNET, params, batch, draws)
  np.testing.assert_allclose(
    aux["loss_unweighted"], (draws["noise"] ** 2).mean(), rtol=1e-5
  )


@pytest.mark.parametrize("prediction", ["x0", "v", "velocity"])
def test_other_predictions_have_their_own_target(prediction, batch):
  method = dataclasses.replace(UNET, prediction=prediction)
  params, draws = start(UNET, batch), UNET.drawn(jax.random.key(1), batch)
  _, a, s = method.noise.add(batch["image"], draws["t"], draws["noise"])
  x, eps = batch["image"], draws["noise"]
  target = {"x0": x, "v": a * eps - s * x, "velocity": x - eps}[prediction]
  loss, _ = loss_of(method, params, batch, draws)
  np.testing.assert_allclose(loss, (target**2).mean(), rtol=1e-5)


def test_min_snr_weighs_by_time(batch):
  method = dataclasses.replace(UNET, weight="min_snr")
  params, draws = start(UNET, batch), UNET.drawn(jax.random.key(1), batch)
  draws["t"] = np.array([0, 1, 8, 19])  # SNR on both sides of 5
  _, a, s = method.noise.add(batch["image"], draws["t"], draws["noise"])
  snr = np.asarray(a / s) ** 2
  wanted = (np.minimum(snr, 5) / snr * np.asarray(draws["noise"]) ** 2).mean()
  loss, aux = loss_of(method, params, batch, draws)
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)
  assert aux["loss_unweighted"] != loss


def test_dropout_comes_from_the_draws(batch):
  method = field.replace(UNET, dims={"dropout": 0.5})
  params = jax.tree.map(
    lambda x: x + 0.1 * np.random.default_rng(0).normal(size=x.shape),
    start(UNET, batch),
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
  ],
)
def test_what_cannot_work_is_refused(change, message):
  with pytest.raises(ValueError, match=message):
    field.replace(UNET, **change).inputs()
