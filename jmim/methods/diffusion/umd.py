r"""UMD: Unified Auto-Encoding with Masked Diffusion.

Hansen-Estruch, Vishwanath, Zhang, Tomar, 2024 (arXiv 2406.17688). Equal to the
authors' code (philippe-eecs/small-vision@3d4555b): `tests/golden` compares
predictions, losses, features and DDIM trajectories in all modes.

A share r of the batch is clean and heavily masked, as in MAE (time 0); the
rest is noised at a random time k and masked less. One network predicts both
the data and the noise of every patch, from the visible ones:

    n0      = int(B r)                       the last n0 rows are clean
    x_t     = a_k x + s_k eps                k ~ U{0..T-1}, told as k + 1
    M       = 1 where a patch is hidden      ratios m0 (clean), m1 (noised)
    x0, e   = net(visible patches, time)
    L_mae   = mean M (x0 - x)^2 / mean M                        clean rows
    L_eps   = mean (1 - M) (e - eps)^2 / mean (1 - M)           noised rows
    L_x0    = mean M (x0 - x)^2 / mean M     without m1: mean (x0 - x)^2
    loss    = (1 - n0/B) (L_eps + L_x0) / 2 + n0/B L_mae

r = 1 is MAE; r = 0, m1 = 0 is DiT split in two; r = 0, m1 = 0.5 is MaskDiT
(`maskdit.py`). Reference (ImageNet at 64px, L/2 at 256px; 800 + 50 epochs):

    |                | UMD-B/4 | MAE-B/4 | DiT-B/4 | MaskDiT-B/4 | UMD-L/2 |
    | 100-shot probe | 31.8    | 36.6    | 25.6    | 26.3        | 54.4    |
    | FID            | 19.8    | 26.8    | 18.9    | 19.0        | 3.96    |

Following the authors: the class tokens start at zero and so stay equal (see
`cls_std`); LayerNorm scales and positions ARE decayed. Not followed: MLP biases
start at 0 instead of N(0, 1e-6); Adam's first moment is float32.

    python -m jmim.main --config=configs/umd_digits.py --workdir=runs/umd
    python -m jmim.tools.claim umd
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import targets
from jmim.masks import tokens as masking
from jmim.methods.diffusion import _gaussian
from jmim.methods.diffusion import _transformer
from jmim.nn import patch as patching
from jmim.nn import sizes
from jmim.nn.nets import dit


@dataclasses.dataclass(frozen=True, kw_only=True)
class UMD(_transformer.Transformer):
  """One encoder-decoder that represents and generates."""

  decoder_depth: int = field.value(4, "decoder blocks", low=0)
  adaln: bool = field.value(True, "adaLN-Zero; else a conditioning token")
  cls: int = field.value(4, "class tokens", low=1)
  cls_std: float = field.value(0.0, "deviation of their start", low=0)
  clean_share: float = field.value(0.5, "r, share of clean", low=0, high=1)
  clean_mask: float = field.value(
    0.75, "m0, share of patches hidden in clean images", low=0.0, below=1.0
  )
  noised_mask: float = field.value(
    0.375, "m1, the same in noised images", low=0.0, below=1.0
  )
  probe_time: int = field.value(
    0, "time of `features`; k + 1 > 0: of images noised to k", low=0
  )
  schedule: str = field.redefault(_gaussian.Gaussian, "schedule", "cosine")
  spacing: str = field.redefault(_gaussian.Gaussian, "spacing", "countdown")
  eta: float = field.redefault(_gaussian.Gaussian, "eta", 1.0)

  @classmethod
  def tiny(cls) -> "UMD":
    """16 patches of a 16-pixel image, two blocks and one."""
    return cls(
      variant="Ti/4",
      size=16,
      width=32,
      depth=2,
      heads=4,
      decoder_depth=1,
      classes=3,
      steps=3,
      times=20,
    )

  @property
  def net(self) -> dit.MaskedDiT:
    """The network; it predicts 2 c channels, data then noise."""
    return dit.MaskedDiT(
      encoder=self.net_size,
      decoder_depth=self.decoder_depth,
      patch=self.patch,
      grid=self.grid,
      out=2 * self.channels,
      classes=self.classes,
      adaln=self.adaln,
      cls=self.cls,
      cls_std=self.cls_std,
      rt=self.rt,
    )

  def inputs(self):
    """Normalised images and, if conditional, labels."""
    sizes.check(self.net_size, self.size, self.patch, table=False)
    return super().inputs()

  def init(self, key, batch):
    """Parameters; no extra state."""
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    params = self.net.init(key, x, zero, zero)["params"]
    return {"main": params}, {}

  def draw(self, key, batch, step):
    """t, noise, label_drop of `Gaussian`, and mask scores [b, n]."""
    k_base, k_mask = jax.random.split(key)
    found = super().draw(k_base, batch, step)
    shape = (len(found["t"]), self.grid[0] ** 2)
    return {**found, "scores": jax.random.uniform(k_mask, shape)}

  def forward(self, params, x, t, label=None, scores=None, ratio=0.0):
    """x0, eps, pre_logits and hidden [b, h, w, 1], from the visible patches.

    Those with the smallest of [b, n] scores are seen; ratio 0: all.
    """
    mask, hidden = None, jnp.zeros((*x.shape[:3], 1))
    label = jnp.full(len(x), self.classes) if label is None else label
    if ratio:
      keep = masking.keep_count(scores.shape[1], ratio)
      mask = masking.from_scores(scores, keep)
      hidden = patching.pixels(mask.mask, self.patch)
    out = self.net.apply({"params": params["main"]}, x, t, label, mask)
    x0, eps = jnp.split(out.pop("pred"), 2, axis=-1)
    return {"x0": x0, "eps": eps, "hidden": hidden, **out}

  def clean(self, params, batch, draws):
    """Loss of rows without noise, and what was predicted."""
    x, t = batch["image"], jnp.zeros(len(batch["image"]), jnp.int32)
    out = self.forward(
      params, x, t=t, label=None, scores=draws["scores"], ratio=self.clean_mask
    )
    return masking.masked_mean((out["x0"] - x) ** 2, out["hidden"]), out

  def diffused(self, params, batch, draws):
    """Both losses of noised rows, and what was predicted."""
    x, label = batch["image"], self.labels(batch, draws)
    x_t, _, _ = self.noised(x, draws)
    out = self.forward(
      params,
      x_t,
      t=draws["t"] + 1,
      label=label,
      scores=draws["scores"],
      ratio=self.noised_mask,
    )
    mean, hidden = masking.masked_mean, out["hidden"]
    where = hidden if self.noised_mask else 1.0
    losses = {
      "loss_eps": mean((out["eps"] - draws["noise"]) ** 2, 1 - hidden),
      "loss_x0": mean((out["x0"] - x) ** 2, where),
    }
    return losses, {**out, "x_t": x_t}

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Clean and noised rows, each with its share of the batch."""
    batch = self.latents(consts, batch, draws)
    b = len(batch["image"])
    n0 = int(b * self.clean_share)

    def rows(s):
      return jax.tree.map(lambda x: self.rt.shard(x[s]), (batch, draws))

    loss, aux = jnp.float32(0), {}
    if n0 < b:
      aux, _ = self.diffused(params, *rows(slice(0, b - n0)))
      loss += (1 - n0 / b) * (aux["loss_eps"] + aux["loss_x0"]) / 2
    if n0:
      mae, _ = self.clean(params, *rows(slice(b - n0, b)))
      loss, aux = loss + n0 / b * mae, {**aux, "loss_mae": mae}
    return loss, aux

  def network(self, params, x, t, label):
    """[b, h, w, 2 c]: noise first, as `Gaussian.output` takes it."""
    out = self.forward(params, x, t + 1, label)
    return jnp.concatenate([out["eps"], out["x0"]], axis=-1)

  def predict(self):
    """features [b, w], reconstruct, errors of both tasks, sample."""
    return self.predictions("features", "reconstruct", "errors")

  def features(self, params, extra, consts, batch, key):
    """Mean of the class tokens, nothing masked; see `probe_time`."""
    x, t = batch["image"], jnp.full(len(batch["image"]), self.probe_time)
    if self.probe_time:
      a, s = self.process.at(jnp.asarray(self.probe_time - 1))
      x = targets.noised(x, jax.random.normal(key, x.shape), a, s)
    return self.forward(params, x, t)["pre_logits"]

  def reconstruct(self, params, extra, consts, batch, key):
    """image [b, h, w, c] of the clean task and mask [b, h, w, 1]."""
    _, out = self.clean(params, batch, self.draw(key, batch, 0))
    return {"image": out["x0"], "mask": out["hidden"]}

  def errors(self, params, extra, consts, batch, key):
    """Per image [b]: masked (hidden pixels at time 0), eps (nothing hidden).

    The two tasks of the small-scale claim, whatever was trained.
    """
    draws, each = self.draw(key, batch, 0), jax.vmap(masking.masked_mean)
    _, mae = self.clean(params, batch, draws)
    whole = dataclasses.replace(self, noised_mask=0.0)
    _, out = whole.diffused(params, batch, draws)
    return {
      "masked": each((mae["x0"] - batch["image"]) ** 2, mae["hidden"]),
      "eps": ((out["eps"] - draws["noise"]) ** 2).mean((1, 2, 3)),
    }

  def groups(self):
    """All but biases, class and mask tokens is decayed (released code)."""
    return (method.Group(pattern=r"(scale|pos_embed|embedding)$", decay=1.0),)
