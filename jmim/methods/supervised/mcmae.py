r"""Fine-tuning of an MCMAE for classification.

Gao, Ma, Li, Lin, Dai, Qiao, NeurIPS 2022 (Alpha-VL/ConvMAE@4c97b4c9ec). The
encoder of MR-MCMAE (`distill.mr_mae` with `dims.type="mcmae"`) without masks
and without the shortcuts of its convolution stages, which pre-training alone
has. Mixing, drop path and loss are those of `finetune`:

    z      = MCMAE(x')                positions trained, no final norm
    logits = W LayerNorm(mean_n z_n) + b                no class token
    loss   = -sum_c y'_c log softmax(logits)_c          x', y' mixed

Drop path rises linearly over the blocks of all three stages.

Reference (ImageNet-1k top-1 %, the README and the abstract): MCMAE B 85.0 after
1600 epochs of pre-training; with mimicking (MR-MCMAE) 85.8 after 400. S, L, H
after 200 epochs with mimicking 83.6, 86.8, 88.0, of which the widths are not
known here (`dims.widths`). The encoder's layers are proven by the goldens of
`mr_mae`; of this classifier there is none.

The released classifier without global pooling reads token 0 of the map as if
it were a class token; here tokens are always averaged. With `optim.layer_decay`
block j of each stage counts as layer j + 1 of the transformer; how the authors
count the convolution blocks is not known here.

    python -m jmim.main --config=configs/mcmae_finetune_imagenet.py \
      --config.init_from.path=runs/mr_mae --workdir=runs/mcmae
"""

import dataclasses

import jax

from jmim.core import field
from jmim.methods.parts import mcmae_dims
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import finetune
from jmim.nn.nets import mcmae


@dataclasses.dataclass(frozen=True, kw_only=True)
class MCMAE(finetune.Finetune):
  """Convolution stages, transformer; mean of the tokens, norm, linear."""

  dims: mcmae_dims.MCMAEDims = field.part(mcmae_dims.MCMAEDims, "encoder")

  @classmethod
  def tiny(cls) -> "MCMAE":
    """16 tokens, one block per stage, nothing mixed."""
    return cls(
      size=16,
      classes=6,
      dims=mcmae_dims.MCMAEDims(
        widths=(8, 16, 32), depths=(1, 1, 1), strides=(2, 2, 1), heads=4
      ),
      mixing=mixings.Mixing(mixup=0.0, cutmix=0.0),
    )

  @property
  def encoder(self) -> mcmae.MCMAE:
    """Learned positions; no shortcuts, no final norm."""
    return mcmae.MCMAE(
      size=self.dims.size,
      grid=self.dims.grid(self.size),
      positions="learned",
      shortcuts=False,
      final_norm=False,
      rt=self.rt,
    )

  def read(self, latent: jax.Array) -> jax.Array:
    """The tokens [b, n, w] that the head sees: all."""
    return latent
