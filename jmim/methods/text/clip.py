r"""CLIP: Learning Transferable Visual Models From Natural Language Supervision.

Radford, Kim, Hallacy, Ramesh, Goh, Agarwal et al., ICML 2021. A tower of images
and one of texts meet in one space: of a batch of pairs each image is to find
its own text among all, and each text its image.

    u    = W_i ViT(x)_cls / |.|     v = text(y) / |.|, of `nn/nets/text`
    l_ij = s u_i v_j                s = exp(min(log_scale, ln 100))
    loss = mean_i (CE(l_i., i) + CE(l_.i, i)) / 2

log_scale is learned and begins at ln(1 / 0.07). With `alike` pairs of one text
are no negatives of each other: where captions are few, a batch holds many.

Reference (ImageNet, zero-shot top-1 %): ViT-B/32 63.2, B/16 68.6, L/14 75.3
(400 M pairs, 32 epochs, batch 32,768; the paper's, whose weights are read by
the families `hf_clip_model` and `open_clip_model`). Outputs of Transformers and
OpenCLIP are compared in `tests/convert`; the authors released no training code.

A run is a text encoder for others (`method.condition.text.path` of
`latent.ldm`), and tells texts of images (the evaluator `zeroshot`).

    python -m jmim.main --config=configs/clip_scenes.py --workdir=runs/clip
"""

import dataclasses

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import text as texts
from jmim.nn import dense
from jmim.nn import losses
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import sizes
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class CLIP(method.Method):
  """Two towers and the contrast between their pairs."""

  per_example = False  # every pair sees all others

  size: int = field.value(224, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: sizes.Dims = field.part(
    sizes.Dims, "tower of images; with the text's, CLIP L/14", variant="L/14"
  )
  act: str = field.value(
    "quick_gelu",
    "activation of its MLPs (OpenCLIP: gelu)",
    choices=tuple(mlp.ACTIVATIONS),
  )
  eps: float = field.value(1e-5, "eps of its LayerNorms", above=0)
  text: texts.Text = field.part(
    texts.Text,
    "tower of texts; its projection is where both meet",
    projection=768,
  )
  scale: float = field.value(1 / 0.07, "s at first", above=0)
  most: float = field.value(100.0, "s at most", above=0)
  alike: bool = field.value(
    False, "leave pairs of the same text out of the negatives of each other"
  )

  @classmethod
  def tiny(cls) -> "CLIP":
    """Images of 8 pixels, six tokens."""
    return field.replace(
      cls(alike=True),
      size=8,
      dims=dict(variant="Ti/4", width=16, depth=1, heads=2),
      text=dict(
        vocabulary=11,
        length=6,
        start=1,
        end=2,
        pad=0,
        width=16,
        depth=2,
        heads=2,
        projection=8,
      ),
    )

  @property
  def encoder(self) -> vit.ViT:
    """The tower of images, as CLIP has it."""
    style = flax.core.FrozenDict(act=self.act, eps=self.eps)
    return vit.build(
      self.dims,
      self.size,
      positions="learned",
      pre_norm=True,
      patch_bias=False,
      style=style,
      rt=self.rt,
    )

  @property
  def projection(self) -> nn.Module:
    """From its class token to the space of both."""
    init = nn.initializers.normal(self.dims.size.width**-0.5)
    width = self.text.projection
    return dense.dense(self.rt, width, use_bias=False, kernel_init=init)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels], and tokens.

    Raises:
      ValueError: fields that do not go together.
    """
    self.dims.check(self.size)
    if not self.text.projection:
      raise ValueError("text.projection 0: the towers meet in its space")
    image = method.Input((self.size, self.size, self.channels))
    return {"image": image, **self.text.entries()}

  def consts(self) -> dict[str, method.Const]:
    """The tower of texts, where it is frozen."""
    return self.text.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Both towers and the logarithm of the scale."""
    k_image, k_map, k_text = jax.random.split(key, 3)
    image = self.encoder.init(k_image, batch["image"][:1])["params"]
    wide = jnp.zeros((1, self.dims.size.width))
    main = {
      "image": image,
      "projection": self.projection.init(k_map, wide)["params"],
      "log_scale": jnp.float32(np.log(self.scale)),
    }
    words = self.text.init(k_text)
    return {"main": main | ({"text": words} if words else {})}, {}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The contrast; aux: s, and shares of pairs that find each other."""
    del draws, step, player
    u, v = self.features(weights, batch), self.words(weights, batch)
    log_scale = weights.params["main"]["log_scale"]
    s = jnp.exp(losses.limited(log_scale, np.log(self.most)))
    logits = self.rt.shard(s * u @ v.T)  # [b, b]
    same = None
    if self.alike:
      ids = batch["tokens"]
      same = (ids[:, None] == ids[None]).all(-1)
    loss, right = losses.paired(logits, same)
    return loss, {
      "scale": s,
      "image_to_text": right[0],
      "text_to_image": right[1],
    }

  def features(self, weights, batch, key=None) -> jax.Array:
    """[b, d] of images, of length 1."""
    del key
    main = weights.params["main"]
    out = self.encoder.apply({"params": main["image"]}, batch["image"])
    one = out["latent"][:, 0]
    one = self.projection.apply({"params": main["projection"]}, one)
    return norm.unit(one)

  def words(self, weights, batch, key=None) -> jax.Array:
    """[b, d] of texts, of length 1."""
    del key
    own = weights.params["main"].get("text", {})
    found = self.text.encode(weights, own, batch["tokens"], pooled=True)
    return norm.unit(found.pooled)

  def predict(self) -> dict[str, method.Predict]:
    """features [b, d] of images, text [b, d] of tokens."""
    return {"features": self.features, "text": self.words}
