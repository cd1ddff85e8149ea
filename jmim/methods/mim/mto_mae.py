r"""MTO on MAE, with equations that are NOT the paper's.

Choi, Lee, Joung, Park, Kim, Min, ECCV 2024. What `mim.mto` adds to SimMIM,
in the decoder of an MAE (`mim.mae`), where its mask tokens are: x^l is what the
attention of decoder block l reads, x^L what leaves its last LayerNorm, e_v a
visible token as the decoder embeds it. EVERY EQUATION IS AN INSTANTIATION, see
there; there is no golden file.

    rows of visible tokens do not read the ceil(kappa_l |M|) masked tokens of
    highest entropy E^l,  kappa_l = kappa0 (1 - l / (L - 1))
    loss = L_mae + w(step) (lambda_spa L_spa + lambda_e L_e + lambda_r L_r)

All switched off it is MAE, bit for bit. One block alone has kappa0 in it.

    python -m jmim.main --config=configs/mto_cifar10.py:host=mae \
      --config.data.data_dir=DIR --workdir=runs/mto_mae
"""

import dataclasses
from typing import ClassVar

import jax

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.mim import mae
from jmim.methods.parts import singularity


@dataclasses.dataclass(frozen=True, kw_only=True)
class MTOMAE(mae.MAE):
  """MAE whose decoder keeps its masked tokens apart."""

  height: ClassVar[int] = 0  # none of its keys: squares only

  tokens: singularity.Singularity = field.part(
    singularity.Singularity, "terms and biases that keep masked tokens apart"
  )

  @classmethod
  def tiny(cls) -> "MTOMAE":
    """The tiny MAE with two blocks in the decoder."""
    plain = super().tiny()
    deeper = dataclasses.replace(plain.decoder_dims, depth=2)
    return dataclasses.replace(plain, decoder_dims=deeper)

  def decode(
    self,
    decoder: method.Tree,
    latent: jax.Array,
    mask: masking.Mask,
    **some: jax.Array,
  ) -> dict[str, jax.Array]:
    """As MAE's; unless all is switched off, what `opened` returns."""
    decode = self.opened if self.tokens.on else super().decode
    return decode(decoder, latent, mask, **some)

  def opened(
    self, decoder: method.Tree, latent: jax.Array, mask: masking.Mask
  ) -> dict[str, jax.Array]:
    """pred, decoder `patches` and `layers` [L + 1, b, n, w]."""
    hidden = mask.mask
    masked = hidden.shape[1] - mask.keep.shape[1]
    net = self.decoder
    out = net.apply(
      {"params": decoder},
      latent,
      mask,
      bias_of=self.tokens.bias_of(hidden, masked, net.size.depth),
      taps=("normed",),
      method="run",
    )
    layers = singularity.layers_of(out["normed"], out["latent"])
    return {"pred": out["pred"], "patches": out["patches"], "layers": layers}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """That of MAE and the weighted terms; aux: each of them."""
    if not self.tokens.on:
      return super().loss(weights, batch, draws, step, player=player)
    out = self.forward(weights.params, batch, draws)
    host = self.reconstruction_loss(out, batch)
    terms = self.tokens.terms(
      out["layers"],
      out["mask"].mask,
      token=weights.params["main"]["decoder"]["mask_token"],
      patches=out["patches"],
    )
    return host + self.tokens.added(terms, step), {"host": host, **terms}

  def predict(self) -> dict[str, method.Predict]:
    """MAE's outputs, and `singularity`."""
    return super().predict() | {"singularity": self.singular}

  def singular(self, weights, batch, key) -> dict[str, jax.Array]:
    """heterogeneity_00 .., entropy_00 .. [b] of each layer of the decoder."""
    out = self.forward(weights.params, batch, self.drawn(key, batch))
    decoder, mask = weights.params["main"]["decoder"], out["mask"]
    layers = self.opened(decoder, out["latent"], mask)["layers"]
    return singularity.by_layer(self.tokens.measure(layers, mask.mask))
