r"""MaskGIT: Masked Generative Image Transformer.

Chang, Zhang, Jiang, Liu, Freeman, CVPR 2022. `tests/golden` compares the
schedules and the decoding with the authors' code (google-research/maskgit@
1db2359), token for token. BERT (`nn.nets.bert`) on the codes of an image after
a class token; a random part of the codes is [MASK], and is to be named:

    x     = codes, some of them [MASK]               `parts/mask_rates.py`
    loss  = mean over masked codes of -sum_v q_v log softmax(net(class, x))_v,
            of each image alone, and over images
    q     = (1 - s) [v = code] + s / V                       s = smoothing

V counts codes, classes and [MASK]. Sampling (`diffusion.maskgit`) fills in the
codes in `sampling.steps` calls, the surest first; only codes are drawn there.

Reference (ImageNet, FID): 256 px 6.06, 512 px 7.32; the tokenizer's
reconstructions 2.28 and 1.97.

Following the released code: the head is tied to the embedding; logits of
classes and [MASK] are among those of the loss. It has no trainer: what its
`min_masking_rate` 0.5 did is not known, and `masks.least` is our reading. Its
tokenizer (a VQGAN of 1024 codes of 256) is none of ours: codes of it are read
as stored. Not followed: dropout of the attention's probabilities. Weights of
the transformer: family `maskgit`.

    python -m jmim.main --config=configs/maskgit_digits.py --workdir=runs/mg
    python -m jmim.tools.claim maskgit
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import image_codes
from jmim.methods.parts import mask_rates
from jmim.methods.parts import parallel_decoding
from jmim.nn import dropout
from jmim.nn import losses
from jmim.nn import sizes
from jmim.nn.nets import bert


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskGIT(method.Method):
  """Bidirectional transformer that names masked codes of an image."""

  codes: image_codes.ImageCodes = field.part(
    image_codes.ImageCodes, "codes of an image"
  )
  classes: int = field.value(0, "labels; 0: unconditional", low=0)
  dims: sizes.Blocks = field.part(
    sizes.Blocks, "transformer", width=768, depth=24, heads=16
  )
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  dropout: float = field.value(
    0.1, "dropout of embeddings and branches", low=0.0, below=1.0
  )
  masks: mask_rates.MaskRates = field.part(
    mask_rates.MaskRates, "masks of training"
  )
  smoothing: float = field.value(0.1, "label smoothing", low=0.0, below=1.0)
  sampling: parallel_decoding.Parallel = field.part(
    parallel_decoding.Parallel, "sampler"
  )

  @classmethod
  def tiny(cls) -> "MaskGIT":
    """Nine stored codes of seven, two blocks of width 32."""
    return field.replace(
      cls(),
      codes=dict(vocabulary=7, side=3),
      classes=3,
      dims=dict(width=32, depth=2, heads=4),
      sampling=dict(steps=3),
    )

  @property
  def class_ids(self) -> int:
    """Ids of class tokens, after the codes; one where there are no labels."""
    return max(self.classes, 1)

  @property
  def mask_id(self) -> int:
    """Id of [MASK], after the classes."""
    return self.codes.vocabulary + self.class_ids

  @property
  def net(self) -> bert.Bert:
    """The network; the class token comes first."""
    return bert.Bert(
      size=self.dims.size(self.mlp_ratio),
      vocabulary=self.mask_id + 1,
      length=1 + self.codes.length,
      rate=self.dropout,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Codes or images, and labels if there are any.

    Raises:
      ValueError: fields that do not go together.
    """
    self.dims.check(prefix="dims.", table=False)
    self.sampling.check()
    self.masks.check()
    spec = method.Input((), jnp.int32, high=self.classes)
    label = {"label": spec} if self.classes else {}
    return self.codes.inputs() | label

  def consts(self) -> dict[str, method.Const]:
    """The tokenizer, to read images or to decode."""
    return self.codes.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    ids = jnp.zeros((1, 1 + self.codes.length), jnp.int32)
    return {"main": self.net.init(key, ids)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """r [b] and scores [b, n], both ~ U[0, 1); dropout keys [b, 2]."""
    del step
    b = method.batch_size(batch)
    drop = dropout.draw(keys("dropout"), self.dropout, b)
    return drop | self.masks.draw(keys, (b, self.codes.length))

  def logits(
    self,
    params: method.Tree,
    ids: jax.Array,
    label: jax.Array | None,
    keys: jax.Array | None = None,
  ) -> jax.Array:
    """[b, n, V] float32 of codes [b, n], [MASK] among them.

    Args:
      params: by player.
      ids: codes and [MASK].
      label: [b]; None: there are no classes.
      keys: [b, 2] of dropout; None: no dropout.
    """
    first = jnp.zeros(len(ids), jnp.int32) if label is None else label
    first = self.codes.vocabulary + first
    x = jnp.concatenate([first[:, None], ids], axis=1)
    out = self.net.apply({"params": params["main"]}, x, keys=keys)
    return out["logits"][:, 1:]

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Smoothed cross entropy of masked codes; aux: how many are named."""
    del step, player
    ids, masked = self.codes.ids(weights, batch), self.masks.masked(draws)
    x = jnp.where(masked, self.mask_id, ids)
    label, keys = batch.get("label"), draws.get("dropout")
    logits = self.logits(weights.params, x, label, keys)
    cost = losses.smooth_cross_entropy(logits, ids, self.smoothing)
    mean = lambda x: ((x * masked).sum(1) / masked.sum(1)).mean()
    best = logits[..., : self.codes.vocabulary].argmax(-1)
    return mean(cost), {"token_accuracy": mean(best == ids)}

  def predict(self) -> dict[str, method.Predict]:
    """generate {tokens, order}, sample; reconstruct, if it can decode."""
    outputs = {"generate": self.generate, "sample": self.sample}
    if self.codes.decodes and self.codes.read == "images":
      outputs["reconstruct"] = self.reconstruct
    return outputs

  def generate(self, weights, batch, key) -> dict[str, jax.Array]:
    """tokens [b, n] and order [b, n], the call that each is from (0 .. T - 1).

    "prompt" [b, n], if the batch has it, holds known codes (whose order is -1),
    [MASK] elsewhere; "index" [b], else 0 .. b - 1, numbers the samples.
    """
    k, mask_id = self.codes.vocabulary, self.mask_id
    label = batch.get("label") if self.classes else None
    empty = jnp.full((method.batch_size(batch), self.codes.length), mask_id)
    start = self.rt.shard(batch.get("prompt", empty))
    made = self.sampling.sample(
      randomness.numbered(key, method.numbers(batch)),
      lambda x: self.logits(weights.params, x, label)[..., :k],
      start,
      mask_id,
    )
    # Masked after so many calls but the last, from which all that is left is.
    order = (made.left[:-1] == mask_id).sum(0)
    order = jnp.where(start == mask_id, order, -1)
    return {"tokens": made.tokens, "order": order}

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c], or codes [b, n] where nothing can decode them."""
    tokens = self.generate(weights, batch, key)["tokens"]
    return self.codes.decode(weights, tokens) if self.codes.decodes else tokens

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, h, w, c]: masked codes filled in by the sampler; mask."""
    keys = randomness.Keys(key)
    masked = self.masks.masked(self.draw(keys.at(0), batch, 0))
    prompt = jnp.where(masked, self.mask_id, self.codes.ids(weights, batch))
    made = self.generate(weights, batch | {"prompt": prompt}, keys("walk"))
    return self.codes.picture(weights, made["tokens"], masked)
