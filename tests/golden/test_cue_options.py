"""The adapter of CUE on options not in the given case, against numpy."""

import einops
import golden_kit
import jax
import numpy as np

from jmim.convert import table
from jmim.core import field

MAE = {
  "img_size": 12,
  "patch_size": 6,
  "in_chans": 3,
  "out_chans": 3,
  "embed_dim": 8,
  "depth": 1,
  "num_heads": 2,
  "decoder_embed_dim": 4,
  "decoder_depth": 1,
  "decoder_num_heads": 1,
  "mlp_ratio": 3.0,
}
UNFOLD = {
  "stage": 4,
  "illu_channel": 1,
  "refl_channel": 3,
  "noise_channel": 3,
  "num_feat": 5,
  "ratio": 2.5,
  "alpha": 0.2,
  "beta": 0.05,
  "mu": 7.0,
}
CONFIG = {
  "mae": MAE,
  "unfold": UNFOLD,
  "mask_ratio_pretrain": 0.25,
  "mask_ratio_inside_noise_prior_loss": 0.5,
}
LIGHT_WIDTH, FUSE_WIDTH = 4, 6


def leaky(x, slope=0.1):
  return np.where(x > 0, x, slope * x)


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


class Net:
  """The released networks in NCHW, by the names of the file."""

  def __init__(self, params):
    self.p = params

  def conv(self, name, x, stride=1):
    w = self.p[f"{name}.weight"]
    k, pad = w.shape[-1], w.shape[-1] // 2 * (stride == 1)
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    h, v = ((n - k) // stride + 1 for n in x.shape[2:])
    rule = "oi,bihw->bohw" if w.shape[1] == x.shape[1] else "oi,bohw->bohw"
    y = 0.0
    for i in range(k):
      for j in range(k):
        cut = x[:, :, i : i + h * stride : stride, j : j + v * stride : stride]
        y = y + np.einsum(rule, w[:, :, i, j], cut)
    bias = self.p.get(f"{name}.bias")
    return y if bias is None else y + bias[:, None, None]

  def up(self, name, x):
    w = self.p[f"{name}.weight"][:, :, 0, 0]
    y = np.einsum("io,bihw->bohw", w, x)
    return y + self.p[f"{name}.bias"][:, None, None]

  def pair(self, name, x):
    y = self.conv(f"{name}.conv_1", x)
    if f"{name}.norm.weight" in self.p:
      n = y.shape[1] // 2
      half = y[:, :n]
      mean, var = (f((2, 3), keepdims=True) for f in (half.mean, half.var))
      scale, bias = (
        self.p[f"{name}.norm.{k}"][:, None, None] for k in ("weight", "bias")
      )
      half = (half - mean) / np.sqrt(var + 1e-5) * scale + bias
      y = np.concatenate([half, y[:, n:]], 1)
    y = leaky(self.conv(f"{name}.conv_2", leaky(y)))
    return y + self.conv(f"{name}.identity", x)

  def features(self, name, x):
    """Of the prior of light: at half the side."""
    n = lambda k: f"{name}.{k}"
    x = self.pair(n("conv1"), self.conv(n("convpre"), x))
    x = self.pair(n("conv2"), self.conv(n("down1"), x, 2))
    x = self.pair(n("conv3"), self.conv(n("down2"), x, 2))
    g = x.mean((2, 3), keepdims=True)
    g = self.conv(n("Global.3"), leaky(self.conv(n("Global.1"), g), 0.2))
    x = np.concatenate([np.broadcast_to(g, x.shape), x], 1)
    x = self.pair(n("context_g"), x)
    return enlarged(x, [2 * s for s in x.shape[2:]], False)

  def three(self, name, x, act):
    x = act(self.conv(f"{name}.0", x))
    return self.conv(f"{name}.4", act(self.conv(f"{name}.2", x)))

  def unfold(self, image, c):
    light = image.max(1, keepdims=True)
    reflectance, noise = image / (light + 1e-8), 0 * image
    for _ in range(c["stage"] - 1):
      f = self.features("model_illu.L_learnedPrior", light)
      f = enlarged(f, image.shape[2:], True)
      added = self.three("model_illu.modulation_add", f, lambda x: leaky(x, 0))
      a, b, rest = c["alpha"], c["beta"], noise - image
      light = (1 - a * reflectance**2) * light - a * reflectance * rest
      light = light.mean(1, keepdims=True) + sigmoid(added)
      r = (1 - b * light**2) * reflectance - b * light * rest
      r2 = lambda x: leaky(x, 0.2)
      reflectance = r + self.three("model_refl.prox.basic_unit", r, r2)
      gap = image - reflectance * light
      n = np.sign(gap) * np.maximum(abs(gap) - 1 / self.p["mu"][0], 0)
      noise = n + self.three("model_noise.prox.basic_unit", n, r2)
    return light, reflectance, noise

  def fuse(self, name, x):
    half, block = x.shape[1] // 2, f"{name}.spatial_process.block"
    y1 = x[:, :half] + self.pair(f"{block}.F", x[:, half:])
    s = 0.8 * (2 * sigmoid(self.pair(f"{block}.H", y1)) - 1)
    y2 = x[:, half:] * np.exp(s) + self.pair(f"{block}.G", y1)
    z, frequency = np.fft.rfft2(x), f"{name}.frequency_process.process"
    real, imag = (
      self.conv(
        f"{frequency}{k}.2", leaky(self.conv(f"{frequency}{k}.0", part))
      )
      for k, part in (("real", z.real), ("imag", z.imag))
    )
    far = np.fft.irfft2(real + 1j * imag, s=x.shape[2:])
    far = self.conv(f"{name}.frequency_spatial", far)
    near = x + np.concatenate([y1, y2], 1)
    return x + self.conv(f"{name}.cat", np.concatenate([near, far], 1))

  def interact(self, name, x):
    p = f"{name}.process"
    block = lambda k, x: self.fuse(
      f"{p}.conv{k}.cha", self.fuse(f"{p}.conv{k}.spa", x)
    )
    first = self.conv(f"{name}.extract", x)
    fine = block(1, self.conv(f"{p}.conv0", first))
    middle = block(2, self.conv(f"{p}.downsample1", fine, 2))
    y = block(3, self.conv(f"{p}.downsample2", middle, 2))
    for k, skip in ((1, middle), (2, fine)):
      y = enlarged(y, skip.shape[2:], False)
      y = self.up(f"{p}.up{k}", np.concatenate([y, skip], 1))
      y = block(3 + k, y)
    return self.conv(f"{name}.recons", first + self.conv(f"{p}.convout", y))


def enlarged(x, sides, corners):
  """Bilinear; corners on corners, or half-pixel centres."""
  for axis, side in zip((2, 3), sides, strict=True):
    n = x.shape[axis]
    at = np.linspace(0, n - 1, side)
    if not corners:
      at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, n - 1)
    share = np.expand_dims(at - low, (0, 1, 3) if axis == 2 else (0, 1, 2))
    x = (1 - share) * np.take(x, low, axis) + share * np.take(x, high, axis)
  return x


def inputs(config, masks):
  rng = np.random.default_rng(3)
  c = config["mae"]
  side, n = c["img_size"], (c["img_size"] // c["patch_size"]) ** 2
  uniform = lambda *shape: rng.random(shape).astype(np.float32)
  made = {
    "low": 0.3 * uniform(2, 3, side, side),
    "gt": uniform(2, 3, side, side),
  }
  made["hog_target"] = uniform(2, c["out_chans"], side, side)
  made["illu_in"] = made["low"].max(1, keepdims=True)
  return made | {f"mask_noise_{k}": uniform(2, n) for k in ("low", *masks)}


def weights(module, config):
  """Random ones under the names of the file."""
  m = field.replace(module.cue.CUE(), size=config["mae"]["img_size"])
  c = config["unfold"]
  names = ("stage", "alpha", "beta", "mu")
  unfold = {n: c[n] for n in names} | {"width": c["num_feat"]}
  unfold["prior_width"] = LIGHT_WIDTH
  m = field.replace(m, unfold=unfold, fuse={"width": FUSE_WIDTH})
  light = module.cue_light.CueLight(width=LIGHT_WIDTH)
  noise = module.noise_method(config)
  held = {}
  for method, rules, prefix in (
    (m, module.convert.enhancer(m), "net."),
    (light, module.convert.light(light), module.LIGHT),
    (noise, module.mae_table.full(noise), "mae."),
  ):
    batch = {"image": np.zeros((1, *[noise.size] * 2, 3), np.float32)}
    shapes, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
    tree = golden_kit.weights(shapes["main"], seed=len(held))
    own = table.export_tree(rules, tree)
    held |= {
      f"{prefix}{k}": v for k, v in own.items() if prefix + k not in held
    }
  held["net.mu"] = np.float32([c["mu"]])
  return held


def test_stages_steps_ratio_channels_and_a_shared_mask():
  """Four stages, other steps and ratio, another patch, one mask for both.

  And a picture of gradients with three channels.
  """
  module, config = golden_kit.adapter("cue"), CONFIG
  held, given = weights(module, config), inputs(config, ["out"])
  found = module.run(golden_kit.Asked(config, given, held))
  wide = {k: v.astype(np.float64) for k, v in held.items()}
  net = Net(golden_kit.below(wide, "net."))
  light, reflectance, noise = net.unfold(given["low"], UNFOLD)
  true_light, true_reflectance, _ = net.unfold(given["gt"], UNFOLD)
  told = np.concatenate([light, 0 * light + UNFOLD["ratio"]], 1)
  enhanced = net.interact("adjustIllu_model", told)
  restored = net.interact("restoraRefl_model", reflectance)
  for name, x in (
    ("L", light),
    ("R", reflectance),
    ("noise", noise),
    ("gt_L", true_light),
    ("enhanced_L", enhanced),
    ("restored_R", restored),
    ("enhanced", enhanced * restored),
  ):
    size = np.abs(x).max()
    np.testing.assert_allclose(found[name], x, atol=1e-4 * size, err_msg=name)
  error = np.abs(enhanced * restored - given["gt"]).mean()
  np.testing.assert_allclose(found["loss_pixel"], error, rtol=1e-4)
  error = 0.009 * np.abs(reflectance - true_reflectance).mean()
  np.testing.assert_allclose(found["loss_refl"], error, rtol=1e-3)
  # One class token, and half of four patches.
  assert found["feat_enhanced"].shape == (2, 3, 8)
  kept = np.argsort(given["mask_noise_low"], 1)[:, :3]
  assert (np.take_along_axis(found["mae_mask"], kept, 1) == 0).all()
  target = einops.rearrange(
    given["hog_target"], "b c (h p) (w q) -> b (h w) (p q c)", p=6, q=6
  )
  error = ((found["mae_pred"] - target) ** 2).mean(-1)
  mean = (error * found["mae_mask"]).sum() / found["mae_mask"].sum()
  np.testing.assert_allclose(found["mae_hog_loss"], mean, rtol=1e-5)
