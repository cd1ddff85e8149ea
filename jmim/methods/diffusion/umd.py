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

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import targets
from jmim.masks import tokens as masking
from jmim.methods.diffusion import dit
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels as conditions
from jmim.nn import patch as patching
from jmim.nn import sizes
from jmim.nn.nets import dit as nets

Terms = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UMD(dit.DiT):
  """One encoder-decoder that represents and generates."""

  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    was="{}",
    schedule="cosine",
    spacing="countdown",
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
  probe_time: int = field.value(
    0, "time of `features`; k + 1 > 0: of images noised to k", low=0
  )

  @classmethod
  def tiny(cls) -> "UMD":
    """16 patches of a 16-pixel image, two blocks and one."""
    defaults = cls.__dataclass_fields__
    return cls(
      size=16,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      decoder_depth=1,
      labels=conditions.Labels(classes=3),
      noise=dataclasses.replace(defaults["noise"].default, times=20),
      sampling=dataclasses.replace(defaults["sampling"].default, steps=3),
    )

  @property
  def net(self) -> nets.MaskedDiT:
    """The network; it predicts 2 c channels, data then noise."""
    return nets.MaskedDiT(
      encoder=self.dims.size,
      decoder_depth=self.decoder_depth,
      patch=self.dims.patch,
      grid=self.dims.grid(self.size),
      out=2 * self.channels,
      classes=self.labels.classes,
      adaln=self.adaln,
      cls=self.cls,
      cls_std=self.cls_std,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments) and, if conditional, labels."""
    self.dims.check(self.size, table=False)
    self.sampling.check()
    self.noise.check(self.sampling, learns=False)
    return self.first_stage.inputs(self.shape) | self.labels.inputs()

  def draw(
    self, keys: randomness.Keys, batch: method.Batch, step: jax.Array
  ) -> method.Draws:
    """Those of DiT, and mask scores [b, n]."""
    b, n = len(jax.tree.leaves(batch)[0]), self.dims.grid(self.size)[0] ** 2
    scores = jax.random.uniform(keys("scores"), (b, n))
    return {**super().draw(keys, batch, step), "scores": scores}

  def forward(
    self,
    params: method.Tree,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None = None,
    scores: jax.Array | None = None,
    ratio: float = 0.0,
  ) -> Terms:
    """x0, eps, pre_logits and hidden [b, h, w, 1], from the visible patches.

    Those with the smallest of [b, n] scores are seen; ratio 0: all.
    """
    mask, hidden = None, jnp.zeros((*x.shape[:3], 1))
    label = self.labels.none(len(x)) if label is None else label
    if ratio:
      keep = masking.keep_count(scores.shape[1], ratio)
      mask = masking.from_scores(scores, keep)
      hidden = patching.pixels(mask.mask, self.dims.patch)
    out = self.net.apply({"params": params["main"]}, x, t, label, mask)
    x0, eps = jnp.split(out.pop("pred"), 2, axis=-1)
    return {"x0": x0, "eps": eps, "hidden": hidden, **out}

  def clean(
    self, params: method.Tree, x: jax.Array, draws: method.Draws
  ) -> tuple[jax.Array, Terms]:
    """L_mae of rows x without noise, and what was predicted."""
    t = jnp.zeros(len(x), jnp.int32)
    out = self.forward(
      params, x, t, scores=draws["scores"], ratio=self.clean_mask
    )
    return masking.masked_mean((out["x0"] - x) ** 2, out["hidden"]), out

  def diffused(
    self,
    params: method.Tree,
    x: jax.Array,
    label: jax.Array | None,
    draws: method.Draws,
  ) -> tuple[Terms, Terms]:
    """L_eps and L_x0 of rows x to be noised, and what was predicted."""
    x_t, _, _ = self.noise.add(x, draws["t"], draws["noise"])
    out = self.forward(
      params,
      x_t,
      draws["t"] + 1,
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

  def loss(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    step: jax.Array,
    player: str = "main",
  ) -> method.Loss:
    """Clean and noised rows, each with its share of the batch."""
    del step, player
    x = self.first_stage.encode(weights, batch, draws)
    label = self.labels.dropped(batch, draws)
    b, params = len(x), weights.params
    n0 = int(b * self.clean_share)
    rows = lambda s: jax.tree.map(
      lambda a: self.rt.shard(a[s]), (x, label, draws)
    )
    loss, aux = jnp.float32(0), {}
    if n0 < b:
      aux, _ = self.diffused(params, *rows(slice(0, b - n0)))
      loss += (1 - n0 / b) * (aux["loss_eps"] + aux["loss_x0"]) / 2
    if n0:
      x, _, draws = rows(slice(b - n0, b))
      mae, _ = self.clean(params, x, draws)
      loss, aux = loss + n0 / b * mae, {**aux, "loss_mae": mae}
    return loss, aux

  def network(
    self,
    params: method.Tree,
    x: jax.Array,
    t: jax.Array,
    label: jax.Array | None,
  ) -> jax.Array:
    """[b, h, w, 2 c]: noise first, as `noise.output` takes it."""
    out = self.forward(params, x, t + 1, label)
    return jnp.concatenate([out["eps"], out["x0"]], axis=-1)

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w], sample, reconstruct, errors of both tasks."""
    more = {"reconstruct": self.reconstruct, "errors": self.errors}
    on_latents = self.first_stage.on_latents
    more = {name: on_latents(fn, self.drawn) for name, fn in more.items()}
    return super().predict() | more

  def features(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> jax.Array:
    """Mean of the class tokens, nothing masked; see `probe_time`."""
    x, t = batch["image"], jnp.full(len(batch["image"]), self.probe_time)
    if self.probe_time:
      a, s = self.noise.process.at(jnp.asarray(self.probe_time - 1))
      x = targets.noised(x, jax.random.normal(key, x.shape), a, s)
    return self.forward(weights.params, x, t)["pre_logits"]

  def reconstruct(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> Terms:
    """image [b, h, w, c] of the clean task and mask [b, h, w, 1]."""
    draws = self.drawn(key, batch)
    _, out = self.clean(weights.params, batch["image"], draws)
    return {"image": out["x0"], "mask": out["hidden"]}

  def errors(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> Terms:
    """Per image [b]: masked (hidden pixels at time 0), eps (nothing hidden).

    The two tasks of the small-scale claim, whatever was trained.
    """
    x, params = batch["image"], weights.params
    draws, mean = self.drawn(key, batch), jax.vmap(masking.masked_mean)
    _, mae = self.clean(params, x, draws)
    whole = dataclasses.replace(self, noised_mask=0.0)
    label = self.labels.dropped(batch, draws)
    _, out = whole.diffused(params, x, label, draws)
    return {
      "masked": mean((mae["x0"] - x) ** 2, mae["hidden"]),
      "eps": ((out["eps"] - draws["noise"]) ** 2).mean((1, 2, 3)),
    }

  def groups(self) -> tuple[method.Group, ...]:
    """All but biases, class and mask tokens is decayed (released code)."""
    rule = r"(scale|pos_embed|embedding)$"
    return (method.Group(pattern=rule, decay=1.0),)
