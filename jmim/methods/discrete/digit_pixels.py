r"""DiGIT, stage two: pixels of codes, through a language of their own.

Zhu et al., NeurIPS 2024 (arXiv 2410.12490), with the defaults of
DAMO-NLP-SG/DiGIT@cd6d8ca. The codes z of stage one (`discrete.digit`) stand
before the codes x of a tokenizer that decodes them; a transformer (with norms
before each branch, other than stage one) reads both and names the second:

    ar    causal           z <end> x        the next of x, then <end>
    nar   all see all      z <end> [x, some unknown]       the unknown
    loss  = mean over what is named of -sum_v q_v log softmax(net(..))_v

with q as in stage one; z is not scored. In nar a part of x is hidden:
ceil(n cos(pi u / 2)), u ~ U[0, 1) (theirs: floor + 1, which can be n + 1). The
mean is over the hidden of the whole batch, so accumulation is a mean of parts,
as it was for them. Sampling: ar one by one (top-p 0.8), nar as in MaskGIT (8
calls). Codes z are those of the batch, or (`prior`) of a run of stage one.

Reference (ImageNet 256 px, FID / IS): see `discrete.digit`; nar without labels
9.04 / 75.04, with labels 4.62 / 146.19. Their tokenizer (MAGE's VQGAN) is none
of ours: codes of it are read as stored. Weights: family `digit_pixels`.

    python -m jmim.main --config=configs/digit_cifar10.py:stage=nar --workdir=W
    python -m jmim.tools.claim digit
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import image_codes
from jmim.methods.parts import rendering
from jmim.methods.parts import semantic as semantics
from jmim.methods.parts import semantic_prior
from jmim.methods.parts import token_lm
from jmim.nn import losses
from jmim.nn.nets import token_lm as nets


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiGITPixels(method.Method):
  """Transformer on codes of features, then codes of pixels."""

  per_example: ClassVar[bool] = False  # a mean over hidden codes of the batch

  semantic: semantics.Semantic = field.part(
    semantics.Semantic, "the codes that are rendered"
  )
  pixels: image_codes.ImageCodes = field.part(
    image_codes.ImageCodes, "codes of pixels"
  )
  lm: token_lm.TokenLM = field.part(
    token_lm.TokenLM, "language model", post=False
  )
  smoothing: float = field.value(0.1, "label smoothing", low=0.0, below=1.0)
  render: rendering.NextCode | rendering.HiddenCodes = field.part(
    rendering.KINDS, "how codes follow from those before"
  )
  prior: semantic_prior.SemanticPrior = field.part(
    semantic_prior.SemanticPrior, "stage one, to sample from nothing"
  )

  @classmethod
  def tiny(cls) -> "DiGITPixels":
    """Four codes of five, then nine stored ones of seven, some hidden."""
    return field.replace(
      cls(render=rendering.HiddenCodes()),
      semantic=dict(vocabulary=5, vectors=dict(size=8, patch=4)),
      pixels=dict(vocabulary=7, side=3),
      lm=dict(dims=dict(width=32, depth=2, heads=4)),
      render=dict(sampling=dict(steps=3)),
    )

  @property
  def net(self) -> nets.TokenLM:
    """The network: codes of features are its prefix."""
    return self.lm.net(
      self.pixels.vocabulary,
      token_lm.SPECIAL + self.semantic.vocabulary,
      self.pixels.length,
      prefix=self.semantic.length,
      one_way=self.render.one_way,
    )

  @property
  def n_codes(self) -> dict[str, int]:
    """Different codes of each kind of `codes`."""
    own = {"tokens": self.pixels.vocabulary}
    return own | {semantics.NAME: self.semantic.vocabulary}

  def inputs(self) -> dict[str, method.Input]:
    """Codes of both kinds, or images; labels of a prior that reads them.

    Raises:
      ValueError: fields that do not go together.
    """
    self.lm.check("lm")
    self.render.check()
    semantic, pixels = self.semantic.inputs(), self.pixels.inputs("pixels")
    shapes = [x["image"].shape for x in (semantic, pixels) if "image" in x]
    if shapes and shapes != [self.pixels.image] * 2:
      raise ValueError(
        f"semantic.read {self.semantic.read!r} on images of side "
        f"{self.semantic.vectors.size}, pixels.read {self.pixels.read!r} on "
        f"{self.pixels.image}: both are of one image, or both are stored"
      )
    return semantic | pixels | self.prior.inputs()

  def consts(self) -> dict[str, method.Const]:
    """Both tokenizers and stage one, as far as they are needed."""
    found = self.semantic.consts() | self.pixels.consts("pixels")
    return found | self.prior.consts(*self.semantic.shape)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    ids = jnp.zeros((1, self.net.prefix + self.net.length), jnp.int32)
    return {"main": self.net.init(key, ids)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """dropout: keys [b, 2]; nar: r [b], scores [b, m], both ~ U[0, 1)."""
    del step
    b = method.batch_size(batch)
    drop = self.lm.draw(keys("dropout"), b)
    return drop | self.render.draw(keys, (b, self.pixels.length))

  def prefix(self, ids: jax.Array) -> jax.Array:
    """Ids [b, n] of codes of features, after those that are scored."""
    return self.net.outputs + token_lm.SPECIAL + ids

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Smoothed cross entropy of what is named; aux: nats, how many right."""
    del step, player
    prefix = self.prefix(self.semantic.ids(weights, batch))
    task = self.render.task(self.pixels.ids(weights, batch), draws)
    logits = self.net.apply(
      {"params": weights.params["main"]},
      jnp.concatenate([prefix, task.ids], axis=1),
      skip=self.net.prefix,
      keys=draws.get("dropout"),
    )["logits"]
    mean = lambda x: (x * task.scored).sum() / task.scored.sum()
    cost = lambda s: mean(losses.smooth_cross_entropy(logits, task.targets, s))
    named = mean(logits.argmax(-1) == task.targets)
    return cost(self.smoothing), {"nll": cost(0.0), "token_accuracy": named}

  def sample_reads(self) -> tuple[str, ...]:
    """Codes of features, where no run of stage one makes them."""
    return () if self.prior.path else tuple(self.semantic.inputs())

  def predict(self) -> dict[str, method.Predict]:
    """generate {tokens, semantic_codes}, sample; and what else may be offered.

    rendered, if it can decode; codes, where images are read.
    """
    names = ["generate", "sample"]
    names += ["rendered"] if self.pixels.decodes else []
    names += ["codes"] if self.semantic.read == "images" else []
    return {name: getattr(self, name) for name in names}

  def codes(self, weights, batch, key) -> dict[str, jax.Array]:
    """semantic_codes [b, n] and tokens [b, m] of the same images."""
    del key
    own = {"tokens": self.pixels.ids(weights, batch)}
    return own | {semantics.NAME: self.semantic.ids(weights, batch)}

  def generate(self, weights, batch, key) -> dict[str, jax.Array]:
    """tokens [b, m]; semantic_codes [b, n] before them, given or the prior's.

    "index" [b], else 0 .. b - 1, numbers the samples.
    """
    if self.prior.path:
      keys = _numbered(key, "semantic", batch)
      ids = self.prior.sample(keys, weights, batch, self.semantic.shape)
      batch = batch | {semantics.NAME: ids}
    ids = self.semantic.ids(weights, batch)
    tokens = self.render.sample(
      _numbered(key, "pixels", batch),
      self.net,
      weights.params["main"],
      self.prefix(ids),
      count=self.pixels.vocabulary,
    )
    return {"tokens": tokens, semantics.NAME: ids}

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c], or codes [b, m] where nothing can decode them."""
    tokens = self.generate(weights, batch, key)["tokens"]
    decodes = self.pixels.decodes
    return self.pixels.decode(weights, tokens) if decodes else tokens

  def rendered(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] of the batch's own codes of features."""
    given = {semantics.NAME: self.semantic.ids(weights, batch)}
    alone = dataclasses.replace(self, prior=semantic_prior.SemanticPrior())
    return alone.sample(weights, batch | given, key)


def _numbered(key: jax.Array, name: str, batch: method.Batch) -> jax.Array:
  """[b] keys of a name, one per example."""
  return randomness.numbered(randomness.Keys(key)(name), method.numbers(batch))
