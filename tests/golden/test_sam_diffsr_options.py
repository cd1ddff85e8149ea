"""The adapter of SAM-DiffSR on options not in the given case."""

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import sam_diffsr as convert

CONFIG = {
  "beta_schedule": "cosine",
  "beta_s": 0.008,
  "beta_end": 0.02,
  "res": True,
  "res_rescale": 2.0,
  "gn_groups": 0,
  "use_rrdb": True,
  "rrdb_num_block": 2,
  "clip_input": True,
  "timesteps": 4,
  "loss_type": "l1",
  "sr_scale": 4,
  "sam_config": {
    "cond_sam": False,
    "p_losses_sam": True,
    "mask_coefficient": True,
  },
  "unet_dim": 4,
  "unet_dim_mults": [1, 2],
  "rrdb_num_feat": 4,
  "rrdb_growth": 3,
}
SAM = CONFIG["sam_config"]
CHANGES = {
  "other depths, squares, no weight": dict(
    unet_dim_mults=[1, 2, 1],  # going up, two widths of 1 are one of 2
    rrdb_num_block=6,
    timesteps=3,
    loss_type="l2",
    sam_config=SAM | dict(mask_coefficient=False),
  ),
  "twice, no map": dict(
    sr_scale=2,
    res_rescale=1.5,
    unet_dim=6,
    sam_config=SAM | dict(p_losses_sam=False),
  ),
  "no clips, another cosine, groups that nothing reads": dict(
    clip_input=False, beta_s=0.02, gn_groups=2
  ),
  "images themselves": dict(res=False, beta_schedule="linear"),
  "eight times": dict(
    sr_scale=8, beta_schedule="linear", beta_end=0.3, unet_dim_mults=[1, 3]
  ),
}


def inputs(config, side=16):
  shape, t = (2, 3, side, side), config["timesteps"]
  small = (2, 3, *2 * (side // config["sr_scale"],))
  draw = lambda i, *s: golden_kit.normal(*s, seed=i)
  images = {
    name: np.clip(0.5 * draw(i, *s), -1, 1)
    for i, (name, s) in enumerate(
      dict(img_hr=shape, img_lr=small, img_lr_up=shape).items()
    )
  }
  masks = (draw(5, 2, 3, side, side) > 0.5).astype(np.uint8)
  noise = {n: draw(6 + i, *shape) for i, n in enumerate(("noise", "p_noise"))}
  walk = {"x_T": draw(8, *shape), "step_noise": draw(9, t, *shape)}
  return {**images, **noise, **walk, "masks": masks, "t": np.array([0, t - 1])}


def conv(p, name, x, *, stride=1, mirrored=False):
  w, mode = p[f"{name}.weight"], "reflect" if mirrored else "constant"
  r = w.shape[-1] // 2
  x = np.pad(x, ((0, 0), (0, 0), (r, r), (r, r)), mode=mode)
  n = [(s - 2 * r - 1) // stride + 1 for s in x.shape[2:]]
  y = 0
  for i, j in np.ndindex(*w.shape[2:]):
    part = x[:, :, i : i + stride * n[0] : stride]
    part = part[..., j : j + stride * n[1] : stride]
    y = y + np.einsum("oi,bihw->bohw", w[:, :, i, j], part)
  return y + p[f"{name}.bias"][:, None, None]


def spread(p, name, x, stride):
  """ConvTranspose2d of a kernel of two strides, half a stride cut off."""
  w, k, cut = p[f"{name}.weight"], 2 * stride, stride // 2
  b, _, h, wide = x.shape
  y = np.zeros((b, w.shape[1], (h - 1) * stride + k, (wide - 1) * stride + k))
  for i, j in np.ndindex(k, k):
    put = np.einsum("io,bihw->bohw", w[:, :, i, j], x)
    y[:, :, i : i + h * stride : stride, j : j + wide * stride : stride] += put
  return y[:, :, cut:-cut, cut:-cut] + p[f"{name}.bias"][:, None, None]


def leaky(x):
  return np.where(x > 0, x, 0.2 * x)


def mish(x):
  return x * np.tanh(np.logaddexp(0, x))


def linear(p, name, x):
  return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def rrdb(p, config, x):
  """(image, list of maps), by the names of the file."""
  y = first = conv(p, "conv_first", (x + 1) / 2)
  maps = []
  for n in range(config["rrdb_num_block"]):
    begin = y
    for unit in (1, 2, 3):
      seen = y
      for c in (1, 2, 3, 4):
        made = conv(p, f"RRDB_trunk.{n}.RDB{unit}.conv{c}", seen)
        seen = np.concatenate([seen, leaky(made)], 1)
      y = y + 0.2 * conv(p, f"RRDB_trunk.{n}.RDB{unit}.conv5", seen)
    y = begin + 0.2 * y
    maps.append(y)
  y = first + conv(p, "trunk_conv", y)
  maps.append(y)
  for n in range(doublings(config)):
    y = leaky(conv(p, f"upconv{n + 1}", y.repeat(2, 2).repeat(2, 3)))
  y = conv(p, "conv_last", leaky(conv(p, "HRconv", y)))
  return 2 * np.clip(y, 0, 1) - 1, maps


def doublings(config):
  """The authors': twice, of a factor of 2 as well; three times of 8."""
  return 3 if config["sr_scale"] == 8 else 2


def residual(p, name, x, emb):
  block = lambda n, y: mish(conv(p, f"{name}.{n}.block.1", y, mirrored=True))
  y = block("block1", x) + linear(p, f"{name}.mlp.1", emb)[..., None, None]
  y = block("block2", y)
  has = f"{name}.res_conv.weight" in p
  return y + (conv(p, f"{name}.res_conv", x) if has else x)


def unet(p, config, x, t, *, maps):
  half, levels = config["unet_dim"] // 2, len(config["unet_dim_mults"])
  angle = np.exp(-np.log(10000) * np.arange(half) / (half - 1)) * t[:, None]
  emb = np.concatenate([np.sin(angle), np.cos(angle)], 1)
  emb = mish(linear(p, "mlp.2", mish(linear(p, "mlp.0", emb))))
  cond = np.concatenate(maps[2::3], 1)
  cond, skips = spread(p, "cond_proj", cond, config["sr_scale"]), []
  for n in range(levels):
    for i in (0, 1):
      x = residual(p, f"downs.{n}.{i}", x, emb)
    x = x + cond if n == 0 else x
    skips.append(x)
    if n < levels - 1:
      x = conv(p, f"downs.{n}.2.conv.1", x, stride=2, mirrored=True)
  for n in (1, 2):
    x = residual(p, f"mid_block{n}", x, emb)
  for n in range(levels - 1):
    x = np.concatenate([x, skips.pop()], 1)
    for i in (0, 1):
      x = residual(p, f"ups.{n}.{i}", x, emb)
    x = spread(p, f"ups.{n}.2.conv.0", x, 2)
  x = mish(conv(p, "final_conv.0.block.1", x, mirrored=True))
  return conv(p, "final_conv.1", x)


def betas(config):
  """The card's cosine: N = T + 1 points from 0 to N; their linear."""
  if config["beta_schedule"] == "linear":
    beta = np.linspace(1e-4, config["beta_end"], config["timesteps"])
    # Where the residual is diffused.
    return np.append(beta[:-1], 0.999) if config["res"] else beta
  n = config["timesteps"] + 1
  s = config["beta_s"]
  power = np.cos((np.linspace(0, n, n) / n + s) / (1 + s) * np.pi / 2) ** 2
  return np.clip(1 - power[1:] / power[:-1], 0, 0.999)


def step(config, x, t, *, eps, noise):
  """(x0, x one time earlier) of one image."""
  beta = betas(config)
  power = np.cumprod(1 - beta)
  before = power[t - 1] if t else 1.0
  x0 = (x - np.sqrt(1 - power[t]) * eps) / np.sqrt(power[t])
  x0 = np.clip(x0, -1, 1)
  mean = beta[t] * np.sqrt(before) / (1 - power[t]) * x0
  mean = mean + (1 - before) * np.sqrt(1 - beta[t]) / (1 - power[t]) * x
  std = np.sqrt(beta[t] * (1 - before) / (1 - power[t]))
  return x0, mean + (std * noise if t else 0)


def reference(config, given, params):
  """Every output of the adapter, as the card has them."""
  sam = config["sam_config"]
  p = golden_kit.below(params, "denoise_fn.")
  i = {k: x.astype(np.float64) for k, x in given.items()}
  t, scale = given["t"], config["res_rescale"]
  beta = betas(config)
  power = np.cumprod(1 - beta)
  side = i["img_hr"].shape[-1]
  angle = np.arange(side)[:, None] / 10000.0 ** (
    2 * np.arange(side // 2) / side
  )
  base = np.stack(
    [np.cos(angle) - np.sin(angle), np.cos(angle) + np.sin(angle)], -1
  ).reshape(side, side)
  found = np.zeros((2, 1, side, side))
  for b in range(2):
    for mask in given["masks"][b] if "masks" in given else ():
      found[b, 0, mask > 0] = (base * mask).sum() / side**2
  weight = np.sqrt(1 - power) * beta
  at = weight[t] if sam["mask_coefficient"] else np.ones(2)
  eps = i["noise"]
  if sam["p_losses_sam"]:
    eps = eps + at[:, None, None, None] * found
  clip = (lambda x: np.clip(x, -1, 1)) if config["clip_input"] else np.array
  x = i["img_hr"]
  if config["res"]:
    x = clip((x - i["img_lr_up"]) * scale)
  a, s = (np.sqrt(v[t])[:, None, None, None] for v in (power, 1 - power))
  x_t = a * x + s * eps
  image, maps = rrdb(golden_kit.below(params, "rrdb."), config, i["img_lr"])
  pred = unet(p, config, x_t, t, maps=maps)
  gap = np.abs(eps - pred)
  rows = [
    step(config, x_t[b], t[b], eps=pred[b], noise=i["p_noise"][b])
    for b in range(2)
  ]
  y = i["x_T"]
  for n, k in enumerate(reversed(range(config["timesteps"]))):
    made = unet(p, config, y, np.full(2, k), maps=maps)
    _, y = step(config, y, k, eps=made, noise=i["step_noise"][n])
  return {
    "sam_embed": found,
    "res_target": x,
    "noise_modulated": eps,
    "x_t": x_t,
    "noise_pred": pred,
    "loss": np.mean(gap if config["loss_type"] == "l1" else gap**2),
    "x0_pred": np.stack([r[0] for r in rows]),
    "x_prev": np.stack([r[1] for r in rows]),
    "rrdb_out": image,
    "sample": clip(y) / scale + i["img_lr_up"] if config["res"] else y,
    "mask_coefficient": weight,
    "betas": beta,
    "alphas_cumprod": power,
  }


def parameters(adapter, config):
  """Random arrays under the file's names."""
  m, made = adapter.method(config), {}
  side = 16 // config["sr_scale"]
  x, t = np.zeros((1, 16, 16, 3), "f4"), np.zeros(1, "f4")
  depth = (config["rrdb_num_block"] + 1) // 3 * config["rrdb_num_feat"]
  shown = {
    "denoise_fn.": (m.net, (x, t, np.zeros((1, side, side, depth), "f4"))),
    "rrdb.": (
      m.small.net(2 ** doublings(config), 3),
      (x[:, :side, :side],),
    ),
  }
  for prefix, (net, args) in shown.items():
    shapes = jax.eval_shape(net.init, jax.random.key(0), *args)["params"]
    tree = golden_kit.weights(shapes, seed=len(made), scale=0.15)
    kind = convert.encoder if prefix == "rrdb." else convert.denoiser
    own = table.export_tree(kind(net), tree)
    made |= {prefix + name: array for name, array in own.items()}
  return made


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_outputs_are_those_of_the_card(change):
  adapter, config = golden_kit.adapter("sam_diffsr"), CONFIG | change
  given, params = inputs(config), parameters(adapter, config)
  if not config["sam_config"]["p_losses_sam"]:
    del given["masks"]  # a case may leave out what nothing reads
  got = adapter.run(golden_kit.Asked(config, given, params))
  wanted = reference(config, given, params)
  assert set(got) == set(wanted)
  for name, value in wanted.items():
    np.testing.assert_allclose(got[name], value, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("name", ["up_input", "use_attn", "use_wn"])
def test_what_is_not_built_is_not_passed_over(name):
  adapter = golden_kit.adapter("sam_diffsr")
  with pytest.raises(AssertionError, match=name):
    adapter.method(CONFIG | {name: True})
