"""The adapters of LDM and the DDPM report on options not in the given cases."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table

STAGE = {
  "double_z": True,
  "z_channels": 3,
  "resolution": 8,
  "in_channels": 2,
  "out_ch": 2,
  "ch": 32,
  "ch_mult": [1, 2, 1],
  "num_res_blocks": 1,
  "attn_resolutions": [4],
  "embed_dim": 2,
}
CRITIC = {
  "n_embed": 5,
  "embed_dim": 3,
  "beta": 0.5,
  "legacy": False,
  "pixel_loss": "l2",
  "disc_num_layers": 1,
  "disc_ndf": 4,
  "disc_weight": 0.6,
  "disc_loss": "vanilla",
  "perceptual_weight": 0.0,
  "global_step": 5,
  "disc_start": 6,
}


def ddim(alpha, steps, eta, case):
  """Song et al. 2021, eq. 12, along ascending times of a table alpha."""
  x, states = case["x_T"].astype(np.float64), []
  before = np.append(alpha[0], alpha[steps[:-1]])
  for n, (t, previous) in enumerate(
    zip(steps[::-1], before[::-1], strict=True)
  ):
    eps = case["eps_cond"][n]
    ratio = (1 - previous) / (1 - alpha[t])
    std = eta * np.sqrt(ratio * (1 - alpha[t] / previous))
    x0 = (x - np.sqrt(1 - alpha[t]) * eps) / np.sqrt(alpha[t])
    x = np.sqrt(previous) * x0 + np.sqrt(1 - previous - std**2) * eps
    x = x + std * case["noise"][n]
    states.append(x)
  return np.stack(states)


def theirs(name, times, start, end):
  """Their beta by their name."""
  if name == "cosine":
    angle = (np.arange(times + 1) / times + 0.008) / 1.008 * np.pi / 2
    power = np.cos(angle) ** 2
    return np.minimum(1 - power[1:] / power[:-1], 0.999)
  if name == "linear":
    return np.linspace(start**0.5, end**0.5, times) ** 2
  line = np.linspace(start, end, times)
  return line if name == "sqrt_linear" else line**0.5


@pytest.mark.parametrize("name", ["linear", "cosine", "sqrt_linear", "sqrt"])
def test_ddim_on_each_schedule_is_that_of_the_formula(name):
  # 41 // 3 = 13: times 1, 14, 27, 40, one more than asked for.
  config = dict(T=41, S=3, schedule=name, linear_start=1e-3, linear_end=0.03)
  config |= dict(eta=0.7, guidance_scale=1.0)
  shape = (4, 2, 1, 2, 2)
  case = {
    n: golden_kit.normal(*shape, seed=i)
    for i, n in enumerate(("eps_cond", "noise"))
  }
  case |= {
    "eps_uncond": case["eps_cond"],
    "x_T": golden_kit.normal(*shape[1:], seed=9),
  }
  found = golden_kit.adapter("ldm").ddim(golden_kit.Asked(config, case))
  beta = theirs(name, config["T"], 1e-3, 0.03)
  np.testing.assert_allclose(found["betas"], beta, rtol=1e-6)
  steps = np.arange(0, config["T"], config["T"] // config["S"]) + 1
  np.testing.assert_array_equal(found["timesteps"], steps)
  expected = ddim(np.cumprod(1 - beta), steps, 0.7, case)
  np.testing.assert_allclose(found["x"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
  "changes",
  [
    {},
    {"ch_mult": [1], "attn_resolutions": [], "embed_dim": 3},
    {"n_embed": 6},
  ],
)
def test_first_stages_of_any_size_pass_through_the_table(changes):
  module, config = golden_kit.adapter("ldm"), {**STAGE, **changes}
  codes = config.get("n_embed", 0)
  config["double_z"] = not codes
  net = module.stage(config).net
  params = golden_kit.weights(jax.eval_shape(net.init, jax.random.key(0)))
  rules = module.convert.autoencoder(net.size, module.convert.compvis)
  rules = [*rules, module.EMBEDDING] if codes else rules
  side = 8 // net.size.factor
  inputs = {
    "x": golden_kit.normal(2, 2, 8, 8),
    "eps": golden_kit.normal(2, net.size.code, side, side),
  }
  found = module.run(
    golden_kit.Asked(config, inputs, table.export_tree(rules, params))
  )
  z, hidden = jax.jit(net.encode)(params, jnp.moveaxis(inputs["x"], 1, -1))
  np.testing.assert_allclose(found["encoder_h"], module.nchw(hidden), atol=1e-5)
  assert hidden.shape[-1] == config["z_channels"] * (1 if codes else 2)
  sampled = z if codes else module.nhwc(found["z"])
  made = jax.jit(net.decode)(params, sampled)
  np.testing.assert_allclose(found["rec"], module.nchw(made), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("start, on", [(6, 0.0), (5, 1.0)])
def test_losses_of_a_first_stage_follow_their_options(start, on):
  module, config = golden_kit.adapter("ldm"), {**CRITIC, "disc_start": start}
  m = module.critical(config)
  image = jnp.zeros((1, 16, 16, 3))
  critic = jax.eval_shape(m.losses.critic.init, jax.random.key(0), image)
  kernel, width = jax.ShapeDtypeStruct((3, 3, 3, 3), "f"), config["embed_dim"]
  last = {"kernel": kernel, "bias": jax.ShapeDtypeStruct((3,), "f")}
  codes = jax.ShapeDtypeStruct((config["n_embed"], width), "f")
  shapes = {"autoencoder": {"last": last, "codes": codes}}
  params = golden_kit.weights(shapes | {"discriminator": critic["params"]})
  held = table.export_tree(module.rules(m), params)
  inputs = {
    "z": golden_kit.normal(2, width, 16, 16),
    "x": golden_kit.normal(2, 3, 16, 16, seed=1),
  }
  inputs |= {
    "feat0": golden_kit.normal(2, 3, 2, 2),
    "feat1": golden_kit.normal(2, 3, 2, 2, seed=2),
  }
  inputs["lin_w"] = np.ones((1, 3, 1, 1), np.float32)
  found = module.run(golden_kit.Asked(config, inputs, held))
  nll = ((found["rec"] - inputs["x"]) ** 2).mean()
  gap = ((found["zq"] - inputs["z"]) ** 2).mean()
  np.testing.assert_allclose(found["nll_loss"], nll, rtol=1e-4)
  np.testing.assert_allclose(found["codebook_loss"], 1.5 * gap, rtol=1e-4)
  total = nll + 1.5 * gap + on * found["d_weight"] * found["g_loss"]
  np.testing.assert_allclose(found["total_loss"], total, rtol=1e-4)
  plus = lambda x: np.log1p(np.exp(x)).mean()
  both = plus(-found["logits_real"]) + plus(found["logits_fake"])
  np.testing.assert_allclose(found["disc_loss"], on * both / 2, rtol=1e-4)


def test_report_on_other_schedules_variances_and_spacings():
  module, shape = golden_kit.adapter("ddpm_report"), (2, 1, 2, 2)
  config = dict(T=20, steps=4, beta_schedule="sigmoid", beta_start=1e-3)
  config |= dict(beta_end=0.1, guidance=1.5, eta=1.0, variance="fixed_large")
  config |= dict(ddpm_step_t=0, timestep_spacing="trailing")
  names = ("x0", "eps", "x", "ddpm_noise")
  inputs = {n: golden_kit.normal(*shape, seed=i) for i, n in enumerate(names)}
  for n in ("eps_cond", "eps_uncond", "noise"):
    inputs[n] = golden_kit.normal(4, *shape, seed=len(n))
  inputs["t"] = np.array([0, 19])
  found = module.run(golden_kit.Asked(config, inputs))
  gate = 1 / (1 + np.exp(-np.linspace(-6, 6, 20)))
  beta = 1e-3 + 0.099 * gate
  np.testing.assert_allclose(found["betas"], beta, rtol=1e-6)
  np.testing.assert_array_equal(found["ddim_timesteps"], [19, 14, 9, 4])
  # The last step of DDPM adds no noise: it is x0.
  x0 = inputs["x"] - np.sqrt(beta[0]) * inputs["eps_cond"][0]
  x0 = x0 / np.sqrt(1 - beta[0])
  np.testing.assert_allclose(found["ddpm_step"], x0, atol=1e-5)
