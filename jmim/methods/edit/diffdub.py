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
theirs are the network's there); at test the reference is the next member, not a
random frame. Of the augmentation only the rates are known; hue turns about the
greys. Weights: families `diffdub` and `diffae`.

    python -m jmim.main --config=configs/diffdub_faces.py --workdir=W
    python -m jmim.tools.claim diffdub
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import clean_region
from jmim.methods.parts import crop_augment
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import lower_face
from jmim.nn.nets import semantic_encoder
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
    crop_augment.CropAugment, "what happens to a crop in training"
  )
  clean: clean_region.CleanRegion = field.part(
    clean_region.CleanRegion, "known pixels"
  )
  noise: gaussian.Gaussian = field.part(gaussian.Gaussian, "forward process")
  sampling: guided.Guided = field.part(guided.Guided, "sampler", steps=20)

  @classmethod
  def tiny(cls) -> "DiffDub":
    """Two levels of width 16 on 8 pixels, one reference, landmarks."""
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
  def members(self) -> tuple[int, ...]:
    """() or (m,): dimension of the pictures of a group."""
    return (1 + self.references,) if self.references else ()

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of a picture."""
    return (self.size, self.size, self.channels)

  @property
  def net(self) -> unet.UNet:
    """The network."""
    dims = dataclasses.replace(self.dims, time_width=self.width)
    return dims.net(out=self.channels, code="gain", rt=self.rt)

  @property
  def encoder_net(self) -> semantic_encoder.SemanticEncoder:
    """Crop to code."""
    return semantic_encoder.SemanticEncoder(
      **self.encoder.fields(), out=self.width, rt=self.rt
    )

  def inputs(self) -> dict[str, method.Input]:
    """Pictures in -1 .. 1, and landmarks where they are read."""
    for name in ("dims", "encoder"):
      dims = getattr(self, name)
      dims.check(self.size)
      if dims.dropout:
        raise ValueError(f"{name}.dropout={dims.dropout}: there is none here")
    self.sampling.check()
    self.noise.check(self.sampling, learns=False)
    if self.sampling.guidance != 1:
      raise ValueError(
        f"sampling.guidance={self.sampling.guidance}: no code is dropped in "
        "training, so there is nothing to guide by"
      )
    shape = (*self.members, *self.shape)
    pictures = {"image": method.Input(shape, range=(-1.0, 1.0))}
    return pictures | self.face.inputs(self.members)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of network and encoder; no extra state."""
    del batch
    k_net, k_encoder = jax.random.split(key)
    x, code = jnp.zeros((1, *self.shape)), jnp.zeros((1, self.width))
    seen = jnp.tile(x, (1, 1, 1, 1 + self.references))
    net = self.net.init(k_net, seen, jnp.zeros(1), code=code)["params"]
    encoder = self.encoder_net.init(k_encoder, x)["params"]
    return {"main": {"net": net, "encoder": encoder}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise [b, h, w, c], and how the crop is changed."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    return method.draws_of(keys, shape, self.noise, self.augment)

  def seen(self, batch: method.Batch) -> tuple[Array, Array, Array | None]:
    """(picture [b, h, w, c], references [b, h, w, r c], its landmarks)."""
    images, points = batch["image"], batch.get("landmarks")
    if not self.references:
      return images, images[..., :0], points
    others = [images[:, i] for i in range(1, 1 + self.references)]
    points = None if points is None else points[:, 0]
    return images[:, 0], jnp.concatenate(others, -1), points

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Error of the noise in the hole; aux: the share that is hole."""
    del step, player
    x, beside, points = self.seen(batch)
    moved = self.augment.places(draws, self.size)
    crop = self.face.crops(x, points, moved)
    code = self.encode(weights.params, self.augment.recoloured(crop, draws))
    keep = self.face.keep(x, points)
    error, *_ = self.error(
      weights.params, x, beside=beside, keep=keep, code=code, draws=draws
    )
    return error.mean(), {"hole": 1 - keep.mean()}

  def encode(self, params: method.Tree, crops: Array) -> Array:
    """Codes [b, d] of crops [b, h, w, c]."""
    return self.encoder_net.apply({"params": params["main"]["encoder"]}, crops)

  def error(
    self,
    params: method.Tree,
    x: Array,
    *,
    beside: Array,
    keep: Array,
    code: Array,
    draws: method.Draws,
  ) -> tuple[Array, Array, Array]:
    """(loss [b], x_t, predicted noise [b, h, w, c]) at the drawn times."""
    t, noise = draws["t"], draws["noise"]
    x_t = self.clean.mixed(keep, x, self.noise.add(x, t, noise)[0])
    pred = self.network(params, x_t, t, beside, code)
    return self.clean.errors(keep, pred, noise), x_t, pred

  def network(
    self, params: method.Tree, x: Array, t: Array, beside: Array, code: Array
  ) -> Array:
    """Noise [b, h, w, c] of x at times t [b]."""
    x = jnp.concatenate([x, beside], -1)
    return self.net.apply({"params": params["main"]["net"]}, x, t, code=code)

  def predict(self) -> dict[str, method.Predict]:
    """features, codes; errors; reconstruct, swapped, dubbed."""
    named = ("features", "codes", "errors", "reconstruct", "swapped", "dubbed")
    return {name: getattr(self, name) for name in named}

  def features(self, weights, batch, key) -> Array:
    """Codes [b, d], of crops as they are."""
    del key
    x, _, points = self.seen(batch)
    return self.encode(weights.params, self.face.crops(x, points))

  def codes(self, weights, batch, key) -> Array:
    """Codes [b, m, d] of all members, one after the other."""
    return each(lambda one: self.features(weights, one, key), self.alone(batch))

  def alone(self, batch: method.Batch) -> method.Batch:
    """Entries [m, b, ...]: each member with the next ones as references.

    A group may have any number of members here; without references pictures
    are a group if they are several.
    """
    several, shown = {"codes"} & set(batch), len(self.members)
    names = {"image", "landmarks"} & set(batch)
    rolled = lambda a, i: jnp.roll(a, -i, axis=1)
    turn = lambda a: jnp.stack([rolled(a, i) for i in range(shown)], 2)
    if not shown:
      several, names, turn = several | names, set(), None
    made = {n: turn(batch[n]) for n in names} | {n: batch[n] for n in several}
    return {n: jnp.moveaxis(a, 1, 0) for n, a in made.items()}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """mse [b]: the loss, of the crop as it is."""
    x, beside, points = self.seen(batch)
    code, draws = self.features(weights, batch, key), self.drawn(key, batch)
    keep = self.face.keep(x, points)
    options = dict(beside=beside, keep=keep, code=code, draws=draws)
    return {"mse": self.error(weights.params, x, **options)[0]}

  def rendered(
    self, weights: method.Weights, batch: method.Batch, code: Array, key: Array
  ) -> Array:
    """Pictures [b, h, w, c] whose hole shows what the codes [b, d] say."""
    x, beside, points = self.seen(batch)
    draw = randomness.normals(key, method.numbers(batch), self.shape)
    calls = self.sampling.steps  # numbers of the sampler's own noises are less
    image, _ = self.clean.walk(
      self.noise,
      self.sampling,
      network=lambda x, t: self.network(weights.params, x, t, beside, code),
      keep=self.face.keep(x, points),
      known=x,
      start=self.rt.shard(draw(calls)),
      normal=draw,
    )
    return image

  def reconstruct(self, weights, batch, key) -> dict[str, Array]:
    """image, made with its own code; mask, 1 in the hole; target."""
    x, _, points = self.seen(batch)
    code = self.features(weights, batch, key)
    made = self.rendered(weights, batch, code, key)
    mask = jnp.broadcast_to(1 - self.face.keep(x, points), x.shape)
    return {"image": made, "mask": mask, "target": x}

  def swapped(self, weights, batch, key) -> dict[str, Array]:
    """image, made with the code of the neighbour; source; guide, that one.

    Pictures 2 i and 2 i + 1 are neighbours.
    """
    x, _, _ = self.seen(batch)
    number = jnp.arange(len(x)) ^ 1
    number = jnp.where(number < len(x), number, jnp.arange(len(x)))
    code = self.features(weights, batch, key)[number]
    made = self.rendered(weights, batch, code, key)
    return {"image": made, "source": x, "guide": x[number]}

  def dubbed(self, weights, batch, key) -> Array:
    """[b, m, h, w, c]: all members, from the same noise.

    With `codes` [b, m, d] in the batch they show those, else their own.
    """
    index = method.numbers(batch)

    def one(member):
      code = member.get("codes")
      if code is None:
        code = self.features(weights, member, key)
      return self.rendered(weights, member | {"index": index}, code, key)

    return each(one, self.alone(batch))


def each(make, members: method.Batch) -> Array:
  """[b, m, ...] of what is made of entries [m, b, ...], one at a time."""
  return jnp.moveaxis(jax.lax.map(make, members), 0, 1)
