"""TAD-SR's adapter on options that the given case leaves out, by numpy.

The networks are one line here; Swin layers, heads and tables have tests of
their own (test_swin_map, test_timed_heads, test_shifted).
"""

import dataclasses

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import tad_sr as tables
from jmim.methods.restore import tad_sr
from jmim.nn import unet as layers

FIELDS = dataclasses.fields(tad_sr.TADSR)
NAMES = ("params", "extra")
B, SIDE, STEPS, KAPPA = 2, 8, 4, 1.0
CONFIG = {
  "unet": {
    "image_size": SIDE,
    "model_channels": 4,
    "attention_resolutions": [4],
    "channel_mult": [1, 2],
    "num_res_blocks": [2, 1],
    "num_heads": 2,
    "num_head_channels": -1,
    "swin_depth": 3,
    "swin_embed_dim": 8,
    "window_size": 8,
    "mlp_ratio": 2,
    "patch_norm": True,
  },
  "diffusion": {
    "schedule_kwargs": {"power": 0.7},
    "etas_end": 0.9,
    "steps": STEPS,
    "min_noise_level": 0.2,
    "kappa": KAPPA,
  },
  "sf": 2,
  "group_norm_groups": 2,
  "disc_c_dim": 2,
  "disc_embed_dim": 6,
  "feature_indices": [1],
  "hsd_weight": 0.5,
  "gan_weight": 0.3,
}


def network(self, params, x, t, low):
  del params
  inside = self.noise.inside(x, jnp.asarray(t))
  return jnp.tanh(inside) + 0.1 * low


def inside(self, params, x, t, low):
  made = network(self, params, x, t, low=low)
  maps = jnp.concatenate([made, made[..., :1]], axis=-1)
  wide = jnp.concatenate([maps, maps], axis=-1)
  return layers.Taps(
    emb=None, skips=(None, maps), middle=wide, attention={}, bank={}
  )


def channels_last(arrays):
  moved = lambda x: np.moveaxis(x, -3, -1) if np.ndim(x) > 3 else np.asarray(x)
  return {name: moved(x) for name, x in arrays.items()}


@pytest.fixture(scope="module")
def made():
  """(inputs, outputs) of the adapter, [.., h, w, c]; names of weights."""
  module = golden_kit.adapter("tad_sr")
  own = module.build(CONFIG)
  real = tad_sr.TADSR(**{f.name: getattr(own, f.name) for f in FIELDS})
  real.inputs()
  init = lambda key: dict(zip(NAMES, real.init(key, {}), strict=True))
  shapes = jax.eval_shape(init, jax.random.key(0))
  theirs = table.export_tree(tables.full(real), golden_kit.weights(shapes))
  module.Compiled.network, module.Compiled.inside = network, inside
  names = ("gt", "lq_cond", "noise", "student_offset", "hsd_noise")
  square = (B, 3, SIDE, SIDE)
  inputs = {n: golden_kit.normal(*square, seed=i) for i, n in enumerate(names)}
  inputs["disc_noise"] = golden_kit.normal(*square, seed=7)
  inputs["lq"] = golden_kit.normal(B, 3, SIDE // 2, SIDE // 2, seed=8)
  for name, t in (("t", [3, 1]), ("hsd_t", [0, 2]), ("disc_t", [1, 2])):
    inputs[name] = np.array(t)
  found = module.run(golden_kit.Asked(CONFIG, inputs, theirs))
  return channels_last(inputs), channels_last(found), theirs


def eta():
  first = min(0.2 / KAPPA, 0.2, np.sqrt(0.001))
  share = (np.arange(STEPS) / (STEPS - 1)) ** 0.7
  return (first * (0.9 / first) ** share) ** 2


def predicted(x, t, low, twice=False):
  scale = 1 / np.sqrt(eta()[t] * KAPPA**2 + 1)
  scale = np.reshape(scale, (-1, 1, 1, 1))
  x = x * scale if twice else x
  return np.tanh(x * scale) + 0.1 * low


def noised(x, y, t, noise):
  e = eta()[t].reshape(-1, 1, 1, 1)
  return x + e * (y - x) + KAPPA * np.sqrt(e) * noise


def test_the_walk_is_that_of_its_formula(made):
  given, found, _ = made
  np.testing.assert_allclose(found["sqrt_etas"], np.sqrt(eta()), rtol=1e-5)
  y, e = found["z_y"], np.append(0, eta())
  z = y + KAPPA * np.sqrt(e[-1]) * given["noise"]
  np.testing.assert_allclose(found["x_T"], z, atol=1e-5)
  for step, t in enumerate(range(STEPS, 0, -1)):
    before, now = e[t - 1], e[t]
    m, j = np.sqrt(before / now), before - np.sqrt(before * now)
    x0 = predicted(z, [t - 1] * B, given["lq_cond"])
    if t == STEPS:
      first = x0
    z = (1 - m - j) * x0 + m * z + j * y
    np.testing.assert_allclose(found["teacher_ddim"][step], z, atol=1e-4)
  student = first + given["student_offset"]
  np.testing.assert_allclose(found["student_out"], student, atol=1e-4)
  loss = ((student - z) ** 2).mean((1, 2, 3))
  np.testing.assert_allclose(found["loss_reg"], loss, rtol=1e-3)


def test_a_step_of_training_and_its_posterior(made):
  given, found, _ = made
  t, y, e = given["t"], found["z_y"], np.append(0, eta())
  z_t = noised(given["gt"], y, t, given["noise"])
  np.testing.assert_allclose(found["z_t"], z_t, atol=1e-5)
  x0 = predicted(z_t, t, given["lq_cond"])
  np.testing.assert_allclose(found["x0_pred"], x0, atol=1e-5)
  share = (e[t] / e[t + 1]).reshape(-1, 1, 1, 1)
  mean = share * z_t + (1 - share) * x0
  np.testing.assert_allclose(found["posterior_mean"], mean, atol=1e-5)
  log_var = np.log(KAPPA**2 * e[t] * (e[t + 1] - e[t]) / e[t + 1])
  np.testing.assert_allclose(
    found["posterior_log_var"][:, 0, 0, 0], log_var, rtol=1e-4
  )


@pytest.mark.parametrize(
  "name, twice", [("", True), ("_single_scaling", False)]
)
def test_scores_and_their_weights(name, twice, made):
  given, found, _ = made
  t, y, u = given["hsd_t"], found["z_y"], given["hsd_noise"]
  e = eta()[t].reshape(-1, 1, 1, 1)

  def implied(z):
    x = noised(z, y, t, u)
    x0 = predicted(x, t, given["lq_cond"], twice)
    return (x - x0 - e * (y - x0)) / (KAPPA * np.sqrt(e))

  student, teacher = found["student_out"], found["teacher_ddim"][-1]
  gap = implied(student) - implied(teacher)
  np.testing.assert_allclose(found[f"hsd_grad{name}"], gap, atol=1e-3)
  loss = 0.5 * (gap * student).mean((1, 2, 3))
  np.testing.assert_allclose(found[f"loss_hsd{name}"], loss, atol=1e-3)


def test_the_critic_and_the_sum(made):
  given, found, _ = made
  t, y = given["disc_t"], found["z_y"]
  x = noised(found["student_out"], y, t, given["disc_noise"])
  maps = predicted(x, t, given["lq_cond"])
  expected = np.concatenate([maps, maps[..., :1]], axis=-1)
  np.testing.assert_allclose(found["feat_fake0"], expected, atol=1e-5)
  real, fake = found["disc_real"], found["disc_fake"]
  assert real.shape == (B, 2 * 2 * SIDE**2)
  hinge = np.maximum(1 - real, 0).mean(1) + np.maximum(1 + fake, 0).mean(1)
  np.testing.assert_allclose(found["loss_D"], hinge, rtol=1e-4)
  np.testing.assert_allclose(found["loss_G"], -0.3 * fake.mean(1), rtol=1e-4)
  parts = [found[f"loss_{n}"] for n in ("reg", "hsd", "G")]
  np.testing.assert_allclose(found["loss_student"], sum(parts), rtol=1e-4)


def test_names_follow_the_levels(made):
  """Attention at the coarser level alone, three layers, a norm before them."""
  _, _, theirs = made
  at = {n.split(".patch_embed")[0] for n in theirs if ".patch_embed.norm" in n}
  assert at == {
    "net.input_blocks.4.1",
    "net.middle_block.1",
    "net.output_blocks.0.1",
  }
  bias = "net.middle_block.1.blocks.2.attn.relative_position_bias_table"
  assert theirs[bias].shape == (49, 2)  # windows of the map, two heads
  assert "disc.heads.1.cls.weight_v" in theirs
