r"""A small convolutional classifier with a head for each of several attributes.

Several attributes of a picture (what it shows, in which colour, where) are told
by one network: that of `supervised.convnet`, which this extends. Means over a
coarse grid of cells are kept, so that places can be told too,

    u_k    = relu(conv_k(pool(u_{k-1})))             widths w, 2 w, 4 w
    f      = means of u_last over g x g cells, one after another
    z_a    = W_a f + b_a                             one map per attribute
    loss   = sum_a w_a (-log softmax(z_a)_y_a) / sum_a w_a

Trained on pictures whose attributes are known, it measures those of others:
edits, or samples. An attribute is any entry of the data with classes from 0:
the class itself ("label") is one. Real numbers (a pose, say) are told by heads
of their own (`numbers`, see `parts/real_heads`), whose loss is added. There is
no paper and no published figure; the loss is that of multi-task learning with
one head per task (Caruana 1997).

    python -m jmim.main --config=configs/attributes_scenes.py --workdir=W
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import real_heads
from jmim.methods.supervised import convnet
from jmim.nn.frozen import lpips


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attributes(convnet.ConvNet):
  """Convolutions, means over cells, a linear map per attribute."""

  width: int = field.redefault(convnet.ConvNet, "width", 16)
  cells: int = field.value(4, "cells per axis that means are taken of", low=1)
  attributes: tuple[str, ...] = field.value(
    ("label",), "entries of the data that are told, one head each"
  )
  classes: tuple[int, ...] = field.value((10,), "classes of each of them")
  shares: tuple[float, ...] = field.value(
    (), "weights of their losses; (): all alike"
  )
  numbers: real_heads.RealHeads = field.part(
    real_heads.RealHeads, "entries of real numbers that are told"
  )

  @classmethod
  def tiny(cls) -> "Attributes":
    """An 8-pixel image, widths 4, 8 and 16, three heads."""
    return cls(
      size=8,
      width=4,
      cells=2,
      attributes=("label", "kind", "place"),
      classes=(3, 2, 4),
    )

  @property
  def side(self) -> int:
    """Places per axis in the last stage."""
    return self.size // 2 ** sum(layer.pool > 0 for layer in self.layers)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, 3] in -1 .. 1, and a class per attribute.

    Raises:
      ValueError: classes or shares that are not one per attribute, or cells
        that the last stage cannot be cut into.
    """
    count = len(self.attributes)
    if not count or len(set(self.attributes)) < count:
      raise ValueError(
        f"method.attributes={self.attributes}: name one entry of the data or "
        "more, none twice"
      )
    if len(self.classes) != count or min(self.classes) < 2:
      raise ValueError(
        f"method.classes={self.classes} for method.attributes of {count}: give "
        "each a number of classes, 2 or more"
      )
    if self.shares and (len(self.shares) != count or min(self.shares) <= 0):
      raise ValueError(
        f"method.shares={self.shares} for method.attributes of {count}: give "
        "each a weight above 0, or none"
      )
    if self.side % self.cells:
      raise ValueError(
        f"method.cells={self.cells} with {self.side} places per axis: choose a "
        "divisor"
      )
    image = method.Input((self.size, self.size, 3))
    found = {"image": image} | self.numbers.inputs(self.attributes)
    return found | {
      name: method.Input((), jnp.int32, classes)
      for name, classes in zip(self.attributes, self.classes, strict=True)
    }

  @property
  def outputs(self) -> dict[str, int]:
    """Head -> numbers that it gives."""
    classes = zip(self.attributes, self.classes, strict=True)
    return dict(classes) | self.numbers.counts

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """He's convolutions, small linear maps; no extra state."""
    del batch
    k_net, *k_heads = jax.random.split(key, 1 + len(self.outputs))
    width = self.layers[-1].width * self.cells**2
    heads = {
      name: {
        "kernel": 0.01 * jax.random.normal(k, (width, n)),
        "bias": jnp.zeros(n),
      }
      for k, (name, n) in zip(k_heads, self.outputs.items(), strict=True)
    }
    net = lpips.random(k_net, self.layers, lin=False)
    return {"main": {"net": net, "heads": heads}}, {}

  def vector(self, params: method.Tree, x: jax.Array) -> jax.Array:
    """[b, cells * cells * c]: means over cells of images [b, h, w, 3]."""
    x = lpips.normalise(self.rt.shard(x))
    last = lpips.features(self.layers, params["main"]["net"], x)[-1]
    # Without a word XLA cuts the cells over the devices, and not the batch.
    means = einops.reduce(
      self.rt.shard(last),
      "b (i h) (j w) c -> b (i j c)",
      "mean",
      i=self.cells,
      j=self.cells,
    )
    return self.rt.shard(means)

  def told(self, params: method.Tree, x: jax.Array) -> dict[str, jax.Array]:
    """Head -> [b, k] what it gives, of images [b, h, w, 3]."""
    vector, heads = self.vector(params, x), params["main"]["heads"]
    linear = lambda head: vector @ head["kernel"] + head["bias"]
    return {name: linear(heads[name]) for name in self.outputs}

  def scores(self, params: method.Tree, x: jax.Array) -> dict[str, jax.Array]:
    """Attribute -> [b, k] logits, of images [b, h, w, 3]."""
    told = self.told(params, x)
    return {name: told[name] for name in self.attributes}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean cross entropy, and error of numbers; aux: of each head."""
    del draws, step, player
    told = self.told(weights.params, batch["image"])
    shares = self.shares or (1.0,) * len(self.attributes)
    errors = self.numbers.errors(told, batch)
    total = sum(errors.values()) / max(len(errors), 1)
    aux = {f"mse_{name}": error for name, error in errors.items()}
    for share, name in zip(shares, self.attributes, strict=True):
      logits, truth = told[name], batch[name]
      cost = optax.softmax_cross_entropy_with_integer_labels(logits, truth)
      total += share / sum(shares) * cost.mean()
      aux[f"accuracy_{name}"] = (logits.argmax(-1) == truth).mean()
    return total, aux

  def predict(self) -> dict[str, method.Predict]:
    """features, logits by attribute; numbers by entry, if there are any."""

    def numbers(weights, batch, key):
      del key
      return self.numbers.values(self.told(weights.params, batch["image"]))

    made = {"numbers": numbers} if self.numbers.names else {}
    return super().predict() | made
