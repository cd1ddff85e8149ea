r"""A small vision-language model: it sees an image and says what is there.

What LLaVA (Liu et al. 2023) and Qwen2-VL are, at any size: a ViT, two linear
maps, and a language model (`nn.nets.word_lm`, Qwen2's blocks) that reads what
they give before it says a word,

    v      = W_2 gelu(W_1 ViT(x))           class token and patches
    z      = LM([v, E[<begin>], E[y_1], ..])      each sees those before it
    loss   = mean over words of -log softmax(E z_{i-1})_{y_i}

means per text come first. It stands for the model that thinks in ThinkDiff
(`text.thinkdiff`): `generated` gives tokens, drawn as there (temperature 0.6,
top-p 0.9, always as many, an end among them or not), with the features that
each was drawn from, after the last norm. `vision` alone is what `Seen` there
reads (family `dino`). No published figures: it is no paper's model. Qwen2-VL
itself is not here; its features are stored by other programs.

    python -m jmim.main --config=configs/captioner_scenes.py --workdir=W
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.methods.parts import captions
from jmim.methods.parts import seeing_lm
from jmim.nn import stack


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captioner(method.Method):
  """ViT, projector and language model, trained together."""

  size: int = field.value(32, "image side [pixels]", low=1)
  text: captions.Captions = field.part(captions.Captions, "texts")
  network: seeing_lm.SeeingLM = field.part(
    seeing_lm.SeeingLM, "ViT and language model"
  )
  tokens: int = field.value(
    64, "tokens that `generated` draws", low=1, asked=True
  )
  temperature: float = field.value(
    0.6, "divides the logits of what is drawn", above=0, asked=True
  )
  top_p: float = field.value(
    0.9, "probability of what may be drawn", above=0, high=1, asked=True
  )

  @classmethod
  def tiny(cls) -> "Captioner":
    """Four patches, three captions, one block each."""
    blocks = dict(width=16, depth=1, heads=2)
    return field.replace(
      cls(),
      size=8,
      text=dict(of=("a one", "a red two", "three")),
      network=dict(dims=blocks, lm=blocks, hidden=24),
      tokens=5,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, 3]; labels, or tokens of texts.

    Raises:
      ValueError: fields that do not go together.
    """
    self.network.check(self.size)
    image = method.Input((self.size, self.size, 3))
    return {"image": image} | self.text.inputs()

  def sample_reads(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters vision, project and lm; no extra state."""
    main = self.network.init(key, batch["image"][:1], self.text.size)
    return {"main": main}, {}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Nats per word."""
    del draws, step, player
    params, texts = weights.params["main"], self.text.texts(batch)
    net = self.network.bound(params, self.size, self.text.size)
    z = net.latent(net.sees(batch["image"]), texts.inputs)
    nats = net.nats(z, texts.targets)
    return masking.row_means(nats, texts.weight).mean(), {}

  def predict(self) -> dict[str, method.Predict]:
    """Those of a ViT; generated {generated, generated_tokens}; said [b, l]."""
    net = self.network.vision(self.size)
    seen = outputs.encoder(
      net, lambda weights: weights.params["main"]["vision"]
    )
    own = {"generated": self.generated, "said": self.said}
    return outputs.vit(seen, net.grid) | own

  def often(self, weights: method.Weights) -> seeing_lm.Bound:
    """The networks, to be called in a loop."""
    params = stack.unrolled(self.rt, weights.params["main"])
    return self.network.bound(params, self.size, self.text.size)

  def generated(self, weights, batch, key) -> dict[str, jax.Array]:
    """generated [b, n, w] float32, features; generated_tokens [b, n] int32.

    Args:
      weights: all arrays.
      batch: images.
      key: of all, or one of each [b].
    """
    keys = key
    if not key.ndim:
      keys = randomness.numbered(key, method.numbers(batch))
    net, begin = self.often(weights), self.text.special[1]
    v = net.sees(batch["image"])
    how = dict(temperature=self.temperature, top_p=self.top_p)
    tokens = net.drawn(v, keys, begin, length=self.tokens, **how)
    # What each was drawn from: one more pass, told all at once.
    first = jnp.full((len(v), 1), begin, jnp.int32)
    told = jnp.concatenate([first, tokens[:, :-1]], axis=1)
    z = net.latent(v, told).astype(jnp.float32)
    return {"generated": z, "generated_tokens": tokens}

  def said(self, weights, batch, key) -> jax.Array:
    """[b, l] int32: the likeliest word after word, padding from the end on."""
    del key
    net, begin = self.often(weights), self.text.special[1]
    v = net.sees(batch["image"])
    keys = jax.random.split(jax.random.key(0), len(v))  # nothing is drawn
    how = dict(length=self.text.longest, top_k=1)
    return self.text.cut(net.drawn(v, keys, begin, **how))
