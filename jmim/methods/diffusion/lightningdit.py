r"""LightningDiT: a DiT with rectified flow; SiT is one of its settings.

Yao, Yang, Wang, CVPR 2025 ("Reconstruction vs. generation"). Equal to the
authors' code (hustvl/LightningDiT@2725fed): `tests/golden` compares network,
both terms of the loss, times and guided trajectory. Their tokenizer is
`latent.va_vae`, whose latents are normalised by channel
(`first_stage.statistics`).

DiT with RMSNorm, SwiGLU, rotary positions and normed q and k, which predicts
the velocity of straight paths:

    x_u   = u x + (1 - u) eps           u = sigmoid(n), n ~ N(0, 1): 1 = data
    v     = net(x_u, u, y)              y = none with probability 0.1
    w     = x - eps
    loss  = mean (v - w)^2 + direction mean_places (1 - cos_channels(v, w))

Samples follow dx = v du with Euler steps that are shorter near noise: u ->
s u / (1 + (s - 1) u); guidance acts where u >= 0.1 (`guidance_interval`).

SiT (Ma et al., ECCV 2024) is norm="layer", swiglu=False, rotary=False,
qk_norm=False, direction=0, noise.uniform=True, noise.spare=True (its unused
half of the output), noise.shift=1.

Reference (ImageNet 256, latents of VA-VAE f16d32, XL/1, FID without / with
guidance): 64 epochs 5.14 / 2.11, 800 epochs 2.17 / 1.35.

Their other blocks: norm="layer" (of q and k as well, with scale and bias),
adaln_shift=False (`wo_shift`: the blocks' adaLN only scales).

Following the released code: the network is given u, not u times 1000; the fixed
table of positions is added beside the rotary ones; `guidance_channels=3` guides
the first three channels only. Weights: family `lightningdit`.

    python -m jmim.main --config=configs/lightningdit_digits.py --workdir=W
    python -m jmim.main --config=configs/lightningdit_imagenet256.py ...
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.diffusion import dit
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.nn import norm as norms
from jmim.nn import sizes
from jmim.nn.nets import dit as nets

THETA = 10_000.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LightningDiT(dit.DiT):
  """Velocity of straight paths, by a modern DiT."""

  dims: sizes.Dims = field.redefault(dit.DiT, "dims", variant="B/1")
  noise: flow.Flow = field.part(
    flow.Flow, "forward process", was="{}", shift=0.3
  )
  sampling: guided.Guided = field.redefault(
    dit.DiT,
    "sampling",
    sampler="euler",
    steps=249,
    guidance_interval=(0.1, 1.0),
    clip=0.0,
  )
  norm: str = field.value("rms", "norm of the blocks", choices=("rms", "layer"))
  swiglu: bool = field.value(True, "SwiGLU instead of an MLP")
  rotary: bool = field.value(True, "rotary positions")
  qk_norm: bool = field.value(True, "norm of q and k, of the kind `norm`")
  adaln_shift: bool = field.value(True, "shifts beside the scales of adaLN")
  direction: float = field.value(1.0, "weight of the cosine", low=0.0)

  @classmethod
  def tiny(cls) -> "LightningDiT":
    """16 patches of an 8-pixel image, two blocks of width 32."""
    return field.replace(
      cls(),
      size=8,
      dims=dict(variant="S/2", width=32, depth=2, heads=4),
      labels=dict(classes=3),
      sampling=dict(steps=3),
    )

  @property
  def net(self) -> nets.DiT:
    """DiT's network with other blocks."""
    rms = self.norm == "rms"
    return super().net.clone(
      qk_norm=self.qk_norm and ("rms" if rms else True),
      qk_eps=1e-6 if rms else 1e-5,
      shift=self.adaln_shift,
      rms=rms,
      swiglu=self.swiglu,
      theta=THETA if self.rotary else 0.0,
    )

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared error and direction."""
    del step, player
    terms = self.terms(weights, batch, draws)
    total = terms["mse"] + self.direction * terms["cos"]
    return total.mean(), {f"loss_{k}": v.mean() for k, v in terms.items()}

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """Each term of the loss per image: mse [b], cos [b]."""
    z, out = self.denoised(weights, batch, draws)
    v = out["pred"][..., : self.channels]
    w = self.noise.velocity(z, draws["noise"])
    cos = (norms.unit(v, 1e-8) * norms.unit(w, 1e-8)).sum(-1)
    mse = self.noise.errors(out["pred"], z, draws)["flow"]
    return {"mse": mse, "cos": (1 - cos).mean((1, 2))}
