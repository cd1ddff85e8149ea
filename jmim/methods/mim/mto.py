r"""MTO on SimMIM, with equations that are NOT the paper's.

Choi, Lee, Joung, Park, Kim, Min, ECCV 2024 (Emerging Property of Masked Token
for Effective Pre-training, arXiv 2404.08330). Masked tokens are to be unlike
visible ones, and are not read by them before they mean something. The text of
the paper could not be read: idea, names of the losses and of RAUC, and what
each is for are the paper's; EVERY EQUATION AND DEFAULT BELOW IS AN
INSTANTIATION, to be replaced by whoever has the paper. There is no golden file.

A SimMIM (`mim.simmim`) on a ViT. x^l, l = 0 .. L-1, is what the attention of
block l reads (after its LayerNorm), x^L the output; m masked, v visible:

    P^l_mv = softmax over v of cos(x^l_m, x^l_v) / 0.1
    E^l_m  = -sum_v P^l_mv log P^l_mv / log |V|          row entropy
    H^l    = 1 - mean over m, v of cos(x^l_m, x^l_v)     heterogeneity
    recalibration: rows of visible tokens (class token too) get the logit -1e9
             at the ceil(kappa_l |M|) masked tokens of highest E^l,
             kappa_l = kappa0 (1 - l / (L - 1))
    L_spa  = sum_l a_l mean over m, v of relu(cos)^2,  a_l ~ 1 - l / L
    L_e    = sum_l b_l mean over m of E^l_m,           b_l ~ l / L
    L_r    = mean over v of relu(cos(mask_token, e_v))^2,  e before positions
    loss   = L_simmim + w(step) (lambda_spa L_spa + lambda_e L_e + lambda_r L_r)

a and b sum to 1; w rises from 0 to 1 over `warmup_steps`. No gradient flows to
visible tokens in L_spa and L_e, to e_v in L_r, or through the choice of
columns. All switched off it is SimMIM, bit for bit. Nothing of it is left at
test time. On MAE: `mim.mto_mae`.

Reference: half the epochs for equal fine-tuned accuracy (abstract); single
figures are not known. RAUC here: `metrics.curves`.

    python -m jmim.main --config=configs/mto_cifar10.py \
      --config.data.data_dir=DIR --workdir=runs/mto
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.mim import simmim
from jmim.methods.parts import singularity


@dataclasses.dataclass(frozen=True, kw_only=True)
class MTO(simmim.SimMIM):
  """SimMIM whose masked tokens are kept apart."""

  tokens: singularity.Singularity = field.part(
    singularity.Singularity, "terms and biases that keep masked tokens apart"
  )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    if self.backbone.windowed:
      raise ValueError(
        f"backbone.variant {self.backbone.variant!r}: masked tokens are kept "
        "apart in the attention of a ViT (B/16, L/16, ..), not in windows"
      )
    return super().inputs()

  @property
  def masked(self) -> int:
    """|M|, hidden patches of an image."""
    side = self.size // self.square
    hidden = masking.squares_hidden(side, self.mask_ratio)
    return hidden * (self.square // self.backbone.patch) ** 2

  def hooked(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """`forward` with recalibrated attention, and `layers` [L + 1, b, n, w]."""
    hidden = draws["mask"].reshape(len(draws["mask"]), -1)
    bias_of = self.tokens.bias_of(
      hidden, self.masked, self.backbone.size.blocks
    )
    out = self.forward(
      weights.params, batch, draws, bias_of=bias_of, taps=("normed",)
    )
    net, encoded = self.encoder, out["encoded"]
    layers = singularity.layers_of(
      encoded["normed"], encoded["latent"], net.prefix
    )
    return out | {"layers": layers, "hidden": hidden}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """That of SimMIM and the weighted terms; aux: each of them."""
    if not self.tokens.on:
      return super().loss(weights, batch, draws, step, player=player)
    out = self.hooked(weights, batch, draws)
    host = self.reconstruction_loss(out, batch)
    encoder = weights.params["main"]["encoder"]
    patches = self.encoder.apply(
      {"params": encoder},
      batch["image"],
      method=lambda net, images: net.patch_embed(images),
    )
    terms = self.tokens.terms(
      out["layers"],
      out["hidden"],
      token=encoder["mask_token"],
      patches=patches,
    )
    return host + self.tokens.added(terms, step), {"host": host, **terms}

  def predict(self) -> dict[str, method.Predict]:
    """SimMIM's outputs, and `singularity`."""
    return super().predict() | {"singularity": self.singular}

  def singular(self, weights, batch, key) -> dict[str, jax.Array]:
    """heterogeneity_00 .., entropy_00 .. [b], of each layer."""
    out = self.hooked(weights, batch, self.drawn(key, batch))
    return singularity.by_layer(
      self.tokens.measure(out["layers"], out["hidden"])
    )
