r"""DiTi: a code, in blocks of time, of what a frozen diffusion model loses.

Yue, Wang, Sun, Ji, Chang, Zhang, "Exploring Diffusion Time-steps for
Unsupervised Representation Learning", ICLR 2024. Equal to the authors' code
(yue-zhongqi/diti@ca4ed6c): `tests/golden` compares prefixes, coefficients,
predictions, the loss of each mode, gradients, samplers and inversion.

Noise takes the fine attributes of an image first. What a frozen diffusion model
gets wrong at time t is what was lost until then; a code explains it, of which
time t may read a prefix that grows with t (`parts/time_blocks.py`):

    z      = encoder(x)                              [d]
    x_t    = a_t x + s_t eps                         t ~ U{0..T-1}
    e      = host(x_t, t)                            frozen
    g      = branch(skips of the host, t, z[:end(t)])        0 at the start
    loss   = mean w_t (eps - e - c_t g)^2
    c_t    = -sqrt(alpha_t) (1 - abar_{t-1}) / sqrt(1 - abar_t)
    w_t    = snr^0.1 / (1 + snr),   snr = abar_t / (1 - abar_t)

mode "base"; "stop_grad", where only the newest block of a prefix has a gradient
(the loss is the same); "dual", their sum. One block: PDAE (Zhang et al. 2022).

Reference (from memory): CelebA AP .623, LFW r .617; PDAE .602 and .596.

Following the authors: the loss corrects noise by c_t, sampling by -s_t
(`parts/shifted.py`); they differ at small t. Differs: the released manipulation
shows the whole code at all times (`sampling.masked=False`), and learns which 16
numbers to move (`keep`: those of greatest weight). Left out: self-supervised
heads, of weight 0 in all their configs. Weights: families `diti`, `pdae_host`.

    python -m jmim.main --config=configs/diti_shapes.py:host=RUN --workdir=W
    python -m jmim.tools.claim diti
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import code_walks
from jmim.methods.parts import gaussian
from jmim.methods.parts import host as hosts
from jmim.methods.parts import shifted
from jmim.methods.parts import time_blocks
from jmim.nn.nets import code_encoder
from jmim.nn.nets import corrected
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiTi(method.Method):
  """A code in blocks of time for what a frozen diffusion model lacks."""

  shared = ("dropout",)

  size: int = field.value(64, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: unet.Dims = field.part(
    unet.Dims,
    "UNet of the host; dropout is the branch's",
    scale_shift=True,
    updown=True,
    dropout=0.0,
  )
  host: hosts.Host = field.part(hosts.Host, "frozen diffusion model")
  noise: gaussian.Gaussian = field.part(gaussian.Gaussian, "the host's process")
  encoder: code_encoder.Dims = field.part(code_encoder.Dims, "encoder")
  blocks: time_blocks.TimeBlocks = field.part(
    time_blocks.TimeBlocks, "code and its blocks"
  )
  sampling: shifted.Shifted = field.part(shifted.Shifted, "sampler")
  mode: str = field.value(
    "base", "where the code learns", choices=("base", "stop_grad", "dual")
  )

  @classmethod
  def tiny(cls) -> "DiTi":
    """Two levels of width 16 on an 8-pixel image, four blocks."""
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    return field.replace(
      cls(),
      size=8,
      dims=dict(**small, heads=2, norm_groups=4),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      encoder=dict(widths=(8, 16), heads=2, norm_groups=4),
      blocks=dict(width=12, blocks=4, stages=(5, 20), stage_widths=(3, 9)),
      sampling=dict(steps=3, inversion=4),
    )

  @property
  def nets(self) -> corrected.Corrected:
    """Host, encoder and branch."""
    fields = {"dims": self.dims, "encoder": self.encoder, "rt": self.rt}
    return corrected.Corrected(
      **fields,
      width=self.blocks.width,
      side=self.size,
      channels=self.channels,
      outputs=self.noise.outputs,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images in [-1, 1]."""
    self.nets.check()
    self.noise.process.check()
    self.blocks.check(self.noise.times)
    self.sampling.check(self.noise.times)
    return {"image": method.Input((self.size, self.size, self.channels))}

  def consts(self) -> dict[str, method.Const]:
    """The host, which predicts the noise of this process."""
    agrees = self.noise.agrees()
    agrees["prediction"] = ("method.host.path", "eps")
    same = dict(agrees=agrees, dims=self.dims, whole=True)
    return {"host": self.host.const(self.nets.init_host, **same)}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and branch; no extra state."""
    del batch
    return {"main": self.nets.init(key)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise like the image, and a seed of the branch's dropout."""
    del step
    draws = self.noise.draw(keys, batch["image"].shape)
    if self.dims.dropout:
      draws["dropout"] = jax.random.bits(keys("dropout"), ())
    return draws

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Weighted error of the corrected noise; aux: of it, and of the host's."""
    del step, player
    z = self.nets.encode(weights.params["main"], batch["image"])
    found = self.error(weights, batch["image"], z=z, draws=draws)
    names = ("loss", "loss_unweighted", "loss_frozen")
    aux = {name: a.mean() for name, a in zip(names, found, strict=True)}
    return aux.pop("loss"), aux

  def error(
    self, weights: method.Weights, x: Array, *, z: Array, draws: method.Draws
  ) -> tuple[Array, Array, Array]:
    """Squared errors [b, h, w, c] of the noise in images with codes z.

    Weighted, the same without weights, and the host's alone.
    """
    t, eps = draws["t"], draws["noise"]
    x_t, _, _ = self.noise.add(x, t, eps)
    e, taps = self.nets.frozen(weights.consts["host"], x_t, t)
    c, w = shifted.factors(self.noise.process, t, x.ndim)
    seen = {"base": self.blocks.prefix, "stop_grad": self.blocks.newest}
    total = jnp.zeros_like(x)
    for mode in seen if self.mode == "dual" else (self.mode,):
      code, seed = seen[mode](z, t, self.noise.times), draws.get("dropout")
      g = self.nets.correction(weights.params["main"], taps, code, seed)
      total += (eps - e - c * g) ** 2
    return w * total, total, (eps - e) ** 2

  def walks(self, weights: method.Weights) -> code_walks.CodeWalks:
    """What can be done to images by their codes."""
    return code_walks.CodeWalks(
      nets=self.nets,
      weights=weights,
      noise=self.noise,
      blocks=self.blocks,
      sampling=self.sampling,
    )

  def predict(self) -> dict[str, method.Predict]:
    """features, errors, and sample, restore, swapped: `CodeWalks`."""
    own = {"features": self.features, "errors": self.errors}
    return own | method.outputs_of(self.walks, code_walks.NAMES)

  def features(self, weights, batch, key) -> Array:
    """Codes [b, d]."""
    del key
    return self.nets.encode(weights.params["main"], batch["image"])

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """Of the noise [b]: eps, corrected; frozen, by the host alone."""
    m = field.replace(self, mode="base", dims=dict(dropout=0.0))
    draws, z = m.drawn(key, batch), self.features(weights, batch, key)
    _, eps, host = m.error(weights, batch["image"], z=z, draws=draws)
    return {"eps": eps.mean((1, 2, 3)), "frozen": host.mean((1, 2, 3))}

  def sample_reads(self) -> tuple[str, ...]:
    """The images whose codes are drawn."""
    return ("image",)
