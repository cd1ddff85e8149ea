r"""DiGIT, stage one: what is in an image, code after code.

Zhu, Li, Zhang, Li, Xu, Bing, NeurIPS 2024 (arXiv 2410.12490), with the defaults
of DAMO-NLP-SG/DiGIT@cd6d8ca. Codes that reconstruct an image flip when it
hardly changes; features of a self-supervised ViT change less, so that the
numbers of their nearest centroids are an easier language. A causal transformer
(fairseq: norms after each sum) speaks it:

    z     = argmin_k |f - c_k|^2              `parts/semantic.py`
    loss  = mean over tokens of -sum_v q_v log softmax(net(<end> z))_v
    q     = (1 - s) [v = next] + s / V        s = smoothing; <end> is the last

V counts the codes and fairseq's five special ids. With `classes` a label comes
first instead of <end>. `discrete.digit_pixels`, stage two, renders the codes.

Reference (ImageNet 256 px, FID / IS after both stages): without labels base
9.13 / 73.85, large 4.59 / 141.29; with labels 4.79 / 142.87, 3.39 / 205.96.
Linear probe of the mean token of a layer: base 71.7, large 80.3.

Differences: biases begin at 0; special ids are never sampled, and sampling ends
after the last code, where theirs may say one more and is cut. Not known from
their files: the large size. Weights: family `digit`.

    python -m jmim.main --config=configs/digit_cifar10.py --workdir=runs/gpt
    python -m jmim.tools.claim digit
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import one_by_one
from jmim.methods.parts import semantic as semantics
from jmim.methods.parts import token_lm
from jmim.nn import losses
from jmim.nn.nets import token_lm as nets


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiGIT(method.Method):
  """Causal transformer on codes of features."""

  semantic: semantics.Semantic = field.part(semantics.Semantic, "the codes")
  classes: int = field.value(0, "labels; 0: unconditional", low=0)
  lm: token_lm.TokenLM = field.part(token_lm.TokenLM, "language model")
  smoothing: float = field.value(0.1, "label smoothing", low=0.0, below=1.0)
  sampling: one_by_one.OneByOne = field.part(
    one_by_one.OneByOne, "sampler", top_k=200
  )
  sigmas: tuple = field.value(
    (0.05, 0.1, 0.2), "noise of `stability`, where images are in 0 .. 1"
  )

  @classmethod
  def tiny(cls) -> "DiGIT":
    """Nine stored codes of seven, three labels, two blocks of width 32."""
    return field.replace(
      cls(),
      semantic=dict(vocabulary=7, vectors=dict(size=12, patch=4)),
      classes=3,
      lm=dict(dims=dict(width=32, depth=2, heads=4)),
      sampling=dict(top_k=5),
    )

  @property
  def net(self) -> nets.TokenLM:
    """The network."""
    k = self.semantic.vocabulary
    return self.lm.net(k, self.classes, self.semantic.length)

  @property
  def n_codes(self) -> dict[str, int]:
    """Different codes of each kind of `codes`."""
    return {semantics.NAME: self.semantic.vocabulary}

  @property
  def nll_dims(self) -> int:
    """Codes of an image: what bits per dimension are per."""
    return self.semantic.length

  def inputs(self) -> dict[str, method.Input]:
    """Codes or images, and labels if there are any."""
    self.lm.check("lm")
    spec = method.Input((), jnp.int32, high=self.classes)
    label = {"label": spec} if self.classes else {}
    return self.semantic.inputs() | label

  def consts(self) -> dict[str, method.Const]:
    """ViT and table of codes, to read images."""
    return self.semantic.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    ids = jnp.zeros((1, self.net.length), jnp.int32)
    return {"main": self.net.init(key, ids)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """dropout: keys [b, 2]."""
    del step
    return self.lm.draw(keys("dropout"), method.batch_size(batch))

  def first(self, batch: method.Batch) -> jax.Array:
    """[b, 1] ids that the sequences begin with."""
    if not self.classes:
      return jnp.full((method.batch_size(batch), 1), token_lm.END)
    scored = token_lm.SPECIAL + self.semantic.vocabulary
    return scored + batch["label"][:, None]

  def run(
    self, weights, batch, ids: jax.Array, **more: Any
  ) -> dict[str, jax.Array]:
    """What the network makes of the first token and codes [b, n]."""
    ids = token_lm.SPECIAL + ids
    ids = jnp.concatenate([self.first(batch), ids], axis=1)
    return self.net.apply({"params": weights.params["main"]}, ids, **more)

  def costs(self, logits: jax.Array, ids: jax.Array, s: float) -> jax.Array:
    """[b, n + 1] nats of codes [b, n] and the end, smoothed by s."""
    target = jnp.pad(
      token_lm.SPECIAL + ids, ((0, 0), (0, 1)), constant_values=token_lm.END
    )
    return losses.smooth_cross_entropy(logits, target, s)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Smoothed cross entropy of the next token; aux: nats, how many named."""
    del step, player
    ids = self.semantic.ids(weights, batch)
    keys = draws.get("dropout")
    logits = self.run(weights, batch, ids, keys=keys)["logits"]
    named = logits[:, :-1].argmax(-1) == token_lm.SPECIAL + ids
    nats = self.costs(logits, ids, 0.0).mean()
    cost = self.costs(logits, ids, self.smoothing).mean()
    return cost, {"nll": nats, "token_accuracy": named.mean()}

  def predict(self) -> dict[str, method.Predict]:
    """nll [b], generate {tokens}, sample; and what it may offer beside them.

    features, layers where no label is read; codes, stability where images are.
    """
    names = ["nll", "generate", "sample"]
    names += [] if self.classes else ["features", "layers"]
    if self.semantic.read == "images":
      names += ["codes", "stability"]
    return {name: getattr(self, name) for name in names}

  def codes(self, weights, batch, key) -> dict[str, jax.Array]:
    """semantic_codes [b, n]: what is stored for both stages."""
    del key
    return {semantics.NAME: self.semantic.ids(weights, batch)}

  def stability(self, weights, batch, key) -> dict[str, jax.Array]:
    """noise_<sigma> [b]: share of codes that the noise leaves alone."""
    of = lambda images: self.semantic.of(weights, images)
    return self.semantic.vectors.stability(of, batch, key, self.sigmas)

  def nll(self, weights, batch, key) -> jax.Array:
    """[b] nats of the codes, and of their end."""
    del key
    ids = self.semantic.ids(weights, batch)
    logits = self.run(weights, batch, ids)["logits"]
    return self.costs(logits, ids, 0.0).sum(1)

  def layers(self, weights, batch, key) -> dict[str, jax.Array]:
    """block_00 (what enters the first), block_01, ...: [b, w], mean token."""
    del key
    ids = self.semantic.ids(weights, batch)
    out = self.run(weights, batch, ids, taps=("block",))
    states = [out["embedded"], *out["block"]]
    mean = lambda x: x.astype(jnp.float32).mean(1)
    return {f"block_{i:02}": mean(x) for i, x in enumerate(states)}

  def features(self, weights, batch, key) -> jax.Array:
    """[b, w]: the mean token of the middle block."""
    middle = self.lm.dims.depth // 2
    return self.layers(weights, batch, key)[f"block_{middle:02}"]

  def generate(self, weights, batch, key) -> dict[str, jax.Array]:
    """tokens [b, n], one after the other.

    "prompt" [b, n], if the batch has it, holds known codes, -1 elsewhere;
    "index" [b], else 0 .. b - 1, numbers the samples.
    """
    tokens = self.sampling.sample(
      randomness.numbered(key, method.numbers(batch)),
      self.net,
      weights.params["main"],
      self.first(batch),
      codes=(token_lm.SPECIAL, self.semantic.vocabulary),
      known=batch.get("prompt"),
    )
    return {"tokens": tokens}

  def sample(self, weights, batch, key) -> jax.Array:
    """[b, n] int32 codes; a sample is a function of (key, index, label)."""
    return self.generate(weights, batch, key)["tokens"]
