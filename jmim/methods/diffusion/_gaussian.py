"""What Gaussian diffusion methods share: schedule, guidance, sampling.

A method derives from `Gaussian`, trains as its paper says, and defines
`network`; it then samples with every sampler of `jmim.diffusion.solvers`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.diffusion import guidance as guiding
from jmim.diffusion import respace
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule as schedules
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.methods.diffusion import _latent
from jmim.nn import stack


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian(_latent.Latent):
  """Fields and functions of class-conditional image diffusion."""

  classes: int = method.field(0, "labels; 0: unconditional", low=0)
  label_drop: float = method.field(
    0.1, "share of labels replaced by none in training", low=0.0, high=1.0
  )
  schedule: str = method.field(
    "linear", "noise schedule", choices=schedules.NAMES
  )
  times: int = method.field(1000, "T, discrete times", low=2)
  beta_start: float = method.field(
    1e-4, "first beta (linear and alike)", above=0
  )
  beta_end: float = method.field(0.02, "last beta (linear and alike)", above=0)
  zero_snr: bool = method.field(False, "end in pure noise (Lin et al.)")
  sampler: str = method.field("ddim", "sampler", choices=solvers.NAMES)
  steps: int = method.field(50, "sampling steps", low=1)
  spacing: str = method.field(
    "even", "which times sampling visits", choices=respace.SPACINGS
  )
  eta: float = method.field(0.0, "noise of ddim: 0 none, 1 DDPM's", low=0.0)
  variance: str = method.field(
    "small", "variance of ddpm", choices=("small", "large", "learned")
  )
  guidance: float = method.field(
    1.0, "classifier-free guidance: 1 conditional, 0 unconditional"
  )
  guidance_channels: int = method.field(
    0, "guide the first so many channels only; 0: all", low=0
  )
  guidance_interval: tuple = method.field(
    (0.0, 1.0), "guide only between these times, 0 data and 1 noise"
  )
  guidance_rescale: float = method.field(
    0.0, "share in which guidance keeps the deviation", low=0.0, high=1.0
  )
  clip: float = method.field(
    1.0, "limit of |x0| while sampling; 0: none (latents)", low=0.0
  )

  @property
  def process(self) -> schedules.Schedule:
    """The noise schedule."""
    return schedules.make(
      self.schedule, self.times, self.beta_start, self.beta_end, self.zero_snr
    )

  @property
  def table(self) -> samplers.Table:
    """The sampler along its path."""
    visited = respace.visited(self.spacing, self.times, self.steps)
    # LDM's path, which is told one time late, ends at the first time.
    end = 0 if self.spacing == "offset" else None
    levels = self.process.levels(visited, end)
    return solvers.make(self.sampler, levels, self.eta, self.variance)

  @property
  def end(self) -> float:
    """The time that the network is told of pure noise, or just beyond."""
    return float(self.times)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images (or moments) and, if conditional, labels.

    Raises:
      ValueError: fields that do not go together.
    """
    if len(self.guidance_interval) != 2:
      raise ValueError(f"guidance_interval {self.guidance_interval}: two times")
    respace.visited(self.spacing, self.times, self.steps)
    found = self.image_inputs()
    if self.classes:
      found["label"] = method.Input((), jnp.int32, high=self.classes)
    return found

  def draw(self, key, batch, step):
    """t [b] ints, noise like the images, label_drop [b] ~ U[0, 1).

    With a first stage also the noise of its posterior.
    """
    del step
    k_t, k_noise, k_drop = jax.random.split(key, 3)
    shape = (len(jax.tree.leaves(batch)[0]), *self.shape)
    found = {
      "t": jax.random.randint(k_t, shape[:1], 0, self.times),
      "noise": jax.random.normal(k_noise, shape),
    }
    if self.classes:
      found["label_drop"] = jax.random.uniform(k_drop, shape[:1])
    return found | self.draw_latents(jax.random.fold_in(key, 1), shape[0])

  def labels(self, batch, draws) -> jax.Array | None:
    """[b] labels, those dropped replaced by `classes`; None: unconditional."""
    if not self.classes:
      return None
    dropped = draws["label_drop"] < self.label_drop
    return jnp.where(dropped, self.classes, batch["label"])

  def noised(self, images, draws):
    """(x_t, signal, noise), the latter [b, 1, 1, 1], at the drawn times."""
    a, s = self.process.at(targets.expand(draws["t"], images.ndim))
    return targets.noised(images, draws["noise"], a, s), a, s

  def network(self, params, x, t, label) -> jax.Array:
    """Raw prediction [b, h, w, ...] at times t [b]."""
    raise TypeError(f"{type(self).__name__} must define network()")

  def output(self, raw, x, level) -> targets.Output:
    """What the sampler needs of a (guided) raw prediction: of eps."""
    eps = raw[..., : self.channels]
    return targets.output(
      "eps", eps, x, level.signal, level.noise, self.clip, scales=level.scales
    )

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
      twice = lambda a, b: jnp.concatenate([a, b])  # noqa: E731
      both = self.network(
        params, twice(x, x), twice(t, t), jax.tree.map(twice, label, null)
      )
      raw = self.guided(*jnp.split(both, 2), level.time / self.end)
      return self.output(raw, x, level)

    return call

  def guided(self, cond, null, time) -> jax.Array:
    """Both raw predictions [b, h, w, ...] as one; time of 0 .. 1."""
    scale = guiding.interval(self.guidance, time, *self.guidance_interval)
    channels, c = self.guidance_channels or None, self.channels
    raw = guiding.combine(cond, null, scale, channels)
    if not self.guidance_rescale:
      return raw
    eps = guiding.rescale(raw[..., :c], cond[..., :c], self.guidance_rescale)
    return jnp.concatenate([eps, raw[..., c:]], axis=-1)

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
      one = lambda k: jax.random.normal(k, self.shape)  # noqa: E731
      return self.rt.shard(jax.vmap(one)(at))

    if not self.rt.scan:
      params = stack.spread(params)
    table = self.table
    denoise = self.denoise(params, *self.condition(params, consts, batch))
    image, _ = samplers.sample(table, denoise, normal(len(table)), normal)
    return self.decode(consts, image, extra)
