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
    loss  = L_mse + L_vb                     noise.type "ddpm", see `dit.py`
          = mean (z - x - v(x_t, t, y))^2    noise.type "flow", z ~ N(0, 1),
                                             x_t = (1 - t) x + t z,
                                             t = sigmoid(n), n ~ N(0, 1)

L_bal of all layers is added to the gradient, not to the number reported
(it is logged as `balance`): the reported loss compares with a dense model's.

Reference (ImageNet 512, FID-50K, guided): G/2-16E2A 1.80. Parameters, total /
active: S/2-8E2A 199M / 72M, B/2-8E2A 796M / 286M, XL/2-8E2A 4.17B / 1.49B,
G/2-16E2A 16.5B / 3.18B.

Following the released code: weights are not renormalised, the hidden width of
the shared expert is `shared` times the width (2, not 2 x 4), and t of the flow
is given unscaled. Differs: shares and scores are of the global batch, theirs of
each device. Weights: family `dit_moe`. XL and G: `qk_norm=True`.

    python -m jmim.main --config=configs/dit_moe_digits.py --workdir=runs/moe
    python -m jmim.tools.claim dit_moe
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.diffusion import dit
from jmim.methods.parts import flow
from jmim.methods.parts import gaussian
from jmim.nn import moe
from jmim.nn.nets import dit as nets

TAPS = ("balance", "load", "entropy", "dropped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiTMoE(dit.DiT):
  """Diffusion transformer with sparse experts."""

  per_example = False  # the balance loss is of the shares of a batch

  noise: gaussian.Gaussian | flow.Flow = field.part(
    {
      "ddpm": gaussian.Gaussian(variance="learned", learn_variance=True),
      "flow": flow.Flow(time="noise", spare=True),
    },
    "forward process",
    was="{}",
    was_type="objective",
  )
  experts: int = field.value(8, "E, routed experts", low=1)
  chosen: int = field.value(2, "k, experts of a token", low=1)
  shared_ratio: float = field.value(
    2.0, "hidden of the shared expert / width; 0: none", low=0, was="shared"
  )
  balance: float = field.value(0.01, "a, weight of the balance loss", low=0)
  capacity: float = field.value(
    0.0,
    "most tokens of an expert / its fair share, more are dropped; 0: no limit",
    low=0,
  )
  normalise: bool = field.value(False, "weights of a token's experts sum to 1")
  balance_examples: bool = field.value(
    False, "balance the experts within each image, not within the batch"
  )
  qk_norm: bool = field.value(False, "LayerNorm of q and k (XL, G)")

  @classmethod
  def tiny(cls) -> "DiTMoE":
    """That of DiT with four experts."""
    return dataclasses.replace(super().tiny(), experts=4)

  @property
  def net(self) -> nets.DiT:
    """DiT's network with other blocks."""
    size = self.dims.size
    make = functools.partial(
      moe.MoE,
      experts=self.experts,
      chosen=self.chosen,
      hidden=int(size.mlp_ratio * size.width),
      shared=int(self.shared_ratio * size.width),
      capacity=self.capacity,
      normalise=self.normalise,
      balance_examples=self.balance_examples,
    )
    return super().net.clone(qk_norm=self.qk_norm, ffn=make)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or latents) and, if conditional, labels."""
    if self.chosen > self.experts:
      raise ValueError(f"chosen {self.chosen} of {self.experts} experts")
    return super().inputs()

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The denoising loss; the balance losses in its gradient only."""
    del step, player
    z, out = self.denoised(weights, batch, draws, TAPS)
    terms = self.noise.errors(out["pred"], z, draws)
    bias = self.balance * out["balance"].sum()
    loss = sum(terms.values()).mean() + (bias - jax.lax.stop_gradient(bias))
    aux = {f"loss_{k}": v.mean() for k, v in terms.items()}
    return loss, {
      **aux,
      "balance": bias,
      "load_max": out["load"].max(),
      "load_min": out["load"].min(),
      "router_entropy": out["entropy"].mean(),
      "dropped": out["dropped"].mean(),
    }

  def predict(self) -> dict[str, method.Predict]:
    """As DiT, and the errors and the experts of held-out images."""
    return {**super().predict(), "errors": self.errors, "experts": self.routed}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """Per image [b]: mse and vb, or flow, at random times."""
    draws = self.drawn(key, batch)
    z, out = self.denoised(weights, batch, draws)
    return self.noise.errors(out["pred"], z, draws)

  def routed(self, weights, batch, key) -> dict[str, jax.Array]:
    """chosen [b, depth, t, k] experts, time [b] in [0, 1), label [b]."""
    draws = self.drawn(key, batch)
    _, out = self.denoised(weights, batch, draws, ("chosen",))
    time = self.noise.share(draws["t"])
    label = self.labels.dropped(batch, draws)
    label = jnp.zeros(len(time), jnp.int32) if label is None else label
    chosen = jnp.swapaxes(out["chosen"], 0, 1)
    return {"chosen": chosen, "time": time, "label": label}
