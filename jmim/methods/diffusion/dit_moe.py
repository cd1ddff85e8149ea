r"""DiT-MoE: Scaling Diffusion Transformers to 16 Billion Parameters.

Fei, Fan, Yu, Li, Huang, 2024 (arXiv 2407.11633). Equal to the authors' code
(feizc/DiT-MoE@bd34bbb): `tests/golden` compares routing, balance losses, both
losses, gradients (the router's too) and guided Euler trajectories.

DiT whose MLPs are mixtures of E SwiGLU experts, of which a token sees k and
one that all tokens share:

    s     = softmax(W u)                     u: modulated norm of the tokens
    moe   = sum_{e in top k} s_e SwiGLU_e(u) + SwiGLU_shared(u)
    L_bal = a sum_e f_e P_e                  per layer; f_e = E share of e (a
                                             constant), P_e = mean of s_e
    loss  = L_mse + L_vb                     objective "ddpm", see `dit.py`
          = mean (z - x - v(x_t, t, y))^2    objective "flow", z ~ N(0, 1),
                                             x_t = (1 - t) x + t z,
                                             t = sigmoid(n), n ~ N(0, 1)

L_bal of all layers is added to the gradient, not to the number reported
(it is logged as `balance`): the reported loss compares with a dense model's.

Reference (ImageNet 512, FID-50K, guided): G/2-16E2A 1.80. Parameters, total /
active: S/2-8E2A 199M / 72M, B/2-8E2A 796M / 286M, XL/2-8E2A 4.17B / 1.49B,
G/2-16E2A 16.5B / 3.18B.

Following the released code: weights are not renormalised, the hidden width of
the shared expert is `shared` times the width (2, not 2 x 4), and t of the flow
is told unscaled. Differs: shares and scores are of the global batch, theirs of
each device. Weights: family `dit_moe`. XL and G: `qk_norm=True`.

    python -m jmim.main --config=configs/dit_moe_digits.py --workdir=runs/moe
    python -m jmim.tools.claim dit_moe
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule as schedules
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.diffusion import weights
from jmim.methods.diffusion import dit
from jmim.nn import moe
from jmim.nn.nets import dit as nets

TAPS = ("balance", "load", "entropy", "dropped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiTMoE(dit.DiT):
  """Diffusion transformer with sparse experts."""

  objective: str = field.value(
    "ddpm", "what is trained", choices=("ddpm", "flow")
  )
  experts: int = field.value(8, "E, routed experts", low=1)
  chosen: int = field.value(2, "k, experts of a token", low=1)
  shared: float = field.value(
    2.0, "hidden of the shared expert / width; 0: none", low=0
  )
  balance: float = field.value(0.01, "a, weight of the balance loss", low=0)
  capacity: float = field.value(
    0.0,
    "room of an expert / its fair share; more is dropped; 0: no limit",
    low=0,
  )
  qk_norm: bool = field.value(False, "LayerNorm of q and k (XL, G)")

  @classmethod
  def tiny(cls) -> "DiTMoE":
    """That of DiT with four experts."""
    return dataclasses.replace(super().tiny(), experts=4)

  @property
  def net(self) -> nets.DiT:
    """DiT's network with other blocks."""
    width = self.net_size.width
    make = functools.partial(
      moe.MoE,
      experts=self.experts,
      chosen=self.chosen,
      hidden=int(self.net_size.mlp_ratio * width),
      shared=int(self.shared * width),
      capacity=self.capacity,
    )
    return super().net.clone(qk_norm=self.qk_norm, ffn=make)

  @property
  def flow(self) -> bool:
    """Whether it trains a rectified flow."""
    return self.objective == "flow"

  @property
  def end(self) -> float:
    """The time of pure noise: the flow's network is told 0 .. 1."""
    return 1.0 if self.flow else super().end

  @property
  def table(self) -> samplers.Table:
    """The sampler along its path: equal steps from t = 1 to 0 for the flow."""
    if not self.flow:
      return super().table
    levels = schedules.straight(self.steps, told="noise")
    return solvers.make(self.sampler, levels, self.eta)

  def inputs(self):
    """Normalised images (or latents) and, if conditional, labels."""
    if self.chosen > self.experts:
      raise ValueError(f"chosen {self.chosen} of {self.experts} experts")
    if self.flow and self.sampler not in ("euler", "ddim", "heun"):
      raise ValueError(f"sampler {self.sampler!r} with objective 'flow'")
    return super().inputs()

  def draw(self, key, batch, step):
    """As `Gaussian`, but t [b] logit-normal in (0, 1) for the flow."""
    found = super().draw(key, batch, step)
    if self.flow:
      normal = jax.random.normal(jax.random.fold_in(key, 1), found["t"].shape)
      found["t"] = weights.logit_normal(normal)
    return found

  def noised(self, images, draws):
    """(x_t, signal, noise) at the drawn times."""
    if not self.flow:
      return super().noised(images, draws)
    t = targets.expand(draws["t"], images.ndim)
    a, s = schedules.interpolant("linear", 1 - t)
    return targets.noised(images, draws["noise"], a, s), a, s

  def loss(self, player, params, extra, consts, batch, draws, step):
    """The denoising loss; the balance losses in its gradient only."""
    del player, extra, step
    batch = self.latents(consts, batch, draws)
    out = self.forward(params, batch, draws, TAPS)
    terms = self.scored(out["pred"], batch, draws)
    bias = self.balance * out["balance"].sum()
    loss = sum(terms.values()).mean() + bias - jax.lax.stop_gradient(bias)
    aux = {f"loss_{k}": v.mean() for k, v in terms.items()}
    return loss, {
      **aux,
      "balance": bias,
      "load_max": out["load"].max(),
      "load_min": out["load"].min(),
      "router_entropy": out["entropy"].mean(),
      "dropped": out["dropped"].mean(),
    }

  def forward(self, params, batch, draws, taps=()) -> dict[str, jax.Array]:
    """Outputs of the network at the drawn times; a tap is [depth, ...]."""
    x_t, _, _ = self.noised(batch["image"], draws)
    label = self.labels(batch, draws)
    return self.net.apply(
      {"params": params["main"]}, x_t, draws["t"], label, taps=taps
    )

  def scored(self, raw, batch, draws):
    """As DiT's, or flow [b]: the error of the velocity."""
    if not self.flow:
      return super().scored(raw, batch, draws)
    error = draws["noise"] - batch["image"] - raw[..., : self.channels]
    return {"flow": (error**2).mean((1, 2, 3))}

  def output(self, raw, x, level):
    """What the sampler needs; the flow's v is the velocity towards noise."""
    if not self.flow:
      return super().output(raw, x, level)
    v = -raw[..., : self.channels]
    return targets.output(
      "velocity", v, x=x, a=level.signal, s=level.noise, clip=self.clip
    )

  def predict(self):
    """As DiT, and the errors and the experts of held-out images."""
    more = {"errors": self.errors, "experts": self.routed}
    more = {name: self.on_latents(fn) for name, fn in more.items()}
    return {**super().predict(), **more}

  def errors(self, params, extra, consts, batch, key):
    """Per image [b]: mse and vb, or flow, at random times."""
    draws = self.draw(key, batch, 0)
    return self.scored(self.forward(params, batch, draws)["pred"], batch, draws)

  def routed(self, params, extra, consts, batch, key):
    """chosen [b, depth, t, k] experts, time [b] in [0, 1), label [b]."""
    draws = self.draw(key, batch, 0)
    out = self.forward(params, batch, draws, ("chosen",))
    time = draws["t"] if self.flow else draws["t"] / self.times
    label = self.labels(batch, draws)
    label = jnp.zeros(len(time), jnp.int32) if label is None else label
    chosen = jnp.swapaxes(out["chosen"], 0, 1)
    return {"chosen": chosen, "time": time, "label": label}

  def axes(self):
    """Experts over the mesh axis of that name, where there is one."""
    mesh = self.rt.mesh
    if mesh is None or moe.AXIS not in mesh.shape:
      return ()
    return ((r"ffn/experts/\w+/kernel$", (None, moe.AXIS, None, "fsdp")),)
