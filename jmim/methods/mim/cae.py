r"""CAE: Context Autoencoder for Self-Supervised Representation Learning.

Chen et al., IJCV 2023. Equal to the authors' code (Atten4Vis/CAE@a7fd162817):
`tests/golden` compares latents, logits, losses and gradients.

The encoder sees visible patches, a regressor predicts the ENCODER's latents of
the hidden ones, and a decoder that sees only these predictions names the token
of each hidden patch:

    M     = `masked` patches, rectangle by rectangle              draw
    z_v   = ViT(x[not M])                 z_m = stop(ViT(x[M]))  same weights
    pred  = Regressor(z_v; positions of M)
    q     = softmax(Decoder(pred + positions of M))
    loss  = mean over M of -log q(token) + 2 mean (pred - z_m)^2    (`align`)

Visible latents never change, cls is unused; a linear map and norm join widths.

Reference (ViT-B/16, ImageNet-1k linear probe / attentive probe / fine-tuned):

    | 300 epochs         | 800                | 1600               |
    | 64.5 / 74.0 / 83.6 | 68.9 / 75.9 / 83.8 | 70.3 / 77.2 / 83.9 |

Following the released code: the target is the current encoder; Xavier kernels
(`beit_init`: their constructors' scheme); rows first in the sin-cos table; cls
and mask token are decayed. What differs: without the DALL-E tokenizer, tokens
come with the image (`tokenizer.source="batch"`) or are the nearest rows of a
frozen table of patches ("codebook"); drop path only in the encoder. Weights:
family `cae`.

    python -m jmim.main --config=configs/cae_imagenet.py ...
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import rectangles
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.methods.parts import regressor as regressors
from jmim.methods.parts import tokenizer as tokenizers
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import sizes
from jmim.nn.decoders import cae as decoders
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class CAE(method.Method):
  """Encoder, latent regressor and token decoder."""

  size: int = field.value(224, "image side [pixels]", low=1)
  dims: sizes.Dims = field.part(sizes.Dims, "encoder", was="{}")
  layer_scale: float = field.value(0.1, "initial LayerScale; 0: none", low=0.0)
  regressor: regressors.Regressor = field.part(
    regressors.Regressor, "regressor and decoder", was="{}"
  )
  tokenizer: tokenizers.Tokenizer = field.part(
    tokenizers.Tokenizer, "tokens of the patches", was="{}"
  )
  masked: int = field.value(98, "patches hidden", low=1)
  blockwise: bool = field.value(True, "rectangles hidden; else patches")
  align: float = field.value(2.0, "weight of the alignment", low=0.0)
  drop_path: float = field.value(0.1, "drop path of the last block", low=0.0)
  beit_init: bool = field.value(False, "kernels as BEiT's; else Xavier")

  @classmethod
  def tiny(cls) -> "CAE":
    """16 patches, unequal widths, a codebook of 8."""
    return cls(
      size=16,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      regressor=regressors.Regressor(
        width=16, depth=2, heads=2, decoder_depth=1
      ),
      tokenizer=tokenizers.Tokenizer(vocabulary=8, source="codebook"),
      masked=8,
    )

  @property
  def encoder(self) -> vit.ViT:
    """Sees the visible, or the hidden patches."""
    return vit.ViT(
      size=self.dims.size_in(sizes.TWELVE_HEADS),
      patch=self.dims.patch,
      grid=self.dims.grid(self.size),
      order="yx",
      layer_scale=self.layer_scale,
      style={"qkv_bias": "qv"},
      rt=self.rt,
    )

  @property
  def context(self) -> decoders.RegressorDecoder:
    """Bridge, regressor and decoder."""
    return self.regressor.net(self.encoder, self.tokenizer.vocabulary)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, 3]; tokens [n] unless `codebook`."""
    sizes.check(self.encoder.size, self.size, self.dims.patch)
    self.regressor.check(self.encoder.size)
    n = self.encoder.grid[0] ** 2
    if self.masked >= n:
      raise ValueError(f"masked {self.masked} of {n} patches")
    image = {"image": method.Input((self.size, self.size, 3))}
    return image | self.tokenizer.inputs(n)

  def consts(self) -> dict[str, method.Const]:
    """The codebook, if tokens come from one."""
    return self.tokenizer.consts(self.dims.patch)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Xavier kernels, small ones for patches or, `beit_init`, everywhere."""
    k_encoder, k_context, k_normal = jax.random.split(key, 3)
    z, i = jnp.zeros((1, 1, self.encoder.size.width)), jnp.zeros((1, 1), int)
    encoder = self.encoder.init(k_encoder, batch["image"][:1])["params"]
    context = self.context.init(k_context, z, z, i, hidden_ids=i)["params"]
    params = {"encoder": encoder, "context": context}
    small = initialise.normal_kernels(k_normal, params, truncate=True)
    if self.beit_init:
      return {"main": initialise.shrink_with_depth(small)}, {}
    # The last initialisation of the authors' is Xavier's, of linear layers
    # only: the convolution keeps the small one.
    encoder["patch_embed"] = small["encoder"]["patch_embed"]
    return {"main": params}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """mask [b, n] bool with `masked` ones; drop path of both branches."""
    del step
    b, e = len(batch["image"]), self.encoder
    sample = rectangles.block_wise if self.blockwise else rectangles.scattered
    mask = jax.vmap(lambda key: sample(key, e.grid, self.masked))
    drop = {
      name: block.drop_path_draw(keys(name), self.drop_path, e.size.depth, b)
      for name in ("seen", "hidden")
    }
    return {"mask": mask(jax.random.split(keys("mask"), b)), **drop}

  def forward(
    self, params: method.Tree, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """visible [b, 1 + k, w], pred, target [b, m, w], logits [b, m, v], ids."""
    main, mask = params["main"], draws["mask"]
    visible = masking.from_booleans(mask, mask.shape[1] - self.masked).keep
    hidden = masking.from_booleans(~mask, self.masked).keep
    encode = lambda keep, name: self.encoder.apply(
      {"params": main["encoder"]},
      batch["image"],
      keep,
      drop=block.drop_path_of(draws.get(name, {})),
    )["latent"]
    z_v, z_m = encode(visible, "seen"), encode(hidden, "hidden")
    context = {"params": main["context"]}
    out = self.context.apply(
      context, z_v[:, 1:], z_m[:, 1:], visible, hidden_ids=hidden
    )
    return {**out, "visible": z_v, "ids": hidden}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Cross entropy and alignment; aux: both, accuracy and baselines."""
    del step, player
    out = self.forward(weights.params, batch, draws)
    tokens = self.tokenizer.ids(weights, batch, self.dims.patch)
    main, aux = self.tokenizer.cross_entropy(out["logits"], tokens, out["ids"])
    error = ((out["pred"] - out["target"]) ** 2).mean()
    aux |= {"main": main, "align": error}
    aux["align_relative"] = error / out["target"].var()
    return main + self.align * error, aux

  def predict(self) -> dict[str, method.Predict]:
    """Outputs of the encoder, see `methods.outputs`."""
    return outputs.vit(outputs.encoder(self.encoder), self.encoder.grid)

  def groups(self) -> tuple[method.Group, ...]:
    """cls and mask token are decayed."""
    return (method.Group(pattern=r"/(cls|mask)_token$", decay=1.0),)
