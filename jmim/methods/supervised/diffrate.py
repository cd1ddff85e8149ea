r"""DiffRate: how many tokens a trained ViT needs in each block, by gradient.

Chen, Shao, Xu, Lin, Zhang, Chao, Ji, Qiao, Luo, ICCV 2023. `tests/golden`
compares the masked and the shortened network block by block, counts, FLOPs,
loss and gradients with the authors' code (OpenGVLab/DiffRate@91ae3e3).

The classifier is frozen. Each block sorts its patches by the attention of the
class token, prunes all but K_prune tokens, and merges those behind K_merge into
the kept ones most like them. Only theta, from which K follows, is learned
(`parts/token_counts.py`), on all tokens, those that are gone masked:

    K     = ceil(sum_k softmax(theta)_k c_k) + 1         straight through
    m_j  <- m_j 1[j < K]  with the gradient of p_j = P(place j is kept)
    a_ij ~  exp(q_i k_j / sqrt(d) + log s_j) m_j         s_j: size of token j
    loss  = CE(logits, y) + weight (F(K) / flops_unit - target)^2

The head of MAE's classifiers reads patches by their sizes, that of DeiT's the
class token (`parts/classifier.py`). Images and labels are mixed as in
`finetune`, and the frozen network drops paths, as if it was trained.

Lists of counts (`lists.prune`, `lists.merge`, or `lists.published`) make
`logits` those of a network whose tokens are really taken away. Without any,
`logits` masks tokens by the present K: the same up to rounding.

Reference (ImageNet top-1 %, no fine-tuning; whole: from memory):

    |            | DeiT-S | DeiT-B | MAE B | MAE L | MAE H |
    | GFLOPs     | 2.9    | 11.5   | 11.5  | 42.3  | 103.4 |
    | compressed | 79.54  | 81.50  | 82.86 | 85.66 | 86.66 |
    | whole      | 79.8   | 81.8   | 83.6  | 85.9  | 86.9  |

As the code has it: training clamps sizes to 1 and inference does not; min in F
hands its gradient to both K and none to the tokens before. Differences: a block
that loses no token does not sort, so that nothing changes where nothing is
lost; a size below 1e-6 counts as 1e-6 (of negative ones there is no logarithm).

    python -m jmim.main --config=configs/diffrate_spots.py --workdir=runs/W \
      --config.method.classifier.path=runs/spots
    python -m jmim.tools.token_counts --workdir=runs/W
"""

import dataclasses
from typing import ClassVar

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import classifier as classifiers
from jmim.methods.parts import mixing as mixings
from jmim.methods.parts import token_counts
from jmim.methods.parts import token_lists
from jmim.nn import block
from jmim.nn import losses
from jmim.nn import sizes
from jmim.nn.nets import compressed


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffRate(method.Method):
  """Token counts of a frozen classifier; see the module docstring."""

  shared: ClassVar[tuple[str, ...]] = mixings.SHARED

  size: int = field.value(224, "image side [pixels]", low=1)
  classes: int = field.value(1000, "number of classes", low=2)
  classifier: classifiers.Classifier = field.part(
    classifiers.Classifier, "frozen network"
  )
  mixing: mixings.Mixing = field.part(
    mixings.Mixing, "mixing of images and labels"
  )
  drop_path: float = field.value(
    0.1, "rate of the last block, rising from 0", low=0, below=1
  )
  counts: token_counts.TokenCounts = field.part(
    token_counts.TokenCounts, "counts that are learned"
  )
  lists: token_lists.TokenLists = field.part(
    token_lists.TokenLists, "counts that are given, and the order"
  )

  @classmethod
  def tiny(cls) -> "DiffRate":
    """Two blocks, 16 patches, nothing mixed; a target below the start."""
    return cls(
      size=16,
      classes=6,
      classifier=classifiers.Classifier(
        dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4)
      ),
      mixing=mixings.Mixing(mixup=0.0, cutmix=0.0),
      drop_path=0.0,
      counts=token_counts.TokenCounts(
        granularity=3, target=7.2, flops_unit=5e4
      ),
    )

  @property
  def extent(self) -> tuple[int, int]:
    """Patches and blocks."""
    dims = self.classifier.dims
    return dims.grid(self.size)[0] ** 2, dims.size.depth

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, 3] and class ids.

    Raises:
      ValueError: fields that do not go together.
    """
    self.classifier.dims.check(self.size)
    patches, blocks = self.extent
    self.counts.check(patches, blocks)
    self.lists.check(blocks, 1 + patches, self.classifier.least)
    return {
      "image": method.Input((self.size, self.size, 3)),
      "label": method.Input((), "int32", high=self.classes),
    }

  def consts(self) -> dict[str, method.Const]:
    """The classifier."""
    return {"classifier": self.classifier.const(self.size, self.classes)}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """theta of pruning and merging; no extra state."""
    return {"main": self.counts.init(*self.extent)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """See `Mixing.draw` and `TokenLists.draw`; drop [b, blocks, 2]."""
    del step
    b, blocks, _ = places = self.places(batch)
    drop = block.drop_path_draw(keys("drop"), self.drop_path, blocks, b)
    order = self.lists.draw(keys, places)
    return self.mixing.draw(keys, batch) | drop | order

  def places(self, batch: method.Batch) -> tuple[int, int, int]:
    """Examples, blocks, patches."""
    return len(batch["image"]), self.extent[1], self.extent[0]

  def learned(self, params: method.Tree) -> token_counts.Counts:
    """The counts of all blocks, differentiable."""
    return self.counts.of(params["main"], *self.extent)

  def flops(self, kept: token_lists.Lists) -> jax.Array:
    """Multiply-adds with these counts, float32; see `token_counts.flops`."""
    return token_counts.flops(
      kept,
      self.counts.counted(self.classifier.dims.size),
      patch=self.classifier.dims.patch,
      patches=self.extent[0],
      classes=self.classes,
    )

  def forward(
    self,
    weights: method.Weights,
    images: jax.Array,
    draws: method.Draws,
    kept: token_lists.Lists | None = None,
    **how: bool,
  ) -> dict[str, jax.Array]:
    """logits [b, classes], and what `Compressed` returns.

    Args:
      weights: all arrays.
      images: [b, size, size, 3].
      draws: its drop and order are read.
      kept: lists by which tokens are taken away; None: they are masked, by the
        learned counts.
      **how: clamp and taps of `Compressed`.
    """
    frozen = weights.consts["classifier"]
    ways = compressed.Compressed(net=self.classifier.encoder(self.size))
    run, counts = ways.removed, kept
    if kept is None:
      run, counts = ways.masked, self.learned(weights.params)
      how["drop"] = block.drop_path_of(draws)
    noise = draws.get("order")
    out = run(frozen["encoder"], images, counts, noise=noise, **how)
    share = out["size"] * out.get("mask", 1.0)
    logits = self.classifier.logits(frozen, out["x"], share, self.classes)
    return {**out, "logits": logits}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Soft cross entropy of the mixed batch, and distance to the target."""
    del player
    images, targets = self.mixing.apply(batch, draws, self.classes)
    logits = self.forward(weights, images, draws)["logits"]
    ce = losses.soft_cross_entropy(logits, targets)
    counts = self.learned(weights.params)
    cost = self.flops((counts.prune, counts.merge))
    shown = self.flops(self.lists.kept) if self.lists.kept else cost
    aux = {"ce": ce, "flops": shown / self.counts.flops_unit}
    return ce + self.counts.penalty(cost, step), aux

  def predict(self) -> dict[str, method.Predict]:
    """logits [b, classes], by the lists or by what is learned."""
    return {"logits": self.classify}

  def classify(self, weights, batch, key) -> jax.Array:
    """[b, classes] logits, nothing mixed or dropped."""
    order = self.lists.draw(randomness.Keys(key), self.places(batch))
    how = {"kept": kept} if (kept := self.lists.kept) else {"clamp": False}
    return self.forward(weights, batch["image"], order, **how)["logits"]
