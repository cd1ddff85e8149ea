r"""MMAR: one language model of words and of continuous tokens of images.

Yang, Yin, Zhou, Rao, Zhai, Cao, Zha, CVPR 2025 (arXiv 2410.10798). Text is
causal, an image a block that sees all of itself, in one decoder-only model
(Qwen2). Noise is known to a small head on top alone (`latent.mar`):

    e_i  = Project(ViT(x, a vector where masked))_i      `nn.nets.token_vision`
    z    = LM([E[w], e])           in one of three forms, `parts/joint_sequence`
    x_t  = a_t x_i + s_t eps       t ~ U{0..999}, 4 times per token
    img  = mean over masked of |head(x_t, t, z_i) - v|^2, v = a_t eps - s_t x_i
    txt  = mean over words of -log softmax(E z_{j-1})_{w_j}
    loss = mean over examples of img or of txt

Of an example the image is learned given its text (a tenth: given nothing), some
tokens masked; or the text given the whole image. Stage one masks 70 % or more,
two any share (`sequence.least_rate`); three has questions (`text.weighed`).

v is for bf16. With a = cos p, s = sin p a DDIM step is x_s = cos(p_t - p_s) x_t
- sin(p_t - p_s) v: errors of v do not grow, of eps by 1 / cos p_t, of x0 by
1 / sin p_t. `head.prediction` has all, and EDM's F. Reference (0.5B; AVE@18 /
FID-30K of COCO): v 34.56 / 36.6, eps 32.21 / 61.53.

No code is public: this follows a summary of the paper, and MAR's code in head
and sampler. Unverified, hence fields: sizes of ViT and head, law of mask rates,
shares of forms, positions of images, 4 draws, unit weights, maps with LoRA, 64
calls. Ours: <begin>; means per example come first. Weights: family `hf_qwen2`.

    python -m jmim.main --config=configs/mmar_digits.py --workdir=runs/mmar
    python -m jmim.tools.claim mmar
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.masks import tokens as masking
from jmim.methods.parts import captions
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import host as hosts
from jmim.methods.parts import joint_network
from jmim.methods.parts import joint_pass
from jmim.methods.parts import joint_sequence
from jmim.methods.parts import prediction
from jmim.methods.parts import random_order
from jmim.methods.parts import token_diffusion
from jmim.nn import patch as patching

V = prediction.Prediction(kind="v")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MMAR(method.Method):
  """Language model of words and of image tokens."""

  size: int = field.value(16, "side of the latents", low=1)
  channels: int = field.value(16, "channels of the latents", low=1)
  patch: int = field.value(1, "side of a token [latents]", low=1)
  text: captions.Captions = field.part(captions.Captions, "texts")
  network: joint_network.JointNetwork = field.part(
    joint_network.JointNetwork, "language model and ViT"
  )
  host: hosts.Host = field.part(hosts.Host, "language model under LoRA")
  sequence: joint_sequence.JointSequence = field.part(
    joint_sequence.JointSequence, "forms, masks and weights"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f16", scale=0.2325
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian, "process of a token", schedule="cosine"
  )
  head: token_diffusion.Head = field.part(
    token_diffusion.Head, "model of a token", depth=8, prediction=V
  )
  sampling: random_order.RandomOrder = field.part(
    random_order.RandomOrder, "sampler of images"
  )

  @classmethod
  def tiny(cls) -> "MMAR":
    """36 tokens of 2 x 2 pixels, three captions, blocks of width 32 and 16."""
    lm = dict(dims=dict(width=32, depth=2, heads=4), hidden=48, theta=100.0)
    network = dict(lm=lm, vision=dict(width=16, depth=1, heads=2), piece=2)
    return field.replace(
      cls(),
      size=12,
      channels=3,
      patch=2,
      text=dict(of=("a one", "a red two", "three")),
      network=network,
      sequence=dict(least_rate=0.5),
      first_stage=dict(variant="none"),
      noise=dict(times=20),
      head=dict(width=16, depth=2, repeat=2),
      sampling=dict(steps=3, head_steps=2),
    )

  @property
  def shape(self) -> tuple[int, int]:
    """(n, c): tokens of an image, and numbers of a token."""
    return (self.size // self.patch) ** 2, self.channels * self.patch**2

  def inputs(self) -> dict[str, method.Input]:
    """Images or moments; labels, or tokens of texts.

    Raises:
      ValueError: fields that do not go together.
    """
    if self.size % self.patch:
      raise ValueError(f"size {self.size} does not divide by {self.patch}")
    self.network.check(self.host)
    self.sequence.check()
    how = (self.shape[0], self.noise, self.sequence.drop, self.head)
    self.sampling.check(*how, key="sequence.drop")
    latents = (self.size, self.size, self.channels)
    return self.first_stage.inputs(latents) | self.text.inputs()

  def sample_reads(self) -> tuple[str, ...]:
    """Tokens of a text, where no label and no prompt gives them."""
    return self.text.reads()

  def written(self, tokens: method.Tree) -> str:
    """Words of the captions of labels, or numbers."""
    return self.text.written(tokens)

  def consts(self) -> dict[str, method.Const]:
    """The first stage, and the language model under LoRA."""
    lm = self.network.lm.consts(self.text.size, self.host)
    return self.first_stage.consts() | lm

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters lm, vision and head; no extra state."""
    del batch
    k_net, k_head = jax.random.split(key)
    main = self.network.init(k_net, self.shape, self.text.size)
    sizes = (self.network.lm.dims.width, self.shape[1])
    main["head"] = self.head.init(k_head, self.noise, *sizes)
    return {"main": main}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """form, text_drop, rate [b], scores [b, n], t, noise; posterior."""
    del step
    b, latents = method.batch_size(batch), (self.size, self.size, self.channels)
    head = self.head.draw(keys, self.noise, (b, *self.shape))
    first = self.first_stage.draw(keys, (b, *latents))
    return self.sequence.draw(keys, (b, self.shape[0])) | head | first

  def tokens(self, weights, batch, draws) -> jax.Array:
    """[b, n, c] float32 clean tokens of images or moments."""
    z = self.first_stage.encode(weights, batch, draws)
    return patching.patchify(z.astype(jnp.float32), self.patch)

  def joint(self, weights, often: bool = False) -> joint_pass.Joint:
    """Both networks, see `JointNetwork.bound`."""
    return self.network.bound(weights, self.shape[0], self.text.size, often)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Of an image or of a text, of each example; aux: both, on their own."""
    del step, player
    x, texts = self.tokens(weights, batch, draws), self.text.texts(batch)
    forms, net = self.sequence.forms(draws), self.joint(weights)
    text, z = net.whole(texts, x, forms, self.sequence)
    head = weights.params["main"]["head"]
    errors = self.head.errors(head, self.noise, z, x, draws=draws)
    image = sum(masking.row_means(e, forms.mask) for e in errors.values())
    return self.sequence.total(forms, image, text)

  def predict(self) -> dict[str, method.Predict]:
    """generate {tokens, order}, describe; sample, if it can decode."""
    sampled = self.first_stage.decodes or self.text.sampled
    names = ("generate", "describe") + ("sample",) * sampled
    return {name: getattr(self, name) for name in names}

  def generate(self, weights, batch, key) -> dict[str, jax.Array]:
    """tokens [b, n, c] and order [b, n]; see `latent.mar`, with a text."""
    net, texts = self.joint(weights, often=True), self.text.texts(batch)
    given = net.drawing(texts, self.shape[0], self.sequence, self.sampling)
    head, c = weights.params["main"]["head"], self.shape[1]
    made = functools.partial(self.head.sample, head, self.noise, numbers=c)
    keys = randomness.numbered(key, method.numbers(batch))
    fill = self.sampling.sample
    x, calls = fill(keys, given, made, noise=self.noise, shape=self.shape)
    return {"tokens": x, "order": calls}

  def describe(self, weights, batch, key, x: method.Tree = None) -> jax.Array:
    """[b, l] int32: the likeliest words of images, or of tokens x [b, n, c].

    "prompt" [b, l] of the batch: words that are given (a question), else -1.
    """
    x = self.tokens(weights, batch, self.drawn(key, batch)) if x is None else x
    net, known = self.joint(weights, often=True), batch.get("prompt")
    return net.say(x, self.text, self.sequence, known)

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] in the units of the input; text.sampled: words."""
    x = self.generate(weights, batch, key)["tokens"]
    if self.text.sampled:
      return self.describe(weights, batch, key, x)
    return self.first_stage.decode(weights, patching.unpatchify(x, self.patch))
