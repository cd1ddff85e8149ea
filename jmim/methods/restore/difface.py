r"""DifFace: a restorer's estimate, noised, and denoised by a model of faces.

Yue and Loy, TPAMI 2024 (arXiv 2212.06512). Equal to the authors' code
(zsyOAOA/DifFace@5c9ab80): `tests/golden` compares both terms of the loss, the
respaced process, and every step of a restoration, DDIM's and ancestral.

Trained is a diffusion model of clean images, ADM's UNet with a learned
variance; it never sees a spoilt one (`parts/gaussian.py` has both terms):

    x_t  = a_t x + s_t eps                   t ~ U{0..T-1}, x in [-1, 1]
    loss = mean (e - eps)^2 + T / 1000 L_vb  (rescale=False: without T / 1000)

Restoring begins with a frozen restorer f (`restore.restorer`), whose error the
noise makes small beside itself; then only what is there to be seen is kept:

    z    = 2 clip(f(y), 0, 1) - 1
    x_n  = a_n z + s_n eps                   n = contraction.start
    x_n -> ... -> x_0                        from time n - 1, DDIM with eta

`parts/contraction.py` has this. `holes.boxes` is inpainting: at each call x0 is
pulled towards known pixels, which are pasted back at the end. How it restores
may be asked of a run later: start, gamma, eta, steps.

Reference: best FID and identity on severe tiers of CelebA-Test; the table is
not at hand.

Following the released code: the state has the noise of time n, the first call
is told time n - 1; DDIM takes e as it was, x0 is clipped; "ddim250" respacing
(noise.spacing "stride"; the paper's file says 250, "even"). Ours: holes are
boxes; LaMa's generator is left out. Weights: family `difface`.

    python -m jmim.main --config=configs/difface_faces.py:restorer=R --workdir=W
    python -m jmim.tools.claim difface
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import contraction as contractions
from jmim.methods.parts import degraded as degraded_parts
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import holes as hole_parts
from jmim.methods.parts import restorers
from jmim.methods.parts import restoring
from jmim.nn.nets import unet

Array = jax.Array
LIMITS = (-1.0, 1.0)
UNET = dict(
  width=32,
  multipliers=(1, 2, 4, 8, 8, 16, 16),
  level_blocks=(1, 2, 2, 2, 2, 3, 4),
  attend_at=(16, 32, 64),
  heads=0,
  head_width=64,
  dropout=0.0,
  scale_shift=True,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DifFace(method.Method):
  """A diffusion model of clean images that restores estimates of them."""

  shared = ("dropout",)

  size: int = field.value(512, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: unet.Dims = field.part(unet.Dims, "UNet", **UNET)
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    spacing="stride",
    learn_variance=True,
    variance="learned",
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", steps=250, eta=0.5
  )
  rescale: bool = field.value(True, "L_vb times T / 1000; else as it is")
  contraction: contractions.Contraction = field.part(
    contractions.Contraction, "how an estimate is restored"
  )
  restorer: restorers.Frozen = field.part(
    restorers.Frozen, "frozen network that makes the estimate"
  )
  degraded: degraded_parts.Degraded = field.part(
    degraded_parts.Degraded, "spoilt images", degradation="face", factor=1
  )
  holes: hole_parts.Holes = field.part(hole_parts.Holes, "missing pixels")

  @classmethod
  def tiny(cls) -> "DifFace":
    """Two levels of width 16 on an 8-pixel image with a hole."""
    small = dict(width=16, multipliers=(1, 2), level_blocks=(), blocks=1)
    return field.replace(
      cls(),
      size=8,
      dims=dict(**small, attend_at=(2,), head_width=8, norm_groups=4),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      sampling=dict(steps=5),
      contraction=dict(start=3),
      restorer=dict(net=dict(layers=2, width=4), host=dict(path="W")),
      degraded=dict(degradation="face_small"),
      holes=dict(boxes=1),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of an image."""
    return (self.size, self.size, self.channels)

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The network, without dropout unless it is asked for."""
    out = self.channels * self.noise.outputs
    return self.dims.net(out=out, dropout=dropout, rt=self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Images in -1 .. 1, or pairs of them."""
    found = self.degraded.inputs(self.shape, LIMITS)
    self.dims.check(self.size)
    self.restorer.check(self.shape, self.degraded, self.holes)
    self.noise.check(self.sampling)
    self.contraction.check(self.noise, self.sampling)
    return found

  def consts(self) -> dict[str, method.Const]:
    """The restorer, where one is named: it is needed to restore alone."""
    return self.restorer.consts(self.shape, self.degraded, self.holes)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, t = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    return {"main": self.net().init(key, x, t)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise [b, h, w, c], and a seed of dropout."""
    del step
    draws = self.noise.draw(keys, (method.batch_size(batch), *self.shape))
    if self.dims.dropout:
      draws["dropout"] = jax.random.bits(keys("dropout"), ())
    return draws

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """L_mse + L_vb; the latter teaches the variance only."""
    del step, player
    terms = self.terms(weights, batch, draws)
    aux = {f"loss_{name}": x.mean() for name, x in terms.items()}
    return sum(terms.values()).mean(), aux

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, Array]:
    """Each term of the loss per image: mse [b], vb [b]."""
    x, t, seed = self.degraded.clean(batch), draws["t"], draws.get("dropout")
    x_t, _, _ = self.noise.add(x, t, draws["noise"])
    raw = self.network(weights.params, x_t, t, seed=seed)
    terms = self.noise.errors(raw, x, draws)
    if "vb" in terms and self.rescale:
      terms["vb"] *= self.noise.times / 1000
    return terms

  def network(
    self, params: Any, x: Array, t: Array, told: None = None, seed: Any = None
  ) -> Array:
    """Raw prediction [b, h, w, c or 2 c] of x at times t [b]: eps, then v."""
    del told
    rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
    net = self.net(self.dims.dropout if rngs else 0.0)
    return net.apply({"params": params["main"]}, x, t, rngs=rngs)

  def predict(self) -> dict[str, method.Predict]:
    """errors, and what `parts/restoring.py` makes of noise and estimates."""
    made = restoring.Restoring(
      noise=self.noise,
      sampling=self.sampling,
      contraction=self.contraction,
      restorer=self.restorer,
      degraded=self.degraded,
      holes=self.holes,
      network=self.network,
      shape=self.shape,
    )
    return {"errors": self.errors, **made.outputs()}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """eps [b]: squared error of the noise at random times."""
    draws = self.drawn(key, batch)
    draws.pop("dropout", None)
    return {"eps": self.terms(weights, batch, draws)["mse"]}
