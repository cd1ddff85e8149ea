r"""DiffSTE: text in a picture is written anew, as an instruction says.

Ji, Zhang, Wang, Hou, Zhang, Price, Chang 2023 (arXiv 2304.05568, "Improving
Diffusion Models for Scene Text Editing with Dual Encoders"). Equal to the
authors' code (UCSB-NLP-Chang/DiffSTE@b6421cd): `tests/golden` compares the
character encoder, the UNet with both branches, with one and under guidance,
and the loss.

An encoder of whole words cannot spell what it has not learnt, so each
transformer of an inpainting UNet stands twice, with parameters of its own: one
attends to the instruction, one to the characters; the outputs are averaged.

    c_text = CLIP("Write \"W\" in font: F and color: C")      20 tokens
    c_char = symbols[id_i] + places[i]                        20 characters
    x_t    = a_t z + s_t eps,  z = E(x)                       t ~ U{0..999}
    e      = net([x_t, m, E(x (1 - m))], t; c_text, c_char)
    h      = mean over k of T_k(h, c_k)                       each transformer
    loss   = mean w (eps - e)^2           w = 5 in the mask m, 1 elsewhere
    e_s    = e(none) + s (e - e(none))    none: of both encoders at once

Font and colour are each left out of an instruction with probability 1/2
(`data.instructions`; of the texts of an example training draws one). AdamW
5e-5, no decay, eps 1e-8, gradient norm 3, batch 256, 15 epochs; s = 7.5, 30
steps of DDIM. Start: Stable Diffusion's inpainting UNet (`diffste_base`), whose
transformers become those of the text (`init_from.rename`); those of characters
start random.

Reference: no numbers of the paper were checked here. ABINet reads its edits far
more often right than those of fine-tuned Stable Diffusion or of GANs.

Following the released code: "none" is a text of padding alone, without start
and end, and a word of spaces, though neither is shown in training (`told.drop`
is ours: how often both are); the mask is reduced by taking every 8th pixel. A
space has no vector of its own. Differs: at test E is the posterior's mean, and
the picture's own pixels are pasted back around the mask (`made` of the output
`edit` is without). Weights: families `diffste`, `diffste_base`.

    python -m jmim.main --config=configs/diffste_glyphs.py --workdir=W
    python -m jmim.tools.claim diffste
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import painted as paintings
from jmim.methods.parts import spelt
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffSTE(method.Method):
  """Inpainting told by an instruction and by characters."""

  size: tuple = field.value(
    (32, 32), "height and width of what is diffused [latents or pixels]"
  )
  channels: int = field.value(4, "channels of what is diffused", low=1)
  dims: unet.Dims = field.part(
    unet.Dims,
    "UNet; Stable Diffusion 1's",
    width=320,
    multipliers=(1, 2, 4, 4),
    attend_at=(1, 2, 4),
    heads=8,
    dropout=0.0,
  )
  told: spelt.Spelt = field.part(spelt.Spelt, "instruction and characters")
  painted: paintings.Painted = field.part(
    paintings.Painted, "the place that is painted"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f8", read="images"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    schedule="scaled_linear",
    beta_start=0.00085,
    beta_end=0.012,
    spacing="leading_offset",
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", steps=30, guidance=7.5, clip=0.0
  )

  @classmethod
  def tiny(cls) -> "DiffSTE":
    """4 x 8 pixels, a level of width 16, four tokens, three characters."""
    small = dict(width=16, multipliers=(1,), blocks=1, attend_at=(1,))
    ids = dict(vocabulary=9, length=6, start=1, end=2, pad=0)
    text = dict(**ids, width=8, depth=1, heads=2)
    word = dict(symbols=12, length=3, width=6)
    return field.replace(
      cls(),
      size=(4, 8),
      channels=3,
      dims=dict(**small, heads=2, norm_groups=4),
      told=dict(drop=0.1, tokens=4, text=text, characters=word),
      first_stage=dict(variant="none"),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      sampling=dict(steps=3, guidance=2.0),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (*self.size, self.channels)

  @property
  def net(self) -> unet.UNet:
    """The network, with a transformer of each context."""
    options = dict(transformer=1, contexts=self.told.contexts, rt=self.rt)
    return self.dims.net(out=self.channels, **options)

  def inputs(self) -> dict[str, method.Input]:
    """Pictures and masks, tokens and characters."""
    if self.dims.dropout:
      raise ValueError(f"dims.dropout={self.dims.dropout}: this UNet has none")
    for side in self.size:
      self.dims.check(side)
    self.sampling.check()
    self.noise.check(self.sampling, learns=False)
    pictures = self.painted.inputs(self.first_stage, self.shape)
    return pictures | self.told.inputs(self.dims.width)

  def consts(self) -> dict[str, method.Const]:
    """The first stage, and a frozen encoder of texts."""
    return self.first_stage.consts() | self.told.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the UNet and of what it is told; no extra state."""
    del batch
    k_net, k_told = jax.random.split(key)
    x, t = jnp.zeros((1, *self.size, 2 * self.channels + 1)), jnp.zeros(1)
    context = {n: jnp.zeros((1, 1, w)) for n, w in self.told.widths.items()}
    net = self.net.init(k_net, x, t, context=context)["params"]
    return {"main": {"net": net, "told": self.told.init(k_told)}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise, told_drop [b]; posterior of a picture and of its rest."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    draws = method.draws_of(keys, shape, self.noise, self.told)
    return draws | self.painted.draw(keys, shape, self.first_stage)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Error of the noise, of more weight in the mask; aux: without weights."""
    del step, player
    z, beside = self.painted.latents(self.first_stage, weights, batch, draws)
    ids = self.told.dropped(batch, draws)
    x_t, _, _ = self.noise.add(z, draws["t"], draws["noise"])
    shown = beside | self.contexts(weights, ids)
    pred = self.network(weights.params, x_t, draws["t"], shown)
    return self.painted.loss(pred, draws["noise"], shown)

  def contexts(
    self, weights: method.Weights, ids: dict[str, Array]
  ) -> dict[str, Array]:
    """Branch -> [b, l, e] of tokens and characters."""
    params = weights.params["main"].get("told", {})
    return self.told.encode(weights, params, ids)

  def network(
    self, params: method.Tree, x: Array, t: Array, shown: dict
  ) -> Array:
    """[b, h, w, c] noise; of shown contexts some may be left out."""
    x = jnp.concatenate([x, shown["concat"]], axis=-1)
    told = {name: shown.get(name) for name in self.told.branches}
    return self.net.apply({"params": params["main"]["net"]}, x, t, context=told)

  def predict(self) -> dict[str, method.Predict]:
    """sample; edit, which has more; outside, how far pixels there moved."""
    if not self.first_stage.decodes:
      return {}
    sample = lambda *args: self.edit(*args)["image"]
    outside = lambda *args: self.painted.outside(args[1], self.edit(*args))
    return {"sample": sample, "edit": self.edit, "outside": outside}

  def sample_reads(self) -> tuple[str, ...]:
    """All that is read in training."""
    return tuple(self.inputs())

  def edit(self, weights, batch, key) -> dict[str, Array]:
    """image, pasted; made, the whole of it; source [b, H, W, c]."""
    stage, ids = self.first_stage, self.told.ids(batch)
    beside = self.painted.beside(stage, weights, batch)
    both = (ids, self.told.none(ids))
    shown = tuple(beside | self.contexts(weights, x) for x in both)
    network = functools.partial(self.network, weights.params)
    options = dict(condition=shown, shape=self.shape, batch=batch, key=key)
    z = self.sampling.sample(self.noise, network, **options)
    return self.painted.pasted(batch, stage.decode(weights, z))
