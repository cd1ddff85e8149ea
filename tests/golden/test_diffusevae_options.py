"""The adapter of DiffuseVAE on options not in the given case."""

import re

import golden_kit
import jax
import numpy as np
import pytest
from scipy import special

from jmim.convert import table

CONFIG = {
  "res": 4,
  "enc_block_config": "4,4x2,4d2,2x1,2d2,2t1,1",
  "enc_channel_config": "4:8,2:8,1:6",
  "dec_block_config": "1,1u2,1t2,2x2,2u2,2t4,4",
  "dec_channel_config": "4:4,2:8,1:6",
  "T": 12,
  "steps": 4,
  "beta_1": 1e-3,
  "beta_2": 0.05,
  "guidance_weight": 0.6,
  "variance": "fixedsmall",
}


def inputs(config):
  shape, steps = (2, 3, config["res"], config["res"]), config["steps"]
  made = {n: golden_kit.normal(*shape, seed=i) for i, n in enumerate(("eps",))}
  made["x"] = 1 / (1 + np.exp(-golden_kit.normal(*shape, seed=5)))
  made["x_T"] = golden_kit.normal(*shape, seed=6)
  made["eps_z"] = golden_kit.normal(2, 6, 1, 1, seed=7)
  made["t"] = np.array([1, 11], np.int32)
  for i, name in enumerate(("net_eps", "net_eps_null", "step_noise")):
    made[name] = golden_kit.normal(steps, *shape, seed=20 + i)
  return made


def blocks(p, name, text, x):
  """A block string in NCHW, by the names of the file."""
  i = 0
  for word in text.split(","):
    side, kind, n = re.fullmatch(r"(\d+)([xdut]?)(\d*)", word).groups()
    if kind == "u":
      x = x.repeat(int(n), 2).repeat(int(n), 3)
      i += 1
    elif kind == "t":
      x = conv(p, f"{name}.{i}", x)
      i += 1
    else:
      for _ in range(int(n) if kind == "x" else 1):
        y = x
        for c in ("c1", "c2", "c3", "c4"):
          at = f"{name}.{i}.{c}"
          wide = p[f"{at}.weight"].shape[-1] == 3
          assert wide == (int(side) > 1 and c in ("c2", "c3"))
          y = conv(p, at, 0.5 * y * (1 + special.erf(y / np.sqrt(2))))
        x, i = x + y, i + 1
      if kind == "d":
        b, c, h, w = x.shape
        k = int(n)
        x = x.reshape(b, c, h // k, k, w // k, k).mean((3, 5))
  return x


def conv(p, name, x):
  """1 x 1 or 3 x 3."""
  w = p[f"{name}.weight"]
  k, h = w.shape[-1], x.shape[2]
  x = np.pad(x, ((0, 0), (0, 0), *2 * [2 * (k // 2,)]))
  y = sum(
    np.einsum("oi,bihw->bohw", w[:, :, i, j], x[:, :, i : i + h, j : j + h])
    for i in range(k)
    for j in range(k)
  )
  return y + p[f"{name}.bias"][:, None, None] if f"{name}.bias" in p else y


def walk(config, given, c, *, form, kind):
  """(x after the first step, the sample), as the card has it."""
  beta = np.linspace(config["beta_1"], config["beta_2"], config["T"])
  count, w = config["steps"], config["guidance_weight"]
  kept = np.cumprod(1 - beta)[:: config["T"] // count]
  before = np.append(1.0, kept[:-1])
  c = c if form == 2 else 0 * c
  x, states = c + given["x_T"].astype(np.float64), []
  for i, k in enumerate(reversed(range(count))):
    power, prior = kept[k], before[k]
    b = 1 - power / prior
    eps = (1 + w) * given["net_eps"][i] - w * given["net_eps_null"][i]
    root = np.sqrt(1 - power)
    x0 = np.clip((x - c - root * eps) / np.sqrt(power), -1, 1)
    if kind == "ddpm":
      k1 = b * np.sqrt(prior) / (1 - power)
      k2 = np.sqrt(1 - b) * (1 - prior) / (1 - power)
      large = config["variance"] == "fixedlarge"
      var = b if large else b * (1 - prior) / (1 - power)
      noise = np.sqrt(var) * given["step_noise"][i, :1]
      x = k1 * x0 + k2 * x + (1 - k2) * c + (noise if k else 0)
    else:
      r = np.sqrt(1 - prior)
      x = np.sqrt(prior) * x0 + r * (eps + c / root) + (1 - r / root) * c
    states.append(x)
  return states[0], states[-1] - c


@pytest.mark.parametrize(
  "changes",
  [
    {},
    {"variance": "fixedlarge", "steps": 3, "guidance_weight": 0.0},
    {"steps": 12, "guidance_weight": -0.3},
    {
      "res": 12,
      "enc_block_config": "12d3,12t4,4d2,2x2,2d2,4t1",
      "enc_channel_config": "12:10,4:4,2:4,1:6",
      "dec_block_config": "1u3,1t3,3,3u4,3t12,12x2",
      "dec_channel_config": "12:5,3:8,1:6",
      "T": 1000,
      "beta_1": 1e-4,
      "beta_2": 0.02,
      "steps": 10,
    },
  ],
)
def test_both_forms_on_other_variances_weights_and_steps(changes):
  module, config = golden_kit.adapter("diffusevae"), CONFIG | changes
  first = module.vae(config)
  first.inputs()
  shapes = jax.eval_shape(first.net.init, jax.random.key(0))
  params = golden_kit.weights(shapes)
  held = table.export_tree(module.convert.first(first), params)
  given = inputs(config)
  found = module.run(golden_kit.Asked(config, given, held))
  x = conv(held, "enc.in_conv", given["x"])
  x = blocks(held, "enc.block_mod", config["enc_block_config"], x)
  mean, v = (conv(held, f"enc.{name}", x) for name in ("mu", "logvar"))
  np.testing.assert_allclose(found["mu"], mean, atol=1e-5)
  np.testing.assert_allclose(found["logvar"], v, atol=1e-5)
  kl = (mean**2 + np.exp(v) - 1 - v).sum() / 2
  np.testing.assert_allclose(found["kl"], kl, rtol=1e-4)
  z = mean + np.exp(v / 2) * given["eps_z"]
  x = blocks(held, "dec.block_mod", config["dec_block_config"], z)
  made = 1 / (1 + np.exp(-conv(held, "dec.last_conv", x)))
  np.testing.assert_allclose(found["recon"], made, atol=1e-5)
  loss = ((made - given["x"]) ** 2).sum()
  np.testing.assert_allclose(found["recon_loss"], loss, rtol=1e-4)
  c = 2 * made.astype(np.float64) - 1
  beta = np.linspace(config["beta_1"], config["beta_2"], config["T"])
  power = np.cumprod(1 - beta)[given["t"], None, None, None]
  plain = power**0.5 * (2 * given["x"] - 1) + (1 - power) ** 0.5 * given["eps"]
  for form in (1, 2):
    x_t = plain + (c if form == 2 else 0)
    np.testing.assert_allclose(found[f"form{form}_xt"], x_t, atol=1e-5)
    for kind in ("ddpm", "ddim"):
      wanted = walk(config, given, c, form=form, kind=kind)
      for name, x in zip(("first", "last"), wanted, strict=True):
        got = found[f"form{form}_{kind}_{name}"]
        np.testing.assert_allclose(got, x, rtol=1e-4, atol=2e-4)


def test_steps_that_do_not_divide_the_times_are_refused():
  module, config = golden_kit.adapter("diffusevae"), CONFIG | {"steps": 5}
  method = module.refiner(config, 1, "ddim")
  with pytest.raises(ValueError, match="no integer stride gives 5 of 12"):
    method.noise.check(method.sampling)
