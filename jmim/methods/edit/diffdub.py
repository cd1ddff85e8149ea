r"""DiffDub, its renderer: a code of a mouth fills the hole in another picture.

Liu, Du, Chen, Du, Yu, "DiffDub: Person-generic Visual Dubbing Using Inpainting
Renderer with Diffusion Auto-encoder", ICASSP 2024. Equal to the authors' code
(liutaocode/DiffDub@a67d4c4): `tests/golden` compares codes, noised images,
predictions, the loss, and every step of DDIM.

A diffusion autoencoder (Diff-AE, Preechakul et al. 2022) is turned into an
inpainter. m is 1 where a frame x is known, 0 in the lower half of the face; r
is another frame of the clip, c the augmented lower face, from the brows down:

    z    = E(c)                                            code [d]
    x_t  = (1 - m) (a_t x + s_t eps) + m x                 t ~ U{0..999}
    e    = net([x_t, r], t, z)
    h    = (h (1 + S_t(t)) + B_t(t)) (1 + S_z(z))          in each block
    loss = mean over all numbers of (1 - m) (eps - e)^2

    x    = (1 - m) x + m x_0  before each step of DDIM, 20 of them, from one
           noise for all frames; z of the frame, or of `edit.diffdub_speech`

`face.kind="none"` and references=0 is Diff-AE, the first stage: all is hole,
the code is that of the whole picture. Pictures and their references are the
members of a group (`data.group`: the clip).

Reference: the paper claims better images and lips than Wav2Lip, PC-AVS, LP-LAP
and DAE-Talker on HDTF; no number was checked here.

Differs: known pixels are pasted after the last step too (`clean.paste_last`;
theirs are the network's there). Of the augmentation rates and limits are known,
not the ways: colours are blended, hue turns about the greys. Weights: families
`diffdub` and `diffae`.

    python -m jmim.main --config=configs/diffdub_faces.py --workdir=W
    python -m jmim.tools.claim diffdub
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import clean_region
from jmim.methods.parts import crop_augment
from jmim.methods.parts import dubbed_frames
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import lower_face
from jmim.methods.parts import shown_frames
from jmim.nn.nets import coded
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffDub(method.Method):
  """A diffusion autoencoder that fills the lower half of a face."""

  size: int = field.value(256, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  references: int = field.value(
    1, "other pictures of the group, shown beside the noisy one", low=0
  )
  width: int = field.value(
    512, "numbers of the code, and of the embedding of time", low=1
  )
  dims: unet.Dims = field.part(
    unet.Dims,
    "UNet",
    width=128,
    multipliers=(1, 1, 2, 2, 4, 4),
    attend_at=(16,),
    heads=1,
    dropout=0.0,
    scale_shift=True,
    updown=True,
  )
  encoder: unet.Dims = field.part(
    unet.Dims,
    "encoder of the code, without a way up",
    width=128,
    multipliers=(1, 1, 2, 2, 4, 4, 4),
    attend_at=(16,),
    heads=1,
    dropout=0.0,
    updown=True,
  )
  face: lower_face.LowerFace = field.part(
    lower_face.LowerFace, "where hole and crop are"
  )
  augment: crop_augment.CropAugment = field.part(
    crop_augment.CropAugment, "changes of a crop in training"
  )
  clean: clean_region.CleanRegion = field.part(
    clean_region.CleanRegion, "known pixels"
  )
  noise: gaussian.Gaussian = field.part(gaussian.Gaussian, "forward process")
  sampling: guided.Guided = field.part(guided.Guided, "sampler", steps=20)

  @classmethod
  def tiny(cls) -> "DiffDub":
    """Two levels of width 16 on 8 pixels, one reference, fixed boxes."""
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    return field.replace(
      cls(),
      size=8,
      width=12,
      dims=dict(**small, norm_groups=4),
      encoder=dict(**small, norm_groups=4),
      face=dict(kind="boxes"),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      sampling=dict(steps=3),
    )

  @property
  def nets(self) -> coded.Coded:
    """Network and encoder."""
    return coded.Coded(
      dims=self.dims,
      encoder=self.encoder,
      width=self.width,
      side=self.size,
      channels=self.channels,
      references=self.references,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Pictures in -1 .. 1, and landmarks where they are read."""
    self.nets.check()
    self.clean.check(self.sampling)
    self.noise.check(self.sampling, learns=False)
    members = (1 + self.references,) if self.references else ()
    shape = (*members, *self.nets.shape)
    pictures = {"image": method.Input(shape, range=(-1.0, 1.0))}
    return pictures | self.face.inputs(members)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of network and encoder; no extra state."""
    del batch
    return {"main": self.nets.init(key)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise [b, h, w, c], and how the crop is changed."""
    del step
    shape = (method.batch_size(batch), *self.nets.shape)
    return method.draws_of(keys, shape, self.noise, self.augment)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Error of the noise in the hole; aux: the share that is hole."""
    del step, player
    shown = shown_frames.first(batch, self.references)
    x, points = shown.x, shown.points
    crop = self.face.crops(x, points, self.augment.places(draws, self.size))
    crop = self.augment.recoloured(crop, draws)
    made, keep = self.frames(weights), self.face.keep(x, points)
    code = self.nets.encode(made.params, crop)
    error, *_ = made.error(shown, keep, code=code, draws=draws)
    return error.mean(), {"hole": 1 - keep.mean()}

  def frames(self, weights: method.Weights) -> dubbed_frames.DubbedFrames:
    """What can be made of frames."""
    return dubbed_frames.DubbedFrames(
      nets=self.nets,
      params=weights.params["main"],
      face=self.face,
      clean=self.clean,
      noise=self.noise,
      sampling=self.sampling,
    )

  def predict(self) -> dict[str, method.Predict]:
    """errors; of `DubbedFrames` features, codes, pictures and clips."""
    made = method.outputs_of(self.frames, dubbed_frames.NAMES)
    return {"errors": self.errors} | made

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """mse [b]: the loss, of the crop as it is."""
    shown = shown_frames.first(batch, self.references)
    made, draws = self.frames(weights), self.drawn(key, batch)
    known = dict(code=made.code(shown), draws=draws)
    return {"mse": made.error(shown, made.keep(shown), **known)[0]}
