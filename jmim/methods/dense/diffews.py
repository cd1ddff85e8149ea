r"""DiffewS: a diffusion model as a few-shot segmenter.

Zhu, Liu, Luo, Jing, Chen, Xu, Wang, Shen, NeurIPS 2024. Equal to the authors'
code (aim-uofa/DiffewS@d12c396): `tests/golden` compares both passes, the first
attention, its keys and values, the loss, and the gradient of the second stem.

An episode is a query and n supports of one class; a mask is an image of -1 and
1. The UNet of a latent diffusion model runs twice, at one constant time:

    _, bank = net([E(s), E(m_s)]; second stem)     K, V of all self-attentions
    pred    = net(E(q); bank)                      softmax(q [K_q; K_1; .. K_n])
    loss    = mean (pred + E(m_q))^2

E samples the posterior in training and is its mean afterwards. Nothing is
noised, and supports never see the query; what they learn they learn through the
bank. Of the n supports of an episode a random number is shown, and a random set
of them. The segmenter, in one step (v-prediction of pure noise: x0 = -v):

    m = mean over channels of uint8(127.5 D(-pred) + 127.5)
    pixel of the class:  m > 0.25 max m

Start: a diffusion model, `init_from` with `copies`, which makes the second stem
of the first, repeated and halved: of two equal images it makes what the first
makes of one.

Reference (in-context, trained on COCO, ADE, PASCAL and more; from memory): mIoU
of COCO-20i 71.3 with one shot and 72.2 with five, PASCAL-5i 88.3 and 87.8.

Differs: the authors' batch is one episode; in ours each has its own number of
shots, by a mask of the bank's tokens. The prompt is the features of "", stored
(`prompt.path`), or 0. Weights: family `diffews`; Stable Diffusion 2, to start
from: `diffusers_unet2`.

    python -m jmim.main --config=configs/diffews_scenes.py:base=RUN --workdir=W
    python -m jmim.tools.claim diffews
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import episodes
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import prompt as prompts
from jmim.nn import bank as banks
from jmim.nn import conv
from jmim.nn import unet as layers
from jmim.nn.nets import unet

Array = jax.Array
STEM = "conv_in_ref"  # the second stem, as the authors call it


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffewS(method.Method):
  """Two passes of one UNet: supports fill a bank that the query reads."""

  size: int = field.value(64, "side of what is segmented, in latents", low=1)
  channels: int = field.value(4, "channels of the latents", low=1)
  dims: unet.Dims = field.part(
    unet.Dims,
    "UNet; Stable Diffusion 2's",
    width=320,
    multipliers=(1, 2, 4, 4),
    attend_at=(1, 2, 4),
    heads=0,
    head_width=64,
    dropout=0.0,
  )
  prompt: prompts.Prompt = field.part(
    prompts.Prompt, "constant time and prompt"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f8", read="images"
  )
  episode: episodes.Episodes = field.part(episodes.Episodes, "query, supports")

  @classmethod
  def tiny(cls) -> "DiffewS":
    """Two levels of width 16 on 8-pixel images, two supports."""
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(1,))
    return field.replace(
      cls(),
      size=8,
      channels=3,
      dims=dict(**small, level_heads=(2, 4), norm_groups=4),
      first_stage=dict(variant="none"),
      episode=dict(scenes=3, shots=2),
      prompt=dict(context=6, tokens=3, path="W"),
    )

  @property
  def net(self) -> unet.UNet:
    """The network of both passes."""
    options = {"transformer": self.prompt.transformer, "rt": self.rt}
    return self.dims.net(out=self.channels, dropout=0.0, **options)

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of latents."""
    return (self.size, self.size, self.channels)

  def inputs(self) -> dict[str, method.Input]:
    """Scenes, their masks, and the class."""
    self.dims.check(self.size)
    if self.dims.dropout:
      raise ValueError(f"dims.dropout={self.dims.dropout}: this UNet has none")
    image = self.first_stage.inputs(self.shape).get("image")
    if image is None or image.shape[2] != 3:
      raise ValueError(
        "first_stage.read='images' of 3 channels: masks are encoded as images"
      )
    return self.episode.inputs(image.shape[0])

  def consts(self) -> dict[str, method.Const]:
    """The first stage, and features of no text."""
    return self.first_stage.consts() | self.prompt.consts()

  def groups(self) -> tuple[method.Group, ...]:
    """Everything decays."""
    return (method.Group(pattern="", decay=1.0),)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the UNet and its second stem; no extra state."""
    del batch
    net = self.prompt.init(key, self.net, jnp.zeros((1, *self.shape)))
    kernel, bias = (net["conv_in"][n] for n in ("kernel", "bias"))
    wide = conv.widened(kernel, 2 * self.channels)
    second = {"kernel": wide, "bias": jnp.copy(bias)}
    return {"main": {"net": net | {STEM: second}}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """shots [b] and order [b, n] of supports, posterior of all images."""
    del step
    n, b = 1 + self.episode.shots, method.batch_size(batch)
    images = (b, 2, n, *self.shape)  # scenes, then masks
    return method.draws_of(keys, images, self.episode, self.first_stage)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared error of the query mask's latent, with its sign turned."""
    del step, player
    scenes, masks = self.episode.training(batch)
    z, z_mask = self.encode(
      weights, scenes, masks, noise=draws.get("posterior")
    )
    shown = self.episode.shown(draws)
    bank = self.bank(weights, z[:, 1:], z_mask[:, 1:], shown=shown)
    pred, _ = self.query(weights, z[:, 0], bank)
    return self.error(pred, z_mask[:, 0]), {}

  def error(self, pred: Array, z_mask: Array) -> Array:
    """Of a prediction, where the query mask's latent is z_mask."""
    return ((pred + z_mask) ** 2).mean()

  def encode(
    self, weights: method.Weights, *images: Array, noise: Array | None = None
  ) -> tuple[Array, ...]:
    """Latents of each of the images, see `episodes.latents`."""
    encode = functools.partial(self.first_stage.encode, weights)
    random = self.first_stage.net is not None and self.first_stage.net.gaussian
    return episodes.latents(encode, images, self.shape, noise, random=random)

  def bank(
    self, weights: method.Weights, *z: Array, shown: Array | None = None
  ) -> banks.Bank:
    """What supports and masks [b, n, h, w, c] leave; shown: bool [b, n]."""
    flat = [x.reshape(-1, *self.shape) for x in z]
    _, taps = self.support(weights, *flat)
    return banks.folded(taps.bank, z[0].shape[1], shown)

  def support(
    self, weights: method.Weights, z: Array, z_mask: Array
  ) -> tuple[Array, layers.Taps]:
    """(output, taps) of the first pass; [b n, h, w, c] twice."""
    x = jnp.concatenate([z, z_mask], axis=-1)
    return self.prompt.run(weights, self.net, x, stem=STEM)

  def query(
    self, weights: method.Weights, z: Array, bank: banks.Bank | None
  ) -> tuple[Array, layers.Taps]:
    """(prediction, taps) of the second pass; z [b, h, w, c]."""
    return self.prompt.run(weights, self.net, z, bank=bank)

  def predict(self) -> dict[str, method.Predict]:
    """segment; with all supports, with none, with those of another class."""
    if not self.first_stage.decodes:
      return {}
    kinds = {"segment": "", **{f"segment_{k}": k for k in episodes.KINDS}}
    return {
      n: functools.partial(self.segment, kind=k) for n, k in kinds.items()
    }

  def segment(self, weights, batch, key, kind: str = "") -> dict[str, Array]:
    """support, image [b, H, W, 3]; support_mask, truth, mask; class [b]."""
    del key
    scenes, masks = self.episode.testing(batch, kind)
    z, z_mask = self.encode(weights, scenes, masks)
    bank = self.bank(weights, z[:, 1:], z_mask[:, 1:])
    pred, _ = self.query(weights, z[:, 0], None if kind == "alone" else bank)
    image = self.first_stage.decode(weights, -pred)
    return self.episode.described(batch, scenes, masks=masks, found=image)
