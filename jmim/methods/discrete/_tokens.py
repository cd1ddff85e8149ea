"""What methods on tokens share: the network, its sizes, and sampling.

A method derives from `Tokens`, trains as its paper says, and samples through
`generate` from a state in which [MASK] stands for what is to be filled in.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import ancestral
from jmim.diffusion import categorical
from jmim.diffusion import discrete
from jmim.diffusion import first_hitting
from jmim.nn import sizes
from jmim.nn.nets import token_dit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokens(method.Method):
  """A bidirectional transformer over tokens, and samplers of it."""

  codes: int = field.value(
    50_257, "tokens; [MASK] is one more, with this id", low=1
  )
  length: int = field.value(1024, "tokens of an example", low=1)
  width: int = field.value(768, "width", low=1)
  depth: int = field.value(12, "blocks", low=1)
  heads: int = field.value(12, "attention heads", low=1)
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  timed: bool = field.value(False, "the network is told the time")
  schedule: str = field.value(
    "loglinear", "of the masking", choices=discrete.SCHEDULES
  )
  eps: float = field.value(
    1e-3, "of loglinear, and the least time trained on", above=0, below=1
  )
  sampler: str = field.value(
    "fhs", "how `sample` samples", choices=("fhs", "ancestral")
  )
  steps: int = field.value(
    0, "calls (fhs) or steps (ancestral); 0: one per token", low=0
  )
  order: int = field.value(
    1,
    "fhs with fewer calls than tokens: 2 extrapolates in time",
    choices=(1, 2),
  )
  precision: str = field.value(
    "f32_high", "of categorical draws", choices=categorical.PRECISIONS
  )
  noise_limit: float = field.value(
    0.0, "ancestral: cut Gumbel noise here, to see what it does; 0: no", low=0
  )
  cache_rows: int = field.value(
    0, "ancestral: rows per call; 0: a 32nd of the batch, at least 8", low=0
  )

  @property
  def mask_id(self) -> int:
    """Id of [MASK]."""
    return self.codes

  @property
  def process(self) -> discrete.Absorbing:
    """The forward process."""
    return discrete.Absorbing(self.schedule, self.eps)

  @property
  def net(self) -> token_dit.TokenDiT:
    """The network; [MASK] is one of its ids."""
    size = sizes.Size(
      width=self.width,
      depth=self.depth,
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
    )
    return token_dit.TokenDiT(
      size=size,
      vocabulary=self.codes + 1,
      length=self.length,
      timed=self.timed,
      rt=self.rt,
    )

  def inputs(self):
    """Tokens.

    Raises:
      ValueError: fields that do not go together.
    """
    if self.width % self.heads:
      raise ValueError(f"width {self.width} with heads {self.heads}")
    if self.sampler == "fhs" and self.noise_limit:
      raise ValueError("noise_limit is of the sampler 'ancestral'")
    if self.noise_limit and self.precision == "f32_high":
      raise ValueError("noise_limit with precision 'f32_high'")
    if self.sampler == "ancestral" and self.order != 1:
      raise ValueError("order is of the sampler 'fhs'")
    return {"tokens": method.Input((self.length,), jnp.int32, high=self.codes)}

  def init(self, key, batch):
    """Parameters; no extra state."""
    x, t = jnp.zeros((1, self.length), jnp.int32), jnp.zeros(1)
    return {"main": self.net.init(key, x, t)["params"]}, {}

  def logits(self, params, x, t) -> jax.Array:
    """[b, l, codes + 1] at times [b]."""
    return self.net.apply({"params": params["main"]}, x, t)["logits"]

  def features(self, params, extra, consts, batch, key):
    """[b, w]: mean of the last latents; nothing is masked, time 0."""
    x, t = batch["tokens"], jnp.zeros(len(batch["tokens"]))
    out = self.net.apply({"params": params["main"]}, x, t)
    return out["latent"].mean(1).astype(jnp.float32)

  def generate(self, params, extra, consts, batch, key):
    """tokens [b, l] and calls [b] of the network for each.

    "prompt" [b, l], if the batch has it, holds what is given, [MASK] elsewhere;
    "index" [b], else 0 .. b - 1, numbers the samples.
    """
    b = len(jax.tree.leaves(batch)[0])
    empty = jnp.full((b, self.length), self.mask_id)
    start = self.rt.shard(batch.get("prompt", empty))
    index = batch.get("index", jnp.arange(b))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    net = lambda x, t: self.logits(params, x, t)
    if self.sampler == "fhs":
      found = first_hitting.fhs_sample(
        keys,
        net,
        init_tokens=start,
        mask_id=self.mask_id,
        num_calls=self.steps or None,
        schedule=self.process,
        precision=self.precision,
        order=self.order,
      )
    else:
      found = ancestral.ancestral_sample(
        keys,
        net,
        init_tokens=start,
        mask_id=self.mask_id,
        steps=self.steps or self.length,
        schedule=self.process,
        precision=self.precision,
        limit=self.noise_limit,
        timed=self.timed,
        chunk=self.cache_rows or max(8, b // 32),
      )
    return found._asdict()

  def sample(self, params, extra, consts, batch, key):
    """[b, l] int32; a sample is a function of (key, index, prompt) alone."""
    return self.generate(params, extra, consts=consts, batch=batch, key=key)[
      "tokens"
    ]
