r"""Hybrid Distill: relations of a masked autoencoder, features of a contrast.

Shi, Zhang, Wang, Li, Dai, Zou, Xiong, Tian, ICLR 2024. No code was released, so
that there is no golden: `tests/methods/distill/test_hybrid.py` holds what must
be true of it.

A ViT without decoder learns from two frozen ViTs that see the whole image: from
an MAE how tokens of some layers relate, which stays diverse, and from a
supervised, contrastive or CLIP teacher the final features. Redundant patches
are dropped inside the student, in three stages (`parts/dropping.py`); K_l are
those alive at layer l:

    L_rel  = mean_l,query KL(softmax(q k^T) || softmax(q' k'^T)) + same of v v^T
             rows and columns in K_l; ' is the student; / sqrt(d) left out
    L_feat = mean smoothL1(N(H(z)) - N(t))[K_L]
    loss   = alpha L_rel + beta L_feat

N is a LayerNorm without parameters, t the patches of the teacher after its
final norm, z those of the student after its own, H linear and only where widths
differ (`parts/relations.py`, `parts/final_features.py`). alpha, beta or r = 0
switches a part off; the teacher of a part that is off is not loaded.

Reference (ImageNet-1k top-1 %, fine-tuned, 300 epochs; B with CLIP: from
memory):

    | B, MAE + DeiT | B, MAE + CLIP | L, MAE + CLIP |
    | 83.7          | 85.1          | 87.6          |

Of the paper: both teachers, features and relations of intermediate layers,
alpha = beta = 1, dropping, sizes and epochs. From memory or our reconstruction:
the form of both losses, the layer (the last but one), r = 0.3, the stages, what
is dropped, the optimizer. With relations alone, what follows the last compared
layer gets no gradient.

    python -m jmim.main --config=configs/hybrid_distill_cifar10.py \
      --config.method.mim_teacher.path=runs/mae \
      --config.method.cl_teacher.path=runs/teacher --workdir=runs/hybrid
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.methods.parts import dropping as droppings
from jmim.methods.parts import final_features
from jmim.methods.parts import relations as relating
from jmim.methods.parts import teacher as teachers
from jmim.nn import sizes
from jmim.nn.nets import teacher as nets
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class HybridDistill(method.Method):
  """A student of two teachers; see the module docstring for the loss."""

  size: int = field.value(224, "image side [pixels]", low=1)
  dims: sizes.Dims = field.part(sizes.Dims, "student")
  mim_teacher: teachers.Teacher = field.part(
    teachers.Teacher, "teacher of relations", family="mae"
  )
  cl_teacher: teachers.Teacher = field.part(
    teachers.Teacher, "teacher of features", family="deit", norm=True
  )
  relations: relating.Relations = field.part(
    relating.Relations, "relations learned of the MIM teacher"
  )
  features: final_features.FinalFeatures = field.part(
    final_features.FinalFeatures,
    "features learned of the other teacher",
  )
  dropping: droppings.Dropping = field.part(
    droppings.Dropping, "tokens that the student drops"
  )
  mean: tuple = field.value((0.485, 0.456, 0.406), "mean of normalisation")
  std: tuple = field.value((0.229, 0.224, 0.225), "std of normalisation")

  @classmethod
  def tiny(cls) -> "HybridDistill":
    """16 patches, of which 11, 7 and 5 stay; teachers of two blocks."""
    dims = sizes.Dims(variant="Ti/4", width=24, depth=2, heads=4)
    return cls(
      size=16,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=3, heads=4),
      mim_teacher=teachers.Teacher(family="mae", dims=dims),
      cl_teacher=teachers.Teacher(family="clip", dims=dims, norm=True),
    )

  @property
  def encoder(self) -> vit.ViT:
    """The student."""
    return vit.build(self.dims, self.size, rt=self.rt)

  @property
  def parts(self) -> dict[str, teachers.Teacher]:
    """The teachers that are read, by name."""
    known = {
      "mim_teacher": (self.mim_teacher, self.relations.weight),
      "cl_teacher": (self.cl_teacher, self.features.weight),
    }
    return {n: part for n, (part, w) in known.items() if w and part.exists}

  @property
  def guides(self) -> dict[str, nets.Teacher]:
    """Their networks, on the grid of the student."""
    grid = self.dims.grid(self.size)
    of = lambda part: part.net(grid, self.mean, self.std)
    return {name: of(part) for name, part in self.parts.items()}

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, 3]; ValueError if fields do not agree."""
    self.dims.check(self.size)
    grid, student = self.dims.grid(self.size), self.dims.size
    if not self.parts:
      raise ValueError(
        "nothing to learn: relations.weight and features.weight are 0, or "
        "mim_teacher.family and cl_teacher.family 'none'"
      )
    for name, part in self.parts.items():
      part.check(grid, name)
    if "mim_teacher" in self.parts:
      self.relations.check(student, self.mim_teacher.dims.size)
    self.dropping.check(grid[0] * grid[1], student.depth)
    return {"image": method.Input((self.size, self.size, 3))}

  def consts(self) -> dict[str, method.Const]:
    """The teachers that are read."""
    return {
      name: self.parts[name].const(net, f"method.{name}")
      for name, net in self.guides.items()
    }

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """The student, and the map of its features where there is one."""
    k_encoder, k_head = jax.random.split(key)
    encoder = self.encoder.init(k_encoder, batch["image"][:1])["params"]
    main, guides = {"encoder": encoder}, self.guides
    if "cl_teacher" in guides:
      width = guides["cl_teacher"].width
      main |= self.features.init(k_head, self.dims.size.width, width)
    return {"main": main}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """See `Dropping.draw`."""
    del step
    grid = self.encoder.grid
    return self.dropping.draw(keys, len(batch["image"]), grid[0] * grid[1])

  def forward(self, weights, batch, draws) -> dict[str, method.Tree]:
    """What the student makes of its live tokens, see `Dropping.run`."""
    numbers = self.relations.numbers(self.dims.size.depth)
    return self.dropping.run(
      self.encoder,
      weights.params["main"]["encoder"],
      batch["image"],
      noise=draws.get("noise"),
      tapped=numbers if "mim_teacher" in self.parts else (),
    )

  def _relation_loss(self, weights, batch, out) -> jax.Array:
    """L_rel of what `forward` returns."""
    net, numbers = self.guides["mim_teacher"], self.relations.numbers
    taught = net.read(
      weights.consts["mim_teacher"],
      batch["image"],
      qkv=numbers(net.size.depth),
    )
    layers = [out["layers"][i] for i in numbers(self.dims.size.depth)]
    prefix = (self.encoder.prefix, net.encoder.prefix)
    return self.relations.loss(layers, taught, prefix)

  def _feature_loss(self, weights, batch, out) -> jax.Array:
    """L_feat of what `forward` returns."""
    taught = self.guides["cl_teacher"].read(
      weights.consts["cl_teacher"],
      batch["image"],
      layer=self.cl_teacher.layer,
    )
    t = masking.take(taught["patches"], out["ids"])
    z = out["latent"][:, self.encoder.prefix :]
    return self.features.loss(weights.params["main"], z, t)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Weighted sum of L_rel, `relations`, and L_feat, `features`."""
    del step, player
    out, on, found = self.forward(weights, batch, draws), self.parts, {}
    if "mim_teacher" in on:
      found["relations"] = self._relation_loss(weights, batch, out)
    if "cl_teacher" in on:
      found["features"] = self._feature_loss(weights, batch, out)
    terms = [getattr(self, n).weight * x for n, x in found.items()]
    return sum(terms), found

  def predict(self) -> dict[str, method.Predict]:
    """Outputs of the student on all patches (see `methods.outputs`)."""
    return outputs.vit(outputs.encoder(self.encoder), self.encoder.grid)
