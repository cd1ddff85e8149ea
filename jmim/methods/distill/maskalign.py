r"""MaskAlign: Stare at What You See, masked images without reconstruction.

Xue, Gao, Li, Qiao, Sun, Li, Luo, CVPR 2023. `tests/golden` compares
importance, kept patches, targets, aligned features, loss and gradients with the
authors' code (OpenDriveLab/maskalign@250d018a07) and a CLIP teacher.

The student sees a masked image; on its visible patches it reproduces what a
frozen teacher makes of the whole image, layer by layer:

    p_n   = mean over heads of the teacher's last attention from cls to n
    q_n   ~ Exp(1)                                       draw
    keep  = the int(n (1 - r)) largest p / q, in order: drawn without
            replacement by p       (visible="random": the smallest U[0, 1))
    h_b   = output of student block b on keep,  t_a = teacher block a on all
    x_a   = head_a(sum_b W_ab h_b),  y_a = LayerNorm(t_a) without affine
    loss  = sum_a w_a mean 2 smoothL1(x_a, stop(y_a)[cls, keep])

W starts as identity + 0.01; w is 1/5 on the last five layers ("top5").
Reference (ImageNet-1k top-1 %, 200 epochs, fine-tuned):

    | B/16 from CLIP-B/16 | L/16 from CLIP-B/16 | L/16 from CLIP-L/14 |
    | 85.4                | 86.5                | 87.4                |

Following the code: W is unconstrained and not decayed; rows and heads of
layers with w = 0 exist and get no gradient; r = 0.7. CLIP gets the image with
its own mean and std, at the size that gives the student's grid (L/14: 196
pixels). The student has no final norm. Hidden layers of heads have its width.
Weights: family `maskalign`.

    python -m jmim.main --config=configs/maskalign_imagenet.py \
      --config.method.teacher=clip_b16.npz --workdir=runs/maskalign
"""

import dataclasses

import jax
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.methods.parts import alignment as alignments
from jmim.nn import block
from jmim.nn import sizes
from jmim.nn.nets import teacher as teachers
from jmim.nn.nets import vit

KINDS = tuple(teachers.FAMILIES)
NOISE = {"attention": jax.random.exponential, "random": jax.random.uniform}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskAlign(method.Method):
  """Visible patches aligned with a teacher that sees all."""

  size: int = field.value(224, "image side [pixels]", low=1)
  dims: sizes.Dims = field.part(sizes.Dims, "student", was="{}")
  drop_path: float = field.value(0.1, "drop path of the last block", low=0.0)
  teacher: str = field.value("", "path of the teacher (.npz)")
  teacher_sha256: str = field.value("", "hash of that file; empty: any")
  teacher_kind: str = field.value("clip", "kind of the teacher", choices=KINDS)
  teacher_dims: sizes.Dims = field.part(sizes.Dims, "teacher", was="teacher_{}")
  mean: tuple = field.value((0.485, 0.456, 0.406), "mean of normalisation")
  std: tuple = field.value((0.229, 0.224, 0.225), "std of normalisation")
  mask_ratio: float = field.value(0.7, "share hidden", low=0.0, below=1.0)
  visible: str = field.value(
    "attention", "weights of the draw of kept patches", choices=tuple(NOISE)
  )
  alignment: alignments.Alignment = field.part(
    alignments.Alignment, "alignment with the teacher", was="{}"
  )

  @classmethod
  def tiny(cls) -> "MaskAlign":
    """16 patches; a CLIP of two blocks with patches half as large."""
    return cls(
      size=16,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      teacher_dims=sizes.Dims(variant="Ti/2", width=24, depth=2),
      alignment=alignments.Alignment(layers="top1"),
    )

  @property
  def encoder(self) -> vit.ViT:
    """The student."""
    return vit.build(self.dims, self.size, final_norm=False, rt=self.rt)

  @property
  def guide(self) -> teachers.Teacher:
    """The teacher, on the grid of the student."""
    return teachers.Teacher(
      family=self.teacher_kind,
      dims=self.teacher_dims,
      grid=self.encoder.grid,
      mean=tuple(self.mean),
      std=tuple(self.std),
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, 3]."""
    self.dims.check(self.size)
    side = self.guide.grid[0] * self.guide.patch
    self.teacher_dims.check(side, prefix="teacher_")
    self.alignment.check(self.dims.size, self.guide.size)
    return {"image": method.Input((self.size, self.size, 3))}

  def consts(self) -> dict[str, method.Const]:
    """The teacher."""
    heads = self.teacher_dims.agrees("method.teacher_dims")
    const = method.Const(
      self.teacher,
      self.guide.init,
      self.teacher_sha256,
      agrees=self.guide.agrees("method") | heads,
      implied=sizes.heads,
      key="method.teacher",
    )
    return {"teacher": const}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Student, W and one head per teacher layer (stacked)."""
    k_encoder, k_heads = jax.random.split(key)
    encoder = self.encoder.init(k_encoder, batch["image"][:1])["params"]
    heads = self.alignment.init(k_heads, self.dims.size, self.guide.size)
    return {"main": {"encoder": encoder, **heads}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, n]: Exp(1), or U[0, 1) of random masking; drop path."""
    del step
    b, e = len(batch["image"]), self.encoder
    drop = block.drop_path_draw(keys("drop"), self.drop_path, e.size.depth, b)
    sample = NOISE[self.visible]
    return {"noise": sample(keys("noise"), (b, e.grid[0] ** 2)), **drop}

  def mask(self, importance: jax.Array, draws: method.Draws) -> masking.Mask:
    """The patches kept, in the order in which they were drawn."""
    scores = draws["noise"]
    if self.visible == "attention":
      scores = scores / importance
    keep = masking.keep_count(scores.shape[1], self.mask_ratio)
    return masking.from_scores(scores, keep)

  def forward(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    rows: np.ndarray,
  ) -> dict[str, jax.Array]:
    """Teacher outputs, mask, x and y [rows, b, 1 + k, d] of teacher layers.

    Args:
      weights: all arrays.
      batch: images.
      draws: see `draw`.
      rows: numbers of the teacher's layers to compare.
    """
    main, images = weights.params["main"], batch["image"]
    guide = self.guide.layers(weights.consts["teacher"], images)
    mask = self.mask(guide["importance"], draws)
    h = self.encoder.apply(
      {"params": main["encoder"]},
      images,
      mask.keep,
      taps=("block",),
      drop=block.drop_path_of(draws),
    )["block"]
    x = self.alignment.aligned(main, h, rows, self.guide.size)
    y = self.alignment.targets(guide["block"], rows, mask.keep)
    return {**guide, "mask": mask, "x": x, "y": y}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Weighted distances of the layers whose weight is not 0."""
    del step, player
    w = self.alignment.weights(self.guide.size.depth)
    rows = np.flatnonzero(w)
    out = self.forward(weights, batch, draws, rows)
    kept = masking.take(out["importance"][..., None], out["mask"].keep)
    aux = {"kept_importance": kept.mean() / out["importance"].mean()}
    return self.alignment.loss(out["x"], out["y"], w[rows]), aux

  def predict(self) -> dict[str, method.Predict]:
    """Outputs of the student (see `methods.outputs`); importance p [b, n]."""
    features = outputs.vit(outputs.encoder(self.encoder), self.encoder.grid)
    return {**features, "importance": self.importance}

  def importance(self, weights, batch, key) -> jax.Array:
    """[b, n] attention of the teacher's class token to the patches."""
    del key
    teacher = weights.consts["teacher"]
    return self.guide.layers(teacher, batch["image"])["importance"]

  def groups(self) -> tuple[method.Group, ...]:
    """The class token is decayed, W is not."""
    return (method.Group(pattern=r"/cls_token$", decay=1.0),)
