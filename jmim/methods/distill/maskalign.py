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
its own mean and deviation, at the size that gives the student's grid (L/14:
196 pixels). The student has no final norm. Hidden layers of heads have its
width. Weights: family `maskalign`.

    python -m jmim.main --config=configs/maskalign_imagenet.py \
      --config.method.teacher=clip_b16.npz --workdir=runs/maskalign
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.nn import adapters
from jmim.nn import block
from jmim.nn import losses
from jmim.nn import sizes
from jmim.nn.nets import teacher as teachers
from jmim.nn.nets import vit

KINDS, VISIBLE = tuple(teachers.FAMILIES), ("attention", "random")
FUSIONS, SIZE = ("linear", "sum", "simple"), ("width", "depth", "heads")
TARGETS, DISTANCES = tuple(losses.TARGETS), tuple(losses.DISTANCES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskAlign(method.Method):
  """Visible patches aligned with a teacher that sees all."""

  variant: str = field.value("B/16", "student size / patch side")
  size: int = field.value(224, "image side in pixels", low=1)
  width: int = field.value(0, "student width; 0: that of variant", low=0)
  depth: int = field.value(0, "student blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "student heads; 0: those of variant", low=0)
  drop_path: float = field.value(0.1, "of the student's last block", low=0.0)
  teacher: str = field.value("", "path of the teacher (.npz)")
  teacher_sha256: str = field.value("", "hash of that file; empty: any")
  teacher_kind: str = field.value("clip", "family", choices=KINDS)
  teacher_variant: str = field.value("B/16", "teacher size / patch side")
  teacher_width: int = field.value(0, "teacher width; 0: that of variant")
  teacher_depth: int = field.value(0, "teacher blocks; 0: those of variant")
  teacher_heads: int = field.value(0, "teacher heads; 0: those of variant")
  mean: tuple = field.value((0.485, 0.456, 0.406), "of the images given")
  std: tuple = field.value((0.229, 0.224, 0.225), "of the images given")
  mask_ratio: float = field.value(0.7, "share hidden", low=0.0, below=1.0)
  visible: str = field.value("attention", "what is kept", choices=VISIBLE)
  fusion: str = field.value("linear", "kind of W", choices=FUSIONS)
  head: str = field.value("linear", "heads", choices=adapters.ALIGN)
  layers: str = field.value("top5", "w: top5, mid7, mean, out, linear_decay")
  target: str = field.value("whiten", "norm of y", choices=TARGETS)
  distance: str = field.value("smoothl1", "of x to y", choices=DISTANCES)

  @classmethod
  def tiny(cls) -> "MaskAlign":
    """16 patches; a CLIP of two blocks with patches half as large."""
    return cls(
      variant="Ti/4",
      size=16,
      width=32,
      depth=2,
      heads=4,
      layers="top1",
      teacher_variant="Ti/2",
      teacher_width=24,
      teacher_depth=2,
    )

  @property
  def encoder(self) -> vit.ViT:
    """The student."""
    p = sizes.parse(self.variant)[1]
    own = {k: getattr(self, k) for k in SIZE}
    size, grid = sizes.custom(self.variant, **own), (self.size // p,) * 2
    return vit.ViT(size=size, patch=p, grid=grid, final_norm=False, rt=self.rt)

  @property
  def guide(self) -> teachers.Teacher:
    """The teacher, on the grid of the student."""
    variant = self.teacher_variant
    own = {k: getattr(self, f"teacher_{k}") for k in SIZE}
    return teachers.Teacher(
      family=self.teacher_kind,
      size=sizes.custom(variant, **own),
      patch=sizes.parse(variant)[1],
      grid=self.encoder.grid,
      mean=tuple(self.mean),
      std=tuple(self.std),
      rt=self.rt,
    )

  @property
  def projection(self) -> adapters.Align:
    """head_a."""
    return adapters.Align(self.guide.size.width, self.head, self.rt)

  def inputs(self):
    """Normalised images [size, size, 3]."""
    s, t = self.encoder, self.guide
    sizes.check(s.size, self.size, s.patch)
    sizes.check(t.size, t.grid[0] * t.patch, t.patch, "teacher_")
    teachers.layer_weights(self.layers, t.size.depth)
    if self.fusion != "sum" and s.size.depth != t.size.depth:
      raise ValueError(f"fusion {self.fusion!r} wants depth = teacher_depth")
    return {"image": method.Input((self.size, self.size, 3))}

  def consts(self):
    """The teacher."""
    sha256 = self.teacher_sha256 or None
    return {"teacher": method.Const(self.teacher, self.guide.init, sha256)}

  def init(self, key, batch):
    """Student, W and one head per teacher layer (stacked)."""
    k_encoder, k_heads = jax.random.split(key)
    s, t = self.encoder.size, self.guide.size.depth
    init = lambda k: self.projection.init(k, jnp.zeros((1, s.width)))["params"]
    params = {
      "encoder": self.encoder.init(k_encoder, batch["image"][:1])["params"],
      "heads": {"layers": jax.vmap(init)(jax.random.split(k_heads, t))},
    }
    even = jnp.full((t, s.depth), 1 / s.depth)
    linear = jnp.eye(t, s.depth) + 0.01
    w = {"linear": {"fusion": linear}, "sum": {"fusion": even}, "simple": {}}
    return {"main": params | w[self.fusion]}, {}

  def draw(self, key, batch, step):
    """noise [b, n]: Exp(1), or U[0, 1) of random masking; drop path."""
    k_noise, k_drop = jax.random.split(key)
    n, b = self.encoder.grid[0] ** 2, len(batch["image"])
    race = self.visible == "attention"
    sample = jax.random.exponential if race else jax.random.uniform
    depth = self.encoder.size.depth
    drop = block.drop_path_draw(k_drop, self.drop_path, depth, b)
    return {"noise": sample(k_noise, (b, n)), **drop}

  def mask(self, importance, draws) -> masking.Mask:
    """The patches kept, in the order in which they were drawn."""
    p = importance if self.visible == "attention" else 1.0
    scores = draws["noise"] / p
    keep = masking.keep_count(scores.shape[1], self.mask_ratio)
    return masking.from_scores(scores, keep)

  def forward(self, params, consts, batch, draws, rows=None) -> dict:
    """teacher outputs, mask, x and y [rows, b, 1 + k, d] of teacher layers."""
    main, images = params["main"], batch["image"]
    taught = self.guide.layers(consts["teacher"], images)
    rows = np.arange(len(taught["block"])) if rows is None else rows
    mask = self.mask(taught["importance"], draws)
    h = self.encoder.apply(
      {"params": main["encoder"]},
      images,
      mask,
      taps=("block",),
      drop=block.drop_path_of(draws),
    )["block"]
    w = main.get("fusion", jnp.eye(len(taught["block"]), len(h)))[rows]
    fused = jnp.einsum("ts,sbnd->tbnd", w.astype(h.dtype), h)
    apply = lambda p, x: self.projection.apply({"params": p}, x)
    own = jax.tree.map(lambda p: p[rows], main["heads"]["layers"])
    x = jax.vmap(apply)(own, fused).astype(jnp.float32)
    y = jnp.stack(
      [losses.TARGETS[self.target](taught["block"][a]) for a in rows]
    )
    ids = jnp.pad(mask.keep + 1, ((0, 0), (1, 0)))  # cls and kept patches
    y = jax.vmap(masking.take, (0, None))(y, ids)
    return {**taught, "mask": mask, "x": x, "y": y}

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Weighted distances of the layers whose weight is not 0."""
    w = teachers.layer_weights(self.layers, self.guide.size.depth)
    rows = np.flatnonzero(w)
    out = self.forward(params, consts, batch=batch, draws=draws, rows=rows)
    cost = losses.DISTANCES[self.distance](out["x"] - out["y"])
    seen = masking.take(out["importance"][..., None], out["mask"].keep)
    aux = {"kept_importance": seen.mean() / out["importance"].mean()}
    return (cost.mean((1, 2, 3)) * w[rows]).sum(), aux

  def predict(self):
    """Outputs of the student (see `methods.outputs`); importance p [b, n]."""
    encode = lambda p, b, taps: self.encoder.apply(
      {"params": p["main"]["encoder"]}, b["image"], taps=taps
    )
    guide = lambda p, e, c, b, k: self.guide.layers(c["teacher"], b["image"])[
      "importance"
    ]
    return outputs.vit(encode, self.encoder.grid) | {"importance": guide}

  def groups(self):
    """The class token is decayed, W is not."""
    return (method.Group(pattern=r"/cls_token$", decay=1.0),)
