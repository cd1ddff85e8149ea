r"""AffinityNet: which places near each other show the same thing.

Ahn and Kwak, CVPR 2018, as DiffuMask trains it of maps of words (Wu, Zhao,
Shou, Zhou, Shen, ICCV 2023; weijiawu/DiffuMask@913d232). Maps f_1 .. f_n of a
network, brought to one grid, and seeds of 0 (ground), 1, .. or unknown:

    f      = elu W [elu W_1 f_1, .., elu W_n f_n]       1 x 1, without biases
    a_ij   = exp(-mean_c |f_i - f_j|)                   |i - j| < radius
    loss   = mean_B -log a / 4 + mean_F -log a / 4 + mean_D -log(1 - a) / 2

B: both places are ground, F: of one thing, D: of two; a place has the label of
most of its pixels, or none. `nn/affinity.py` has the loss and walks along a,
which `edit.diffumask_masks` takes. The tests compare a and the loss with the
authors' lines.

Reference: none by itself; 448 px, radius 5, 8 epochs of a class's images, batch
8, SGD, lr 0.01 (heads 0.1), weight decay 5e-4, on a ResNet-38 of ImageNet.

Differs: any network here, of whose ResNet-38 there are no weights; pairs near
an edge count too; SGD's line ends at 0, their polynomial of power 0.9 nearly.

    python -m jmim.main --config=configs/affinity_scenes.py --workdir=W \
      --config.data.data_dir=DIR
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import dense_features
from jmim.nn import affinity
from jmim.nn import resize

Array = jax.Array
HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
WIDE = nn.initializers.variance_scaling(16.0, "fan_avg", "uniform")  # gain 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Affinity(method.Method):
  """A network, and a map of features that tells things apart."""

  per_example = False  # pairs are counted over the batch

  size: int = field.value(448, "side of the images [pixels]", low=1)
  net: dense_features.Convolutions = field.part(
    {
      "conv": dense_features.Convolutions,
      "vit": dense_features.Plain,
      "backbone": dense_features.Stages,
    },
    "network whose maps are read",
  )
  stride: int = field.value(8, "pixels per place and axis", low=1)
  widths: tuple[int, ...] = field.value(
    (64, 128, 256), "channels made of each of the network's last maps"
  )
  radius: int = field.value(5, "distance that pairs are below [places]", low=2)
  read: str = field.value("seeds", "entry of a batch that holds the seeds")
  classes: int = field.value(2, "labels of the seeds, the ground's too", low=2)
  ignore: int = field.value(
    255, "label of pixels that are not known, the greatest", low=2
  )
  head_lr: float = field.value(
    10.0, "learning rate of the 1 x 1 maps over the network's", above=0.0
  )

  @classmethod
  def tiny(cls) -> "Affinity":
    """Two levels of width 8 on 16-pixel images, a grid of 4 x 4."""
    made = cls(size=16, stride=4, widths=(4, 6), radius=3, ignore=2)
    dims = dict(width=8, multipliers=(1, 2), norm_groups=4)
    return field.replace(made, net=dict(dims=dims))

  @property
  def grid(self) -> tuple[int, int]:
    """(h, w) in places."""
    return (self.size // self.stride,) * 2

  def inputs(self) -> dict[str, method.Input]:
    """Images, and seeds as large.

    Raises:
      ValueError: fields that do not go together.
    """
    self.net.check(self.size)
    if self.size % self.stride:
      raise ValueError(f"size {self.size} in steps of stride={self.stride}")
    if not 1 <= len(self.widths) <= self.net.most:
      raise ValueError(
        f"widths={self.widths} of a network of {self.net.most} maps: one for "
        "each of its last ones"
      )
    if self.ignore < self.classes:
      raise ValueError(f"ignore={self.ignore} is one of {self.classes} classes")
    sides = (self.size, self.size)
    seeds = method.Input(sides, jnp.int32, high=self.ignore + 1)
    return {"image": method.Input((*sides, 3)), self.read: seeds}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the network and of the maps; no extra state."""
    del batch
    k_net, k_join, *keys = jax.random.split(key, 2 + len(self.widths))
    net = self.net.init(k_net, self.size)
    image = jax.ShapeDtypeStruct((1, self.size, self.size, 3), jnp.float32)
    look = lambda p, x: self.net.maps(p, x, len(self.widths))
    inner = zip(
      keys, jax.eval_shape(look, net, image), self.widths, strict=True
    )
    heads = {
      f"map{i}": HE(k, (m.shape[-1], width))
      for i, (k, m, width) in enumerate(inner)
    }
    heads["join"] = WIDE(k_join, (sum(self.widths),) * 2)
    return {"main": {"net": net, "heads": heads}}, {}

  def features(self, params: method.Tree, images: Array) -> Array:
    """[b, h, w, c] float32, c the sum of the widths."""
    main = params["main"]
    maps = self.net.maps(main["net"], images, len(self.widths))
    maps = dense_features.gathered(maps, self.grid)
    found = [nn.elu(m @ main["heads"][f"map{i}"]) for i, m in enumerate(maps)]
    return nn.elu(jnp.concatenate(found, -1) @ main["heads"]["join"])

  def labels(self, seeds: Array) -> Array:
    """int32 [b, h, w]: the label of more than half of a place's pixels."""
    shares = jax.nn.one_hot(seeds, self.classes)
    shares = resize.images(shares, self.grid, "area")
    return jnp.where(shares.max(-1) > 0.5, shares.argmax(-1), self.ignore)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The loss; aux: mean costs of the three kinds of pairs."""
    del draws, step, player
    a = affinity.edges(
      self.features(weights.params, batch["image"]), self.radius
    )
    kinds = affinity.pairs(
      self.labels(batch[self.read]), self.radius, self.ignore
    )
    return affinity.loss(a, kinds)

  def groups(self) -> tuple[method.Group, ...]:
    """Kernels decay; the maps learn faster."""
    return (method.Group(pattern="/heads/", lr=self.head_lr, decay=1.0),)

  def predict(self) -> dict[str, method.Predict]:
    """affinity [b, n, n] of n = h w places; tokens [b, h, w, c]."""
    return {"affinity": self.affinity, "tokens": self.tokens}

  def affinity(self, weights, batch, key) -> Array:
    """A, symmetric, 1 on its diagonal, 0 beyond the radius."""
    a = affinity.edges(self.tokens(weights, batch, key), self.radius)
    return affinity.matrix(a, self.radius)

  def tokens(self, weights, batch, key) -> Array:
    """Features of the places."""
    del key
    return self.features(weights.params, batch["image"])
