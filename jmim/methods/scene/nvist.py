r"""NViST: In the Wild New View Synthesis from a Single Image with Transformers.

Jang, Agapito, CVPR 2024. Equal to the authors' code (wbjang/nvist_official
@c67a4d1): `tests/golden` compares tokens, planes, lines, rays with and without
jitter, loss and gradients.

One pass from an image to a field in space, of which any view is rendered. x_0
is the input of m views of a scene, d its distance from the origin and f its
focal length over its height:

    z     = ViT(x_0)                      no norm after the last block
    P, L  = Decoder(z; adaLN(d, f))       planes and lines, one learned token
    C, w  = render(P, L, rays)            S intervals of a ray, jittered alike
    loss  = mean |C - c|^2 + l LPIPS(view) + g mean distortion(w)

Rays are those of the views in the frame of view 0, which stands at (0, 0, -d)
and looks along z; one view is rendered whole, the rest of the budget is drawn.

Reference (from memory, unverified; MVImgNet test, 160 x 90): PSNR 20.8, LPIPS
0.29 (PixelNeRF 17.0, 0.54); ShapeNet cars 23.9, SSIM .92, LPIPS .12.

Following the released code: near and far are those of the whole data set; the
camera's number is focal / height, where the paper has the width; the decoder's
table of places is read in raster order and does not lie on the planes; the
table of the encoder is MAE's, and is stored. What is decayed is everything.
Not followed: their decoder begins with ViT-B where names and shapes agree, ours
is fresh; the least rate is 1e-6 for both groups, here that of the encoder is
`encoder_lr` of it. Weights: family `nvist`.

    python -m jmim.main --config=configs/mae_views.py --workdir=A
    python -m jmim.main --config=configs/nvist_views.py:frames=A --workdir=B
"""

import dataclasses
from typing import ClassVar

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import perceptual as perceptuals
from jmim.methods.parts import planes as fields
from jmim.methods.parts import radiance as radiances
from jmim.methods.parts import view_rays
from jmim.nn import sizes
from jmim.nn.nets import nvist
from jmim.nn.nets import vit

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class NViST(method.Method):
  """One image to a radiance field; see the module docstring for the loss."""

  shared: ClassVar[tuple[str, ...]] = ("jitter",)

  size: int = field.value(90, "image width [pixels]", low=1)
  height: int = field.value(160, "image height [pixels]; 0: size", low=0)
  members: int = field.value(5, "views of a scene; the first is the input")
  dims: sizes.Dims = field.part(sizes.Dims, "encoder", variant="B/5")
  decoder_dims: sizes.Blocks = field.part(
    sizes.Blocks, "decoder; as wide as the encoder", width=0, depth=12, heads=0
  )
  planes: fields.Planes = field.part(fields.Planes, "planes and lines")
  radiance: radiances.Radiance = field.part(radiances.Radiance, "rendering")
  rays: view_rays.ViewRays = field.part(view_rays.ViewRays, "rays of a step")
  perceptual: perceptuals.Perceptual = field.part(
    perceptuals.Perceptual, "loss of the whole view", weight=0.1
  )
  encoder_lr: float = field.value(
    0.2, "rate of the encoder over that of the rest", low=0.0
  )

  @classmethod
  def tiny(cls) -> "NViST":
    """Three views of 8 x 12 pixels, planes of 4 cells, all losses."""
    return field.replace(
      cls(),
      size=12,
      height=8,
      members=3,
      dims=dict(variant="Ti/4", width=16, depth=1, heads=2),
      decoder_dims=dict(depth=2),
      planes=dict(resolution=4, patch=2, density=2, colours=3),
      radiance=dict(samples=4, width=8),
      rays=dict(budget=104),
      perceptual=dict(network="small", width=2),
    )

  @property
  def sides(self) -> tuple[int, int]:
    """(height, width) of a view [pixels]."""
    return (self.height or self.size, self.size)

  @property
  def decoder_size(self) -> sizes.Size:
    """With what follows from the encoder."""
    return self.decoder_dims.size(encoder=self.dims.size)

  @property
  def nets(self) -> tuple[vit.ViT, nvist.Decoder]:
    """Encoder and decoder."""
    decoder = self.planes.decoder(self.decoder_size)
    return self.planes.encoder(self.dims, self.sides), decoder

  def inputs(self) -> dict[str, method.Input]:
    """Views in 0 .. 1, poses (camera to world), focal lengths over height.

    Raises:
      ValueError: fields that do not go together.
    """
    self.dims.check(*self.sides)
    self.planes.check(self.dims.size, self.decoder_size)
    self.radiance.check()
    if self.rays.whole != bool(self.perceptual.layers):
      raise ValueError(
        f"rays.whole={self.rays.whole} with perceptual.network="
        f"{self.perceptual.network!r}: a whole view is for that loss"
      )
    return self.rays.inputs(self.members, self.sides)

  def consts(self) -> dict[str, method.Const]:
    """What compares the whole view."""
    return self.perceptual.consts("method.perceptual.path")

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder, decoder and colours; no extra state."""
    k_field, k_colours = jax.random.split(key)
    main = self.planes.init(k_field, self.nets, batch["image"][:1, 0])
    colours = self.radiance.init(k_colours, self.planes.colours)
    return {"main": main | {"colours": colours}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """jitter [S + 1] of all rays; view [b] and place [b, r], see `rays`."""
    del step
    shape = (self.radiance.samples + 1,)
    jitter = jax.random.uniform(keys("jitter"), shape)
    return {"jitter": jitter} | self.rays.draw(keys, batch)

  def grids(
    self, params: method.Tree, images: Array, camera: Array
  ) -> dict[str, Array]:
    """Planes and lines, see `planes.grids`."""
    return self.planes.grids(params["main"], self.nets, images, camera)

  def render(
    self,
    params: method.Tree,
    grids: dict[str, Array],
    rays: tuple[Array, Array],
    jitter: Array | None = None,
  ) -> dict[str, Array]:
    """What `radiance.render` gives along rays [b, r, 3], twice."""
    how = dict(density=self.planes.density, jitter=jitter)
    return self.radiance.render(params["main"]["colours"], grids, rays, **how)

  def seen(
    self,
    params: method.Tree,
    batch: method.Batch,
    index: Array,
    jitter: Array | None = None,
  ) -> dict[str, Array]:
    """`render` of pixels [b, r], counted through all views of the batch."""
    camera, rays = self.rays.seen(batch, index, self.sides)
    grids = self.grids(params, batch["image"][:, 0], camera)
    return self.render(params, grids, rays, jitter)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared error of rays, distance of the whole view, distortion."""
    del step, player
    index = self.rays.index(draws, self.sides)
    out = self.seen(weights.params, batch, index, draws["jitter"])
    target = self.rays.colours(batch, index)
    loss, aux = self.radiance.loss(out, target)
    if not self.perceptual.layers:
      return loss, aux
    views = out["rgb"], target, self.sides
    lpips = self.perceptual.of_views(weights.consts, *views)
    return loss + self.perceptual.weight * lpips, aux | {"lpips": lpips}

  def predict(self) -> dict[str, method.Predict]:
    """render: all views of a batch, from the first."""
    return {"render": self.views}

  def views(self, weights, batch, key) -> dict[str, Array]:
    """image [b, m, h, w, 3] in 0 .. 1 and depth [b, m, h, w]; no jitter."""
    del key
    out = self.seen(weights.params, batch, self.rays.every(batch))
    shape = batch["image"].shape
    image, depth = out["rgb"].reshape(shape), out["depth"].reshape(shape[:-1])
    return {"image": image, "depth": depth}

  def groups(self) -> tuple[method.Group, ...]:
    """All is decayed; the encoder has a rate, and a table, of its own."""
    return (
      method.Group(pattern=r"/encoder/pos_embed$", frozen=True),
      method.Group(pattern=r"/encoder/", lr=self.encoder_lr),
      method.Group(pattern=r"", decay=1.0),
    )
