r"""MDM: masked diffusion of tokens, sampled by first hitting.

Zheng, Chen, Mao, Liu, Zhu, Zhang, ICLR 2025 (arXiv 2409.02908); the loss of
time and the parameterisation of MDLM (Sahoo et al. 2024, kuleshov-group/
mdlm@c112c52). `tests/golden` compares hitting times, truncated-noise tables,
SUBS log-probabilities, both losses and the categorical draw; the network is
ours (the authors' names are not known here, so there is no conversion).

A token is [MASK] with probability m(t). One network scores every position:

    log p    = SUBS(net(x))          [MASK] never, what is seen stays
    agnostic   loss = E_n  mean over the n masked tokens of -log p(x_l),
               n uniform on 1 .. L, a uniform subset of n masked
    continuous loss = E_t  m'(t)/m(t)  sum over masked of -log p(x_l) / L

Both are 1/L of the same bound of -log p(x), for every schedule; neither the
loss nor the best network needs t (`timed` tells it anyway). Samplers:

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
from jmim.diffusion import discrete
from jmim.methods.discrete import _tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class MDM(_tokens.Tokens):
  """Bidirectional transformer that fills in masked tokens."""

  objective: str = field.value(
    "agnostic", "loss", choices=("agnostic", "continuous")
  )
  nll_draws: int = field.value(8, "maskings per example of `nll`", low=1)

  @classmethod
  def tiny(cls) -> "MDM":
    """Eight tokens of five, two blocks of width 32."""
    return cls(codes=5, length=8, width=32, depth=2, heads=4, nll_draws=2)

  def inputs(self):
    """Tokens."""
    if self.timed and self.objective == "agnostic":
      raise ValueError("timed with objective 'agnostic', which has no time")
    return super().inputs()

  def draw(self, key, batch, step):
    """u [b], stratified, for n or t; scores [b, l] that say what is masked."""
    k_u, k_scores = jax.random.split(key)
    b = len(batch["tokens"])
    return {
      "u": discrete.strata(jax.random.uniform(k_u, (b,))),
      "scores": jax.random.uniform(k_scores, (b, self.length)),
    }

  def bound(self, params, tokens, u, scores, agnostic: bool) -> jax.Array:
    """[b] nats: an estimate of the bound of -log p from one masking."""
    if agnostic:
      n = discrete.count(u, self.length)
      t, weight = jnp.ones(len(u)), self.length / n
      masked = discrete.subset(scores, n)
    else:
      t = self.eps + (1 - self.eps) * u
      weight = self.process.weight(t)
      masked = scores < self.process.masked(t)[:, None]
    x = jnp.where(masked, self.mask_id, tokens)
    logp = discrete.subs(self.logits(params, x, t), x, self.mask_id)
    return weight * discrete.cross_entropy(logp, tokens, masked).sum(1)

  def loss(self, player, params, extra, consts, batch, draws, step):
    """The bound in nats per token; perplexity is its exponential."""
    nats = self.bound(
      params,
      batch["tokens"],
      u=draws["u"],
      scores=draws["scores"],
      agnostic=self.objective == "agnostic",
    )
    return nats.mean() / self.length, {}

  def predict(self):
    """features [b, w], nll [b], generate {tokens, calls}, sample [b, l]."""
    names = ("features", "nll", "generate", "sample")
    return {name: getattr(self, name) for name in names}

  def nll(self, params, extra, consts, batch, key):
    """[b] nats: the bound, from `nll_draws` maskings of evenly spread sizes."""
    tokens, draws = batch["tokens"], self.nll_draws

    def one(i, total):
      found = self.draw(jax.random.fold_in(key, i), batch, 0)
      u = (found["u"] + i) / draws
      return total + self.bound(
        params, tokens, u=u, scores=found["scores"], agnostic=not self.timed
      )

    zero = jnp.zeros(len(tokens))
    return jax.lax.fori_loop(0, draws, one, zero) / draws
