r"""VQ-Diffusion: Vector Quantized Diffusion Model for text-to-image synthesis.

Gu, Chen, Bao, Wen, Zhang, Chen, Yuan, Guo, CVPR 2022; samplers of Tang et al.
2022 (arXiv 2205.16007). `tests/golden` compares schedules, posteriors, network,
losses, gradients and a whole chain with the authors' code (microsoft/
VQ-Diffusion@d1d3948). Codes of an image are masked or replaced more and more
(`diffusion.replace`); a transformer (`nn.nets.vq_transformer`), told the time
and a class or a text, names all of them at once:

    p(x0 | x_t) = softmax(net(x_t, t, condition))        every code, not [MASK]
    main, more  = bound of -log p(x0), -log p(x0 | x_t)  `parts/replacement.py`
    loss        = mean_b (main + auxiliary (2 - t/T) more) / (p_t L)

with t drawn as p_t, large where the bound is (`parts/time_importance.py`).
Samples: from all-[MASK] by the posterior of each time (`parts/reversal.py`).

Reference (FID, improved sampling): COCO 8.44, ImageNet 256 px 4.83 (11.89
without guidance). The released end points replace nearly nothing; those of the
paper (from memory) are `process.mask_last=0.9`. Not followed: cross-attention
starts by Xavier, not from a normal of 0.02; of equal times in a batch theirs
keeps the last in its history. No CLIP: a text is features, as `context`.

    python -m jmim.main --config=configs/vq_diffusion_digits.py --workdir=runs/v
    python -m jmim.tools.claim vq_diffusion
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import replace
from jmim.diffusion import replace_chain
from jmim.methods.parts import code_condition
from jmim.methods.parts import code_network
from jmim.methods.parts import image_codes
from jmim.methods.parts import replacement
from jmim.methods.parts import reversal
from jmim.methods.parts import time_importance
from jmim.nn.nets import vq_transformer


@dataclasses.dataclass(frozen=True, kw_only=True)
class VQDiffusion(method.Method):
  """Transformer that names the codes behind masked and replaced ones."""

  codes: image_codes.ImageCodes = field.part(
    image_codes.ImageCodes, "codes of an image"
  )
  condition: code_condition.CodeCondition = field.part(
    code_condition.CodeCondition, "class or text"
  )
  network: code_network.CodeNetwork = field.part(
    code_network.CodeNetwork, "transformer"
  )
  process: replacement.Replacement = field.part(
    replacement.Replacement, "how codes are masked and replaced"
  )
  bound: replacement.Bound = field.part(replacement.Bound, "the loss")
  importance: time_importance.TimeImportance = field.part(
    time_importance.TimeImportance, "which times are trained"
  )
  sampling: reversal.Reversal = field.part(reversal.Reversal, "sampler")

  @classmethod
  def tiny(cls) -> "VQDiffusion":
    """Nine stored codes of seven, by class, six times, two blocks."""
    return field.replace(
      cls(),
      codes=dict(vocabulary=7, side=3),
      condition=dict(kind="class", classes=3, drop=0.2),
      network=dict(width=32, depth=2, heads=4, mlp="conv"),
      process=dict(times=6),
      bound=dict(draws=2),
    )

  @property
  def noise(self) -> replace.Replace:
    """The process."""
    return self.process.process(self.codes.vocabulary)

  @property
  def net(self) -> vq_transformer.VQTransformer:
    """The network."""
    return self.network.build(self.codes, self.condition, self.process.times)

  def inputs(self) -> dict[str, method.Input]:
    """Codes or images, and a label or a text if it is told one.

    Raises:
      ValueError: fields that do not go together.
    """
    self.network.check(self.codes.grid, self.condition.embed)
    told = self.condition.inputs()
    self.sampling.check(self.noise, conditional=bool(told))
    return self.codes.inputs() | told

  def consts(self) -> dict[str, method.Const]:
    """The tokenizer, to read images or to decode; features of no text."""
    return self.codes.consts() | self.condition.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; the history of the times."""
    k_net, k_null = jax.random.split(key)
    ids, told = self.noise.mask_id, self.condition.told(batch)
    ids = jnp.full((1, self.codes.length), ids)
    told = None if told is None else told[:1]
    net = self.net.init(k_net, ids, jnp.zeros(1, jnp.int32), told)["params"]
    params = {"net": net} | self.condition.init(k_null)
    return {"main": params}, self.importance.extra(self.process.times)

  def draw(self, keys, batch, step) -> method.Draws:
    """time, drop [b] and u [b, n], all ~ U[0, 1); code [b, n]; examples [b]."""
    del step
    shape = (method.batch_size(batch), self.codes.length)
    code = jax.random.randint(keys("code"), shape, 0, self.codes.vocabulary)
    parts = method.draws_of(keys, shape, self.importance, self.condition)
    return parts | {"u": jax.random.uniform(keys("u"), shape), "code": code}

  def predicted(
    self, params: method.Tree, x: jax.Array, t: jax.Array, told: method.Tree
  ) -> jax.Array:
    """log p(x0 | x_t) [b, n, k] of tokens x_t [b, n] at times t [b]."""
    out = self.net.apply({"params": params["main"]["net"]}, x, t, told)
    return replace.predicted(out["logits"])

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The bound in nats per code; aux: its term, and that of the times."""
    del step, player
    x0 = self.codes.ids(weights, batch)
    t, p = self.importance.choose(weights.extra, draws)
    x = self.noise.noised(x0, t, draws["u"], draws["code"])
    told = self.condition.in_training(weights, batch, draws)
    logp = self.predicted(weights.params, x, t, told)
    main, total = self.bound.terms(self.noise, logp, x0, x, t)
    found = self.importance.statistics(self.process.times, t, main, draws)
    per_code = lambda nats: (nats / p).mean() / self.codes.length
    return per_code(total), found | {"bound": per_code(main)}

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """The history of the times."""
    return self.importance.moved(weights.extra, aux)

  def groups(self) -> tuple[method.Group, ...]:
    """All parameters are decayed, as in the released configs."""
    return (method.Group(pattern="", decay=1.0),)

  @property
  def nll_dims(self) -> int:
    """Codes of an image: what bits per dimension are per."""
    return self.codes.length

  def predict(self) -> dict[str, method.Predict]:
    """generate {tokens, order}, sample, nll; reconstruct, if it can decode."""
    names = ["generate", "sample", "nll"]
    if self.codes.decodes and self.codes.read == "images":
      names.append("reconstruct")
    return {name: getattr(self, name) for name in names}

  def sample_reads(self) -> tuple[str, ...]:
    """The text, where no prompt stands for it."""
    return self.condition.reads()

  def generate(self, weights, batch, key) -> dict[str, jax.Array]:
    """tokens [b, n] and order [b, n], the call that last changed each.

    "index" [b], else 0 .. b - 1, numbers the samples. No text: the prompt.
    """
    told = self.condition.wanted(weights, batch)
    given = lambda told: lambda x, t: self.predicted(weights.params, x, t, told)
    made = self.sampling.sample(
      randomness.numbered(key, method.numbers(batch)),
      self.noise,
      given(told),
      None if told is None else given(self.condition.none(weights, told)),
      length=self.codes.length,
    )
    return {"tokens": made[-1], "order": replace_chain.order(made)}

  def sample(self, weights, batch, key) -> jax.Array:
    """Images [b, h, w, c], or codes [b, n] where nothing can decode them."""
    tokens = self.generate(weights, batch, key)["tokens"]
    return self.codes.decode(weights, tokens) if self.codes.decodes else tokens

  def nll(self, weights, batch, key) -> jax.Array:
    """[b] nats: the bound, from `bound.draws` times that are spread evenly."""
    keys, x0 = randomness.Keys(key), self.codes.ids(weights, batch)
    told = self.condition.told(batch)
    return self.bound.estimate(
      self.noise,
      x0,
      lambda x, t: self.predicted(weights.params, x, t, told),
      lambda i: self.draw(keys.at(i), batch, 0),
    )

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, h, w, c]: the likeliest codes given those of T / 2; mask."""
    draws, x0 = self.drawn(key, batch), self.codes.ids(weights, batch)
    t = jnp.full(len(x0), self.process.times // 2)
    x = self.noise.noised(x0, t, draws["u"], draws["code"])
    logp = self.predicted(weights.params, x, t, self.condition.told(batch))
    return self.codes.picture(weights, logp[..., :-1].argmax(-1), x != x0)
