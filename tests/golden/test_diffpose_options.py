"""The adapter of DiffPose against its formulas in numpy, at other sizes."""

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table

CONFIG = {
  "joints": 3,
  "embedding_dim": 4,
  "condition_dim": 2,
  "num_samples": 4,
  "heatmap_size": 6,
  "timesteps": 5,
  "denoiser_hidden": 8,
  "transformer_layers": 1,
  "transformer_heads": 2,
  "transformer_ff": 10,
  "scale_3d_pose": 10.0,
  "n_hypotheses": 2,
  "batch": 2,
}
OUTPUTS = (
  *("samples", "probs", "cond_embedding", "eps_pred", "loss", "betas"),
  *("alphas_cumprod", "hypotheses", "z0", "p_mean", "p_log_var"),
  "grad/denoise_fn.pose.bias",
)
OPTIONS = [
  {"num_samples": 1, "n_hypotheses": 3},
  {"joints": 5, "embedding_dim": 6, "transformer_heads": 3, "batch": 3},
  {"transformer_layers": 3, "transformer_ff": 7, "condition_dim": 5},
  {"heatmap_size": 9, "timesteps": 8, "scale_3d_pose": 4.0},
  {"n_hypotheses": 1, "denoiser_hidden": 12, "num_samples": 7},
  {"objective": "pred_x0", "loss": "l1"},
  {"beta_schedule": "linear", "timesteps": 25, "loss": "l1"},
]


def linear(p, name, x):
  return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, x):
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
  return x * p[f"{name}.weight"] + p[f"{name}.bias"]


def layer(p, name, x, heads):
  """torch's TransformerEncoderLayer, post-norm and ReLU, without dropout."""
  b, t, w = x.shape
  attention = f"{name}.self_attn"
  qkv = x @ p[f"{attention}.in_proj_weight"].T + p[f"{attention}.in_proj_bias"]
  q, k, v = qkv.reshape(b, t, 3, heads, -1).transpose(2, 0, 3, 1, 4)
  logits = q @ k.swapaxes(-1, -2) / np.sqrt(w // heads)
  a = np.exp(logits - logits.max(-1, keepdims=True))
  a = a / a.sum(-1, keepdims=True)
  y = (a @ v).swapaxes(1, 2).reshape(b, t, w)
  x = norm(p, f"{name}.norm1", x + linear(p, f"{attention}.out_proj", y))
  h = np.maximum(linear(p, f"{name}.linear1", x), 0)
  return norm(p, f"{name}.norm2", x + linear(p, f"{name}.linear2", h))


def candidates(heat, cells):
  """(places [b, k, j, 2], likelihoods [b, k, j]) of cells [b * j, k]."""
  b, j, side, _ = heat.shape
  flat = heat.reshape(b * j, -1)
  cells = np.concatenate([flat.argmax(1)[:, None], cells], axis=1)
  xy = np.stack([cells % side, cells // side], -1)
  likelihood = np.take_along_axis(flat, cells, 1)
  apart = lambda x: x.reshape(b, j, *x.shape[1:]).swapaxes(1, 2)
  return apart(2 * (xy - side / 2) / side), apart(likelihood)


def embedded(config, p, heat, cells):
  """Conditions [b, joints * condition_dim]."""
  n = config["embedding_dim"]
  places, likelihood = candidates(heat, cells)
  phase = 0.25 * np.pi * n / 2 * (places[..., None] - np.linspace(-1, 1, n))
  code = np.where(np.abs(phase) > np.pi / 2, 0, np.cos(phase) ** 2)
  code = code.reshape(*likelihood.shape, 2 * n) * likelihood[..., None]
  root = "condition_emb"
  x = linear(p, f"{root}.pos_proj", code).sum(1)
  x = x + p[f"{root}.joint_embedding.weight"]
  for i in range(config["transformer_layers"]):
    name = f"{root}.transformer.layers.{i}"
    x = layer(p, name, x, heads=config["transformer_heads"])
  return linear(p, f"{root}.pos_out", x.reshape(len(x), -1))


def denoise(p, x, t, c):
  leaky = lambda h: np.where(h > 0, h, 0.01 * h)
  h = linear(p, "denoise_fn.upscale", np.concatenate([x, t[:, None], c], 1))
  for name in ("denoise_fn.res_pose1", "denoise_fn.res_pose2"):
    h = h + leaky(linear(p, f"{name}.l2", leaky(linear(p, f"{name}.l1", h))))
  return linear(p, "denoise_fn.pose", h)


def schedule(config):
  steps = config["timesteps"]
  if config.get("beta_schedule") == "linear":
    beta = np.linspace(1000 / steps * 1e-4, 1000 / steps * 0.02, steps)
    return beta, np.cumprod(1 - beta)
  f = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
  beta = np.minimum(1 - f[1:] / f[:-1], 0.999)
  return beta, np.cumprod(1 - beta)


def step(config, p, x, *, t, c):
  """(mean, variance) of the step from time t, one of all."""
  beta, power = schedule(config)
  before, a2 = power[t - 1] if t else 1.0, power[t]
  eps = denoise(p, x, np.full(len(x), float(t)), c)
  limit = 3 * config["scale_3d_pose"]
  x0 = (x - np.sqrt(1 - a2) * eps) / np.sqrt(a2)
  if config.get("objective") == "pred_x0":
    x0 = eps
  x0 = np.clip(x0, -limit, limit)
  mean = beta[t] * np.sqrt(before) / (1 - a2) * x0
  mean = mean + (1 - before) * np.sqrt(1 - beta[t]) / (1 - a2) * x
  return mean, beta[t] * (1 - before) / (1 - a2)


def walk(config, p, x, *, c, noise=None):
  for i, t in enumerate(range(config["timesteps"] - 1, -1, -1)):
    x, variance = step(config, p, x, t=t, c=c)
    x = x if noise is None or not t else x + np.sqrt(variance) * noise[i]
  return x / config["scale_3d_pose"]


def drawn(heat, count, seed):
  """Cells [b * j, count] of the positive part, as the authors draw them."""
  rng, rows = np.random.default_rng(seed), []
  for one in heat.reshape(-1, heat.shape[-1] ** 2):
    p = np.maximum(np.float64(one), 0)
    rows.append(rng.choice(len(p), size=count, p=p / p.sum()))
  return np.array(rows)


def case_of(config):
  """A case with random weights, in the authors' names."""
  adapter = golden_kit.adapter("diffpose")
  m, b, n = adapter.method(config), config["batch"], config["n_hypotheses"]
  shapes = jax.eval_shape(lambda k: m.init(k, None)[0], jax.random.key(0))
  params = golden_kit.weights(shapes, seed=3, scale=0.3)["main"]
  theirs = table.export_tree(adapter.convert.full(m), params)
  side, width, steps = config["heatmap_size"], m.body.width, m.noise.times
  heat = golden_kit.normal(b, config["joints"], side, side, seed=1)
  each, normal = config["num_samples"] - 1, golden_kit.normal
  inputs = {
    "heatmaps": heat,
    "poses_3d": 0.3 * normal(b, width, seed=2),
    "sample_idx": drawn(heat, each, 3),
    "sample_idx_hyp": drawn(heat, n * each, 4),
    "t": np.arange(b) % steps,
    "noise": normal(b, width, seed=5),
    "x_T": normal(b * n, width, seed=6),
    "step_noise": normal(steps, b * n, width, seed=7),
    "x_T_mean": normal(b, width, seed=8),
    "p_x": normal(b, width, seed=9),
    "p_t": np.arange(b)[::-1] % steps,
  }
  return adapter, golden_kit.Asked(config, inputs, theirs)


@pytest.mark.parametrize("change", OPTIONS)
def test_the_adapter_equals_the_method_written_in_numpy(change):
  config = {**CONFIG, **change}
  adapter, case = case_of(config)
  case.outputs = dict.fromkeys(OUTPUTS)
  found, i = adapter.run(case), case.inputs
  p = {k: v.astype(np.float64) for k, v in case.params.items()}
  equal = lambda name, x: np.testing.assert_allclose(
    found[name], x, atol=2e-4 * max(1, np.abs(x).max()), err_msg=name
  )
  b, n = config["batch"], config["n_hypotheses"]
  places, likelihood = candidates(i["heatmaps"], i["sample_idx"])
  equal("samples", places.reshape(*places.shape[:2], -1))
  equal("probs", likelihood)
  c = embedded(config, p, i["heatmaps"], i["sample_idx"])
  equal("cond_embedding", c[:, None])
  beta, power = schedule(config)
  equal("betas", beta)
  equal("alphas_cumprod", power)
  a2 = power[i["t"]][:, None]
  x_t = np.sqrt(a2) * config["scale_3d_pose"] * i["poses_3d"]
  x_t = x_t + np.sqrt(1 - a2) * i["noise"]
  eps = denoise(p, x_t, i["t"], c)
  equal("eps_pred", eps)
  is_x0 = config.get("objective") == "pred_x0"
  x = config["scale_3d_pose"] * i["poses_3d"]
  error = eps - (x if is_x0 else i["noise"])
  is_l1 = config.get("loss") == "l1"
  equal("loss", (np.abs(error) if is_l1 else error**2).mean())
  slope = np.sign(error) if is_l1 else 2 * error
  grad = slope.sum(0) / error.size
  equal("grad/denoise_fn.pose.bias", grad)
  slices = i["sample_idx_hyp"].reshape(b * config["joints"], n, -1)
  every = [embedded(config, p, i["heatmaps"], s) for s in slices.swapaxes(0, 1)]
  told = np.stack(every, 1).reshape(b * n, -1)
  equal("hypotheses", walk(config, p, i["x_T"], c=told, noise=i["step_noise"]))
  equal("z0", walk(config, p, i["x_T_mean"], c=c))
  for row, t in enumerate(i["p_t"]):
    one = slice(row, row + 1)
    mean, variance = step(config, p, i["p_x"][one], t=t, c=c[one])
    scale = max(1, np.abs(mean).max())
    np.testing.assert_allclose(found["p_mean"][one], mean, atol=2e-4 * scale)
    log = np.log(max(variance, 1e-20))
    np.testing.assert_allclose(found["p_log_var"][row], [log], atol=1e-4)


def test_what_no_input_is_given_for_is_not_made():
  adapter, case = case_of(CONFIG)
  case.outputs = dict.fromkeys(OUTPUTS)
  whole = adapter.run(case)
  assert set(whole) == set(OUTPUTS)
  walks = ("x_T", "x_T_mean", "step_noise", "p_x", "p_t", "sample_idx_hyp")
  case.inputs = {k: x for k, x in case.inputs.items() if k not in walks}
  found = adapter.run(case)
  ends = {"hypotheses", "z0", "p_mean", "p_log_var"}
  assert set(found) == set(OUTPUTS) - ends
  np.testing.assert_allclose(found["loss"], whole["loss"], rtol=1e-6)
  case.outputs = {"loss": None}
  assert set(adapter.run(case)) == {"loss"}


@pytest.mark.parametrize(
  "change",
  [
    {"objective": "pred_v"},
    {"loss": "huber"},
    {"beta_schedule": "sigmoid"},
    {"beta_schedule": "cosine s=0.01"},
  ],
)
def test_what_the_method_has_not_is_refused(change):
  ((name, _),) = change.items()
  adapter = golden_kit.adapter("diffpose")
  with pytest.raises(ValueError, match=name):
    adapter.method({**CONFIG, **change})
  said = {"beta_schedule": "cosine s=0.008, clip 0.999", "loss": "l2"}
  assert adapter.method({**CONFIG, **said}).noise.schedule == "cosine"
