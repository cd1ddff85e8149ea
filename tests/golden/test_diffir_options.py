"""The adapter of DiffIR on options not in the given case, against numpy."""

import golden_kit
import jax
import numpy as np
import pytest
from scipy import special

from jmim.convert import table

CONFIG = {
  "ipr_dim": 8,
  "cpen_n_feats": 2,
  "n_denoise_res": 1,
  "timesteps": 4,
  "linear_start": 0.1,
  "linear_end": 0.99,
  "n_encoder_res": 1,
  "scale": 1,
  "dim": 4,
  "num_blocks": [1, 1, 1, 1],
  "num_refinement_blocks": 1,
  "heads": [1, 2, 2, 4],
  "ffn_expansion_factor": 2.2,
  "LayerNorm_type": "WithBias",
}


class Theirs:
  """Both stages in NCHW and float64, by the names of a file.

  Attributes:
    config: of the case.
    p: name -> array.
    flat: whether the last convolution is `output`, at the input's side.
  """

  def __init__(self, config, p, flat):
    self.config, self.flat = config, flat
    self.p = {n: x.astype(np.float64) for n, x in p.items()}

  def conv(self, name, x, groups=1):
    """1 x 1 or 3 x 3, zeros around x."""
    w = self.p[f"{name}.weight"]
    k, (h, wide) = w.shape[-1], x.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), *2 * [2 * (k // 2,)]))
    how = "oi,bihw->bohw" if groups == 1 else "oi,bohw->bohw"
    y = sum(
      np.einsum(how, w[:, :, i, j], x[:, :, i : i + h, j : j + wide])
      for i in range(k)
      for j in range(k)
    )
    return y + self.p.get(f"{name}.bias", np.zeros(1))[:, None, None]

  def norm(self, name, x):
    """Over channels."""
    scale = self.p[f"{name}.body.weight"][:, None, None]
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    if self.config["LayerNorm_type"] == "BiasFree":
      return x / np.sqrt(var + 1e-5) * scale
    y = (x - mean) / np.sqrt(var + 1e-5) * scale
    return y + self.p[f"{name}.body.bias"][:, None, None]

  def told(self, name, x, z):
    made = z @ self.p[f"{name}.kernel.0.weight"].T
    a, b = np.split(made[:, :, None, None], 2, axis=1)
    return x * a + b

  def attention(self, name, x, z):
    (b, c, h, w), tau = x.shape, self.p[f"{name}.temperature"]
    y = self.conv(f"{name}.qkv", self.told(name, x, z))
    y = self.conv(f"{name}.qkv_dwconv", y, groups=3 * c)
    q, k, v = y.reshape(b, 3, len(tau), c // len(tau), h * w).swapaxes(0, 1)
    q, k = (a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (q, k))
    p = special.softmax(q @ k.swapaxes(-1, -2) * tau, axis=-1)
    return self.conv(f"{name}.project_out", (p @ v).reshape(b, c, h, w))

  def feed_forward(self, name, x, z):
    y = self.conv(f"{name}.project_in", self.told(name, x, z))
    a, b = np.split(
      self.conv(f"{name}.dwconv", y, groups=y.shape[1]), 2, axis=1
    )
    gelu = 0.5 * a * (1 + special.erf(a / np.sqrt(2)))
    return self.conv(f"{name}.project_out", gelu * b)

  def blocks(self, name, x, z):
    count = 0
    while f"{name}.{count}.norm1.body.weight" in self.p:
      at, count = f"{name}.{count}", count + 1
      x = x + self.attention(f"{at}.attn", self.norm(f"{at}.norm1", x), z)
      x = x + self.feed_forward(f"{at}.ffn", self.norm(f"{at}.norm2", x), z)
    return x

  def restorer(self, name, y, z):
    """The image, of a spoilt one and a vector."""
    scale, at = self.config["scale"], lambda n: f"{name}.{n}"
    x = y if self.flat else unshuffle(y, 4 // scale)
    x = self.conv(at("patch_embed.proj"), x)
    skips = []
    for i in (1, 2, 3):
      x = self.blocks(at(f"encoder_level{i}"), x, z)
      skips.append(x)
      x = unshuffle(self.conv(at(f"down{i}_{i + 1}.body.0"), x), 2)
    x = self.blocks(at("latent"), x, z)
    for i in (3, 2, 1):
      x = shuffle(self.conv(at(f"up{i + 1}_{i}.body.0"), x), 2)
      x = np.concatenate([x, skips[i - 1]], axis=1)
      if i > 1:
        x = self.conv(at(f"reduce_chan_level{i}"), x)
      x = self.blocks(at(f"decoder_level{i}"), x, z)
    x = self.blocks(at("refinement"), x, z)
    if self.flat:
      return self.conv(at("output"), x) + y
    for i in (0, 2):
      x = shuffle(self.conv(at(f"tail.0.{i}"), x), 2)
    return self.conv(at("tail.1"), x) + y.repeat(scale, 2).repeat(scale, 3)

  def encoder(self, name, y, x=None):
    """The vector of what is seen."""
    seen = unshuffle(y, 4 // self.config["scale"])
    if x is not None:
      seen = np.concatenate([seen, unshuffle(x, 4)], axis=1)
    n, at = self.config["n_encoder_res"], lambda k: f"{name}.{k}"
    h = leaky(self.conv(at("E.0"), seen))
    for i in range(2, 2 + n):
      inner = leaky(self.conv(at(f"E.{i}.body.0"), h))
      h = h + self.conv(at(f"E.{i}.body.2"), inner)
    for i in range(3):
      h = leaky(self.conv(at(f"E.{2 + n + 2 * i}"), h))
    h = h.mean((2, 3))
    for i in (0, 2):
      h = leaky(self.linear(at(f"mlp.{i}"), h))
    return h

  def linear(self, name, x):
    return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

  def denoiser(self, z, t, c):
    times = self.config["timesteps"]
    time = np.full((len(z), 1), t / (10 * times))
    h = np.concatenate([c, time, z], axis=1)
    h = leaky(self.linear("S2.denoise.resmlp.0", h))
    for i in range(self.config["n_denoise_res"]):
      h = leaky(self.linear(f"S2.denoise.resmlp.{2 + i}.resmlp.0", h))
    return h

  def schedule(self):
    """(beta, abar, coef1, coef2)."""
    c = self.config
    ends = np.sqrt([c["linear_start"], c["linear_end"]])
    beta = np.linspace(*ends, c["timesteps"]) ** 2
    abar = np.cumprod(1 - beta)
    before = np.append(1.0, abar[:-1])
    one = beta * np.sqrt(before) / (1 - abar)
    return beta, abar, one, (1 - before) * np.sqrt(1 - beta) / (1 - abar)

  def walk(self, z, c):
    _, _, one, two = self.schedule()
    states = []
    for t in reversed(range(self.config["timesteps"])):
      z = one[t] * self.denoiser(z, t, c) + two[t] * z
      states.append(z)
    return np.stack(states)


def leaky(x):
  return np.where(x > 0, x, 0.1 * x)


def unshuffle(x, p):
  b, c, h, w = x.shape
  y = x.reshape(b, c, h // p, p, w // p, p)
  return y.transpose(0, 1, 3, 5, 2, 4).reshape(b, -1, h // p, w // p)


def shuffle(x, p):
  b, c, h, w = x.shape
  y = x.reshape(b, c // p**2, p, p, h, w)
  return y.transpose(0, 1, 4, 2, 5, 3).reshape(b, -1, h * p, w * p)


def wanted(theirs, given):
  """All outputs of a case."""
  y, x = (given[n].astype(np.float64) for n in ("lq", "gt"))
  z = theirs.encoder("S1.E", y, x)
  c = theirs.encoder("S2.condition", y)
  beta, abar, one, two = theirs.schedule()
  noised = np.sqrt(abar[-1]) * z + np.sqrt(1 - abar[-1]) * given["q_noise"]
  steps = theirs.walk(noised, c)
  first = theirs.restorer("S1.G", y, z)
  train = theirs.restorer("S2.G", y, steps[-1])
  p, q = (special.softmax(a / 0.15, axis=1) for a in (z, steps[-1]))
  gap, pixels = np.abs(steps[-1] - z).mean(), np.abs(train - x).mean()
  return {
    "s1_sr": first,
    "s1_ipr": z,
    "s1_l1": np.abs(first - x).mean(),
    "s2_sr_train": train,
    "s2_ipr_steps": steps,
    "s2_l_abs": gap,
    "s2_l_kd": (p * np.log(p / q)).sum(1).mean(),
    "s2_l_pix": pixels,
    "s2_joint_loss": gap + pixels,
    "s2_sr_infer": theirs.restorer("S2.G", y, theirs.walk(given["x_T"], c)[-1]),
    "sched_betas": beta,
    "sched_alphas_cumprod": abar,
    "sched_posterior_mean_coef1": one,
    "sched_posterior_mean_coef2": two,
  }


def named(module, config, flat):
  """Random weights of both stages by their names."""
  mark = {"S1.G.output.weight": None} if flat else {}
  held = {}
  for i, (stage, rules) in enumerate(
    zip(
      module.stages(config, mark),
      (module.convert.first, module.convert.second),
      strict=True,
    )
  ):
    like, _ = jax.eval_shape(stage.init, jax.random.key(0), {})
    ours = golden_kit.weights(like["main"], seed=i, scale=0.3)
    theirs = table.export_tree(rules(stage), ours)
    held |= {f"S{i + 1}.{n}": x for n, x in theirs.items()}
  return held


DEBLUR = dict(num_blocks=[1, 2, 1, 1], num_refinement_blocks=2, n_denoise_res=0)

TWICE = dict(scale=2, LayerNorm_type="BiasFree", n_denoise_res=2)


@pytest.mark.parametrize(
  "changes, flat, side",
  [
    (DEBLUR | {"timesteps": 3}, True, (8, 16)),
    ({"num_refinement_blocks": 0, "n_encoder_res": 0}, False, (32, 32)),
    (TWICE | {"timesteps": 1, "linear_start": 0.2}, False, (16, 16)),
  ],
)
def test_every_scale_and_both_norms(changes, flat, side):
  """Deblurring, real photographs at their own side, twice; the given: 4."""
  module, config = golden_kit.adapter("diffir"), CONFIG | changes
  scale = config["scale"]
  given = {
    "lq": golden_kit.normal(2, 3, *side),
    "gt": golden_kit.normal(2, 3, *(scale * n for n in side), seed=1),
    "q_noise": golden_kit.normal(2, config["ipr_dim"], seed=2),
    "x_T": golden_kit.normal(2, config["ipr_dim"], seed=3),
  }
  held = named(module, config, flat)
  assert ("S1.G.output.weight" in held) == flat
  found = module.run(golden_kit.Asked(config, given, held))
  expected = wanted(Theirs(config, held, flat), given)
  assert found.keys() == expected.keys()
  for name, array in expected.items():
    np.testing.assert_allclose(
      found[name],
      array,
      rtol=1e-4,
      atol=1e-4 * np.abs(array).max(),
      err_msg=name,
    )
