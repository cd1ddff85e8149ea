r"""AdaSpa: clips sampled with a fifth of attention, by blocks found on the way.

Xia, Ling, Fu, Y. Wang, Li, Xiao, Cui, ICCV 2025 (arXiv 2502.21079). No code is
public: `tests/nn` holds what its equations say, by brute force where they speak
of a best mask. Step-Video (`video/step_video.py`), whose weights it reads as
they are; it trains nothing, and its loss is that of its host.

With Z = q k^T / sqrt(d) of a layer and head, and blocks p, q of tokens:

    lse_i = log sum_j exp Z_ij            in call t_1, as its exact attention
    S_pq  = sum exp(Z_ij - lse_i)         i in p, j in q; of the share s
    kept  = top k of each row of S        k = max(1, round((1 - s) n))
    out   = softmax over kept keys . v    all calls after t_1

Of m heads that keep more than 0.8 of S, the m best keep (1 - s) / 2 of their
blocks, the m worst 3 (1 - s) / 2. Calls before t_1 are dense; later searches
(t_2, ..) take Z of that call and lse of t_1. Both halves of guidance have their
own masks. Parts: `parts/block_sparse.py` (when and which),
`nn/{streaming,block_masks,sparse}.py`.

Reference (720p, 50 calls, A100; HunyuanVideo 13B, VBench %, PSNR, speed-up):
dense 80.10, - , 1; AdaSpa 80.13, 29.07, 1.78; equal heads 79.64, 28.51, 1.76.

Where the paper leaves a choice, here: its listing's log(Z - lse) is
exp(Z - lse). Calls are counted from 1, and the 0 of its scaling study is the
first too. A search t_i, i > 1, is sparse by the mask that it finds. Rounding is
to the nearest, halves to even, at least 1; k of worst heads is what the best
leave, so that the mean is exactly k. Where 2 m > H, m = H // 2. A short last
block is one as any other; blocks with a token of a text are kept whole and do
not count (cross-attention: none). lse stays that of t_1. Euler, or ddim, eta 0.

    python -m jmim.main --mode=eval --config=configs/adaspa_shapes.py \
      --workdir=W --allow_changes           W: a run of step_video_shapes
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import segments
from jmim.methods.parts import block_recall
from jmim.methods.parts import block_sparse
from jmim.methods.parts import block_work
from jmim.methods.video import step_video
from jmim.nn import attention
from jmim.nn import streaming

PEAK = 2.0  # of clips in -1 .. 1, for PSNR
LEAST = 1e-10  # squared error: equal clips have 106 dB


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaSpa(step_video.StepVideo):
  """A run of Step-Video, sampled with block-sparse attention."""

  sparse: block_sparse.BlockSparse = field.part(
    block_sparse.BlockSparse, "blocks of attention that are computed"
  )

  @classmethod
  def tiny(cls) -> "AdaSpa":
    """12 tokens in 6 blocks, of which 3 are kept; one call of each kind."""
    return field.replace(
      super().tiny(),
      sampling=dict(steps=5),
      sparse=dict(sparsity=0.5, block=2, searches=(2, 4), threshold=0.1),
    )

  @property
  def tokens(self) -> int:
    """Of a clip, in each layer."""
    patch = self.dims.patch
    return self.frames * (self.height // patch) * (self.width // patch)

  def inputs(self) -> dict[str, method.Input]:
    """Those of the host.

    Raises:
      ValueError: fields that do not go together.
    """
    found = super().inputs()
    self.sparse.check(self.sampling, self.noise.table(self.sampling))
    if self.attention != "full":
      raise ValueError(
        f"attention {self.attention!r}: blocks are of attention over all "
        "tokens, 'full'"
      )
    return found

  def predict(self) -> dict[str, method.Predict]:
    """Those of the host; recalls; of samples fidelity {psnr [b]}."""
    seen = ("fidelity",) if self.first_stage.decodes else ()
    own = {n: getattr(self, n) for n in ("recalls", "block_sums", *seen)}
    return super().predict() | own

  def walked(
    self,
    weights: method.Weights,
    batch: method.Batch,
    key: jax.Array,
    attend: Callable[..., Any],
    state: Any = None,
  ) -> tuple[jax.Array, jax.Array, list[Any]]:
    """The noise that the host's samples begin with; from it `BlockSparse.walk`.

    Args:
      weights: of the host.
      batch: what the samples are told.
      key: of all samples.
      attend: (q, k, v, what a layer found last, phase=) -> [b, h, t, d] and
        what it finds; in all phases but "dense".
      state: [layers, ...] before the first search.
    """
    apply = functools.partial(self.network, weights.params)

    def network(phase, found):
      if phase == "dense":
        return apply
      own = functools.partial(attend, phase=phase)
      own = functools.partial(apply, attend=own, state=found)
      if phase not in segments.SEARCHES:
        return own
      return functools.partial(own, of=("pred", "state"), taps=("state",))

    return self.sampling.sample(
      self.noise,
      apply,
      condition=self.told.condition(weights, batch),
      shape=self.shape,
      batch=batch,
      key=key,
      walk=lambda table, make, x, _: (
        x,
        *self.sparse.walk(table, make, x=x, network=network, state=state),
      ),
    )

  def random(self, batch: method.Batch, key: jax.Array) -> jax.Array:
    """[layers, b, heads, n, n], by which blocks are chosen at random."""
    size, n = self.net.size, self.sparse.layout(self.tokens).video
    shape = (size.depth, size.heads, n, n)
    own = randomness.Keys(key)("blocks")
    draw = randomness.normals(own, method.numbers(batch), shape)
    return jnp.moveaxis(draw(0), 0, 1)

  def pairs(self, weights, batch, key) -> dict[str, jax.Array]:
    """As the host's, by the sparse path, which is that of `sample`, too."""
    state = None
    if self.sparse.selection == "random":
      state = self.random(batch, key)
      if self.sampling.guidance != 1:
        state = jnp.concatenate([state, state], axis=1)
    how = dict(attend=self.sparse.attend, state=state)
    noise, z, _ = self.walked(weights, batch, key, **how)
    return {"noise": noise, "sample": z}

  def searched(
    self, weights: method.Weights, batch: method.Batch, key: jax.Array
  ) -> list[jax.Array]:
    """S [layers, b, heads, n, n] by search; those not read cost nothing."""

    def attend(q, k, v, state, phase):
      del state
      if phase == "sparse":
        return attention.attend(q, k, v, rt=self.rt), None
      out, _, sums = streaming.search(q, k, v, self.sparse.block)
      return out, sums

    _, _, found = self.walked(weights, batch, key, attend)
    return [sums[:, : method.batch_size(batch)] for sums in found]

  def block_sums(self, weights, batch, key) -> jax.Array:
    """S [b, searches, layers, heads, n, n] of dense samples, the half told."""
    return jnp.moveaxis(jnp.stack(self.searched(weights, batch, key)), 2, 0)

  def recalls(self, weights, batch, key) -> dict[str, jax.Array]:
    """Of each clip [b], see `parts/block_recall.py`; from dense samples."""
    found = self.searched(weights, batch, key)
    other = self.searched(weights, batch, randomness.Keys(key)("other"))[0]
    how = dict(noise=self.random(batch, key), tokens=self.tokens, other=other)
    return block_recall.of_path(self.sparse, found[0], found[-1], **how)

  def fidelity(self, weights, batch, key) -> dict[str, jax.Array]:
    """psnr [b] of sparse samples to the dense ones of the same noise [dB]."""
    dense = super().pairs(weights, batch, key)["sample"]
    dense = self.first_stage.decode(weights, dense)
    made = self.sample(weights, batch, key)
    seen = lambda x: jnp.clip(x, -PEAK / 2, PEAK / 2)
    error = ((seen(made) - seen(dense)) ** 2).mean((1, 2, 3, 4))
    return {"psnr": 10 * jnp.log10(PEAK**2 / jnp.maximum(error, LEAST))}

  def work(self) -> tuple[int, int]:
    """FLOPs of attention over all tokens of a clip's path: sparse, dense."""
    size, steps = self.net.size, self.sampling.steps
    calls = size.depth * (1 if self.sampling.guidance == 1 else 2)
    dense = 4 * self.tokens**2 * size.width * steps
    own = block_work.work(self.sparse, self.tokens, size.width, steps)
    return calls * own, calls * dense
