r"""A classifier of depth images of clouds: the teacher of `point.i2p_mae`.

A ViT that learns the class of a cloud from one of three depth images of it
(`nn.project`), drawn anew in each step. I2P-MAE (Zhang et al., CVPR 2023) takes
a CLIP that was never trained on depth images; where there is none, on
procedural clouds for one, this is a teacher that can be trained in minutes.
Mixing, drop path and loss are those of `supervised.finetune`:

    v      ~ one of three views                      draw, one per cloud
    x      = normalise(sigmoid(sum of depths in view v of the cloud))
    logits = W z + b,  z the class token of ViT(x) after its final norm
    loss   = -sum_c y_c log softmax(logits)_c        y smoothed

Logits and features of a cloud are means over its three views. There is no
published figure: the network is ours.

    python -m jmim.main --config=configs/rendered_shapes.py --workdir=runs/seen
    python -m jmim.main --config=configs/i2p_mae_shapes.py --workdir=runs/i2p \
      --config.method.guide.teacher.path=runs/seen
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import depth_views
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import finetune
from jmim.nn import project
from jmim.nn import sizes
from jmim.nn.decoders import heads
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendered(finetune.Finetune):
  """A ViT that classifies depth images; see the module docstring."""

  points: int = field.value(256, "points of a cloud", low=4)
  size: int = field.value(56, "side of the depth images [pixels]", low=8)
  mean: tuple = field.value(
    (0.485, 0.456, 0.406), "mean of their normalisation"
  )
  std: tuple = field.value((0.229, 0.224, 0.225), "std of their normalisation")
  mixing: mixings.Mixing = field.redefault(
    finetune.Finetune, "mixing", mixup=0.0, cutmix=0.0
  )

  @classmethod
  def tiny(cls) -> "Rendered":
    """24 points on 16 pixels, one block of width 16."""
    return cls(
      points=24,
      size=16,
      classes=4,
      dims=sizes.Dims(variant="Ti/8", width=16, depth=1, heads=2),
    )

  @property
  def encoder(self) -> vit.ViT:
    """Learned positions, a class token, a final norm."""
    return vit.build(self.dims, self.size, positions="learned", rt=self.rt)

  @property
  def head(self) -> nn.Module:
    """Linear, of the class token."""
    return heads.PoolHead(classes=self.classes, pool="cls", rt=self.rt)

  def read(self, latent: jax.Array) -> jax.Array:
    """All tokens [b, t, w]: the head takes the first."""
    return latent

  @property
  def views(self) -> depth_views.DepthViews:
    """How clouds become images."""
    return depth_views.DepthViews(size=self.size, mean=self.mean, std=self.std)

  def inputs(self) -> dict[str, method.Input]:
    """Clouds [points, 3] and class ids.

    Raises:
      ValueError: fields that do not go together.
    """
    self.views.check("method")
    if self.channels != 3:
      raise ValueError(f"channels {self.channels}: depth images have 3")
    label = super().inputs()["label"]
    return {"points": method.Input((self.points, 3)), "label": label}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and head; no extra state."""
    one = self.views.images(batch["points"][:1])
    return super().init(key, {"image": one[:, 0]})

  def draw(self, keys, batch, step) -> method.Draws:
    """view [b] int; drop [b, blocks, 2]; what is mixed."""
    b = len(batch["points"])
    side = jax.ShapeDtypeStruct((b, self.size, self.size, 3), jnp.float32)
    view = jax.random.randint(keys("view"), (b,), 0, len(project.VIEWS))
    return {"view": view, **super().draw(keys, {"image": side}, step)}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Soft cross entropy of one view of each cloud."""
    images = self.views.images(batch["points"])
    seen = jax.vmap(lambda views, i: views[i])(images, draws["view"])
    seen = {"image": seen, "label": batch["label"]}
    return super().loss(weights, seen, draws, step, player=player)

  def predict(self) -> dict[str, method.Predict]:
    """logits [b, classes] and features [b, w], means over the views."""
    return {"logits": self.classify, "features": self.features}

  def classify(self, weights, batch, key) -> jax.Array:
    """[b, classes] mean logits of the three views."""
    del key
    read = lambda images: self.logits(weights.params, images)
    return self._mean(read, batch)

  def features(self, weights, batch, key) -> jax.Array:
    """[b, w] mean class token of the three views."""
    del key

    def read(images):
      found = self.encode(weights, {"image": images})
      return found["latent"][:, 0].astype(jnp.float32)

    return self._mean(read, batch)

  def _mean(self, read, batch):
    """Of [b 3, n] that `read` makes of all images."""
    images = self.views.images(batch["points"])
    b, v = images.shape[:2]
    found = read(images.reshape(b * v, *images.shape[2:]))
    return found.reshape(b, v, -1).mean(1)
