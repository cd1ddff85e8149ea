"""Where the lower half of a face is: what is painted anew, and what says how.

Of 68 landmarks (x, y) in pixels, in the order of dlib (Liu et al. 2024):

    hole     the polygon (x_6, top), (x_10, top), p_10, (x_8, y_8 + chin), p_6,
             top = y_30, the tip of the nose, grown by a square
    crop     the box around the same with top = y_21, an inner end of the brows,
             cut out and stretched to the whole side

or two fixed boxes (top, left, bottom, right) in shares of the side. Without
either everything is a hole, and the crop is the picture: Diff-AE.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import dragging
from jmim.nn import polygon
from jmim.nn import warps

Array = jax.Array
KINDS = ("landmarks", "boxes", "none")
POINTS = 68
LEFT, CHIN, RIGHT = 6, 8, 10  # of the jaw
BROW, NOSE = 21, 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowerFace:
  """Masks and crops of pictures of faces."""

  kind: str = field.value(
    "landmarks",
    "how the hole is found: by stored landmarks, by fixed boxes; none: the "
    "whole picture is hole, and crop",
    choices=KINDS,
  )
  chin: float = field.value(
    5.0, "pixels below the chin that the hole begins with", low=0.0
  )
  grow: int = field.value(
    8, "pixels by which the polygon grows; 5 x 5, four times: 8", low=0
  )
  hole: tuple = field.value(
    (0.5, 0.15, 0.9, 0.85), "box of the hole, of kind 'boxes'"
  )
  crop: tuple = field.value(
    (0.25, 0.1, 1.0, 0.9), "box of the crop, of kind 'boxes'"
  )

  def inputs(self, members: tuple[int, ...]) -> dict[str, method.Input]:
    """Landmarks [members, 68, 2], if they are read.

    Args:
      members: () or (m,): a dimension of pictures.

    Raises:
      ValueError: boxes that are none.
    """
    for name in ("hole", "crop"):
      box = getattr(self, name)
      fits = len(box) == 4 and all(0 <= x <= 1 for x in box)
      if not fits or box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(
          f"face.{name}={box}: (top, left, bottom, right) in shares of the side"
        )
    if self.kind != "landmarks":
      return {}
    return {"landmarks": method.Input((*members, POINTS, 2))}

  def keep(self, images: Array, landmarks: Array | None) -> Array:
    """float32 [b, h, w, 1]: 1 where a pixel stays, 0 in the hole.

    Args:
      images: [b, h, w, c], of which only the shape is read.
      landmarks: [b, 68, 2] or None, where they are not read.
    """
    b, side = images.shape[:2]
    if self.kind == "none":
      return jnp.zeros((b, side, side, 1))
    if self.kind == "landmarks":
      hole = self._polygon(landmarks, NOSE, side)
    else:
      top, left, bottom, right = (round(x * side) for x in self.hole)
      hole = jnp.zeros((b, side, side), bool)
      hole = hole.at[:, top:bottom, left:right].set(True)
    return 1 - hole[..., None].astype(jnp.float32)

  def _polygon(self, landmarks, top, side):
    """bool [b, side, side], the mouth's region from a landmark's height on."""
    points = landmarks.astype(jnp.float32)
    height = points[:, top, 1]
    at = lambda k: points[:, k]
    corner = lambda x, y: jnp.stack([x, y], -1)
    corners = [
      corner(at(LEFT)[:, 0], height),
      corner(at(RIGHT)[:, 0], height),
      at(RIGHT),
      at(CHIN) + jnp.array([0, self.chin]),
      at(LEFT),
    ]
    inner = polygon.inside(jnp.stack(corners, 1), side)
    return dragging.grown(inner, self.grow)

  def boxes(self, images: Array, landmarks: Array | None) -> Array:
    """[b, 4] (top, left, bottom, right) of the crops, edges in pixels."""
    b, side = images.shape[:2]
    if self.kind == "none":
      return jnp.tile(jnp.array([0.0, 0, side, side]), (b, 1))
    if self.kind == "boxes":
      return jnp.tile(jnp.array(self.crop) * side, (b, 1))
    mask = self._polygon(landmarks, BROW, side)
    sides = []
    for axis in (2, 1):
      line = mask.any(axis)
      first = jnp.argmax(line, 1)
      end = side - jnp.argmax(line[:, ::-1], 1)
      # Of a polygon outside of the picture all of it is shown.
      sides.append((first, jnp.where(line.any(1), end, side)))
    (top, bottom), (left, right) = sides
    return jnp.stack([top, left, bottom, right], -1).astype(jnp.float32)

  def crops(
    self,
    images: Array,
    landmarks: Array | None,
    moved: Array | None = None,
  ) -> Array:
    """[b, h, w, c]: crops at the side of the images, bilinear.

    Args:
      images: [b, h, w, c].
      landmarks: [b, 68, 2] or None, where they are not read.
      moved: [b, h, w, 2] (row, column) of the crop that each pixel shows; None:
        its own.
    """
    if self.kind == "none" and moved is None:
      return images
    side = images.shape[1]
    box = self.boxes(images, landmarks)[:, None, None]
    at = jnp.arange(side, dtype=jnp.float32)
    own = jnp.stack(jnp.meshgrid(at, at, indexing="ij"), -1)
    places = own if moved is None else moved
    size = box[..., 2:] - box[..., :2]
    places = box[..., :2] + (places + 0.5) * size / side - 0.5
    # Not beyond the edge of the picture, where nothing is.
    return warps.bilinear(images, jnp.clip(places, 0, side - 1))
