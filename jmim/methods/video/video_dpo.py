r"""Video-DPO: a model of clips learns which of two is preferred.

Ma et al. 2025 (Step-Video-T2V, arXiv 2502.10248); its z is that of
Diffusion-DPO (Wallace et al., CVPR 2024, arXiv 2311.12908). No code of it is
public: `tests/methods/video` holds what the equations say. Pairs of one text, w
preferred to l, under the same noise, the same time and the same posterior:

    x_t    = (1 - t) eps + t x,  v = x - eps       for x = w and x = l
    e(x)   = mean (net(x_t, t, text) - v)^2        over all of a clip
    z      = (e_ref(w) - e(w)) - (e_ref(l) - e(l))
    loss   = mean -log sigmoid(beta z)             ref: frozen, where net began

Errors are means, not sums, over the latents of a clip, so that beta does not
depend on its size. A text that is dropped is so for both clips and both
networks. The clips of a pair lie one after the other in one clip of twice
`frames`, the preferred first; `shapes/preferences` is stored so.

Logged: accuracy (share of z > 0), margin (mean of beta z), drift (the distance
|net - ref| of all parameters).

Reference: none. Ours: beta, learning rate, noise of a first stage shared by a
pair (the report gives no constants: beta "well below" Diffusion-DPO's 5000,
whose gradients explode, and a larger learning rate). Its reward model, which
ranks new samples of the policy, is outside: what is preferred is stored.

`init_from` and `reference` name the same run, from whose weights it begins: the
first loss is log 2, and the run is one of `video.step_video`, to sample or to
export, with --config.method.type.

    python -m jmim.main --config=configs/step_video_dpo_shapes.py:base=RUN \
      --workdir=W                         RUN: of configs/step_video_shapes.py
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import host as hosts
from jmim.methods.video import step_video
from jmim.nn.nets import video_dit_dims

Array = jax.Array
CLIPS = ("video", "moments")  # entries that hold a pair


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoDPO(step_video.StepVideo):
  """Step-Video, made to prefer the first clip of each pair."""

  reference: hosts.Host = field.part(hosts.Host, "the run that it begins from")
  beta: float = field.value(
    200.0, "factor of z, of mean errors per clip", above=0.0
  )

  def inputs(self) -> dict[str, method.Input]:
    """Those of Step-Video, of clips twice as long."""
    found = super().inputs()
    for name in CLIPS:
      if name in found:
        frames, *rest = found[name].shape
        found[name] = method.Input((2 * frames, *rest))
    return found

  def init_reference(self, key: Array) -> method.Tree:
    """Fresh parameters of a Step-Video."""
    like = {
      name: jnp.zeros((1, *x.shape), x.dtype)
      for name, x in self.inputs().items()
    }
    return self.init(key, like)[0]["main"]

  def consts(self) -> dict[str, method.Const]:
    """Those of Step-Video, and the reference."""
    agrees = {
      "dims.heads": ("method.dims.heads", self.dims.size.heads),
      "dims.axes": ("method.dims.axes", self.dims.widths),
      "attention": ("method.attention", self.attention),
      "noise.time": ("method.noise.time", self.noise.time),
    }
    const = self.reference.const(
      self.init_reference,
      agrees,
      key="method.reference",
      implied=video_dit_dims.implied,
    )
    return super().consts() | {"reference": const}

  def clips(self, batch: method.Batch, place: int) -> method.Batch:
    """A batch of the first (0, preferred) or the second (1) clips alone."""
    halves = {n: jnp.split(batch[n], 2, axis=1) for n in CLIPS if n in batch}
    return batch | {name: half[place] for name, half in halves.items()}

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, Array]:
    """Of each pair [b]: z; flow and flow_other, the errors of its clips."""
    twice = lambda a, b: jax.tree.map(lambda *x: jnp.concatenate(x), a, b)
    both = twice(self.clips(batch, 0), self.clips(batch, 1))
    drawn = twice(draws, draws)
    reference = jax.lax.stop_gradient(weights.consts["reference"])
    frozen = dataclasses.replace(weights, params={"main": reference})
    errors = [
      jnp.split(super(VideoDPO, self).terms(w, both, drawn)["flow"], 2)
      for w in (weights, frozen)
    ]
    (first, second), (first_then, second_then) = errors
    z = (first_then - first) - (second_then - second)
    return {"z": z, "flow": first, "flow_other": second}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """-log sigmoid(beta z); accuracy, margin and drift are logged."""
    del step, player
    found = self.terms(weights, batch, draws)
    told = {n: x.mean() for n, x in self.judged(found["z"]).items()}
    ours, theirs = weights.params["main"], weights.consts["reference"]
    apart = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), ours, theirs)
    drift = jnp.sqrt(sum(jax.tree.leaves(apart)))
    told |= {"flow": found["flow"].mean(), "drift": drift}
    return told.pop("preference"), jax.lax.stop_gradient(told)

  def judged(self, z: Array) -> dict[str, Array]:
    """preference (the loss), accuracy and margin [b] of z [b]."""
    margin = self.beta * z
    accuracy = (z > 0).astype(jnp.float32)
    loss = jax.nn.softplus(-margin)
    return {"preference": loss, "accuracy": accuracy, "margin": margin}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """Of each pair [b]: preference, accuracy, margin, flow, flow_other."""
    found = self.terms(weights, batch, self.drawn(key, batch))
    return self.judged(found.pop("z")) | found

  def features(self, weights, batch, key) -> Array:
    """As Step-Video's, of the preferred clips."""
    return super().features(weights, self.clips(batch, 0), key)
