r"""A small convolutional classifier: a network whose features others look at.

Simonyan and Zisserman 2015 in miniature, one convolution per stage:

    u_k   = relu(conv_k(pool(u_{k-1})))      widths w, 2 w, 4 w
    loss  = cross entropy of (W mean over places of u_last)

Trained by one of our recipes it is the frozen network of a perceptual loss
(`perceptual="small"` of `latent.autoencoder_kl`), and the features of Frechet
distances, where no published weights are at hand. There are no published
figures.

    python -m jmim.main --config=configs/convnet_digits.py --workdir=W
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.nn.frozen import lpips


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvNet(method.Method):
  """Convolutions, mean over places, linear."""

  size: int = field.value(32, "image side in pixels", low=4)
  width: int = field.value(32, "channels of the first stage", low=1)
  classes: int = field.value(10, "number of classes", low=2)

  @classmethod
  def tiny(cls) -> "ConvNet":
    """An 8-pixel image, widths 4, 8 and 16."""
    return cls(size=8, width=4, classes=3)

  @property
  def layers(self) -> tuple[lpips.Layer, ...]:
    """Convolutions of the network, by stage."""
    return lpips.small(self.width)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, 3] in -1 .. 1, and labels."""
    image = method.Input((self.size, self.size, 3))
    return {"image": image, "label": method.Input((), jnp.int32, self.classes)}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """He's convolutions, a small linear map; no extra state."""
    del batch
    k_net, k_head = jax.random.split(key)
    shape = (self.layers[-1].width, self.classes)
    head = {
      "kernel": 0.01 * jax.random.normal(k_head, shape),
      "bias": jnp.zeros(self.classes),
    }
    net = lpips.random(k_net, self.layers, lin=False)
    return {"main": {"net": net, "head": head}}, {}

  def vector(self, params: method.Tree, x: jax.Array) -> jax.Array:
    """[b, c]: mean over places of the last stage, of images [b, h, w, 3]."""
    net = params["main"]["net"]
    x = lpips.normalise(self.rt.shard(x))
    return lpips.features(self.layers, net, x)[-1].mean((1, 2))

  def scores(self, params: method.Tree, x: jax.Array) -> jax.Array:
    """[b, k] logits of images [b, h, w, 3]."""
    head = params["main"]["head"]
    return self.vector(params, x) @ head["kernel"] + head["bias"]

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Cross entropy; aux: accuracy."""
    del draws, step, player
    scores = self.scores(weights.params, batch["image"])
    label = batch["label"]
    cost = optax.softmax_cross_entropy_with_integer_labels(scores, label)
    return cost.mean(), {"accuracy": (scores.argmax(-1) == label).mean()}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, c], logits [b, k]."""
    return {
      "features": lambda w, batch, key: self.vector(w.params, batch["image"]),
      "logits": lambda w, batch, key: self.scores(w.params, batch["image"]),
    }

  def groups(self) -> tuple[method.Group, ...]:
    """Convolutions are decayed as well."""
    return (method.Group(pattern=r"weight$", decay=1.0),)
