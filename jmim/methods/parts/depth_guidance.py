"""A teacher of images that says which groups of a cloud are hidden.

    saliency  class attention of its last block      [b, 3, h, w]
    features  of its patches                         [b, 3, h, w, c]

of depth images in three views (`depth_views`), read at points by bicubic
interpolation (I2P-MAE, CVPR 2023).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.methods.parts import depth_views
from jmim.methods.parts import teacher as teachers
from jmim.nn import project
from jmim.nn import sizes
from jmim.nn.nets import teacher as nets

_VIEWS = depth_views.DepthViews()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guidance:
  """The teacher, what it reads, and what its saliency hides."""

  views: depth_views.DepthViews = field.part(
    depth_views.DepthViews, "depth images that the teacher reads"
  )
  teacher: teachers.Teacher = field.part(
    teachers.Teacher,
    "teacher of images; none: all is 3-D",
    dims=sizes.Dims(variant="B/16"),
    norm=True,
    project=512,
    mean=_VIEWS.mean,
    std=_VIEWS.std,
  )
  mask_ratio: float = field.value(
    0.8, "share of the top level's groups hidden", above=0, below=1
  )
  visible: str = field.value(
    "saliency",
    "visible groups: drawn by their saliency, or any",
    choices=("saliency", "random"),
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def net(self) -> nets.Teacher:
    """The teacher on the grid of the depth images."""
    grid = self.teacher.dims.grid(self.views.size)
    part = dataclasses.replace(self.teacher, rt=self.rt)
    return part.net(grid, self.views.mean, self.views.std)

  @property
  def features(self) -> int:
    """Numbers told of a point, in all views; 0: there is no teacher."""
    return len(project.VIEWS) * self.net.width if self.teacher.exists else 0

  def check(self, groups: int, key: str = "guide") -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      groups: of the top level.
      key: of this part in the method, for messages.
    """
    self.views.check(f"{key}.views")
    grid = self.teacher.dims.grid(self.views.size)
    self.teacher.check(grid, f"{key}.teacher")
    if self.teacher.exists and self.views.size % self.teacher.dims.patch:
      raise ValueError(
        f"{key}.views.size {self.views.size} does not divide by the patch of "
        f"{key}.teacher.dims, {self.teacher.dims.patch}"
      )
    if self.visible == "saliency" and not self.teacher.exists:
      raise ValueError(
        f"{key}.visible 'saliency' is a teacher's, and {key}.teacher is none: "
        f"set {key}.visible to 'random'"
      )
    if not int(self.mask_ratio * groups):
      raise ValueError(
        f"{key}.mask_ratio {self.mask_ratio} of {groups} groups hides none"
      )

  def consts(self, key: str = "method.guide") -> dict[str, method.Const]:
    """{"teacher": where it is}, if there is one; key: of this part."""
    if not self.teacher.exists:
      return {}
    return {"teacher": self.teacher.const(self.net, f"{key}.teacher")}

  def look(
    self, consts: method.Tree, points: jax.Array
  ) -> depth_views.Guide | None:
    """What the teacher sees of clouds [b, n, 3]; None: there is none."""
    if not self.teacher.exists:
      return None
    images = self.views.images(points)
    seen = self.net.read(
      consts["teacher"],
      images.reshape(-1, *images.shape[2:]),
      layer=self.teacher.layer,
      importance=True,
    )
    return self.views.guide(points, seen["importance"], seen["patches"])

  def keep(self, noise: jax.Array, saliency: jax.Array | None) -> jax.Array:
    """bool [b, g]: which of the top level's groups are visible.

    The first g - int(mask_ratio g) in the order of -log(noise) / softmax(
    saliency), which is drawing without replacement.

    Args:
      noise: [b, g] uniform.
      saliency: [b, g] at the centres; None: every group is as likely.
    """
    score, groups = -jnp.log(noise), noise.shape[1]
    if saliency is not None:
      score = score / jax.nn.softmax(saliency, axis=-1)
    kept = groups - int(self.mask_ratio * groups)
    return masking.from_scores(score, kept).mask == 0

  def kept_saliency(
    self,
    consts: method.Tree,
    points: jax.Array,
    *,
    centres: jax.Array,
    noise: jax.Array,
  ) -> dict[str, jax.Array]:
    """[b] mean saliency of what is visible, by how it is drawn.

    Args:
      consts: the teacher.
      points: [b, n, 3].
      centres: [b, g, 3] of the top level.
      noise: [b, g] uniform.

    Returns:
      "guided": drawn by saliency; "random": every group as likely.
    """
    s = self.look(consts, points).saliency_at(centres)
    by = {"guided": s, "random": None}
    return {k: s.mean(1, where=self.keep(noise, v)) for k, v in by.items()}


# For tests.
TINY = Guidance(
  views=depth_views.DepthViews(size=24),
  teacher=teachers.Teacher(
    family="dino",
    dims=sizes.Dims(variant="Ti/8", width=24, depth=1, heads=2),
  ),
  mask_ratio=0.5,
)
