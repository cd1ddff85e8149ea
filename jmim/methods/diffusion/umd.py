r"""UMD: Unified Auto-Encoding with Masked Diffusion.

Hansen-Estruch, Vishwanath, Zhang, Tomar, 2024 (arXiv 2406.17688). Equal to the
authors' code (philippe-eecs/small-vision@3d4555b): `tests/golden` compares
predictions, losses, features and DDIM trajectories in all modes.

A share r of the batch is clean and heavily masked, as in MAE (time 0); the
rest is noised at a random time k and masked less. One network predicts both
the data and the noise of every patch, from the visible ones:

    n0      = int(B r)                       the last n0 rows are clean
    x_t     = a_k x + s_k eps                k ~ U{0..T-1}; time k + 1
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
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.diffusion import dit
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.nn.nets import dit as nets

Tree = method.Tree
Array = jax.Array
Maybe = jax.Array | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class UMD(dit.DiT):
  """One encoder-decoder that represents and generates."""

  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian(schedule="cosine", spacing="countdown"),
    "forward process",
    was="{}",
  )
  sampling: guided.Guided = field.redefault(dit.DiT, "sampling", eta=1.0)
  decoder_depth: int = field.value(4, "decoder blocks", low=0)
  adaln: bool = field.value(True, "adaLN-Zero; else a conditioning token")
  cls: int = field.value(4, "class tokens", low=1)
  cls_std: float = field.value(0.0, "std of the class tokens' start", low=0)
  clean_share: float = field.value(0.5, "r, share of clean", low=0, high=1)
  clean_mask: float = field.value(
    0.75, "m0, share of patches hidden in clean images", low=0.0, below=1.0
  )
  noised_mask: float = field.value(
    0.375, "m1, share of patches hidden in noised images", low=0.0, below=1.0
  )
  probe_time: int = field.value(0, "time of features; 0: clean", low=0)

  @classmethod
  def tiny(cls) -> "UMD":
    """16 patches of a 16-pixel image, two blocks and one."""
    return field.replace(
      cls(decoder_depth=1),
      size=16,
      dims=dict(variant="Ti/4", width=32, depth=2, heads=4),
      labels=dict(classes=3),
      noise=dict(times=20),
      sampling=dict(steps=3),
    )

  @property
  def net(self) -> nets.MaskedDiT:
    """The network; it predicts data and noise."""
    return nets.MaskedDiT(
      **self.body,
      channels=self.channels,
      decoder_depth=self.decoder_depth,
      adaln=self.adaln,
      cls=self.cls,
      cls_std=self.cls_std,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments) and, if conditional, labels."""
    self.dims.check(self.size, table=False)
    self.sampling.check(self.labels.drop if self.labels.classes else None)
    self.noise.check(self.sampling, learns=False)
    return self.first_stage.inputs(self.shape) | self.labels.inputs()

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of DiT, and mask scores [b, n]."""
    b, n = method.batch_size(batch), self.dims.grid(self.size)[0] ** 2
    scores = jax.random.uniform(keys("scores"), (b, n))
    return {**super().draw(keys, batch, step), "scores": scores}

  def forward(
    self, params: Tree, x: Array, t: Array, label: Maybe, mask: Any = None
  ) -> dict[str, Array]:
    """x0, eps, hidden and pre_logits, see `nets.MaskedDiT`; no label: None."""
    label = self.labels.none(len(x)) if label is None else label
    return self.net.apply({"params": params["main"]}, x, t, label, mask)

  def clean(self, params: Tree, x: Array, scores: Array) -> dict[str, Array]:
    """L_mae of rows x without noise, and what was predicted."""
    zero = jnp.zeros(len(x), jnp.int32)
    mask = masking.hide(scores, self.clean_mask)
    out = self.forward(params, x, zero, None, mask=mask)
    error = (out["x0"] - x) ** 2
    return {**out, "loss_mae": masking.masked_mean(error, out["hidden"])}

  def diffused(
    self, params: Tree, x: Array, draws: method.Draws, label: Maybe
  ) -> dict[str, Array]:
    """L_eps and L_x0 of rows x to be noised, and what was predicted."""
    x_t, _, _ = self.noise.add(x, draws["t"], draws["noise"])
    mask = masking.hide(draws["scores"], self.noised_mask)
    out = self.forward(params, x_t, draws["t"] + 1, label, mask=mask)
    where = out["hidden"] if self.noised_mask else 1.0
    eps, x0 = (out["eps"] - draws["noise"]) ** 2, (out["x0"] - x) ** 2
    loss_eps = masking.masked_mean(eps, 1 - out["hidden"])
    loss_x0 = masking.masked_mean(x0, where)
    return {**out, "x_t": x_t, "loss_eps": loss_eps, "loss_x0": loss_x0}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Clean and noised rows, each with its share of the batch."""
    del step, player
    z = self.first_stage.encode(weights, batch, draws)
    b, params, terms = len(z), weights.params, {}
    n0 = int(b * self.clean_share)
    rows = lambda tree, s: jax.tree.map(lambda a: self.rt.shard(a[s]), tree)
    if n0 < b:
      label = self.labels.dropped(batch, draws)
      terms |= self.diffused(params, *rows((z, draws, label), slice(b - n0)))
    if n0:
      terms |= self.clean(params, *rows((z, draws["scores"]), slice(-n0, None)))
    aux = {k: v for k, v in terms.items() if k.startswith("loss_")}
    share = {"loss_mae": n0 / b, "loss_eps": (1 - n0 / b) / 2}
    share["loss_x0"] = share["loss_eps"]
    return sum(share[k] * aux[k] for k in aux), aux

  def network(self, params: Tree, x: Array, t: Array, label: Maybe) -> Array:
    """[b, h, w, 2 c]: noise first, as `noise.output` takes it."""
    out = self.forward(params, x, t + 1, label)
    return jnp.concatenate([out["eps"], out["x0"]], axis=-1)

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w], sample, reconstruct, errors of both tasks."""
    own = {"reconstruct": self.reconstruct, "errors": self.errors}
    return super().predict() | own

  def features(self, weights, batch, key) -> jax.Array:
    """Mean of the class tokens, nothing masked; see `probe_time`."""
    x = self.first_stage.encode(weights, batch, self.drawn(key, batch))
    t = jnp.full(len(x), self.probe_time)
    if self.probe_time:
      x, _, _ = self.noise.add(x, t - 1, jax.random.normal(key, x.shape))
    return self.forward(weights.params, x, t, None)["pre_logits"]

  def reconstruct(self, weights, batch, key) -> dict[str, Array]:
    """image [b, h, w, c] of the clean task and mask [b, h, w, 1]."""
    draws = self.drawn(key, batch)
    x = self.first_stage.encode(weights, batch, draws)
    out = self.clean(weights.params, x, draws["scores"])
    return {"image": out["x0"], "mask": out["hidden"]}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """Per image [b]: masked (hidden pixels at time 0), eps (nothing hidden).

    The two tasks of the small-scale claim, whatever was trained.
    """
    draws = self.drawn(key, batch)
    x = self.first_stage.encode(weights, batch, draws)
    mae = self.clean(weights.params, x, draws["scores"])
    label = self.labels.dropped(batch, draws)
    whole = dataclasses.replace(self, noised_mask=0.0)
    out = whole.diffused(weights.params, x, draws, label)
    masked = jax.vmap(masking.masked_mean)((mae["x0"] - x) ** 2, mae["hidden"])
    eps = ((out["eps"] - draws["noise"]) ** 2).mean((1, 2, 3))
    return {"masked": masked, "eps": eps}

  def groups(self) -> tuple[method.Group, ...]:
    """All but biases, class and mask tokens is decayed (released code)."""
    return (method.Group(pattern=r"(scale|pos_embed|embedding)$", decay=1.0),)
