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
come with the image (`tokens="batch"`) or name the nearest of a frozen table of
patches ("codebook"); drop path only in the encoder. Weights: family `cae`.

    python -m jmim.main --config=configs/cae_imagenet.py ...
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.masks import rectangles
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.nn import block
from jmim.nn import initialise
from jmim.nn import patch as patching
from jmim.nn import sizes
from jmim.nn import vq
from jmim.nn.decoders import cae as contexts
from jmim.nn.nets import vit

SOURCES = ("batch", "codebook")
SIZES = sizes.SIZES | {
  "Ti": sizes.Size(width=192, depth=12, heads=12),
  "S": sizes.Size(width=384, depth=12, heads=12),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CAE(method.Method):
  """Encoder, latent regressor and token decoder."""

  variant: str = field.value("B/16", "encoder size / patch side in pixels")
  size: int = field.value(224, "image side in pixels", low=1)
  width: int = field.value(0, "encoder width; 0: that of variant", low=0)
  depth: int = field.value(0, "encoder blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "encoder heads; 0: those of variant", low=0)
  layer_scale: float = field.value(0.1, "of the encoder; L: 1e-5", low=0.0)
  decoder_width: int = field.value(0, "0: the encoder's", low=0)
  decoder_heads: int = field.value(0, "0: the encoder's", low=0)
  decoder_scale: float = field.value(0.1, "LayerScale there", low=0.0)
  regressor_depth: int = field.value(4, "regressor blocks", low=0)
  decoder_depth: int = field.value(4, "decoder blocks", low=0)
  vocabulary: int = field.value(8192, "tokens", low=2)
  tokens: str = field.value("batch", "their source", choices=SOURCES)
  codebook: str = field.value("", "path of the table of patches (.npz)")
  codebook_sha256: str = field.value("", "hash of that file; empty: any")
  masked: int = field.value(98, "patches hidden", low=1)
  blockwise: bool = field.value(True, "hide rectangles; else at random")
  align: float = field.value(2.0, "weight of the alignment", low=0.0)
  drop_path: float = field.value(0.1, "of the encoder's last block", low=0.0)
  beit_init: bool = field.value(False, "N(0, 0.02^2), smaller with depth")

  @classmethod
  def tiny(cls) -> "CAE":
    """16 patches, unequal widths, a codebook of 8."""
    return cls(
      variant="Ti/4",
      size=16,
      width=32,
      depth=2,
      heads=4,
      decoder_width=16,
      decoder_heads=2,
      regressor_depth=2,
      decoder_depth=1,
      vocabulary=8,
      tokens="codebook",
      masked=8,
    )

  @property
  def encoder(self) -> vit.ViT:
    """Sees the visible, or the hidden patches."""
    own = {k: getattr(self, k) for k in ("width", "depth", "heads")}
    size, p = sizes.parse(self.variant, SIZES)
    return vit.ViT(
      size=sizes.override(size, **own),
      patch=p,
      grid=(self.size // p,) * 2,
      order="yx",
      layer_scale=self.layer_scale,
      style={"qkv_bias": "qv"},
      rt=self.rt,
    )

  @property
  def context(self) -> contexts.Context:
    """Bridge, regressor and decoder."""
    e = self.encoder
    width, heads = self.decoder_width or e.size.width, self.decoder_heads
    size = sizes.Size(
      width=width, depth=self.regressor_depth, heads=heads or e.size.heads
    )
    return contexts.Context(
      size=size,
      depth=self.decoder_depth,
      grid=e.grid,
      out=self.vocabulary,
      layer_scale=self.decoder_scale,
      rt=self.rt,
    )

  def inputs(self):
    """Normalised images [size, size, 3]; tokens [n] unless `codebook`."""
    e = self.encoder
    sizes.check(e.size, self.size, e.patch)
    sizes.check(self.context.size, self.size, e.patch, "decoder_")
    n = e.grid[0] ** 2
    if self.masked >= n:
      raise ValueError(f"masked {self.masked} of {n} patches")
    tokens = {"tokens": method.Input((n,), jnp.int32, self.vocabulary)}
    image = {"image": method.Input((self.size, self.size, 3))}
    return image | (tokens if self.tokens == "batch" else {})

  def consts(self):
    """The codebook [vocabulary, p*p*3], of normalised pixels."""
    shape = (self.vocabulary, 3 * self.encoder.patch**2)
    init = lambda key: {"codes": jax.random.normal(key, shape)}
    sha256 = self.codebook_sha256 or None
    own = {"codebook": method.Const(self.codebook, init, sha256)}
    return own if self.tokens == "codebook" else {}

  def init(self, key, batch):
    """Xavier kernels, small ones for patches or, `beit_init`, everywhere."""
    k_encoder, k_context, k_normal = jax.random.split(key, 3)
    z, i = jnp.zeros((1, 1, self.encoder.size.width)), jnp.zeros((1, 1), int)
    own = self.context.init(k_context, z, z, i, i)["params"]
    encoder = self.encoder.init(k_encoder, batch["image"][:1])["params"]
    params = {"encoder": encoder, "context": own}
    small = initialise.normal_kernels(k_normal, params, truncate=True)
    if self.beit_init:
      return {"main": initialise.shrink_with_depth(small)}, {}
    encoder["patch_embed"] = small["encoder"]["patch_embed"]
    return {"main": params}, {}

  def draw(self, key, batch, step):
    """mask [b, n] bool with `masked` ones; drop path of both branches."""
    k_mask, k_seen, k_hidden = jax.random.split(key, 3)
    b, grid = len(batch["image"]), self.encoder.grid
    sample = rectangles.block_wise if self.blockwise else rectangles.scattered
    one = lambda k: sample(k, grid, self.masked)
    mask = jax.vmap(one)(jax.random.split(k_mask, b))
    drop = lambda k: block.drop_path_draw(
      k, self.drop_path, self.encoder.size.depth, b
    )
    return {"mask": mask, "seen": drop(k_seen), "hidden": drop(k_hidden)}

  def forward(self, params, batch, draws) -> dict[str, jax.Array]:
    """visible [b, 1 + k, w], pred, target [b, m, w], logits [b, m, v], ids."""
    main, mask = params["main"], draws["mask"]
    seen = masking.from_booleans(mask, mask.shape[1] - self.masked)
    hidden = masking.from_booleans(~mask, self.masked)
    see = lambda split, name: self.encoder.apply(
      {"params": main["encoder"]},
      batch["image"],
      split,
      drop=block.drop_path_of(draws.get(name, {})),
    )["latent"]
    z_v, z_m = see(seen, "seen"), see(hidden, "hidden")
    out = self.context.apply(
      {"params": main["context"]},
      z_v[:, 1:],
      z_m[:, 1:],
      seen.keep,
      hidden.keep,
    )
    return {**out, "visible": z_v, "ids": hidden.keep}

  def name(self, consts, batch) -> jax.Array:
    """[b, n] token of every patch."""
    if self.tokens == "batch":
      return batch["tokens"]
    x = patching.patchify(batch["image"], self.encoder.patch)
    return vq.nearest(x, consts["codebook"]["codes"])

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Cross entropy and alignment; aux: both, accuracy and baselines."""
    out = self.forward(params, batch, draws)
    names = self.name(consts, batch)
    tokens = jnp.take_along_axis(names, out["ids"], axis=1)
    cost = optax.softmax_cross_entropy_with_integer_labels
    main = cost(out["logits"], tokens).mean()
    gap = ((out["pred"] - out["target"]) ** 2).mean()
    right = (out["logits"].argmax(-1) == tokens).mean()
    known = jnp.where(draws["mask"], -1, names)
    aux = {
      "main": main,
      "align": gap,
      "token_accuracy": right,
      "align_relative": gap / out["target"].var(),
      **vq.baselines(tokens, known, self.vocabulary),
    }
    return main + self.align * gap, aux

  def predict(self):
    """Outputs of the encoder, see `methods.outputs`."""
    encode = lambda p, b, taps: self.encoder.apply(
      {"params": p["main"]["encoder"]}, b["image"], taps=taps
    )
    return outputs.vit(encode, self.encoder.grid)

  def groups(self):
    """cls and mask token are decayed."""
    return (method.Group(pattern=r"/(cls|mask)_token$", decay=1.0),)
