r"""MDM: masked diffusion of tokens, sampled by first hitting.

Zheng, Chen, Mao, Liu, Zhu, Zhang, ICLR 2025 (arXiv 2409.02908); the loss of
time and the parameterisation of MDLM (Sahoo et al. 2024, kuleshov-group/
mdlm@c112c52). `tests/golden` compares hitting times, truncated-noise tables,
SUBS log-probabilities, both losses and the categorical draw; the network is
ours (the authors' names are not known here, so there is no conversion).

A token is [MASK] with probability m(t). One network scores every position:

    log p    = SUBS(net(x))          never [MASK]; observed tokens stay
    agnostic   loss = E_n  mean over the n masked tokens of -log p(x_l),
               n uniform on 1 .. L, a uniform subset of n masked
    continuous loss = E_t  m'(t)/m(t)  sum over masked of -log p(x_l) / L

Both are 1/L of the same bound of -log p(x), for every schedule; neither the
loss nor the best network needs t (with `network.timed` it has it anyway).
Samplers, `sampling.type`:

    fhs        one masked position at random per call, drawn from p: exact,
               L calls; `steps` < L calls reveal several at once
    ancestral  `steps` steps in time, a draw over tokens and [MASK] everywhere;
               predictions are kept while a row does not change

Reference (OpenWebText, L = 1024; generative perplexity / entropy in nats): with
float32 draws 31.24 / 5.17, with float64 126.11 / 5.66: always report both.

Not followed: dropout 0.1 and rotary positions (learned ones here); blocks
without `timed` have no adaLN at all instead of one that sees a constant.

    python -m jmim.main --config=configs/mdm_markov.py --workdir=runs/mdm
    python -m jmim.tools.claim mdm_fhs
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import discrete
from jmim.methods.parts import token_network
from jmim.methods.parts import unmasking


@dataclasses.dataclass(frozen=True, kw_only=True)
class MDM(method.Method):
  """Bidirectional transformer that fills in masked tokens."""

  network: token_network.TokenNetwork = field.part(
    token_network.TokenNetwork, "transformer over tokens", was="{}"
  )
  schedule: str = field.value(
    "loglinear", "schedule of the masking", choices=discrete.SCHEDULES
  )
  eps: float = field.value(
    1e-3,
    "eps of the loglinear schedule; least time of the continuous loss",
    above=0,
    below=1,
  )
  sampling: unmasking.FirstHitting | unmasking.Ancestral = field.part(
    unmasking.SAMPLERS, "sampler", was="{}", was_type="sampler"
  )
  objective: str = field.value(
    "agnostic", "loss", choices=("agnostic", "continuous")
  )
  nll_draws: int = field.value(8, "maskings per example of `nll`", low=1)

  @classmethod
  def tiny(cls) -> "MDM":
    """Eight tokens of seven, two blocks of width 32."""
    network = token_network.TokenNetwork(
      codes=7, length=8, width=32, depth=2, heads=4
    )
    return cls(network=network, nll_draws=2)

  @property
  def process(self) -> discrete.Absorbing:
    """The forward process."""
    return discrete.Absorbing(self.schedule, self.eps)

  def inputs(self) -> dict[str, method.Input]:
    """tokens [l].

    Raises:
      ValueError: fields that do not go together.
    """
    if self.network.timed and self.objective == "agnostic":
      raise ValueError("timed with objective 'agnostic', which has no time")
    self.sampling.check()
    return self.network.inputs()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    return {"main": self.network.init(key)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """u [b], stratified, for n or t; scores [b, l]: the least are masked."""
    del step
    b = len(batch["tokens"])
    scores = jax.random.uniform(keys("scores"), (b, self.network.length))
    u = discrete.strata(jax.random.uniform(keys("u"), (b,)))
    return {"u": u, "scores": scores}

  def bound(
    self,
    params: method.Tree,
    tokens: jax.Array,
    draws: method.Draws,
    agnostic: bool,
  ) -> jax.Array:
    """[b] nats: an estimate of the bound of -log p from one masking.

    Args:
      params: by player.
      tokens: [b, l].
      draws: u [b] and scores [b, l] of `draw`.
      agnostic: n tokens are masked; else each with probability m(t).
    """
    net, u = self.network, draws["u"]
    if agnostic:  # L mean over n = L/n sum
      n = discrete.count(u, net.length)
      t = jnp.ones(len(u))
      weight = net.length / n
      masked = discrete.subset(draws["scores"], n)
    else:  # m'(t)/m(t) sum
      t = self.eps + (1 - self.eps) * u
      weight = self.process.weight(t)
      masked = draws["scores"] < self.process.masked(t)[:, None]
    x = jnp.where(masked, net.mask_id, tokens)
    logits = net.logits(params["main"], x, t)
    logp = discrete.subs(logits, x, net.mask_id)
    return weight * discrete.cross_entropy(logp, tokens, masked).sum(1)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The bound in nats per token; perplexity is its exponential."""
    del step, player
    agnostic = self.objective == "agnostic"
    nats = self.bound(weights.params, batch["tokens"], draws, agnostic)
    return nats.mean() / self.network.length, {}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w], nll [b], generate {tokens, calls}, sample [b, l]."""
    names = ("features", "nll", "generate", "sample")
    return {name: getattr(self, name) for name in names}

  def features(self, weights, batch, key) -> jax.Array:
    """[b, w]: mean of the last latents; nothing is masked, time 0."""
    del key
    return self.network.features(weights.params["main"], batch["tokens"])

  def nll(self, weights, batch, key) -> jax.Array:
    """[b] nats: the bound, from `nll_draws` maskings of evenly spread sizes."""
    keys = randomness.Keys(key)
    tokens, n = batch["tokens"], self.nll_draws

    def add(i, total):
      draws = self.draw(keys.at(i), batch, 0)
      draws |= {"u": (draws["u"] + i) / n}
      agnostic = not self.network.timed
      return total + self.bound(weights.params, tokens, draws, agnostic)

    return jax.lax.fori_loop(0, n, add, jnp.zeros(len(tokens))) / n

  def generate(self, weights, batch, key) -> dict[str, jax.Array]:
    """tokens [b, l] and calls [b] of the network for each.

    "prompt" [b, l], if the batch has it, holds known tokens, [MASK] elsewhere;
    "index" [b], else 0 .. b - 1, numbers the samples.
    """
    net = self.network
    b = len(jax.tree.leaves(batch)[0])
    empty = jnp.full((b, net.length), net.mask_id)
    return self.sampling.sample(
      randomness.numbered(key, method.numbers(batch)),
      lambda x, t: net.logits(weights.params["main"], x, t),
      self.rt.shard(batch.get("prompt", empty)),
      mask_id=net.mask_id,
      process=self.process,
      timed=net.timed,
    )._asdict()

  def sample(self, weights, batch, key) -> jax.Array:
    """[b, l] int32; a sample is a function of (key, index, prompt) alone."""
    return self.generate(weights, batch, key)["tokens"]
