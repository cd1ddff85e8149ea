r"""MAR: Autoregressive Image Generation without Vector Quantization.

Li, Tian, Li, Deng, He, NeurIPS 2024. Equal to the authors' code (LTH14/
mar@fe470ac): `tests/golden` compares mask, conditions, loss, gradients and the
sampled tokens with guidance and temperature. An image is n continuous tokens of
a frozen autoencoder; most are masked, and a vector for each conditions a small
diffusion model of that token alone, in place of a softmax over codes:

    z    = vectors of the tokens that are seen        `parts/masked_tokens.py`
    x_t  = a_t x + s_t eps               t ~ U{0..999}, 4 times per token
    e, v = head(x_t, t, z)                          `parts/token_diffusion.py`
    loss = mean over masked of |e - eps|^2 + vb        vb: see `diffusion.dit`

Sampling fills in the tokens in random order (`parts/random_order.py`).
`head.kind=regression` has the mean squared error of one prediction instead.

Reference (ImageNet 256, FID / IS with guidance; 800 epochs): B 2.31 / 281.7,
L 1.78 / 296.0, H 1.55 / 303.7, heads of 6 x 1024, 8 x 1280, 12 x 1536.

Following the released code: no decay in the head, of biases and of vectors;
positions and the mask token are decayed. Not followed: dropout of the
attention's probabilities (0.1), half precision. Weights: family `mar`.

    python -m jmim.main --config=configs/mar_digits.py --workdir=runs/mar
    python -m jmim.tools.claim mar
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.masks import tokens as masking
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import labels as conditions
from jmim.methods.parts import masked_tokens
from jmim.methods.parts import random_order
from jmim.methods.parts import token_diffusion
from jmim.nn import patch as patching


@dataclasses.dataclass(frozen=True, kw_only=True)
class MAR(method.Method):
  """Masked transformer with a diffusion model per token."""

  shared = ("n_mask",)

  size: int = field.value(16, "side of the latents", low=1)
  channels: int = field.value(16, "channels of the latents", low=1)
  patch: int = field.value(1, "side of a token [latents]", low=1)
  network: masked_tokens.MaskedTokens = field.part(
    masked_tokens.MaskedTokens, "encoder, decoder and masks"
  )
  labels: conditions.Labels = field.part(conditions.Labels, "condition")
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f16", scale=0.2325
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "process of a token",
    schedule="cosine",
    variance="learned",
    learn_variance=True,
  )
  head: token_diffusion.Head = field.part(
    token_diffusion.Head, "model of a token"
  )
  sampling: random_order.RandomOrder = field.part(
    random_order.RandomOrder, "sampler"
  )

  @classmethod
  def tiny(cls) -> "MAR":
    """36 tokens of 2 x 2 pixels, blocks of width 32 and 16."""
    encoder = {"width": 32, "depth": 2, "heads": 4}
    decoder = {"width": 16, "depth": 1, "heads": 2}
    return field.replace(
      cls(),
      size=12,
      channels=3,
      patch=2,
      network=dict(encoder=encoder, decoder=decoder, buffer=2),
      labels=dict(classes=3),
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
    """Images or moments, and labels if there are any.

    Raises:
      ValueError: fields that do not go together.
    """
    if self.size % self.patch:
      raise ValueError(f"size {self.size} does not divide by {self.patch}")
    self.network.check()
    drop = self.labels.drop if self.labels.classes else None
    self.sampling.check(self.shape[0], self.noise, drop, self.head)
    latents = (self.size, self.size, self.channels)
    return self.first_stage.inputs(latents) | self.labels.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The first stage, to read images or to decode."""
    return self.first_stage.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    k_net, k_head = jax.random.split(key)
    net = self.network.init(k_net, self.shape, self.labels.classes)
    sizes = (self.network.decoder.width, self.shape[1])
    head = self.head.init(k_head, self.noise, *sizes)
    return {"main": {"net": net, "head": head}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """n_mask, order [b, n], t [b, r, n], noise [b, r, n, c], label_drop [b].

    And dropout keys [b, 2], posterior [b, h, w, c].
    """
    del step
    b, latents = method.batch_size(batch), (self.size, self.size, self.channels)
    return {
      **self.network.draw(keys, (b, self.shape[0])),
      **self.head.draw(keys, self.noise, (b, *self.shape)),
      **method.draws_of(keys, (b, *latents), self.labels, self.first_stage),
    }

  def tokens(self, weights, batch, draws) -> jax.Array:
    """[b, n, c] float32 clean tokens of images or moments."""
    z = self.first_stage.encode(weights, batch, draws)
    return patching.patchify(z.astype(jnp.float32), self.patch)

  def vectors(
    self, weights, x: jax.Array, labels: list, masked: tuple, keys=None
  ) -> list[jax.Array]:
    """As of `MaskedTokens.vectors`, with the params of these weights."""
    net = weights.params["main"]["net"]
    how = dict(classes=self.labels.classes, keys=keys)
    return self.network.vectors(net, x, labels, masked, **how)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The terms of the head, each averaged over the masked tokens."""
    del step, player
    x, label = self.tokens(weights, batch, draws), self.labels
    masked = self.network.mask(draws["order"], draws["n_mask"])
    shown, keys = [label.dropped(batch, draws)], draws.get("dropout")
    (z,) = self.vectors(weights, x, shown, masked, keys=keys)
    head = weights.params["main"]["head"]
    errors = self.head.errors(head, self.noise, z, x, draws=draws)
    hidden = masked[0].mask[:, None]
    terms = {k: masking.masked_mean(e, hidden) for k, e in errors.items()}
    return sum(terms.values()), {f"loss_{k}": e for k, e in terms.items()}

  def predict(self) -> dict[str, method.Predict]:
    """generate {tokens, order}; sample, if it can decode."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"generate": self.generate, **sample}

  def generate(self, weights, batch, key) -> dict[str, jax.Array]:
    """tokens [b, n, c] and order [b, n], the call that each is from.

    "index" [b], else 0 .. b - 1, numbers the samples: one is a function of
    (key, index, label) alone.
    """
    label, null = self.labels.condition(batch)
    guided = label is not None and self.sampling.guidance != 1
    labels = [label, null] if guided else [label]
    head, (_, c) = weights.params["main"]["head"], self.shape
    made = functools.partial(self.head.sample, head, self.noise, numbers=c)
    keys = randomness.numbered(key, method.numbers(batch))

    def given(x, order, masked):
      masked = self.network.mask(order, masked, least=0)
      return self.vectors(weights, self.rt.shard(x), labels, masked)

    fill = self.sampling.sample
    x, calls = fill(keys, given, made, noise=self.noise, shape=self.shape)
    return {"tokens": x, "order": calls}

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c] in the units of the input."""
    tokens = self.generate(weights, batch, key)["tokens"]
    z = patching.unpatchify(tokens, self.patch)
    return self.first_stage.decode(weights, z)

  def groups(self) -> tuple[method.Group, ...]:
    """As released: nothing in the head is decayed, tables and tokens are."""
    group, tables = method.Group, "(pos_embed|mask_token|embedding)$"
    head = group(pattern="/head/", decay=0.0)
    return head, group(pattern=tables, decay=1.0)
