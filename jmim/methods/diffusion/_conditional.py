"""What class-conditional diffusion methods share: labels, guidance, sampling.

A method derives from `Conditional` (or `Gaussian`, with discrete times), trains
as its paper says, and defines `network`, `table` and `output`; it then samples
with every sampler of `jmim.diffusion.solvers`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import guidance as guiding
from jmim.diffusion import sampler as samplers
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.methods.diffusion import _latent
from jmim.nn import stack


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conditional(_latent.Latent):
  """Fields and functions of class-conditional image diffusion."""

  classes: int = field.value(0, "labels; 0: unconditional", low=0)
  label_drop: float = field.value(
    0.1, "share of labels replaced by none in training", low=0.0, high=1.0
  )
  sampler: str = field.value("ddim", "sampler", choices=solvers.NAMES)
  steps: int = field.value(50, "sampling steps", low=1)
  guidance: float = field.value(
    1.0, "classifier-free guidance: 1 conditional, 0 unconditional"
  )
  guidance_channels: int = field.value(
    0, "guide the first so many channels only; 0: all", low=0
  )
  clip: float = field.value(
    1.0, "limit of |x0| while sampling; 0: none (latents)", low=0.0
  )

  @property
  def table(self) -> samplers.Table:
    """The sampler along its path."""
    raise TypeError(f"{type(self).__name__} must define table")

  @property
  def end(self) -> float:
    """The time that the network is told at one end of the path, 0 the other."""
    return 1.0

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments) and, if conditional, labels."""
    found = self.image_inputs()
    if self.classes:
      found["label"] = method.Input((), jnp.int32, high=self.classes)
    return found

  def labels(self, batch, draws) -> jax.Array | None:
    """[b] labels, those dropped replaced by `classes`; None: unconditional."""
    if not self.classes:
      return None
    dropped = draws["label_drop"] < self.label_drop
    return jnp.where(dropped, self.classes, batch["label"])

  def network(self, params, x, t, label) -> jax.Array:
    """Raw prediction [b, h, w, ...] at times t [b]."""
    raise TypeError(f"{type(self).__name__} must define network()")

  def output(self, raw, x, level) -> targets.Output:
    """What the sampler needs of a (guided) raw prediction."""
    raise TypeError(f"{type(self).__name__} must define output()")

  def guided(self, cond, null, time) -> jax.Array:
    """Both raw predictions [b, h, w, ...] as one; time of 0 .. 1."""
    del time
    channels = self.guidance_channels or None
    return guiding.combine(cond, null, self.guidance, channels)

  def condition(self, params, consts, batch):
    """(what `network` is told beside x and t, the same for "nothing")."""
    if not self.classes:
      return None, None
    label = batch["label"]
    return label, jnp.full_like(label, self.classes)

  def denoise(self, params, label, null=None) -> samplers.Denoise:
    """The network with guidance, as a sampler calls it; see `condition`."""
    if null is None and label is not None:
      null = jnp.full_like(label, self.classes)

    def call(x, level):
      t = jnp.full(len(x), level.time)
      if label is None or self.guidance == 1:
        return self.output(self.network(params, x, t, label), x, level)
      twice = lambda a, b: jnp.concatenate([a, b])
      both = self.network(
        params, twice(x, x), twice(t, t), jax.tree.map(twice, label, null)
      )
      raw = self.guided(*jnp.split(both, 2), level.time / self.end)
      return self.output(raw, x, level)

    return call

  def sample(self, params, extra, consts, batch, key) -> jax.Array:
    """Images [b, h, w, c] in the units of the input.

    Args:
      params: of the method.
      extra: of the method.
      consts: the first stage, in latent mode.
      batch: "label" [b] if conditional; "index" [b], else 0 .. b - 1, the
        number of each image; another entry tells b.
      key: an image is a function of (key, index, label) alone.
    """
    b = len(jax.tree.leaves(batch)[0])
    index = batch.get("index", jnp.arange(b))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)

    def normal(call):
      at = jax.vmap(jax.random.fold_in, (0, None))(keys, call)
      one = lambda k: jax.random.normal(k, self.shape)
      return self.rt.shard(jax.vmap(one)(at))

    if not self.rt.scan:
      params = stack.spread(params)
    table = self.table
    denoise = self.denoise(params, *self.condition(params, consts, batch))
    image, _ = samplers.sample(table, denoise, normal(len(table)), normal)
    return self.decode(consts, image, extra)
