"""Ranks along a path, of denoisers whose rank is known and of a network."""

import dataclasses

import evalkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field
from jmim.core import method
from jmim.diffusion import model
from jmim.diffusion import schedule
from jmim.diffusion import targets
from jmim.evals import jacobian
from jmim.methods.theory import subspace
from jmim.session import build


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flat(method.Method):
  """x0 is the image in its first channels alone."""

  size: int = field.value(4, "side")
  kept: int = field.value(1, "channels kept")

  def inputs(self):
    return {"image": method.Input((self.size, self.size, 3))}

  def init(self, key, batch):
    gain = jnp.float32(0.5) + jax.random.uniform(key)
    return {"main": {"gain": gain}}, {}

  def loss(self, weights, batch, draws, step, player="main"):
    return weights.params["main"]["gain"] ** 2, {}

  def diffuser(self, weights):
    keep = weights.params["main"]["gain"] * (jnp.arange(3) < self.kept)
    return model.Diffuser(
      shape=(self.size, self.size, 3),
      schedule=schedule.make("linear", 20, 1e-3, 0.3),
      network=lambda x, t, told: keep * x,
      output=lambda raw, x, level, clip: targets.output(
        "x0", raw, x=x, a=level.signal, s=level.noise
      ),
    )


def test_rank_and_pictures_of_a_known_denoiser_on_any_devices():
  evaluator = jacobian.Evaluator(steps=4, examples=2, directions=2)
  found = []
  for devices in (1, 8):
    context = evalkit.context(devices=devices, model=Flat)
    found.append(list(evaluator.run(context)))
  one, eight = map(dict, found)
  assert one["rank_least"] == one["rank_most"] == 16
  assert one["least_ratio"] == pytest.approx(1 / 3)
  gain = float(context.weights("raw").params["main"]["gain"])
  assert one["top_1"] == pytest.approx(gain, rel=1e-4)
  assert one["directions"].ndim == one["values"].ndim == 3
  noise = one["levels"]["noise_to_signal"]
  assert len(noise) == 4 and noise == sorted(noise, reverse=True)
  assert one["examples"] == 2 and list(one) == list(eight)
  for name, value in one.items():
    if name != "levels":
      np.testing.assert_allclose(eight[name], value, atol=1e-5, err_msg=name)


def test_rank_of_a_mixture_is_at_most_that_of_the_data():
  m = subspace.Subspace(width=12, dims=(2, 3), priors=(0.3, 0.7))
  params, _ = jax.jit(m.init)(jax.random.key(0), {})
  evaluator = jacobian.Evaluator(steps=12, directions=2)
  batch = {"vector": np.zeros((3, 12), np.float32)}
  found = evaluator.measured(
    m.diffuser(method.Weights(params)), batch, jax.random.key(1)
  )
  ranks = np.asarray(jacobian.jacobian.rank(found["values"]))
  assert ranks.max() <= 5
  assert set(ranks[:, -2].tolist()) <= {2, 3}  # hardly any noise: its own
  assert "moved" not in found  # these points are no pictures
  assert found["top"].shape == (3, 2)


def test_without_all_singular_values_there_are_those_of_the_directions():
  evaluator = jacobian.Evaluator(steps=3, values=False, directions=1)
  found = dict(evaluator.run(evalkit.context(devices=1, model=Flat)))
  assert "rank_least" not in found and "values" not in found
  assert found["top_1"] > 0


def test_a_method_that_is_no_diffusion_model():
  config = configs.load("configs/mae_digits.py")
  config.evals = configs.section(jac=configs.section(type="jacobian"))
  with pytest.raises(errors.UserError, match="no diffusion model") as e:
    build.make_evaluators(config, evalkit.Everything())
  assert e.value.key == "evals.jac"
