"""What a network that is told faces makes of them, with given weights."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import latent_mode
from jmim.methods.parts import told_face
from jmim.methods.parts import word_maps
from jmim.nn import hooks
from jmim.nn.nets import rendered_unet

Array = jax.Array
Told = rendered_unet.Told


@dataclasses.dataclass(frozen=True, kw_only=True)
class EditedFaces:
  """Network and process as functions of pictures.

  Attributes:
    net: the network.
    weights: of the method.
    told: what the network is told.
    first_stage: between pixels and what is diffused.
    noise: the process.
    sampling: its sampler.
    shape: [h, w, c] of what is diffused.
  """

  net: rendered_unet.RenderedUNet
  weights: method.Weights
  told: told_face.ToldFace
  first_stage: stages.FirstStage
  noise: gaussian.Gaussian
  sampling: guided.Guided
  shape: tuple[int, int, int]

  def network(self, x: Array, t: Array, told: Told) -> Array:
    """Predicted noise [b, h, w, c] of x at times t [b]."""
    params = self.weights.params["main"]["net"]
    return self.net.apply({"params": params}, x, t, told)

  def looked(
    self, z: Array, t: Array, noise: Array, told: Told
  ) -> tuple[Array, Array | None]:
    """(predicted noise, maps [b, side, side, K]) of z, noised to t [b].

    The maps sum to 1 over the tokens; None: there are none.
    """
    x = self.noise.add(z, t, noise)[0]
    if told.tokens is None:
      return self.network(x, t, told), None
    with hooks.seen(word_maps.CROSS) as calls:
      raw = self.network(x, t, told)
    return raw, word_maps.of_calls(calls, x)[self.told.attention.side]

  def latents(self, batch: method.Batch, noise: Array | None = None) -> Array:
    """[b, h, w, c] of what is to be made; no gradient.

    Args:
      batch: has it.
      noise: of the posterior; None: its mean.
    """
    stage, x = self.first_stage, batch["image"]
    z = latent_mode.encoded(stage, self.weights, x, noise)
    return jax.lax.stop_gradient(z)

  def terms(self, batch: method.Batch, draws: method.Draws) -> dict[str, Array]:
    """mse [b]; attention [b] where something is asked of it."""
    stage, asked = self.first_stage, self.told.attention
    told, seen = self.told.told(stage, self.weights, batch, draws)
    z, noise = self.latents(batch, draws.get("posterior")), draws["noise"]
    raw, maps = self.looked(z, draws["t"], noise, told)
    found = {"mse": ((raw - noise) ** 2).mean((1, 2, 3))}
    # Of tokens that are left out the maps are even: nothing can be asked.
    keep, count = told.keep_tokens, self.told.source.count
    if asked.masked(count):
      found["attention"] = keep * asked.to_masks(maps, batch[asked.read])
    if asked.twice(count):
      _, other = self.looked(z, draws["t_other"], noise, told)
      gap = asked.to_statistics(maps, other, seen.shares)
      found["attention"] = keep * gap
    return found

  def made(
    self, batch: method.Batch, key: jax.Array, factor: int | None = None
  ) -> Array:
    """[b, H, W, c], from one noise whatever the factor (`ToldFace.told`)."""
    stage, weights = self.first_stage, self.weights
    told, _ = self.told.told(stage, weights, batch, factor=factor)
    options = dict(condition=self.told.both(told), shape=self.shape)
    z = self.sampling.sample(
      self.noise, self.network, batch=batch, key=key, **options
    )
    return stage.decode(weights, z)

  # Outputs of a method.

  def regions(self, batch: method.Batch, key: jax.Array) -> dict[str, Array]:
    """attention [b, K, s, s] to tokens at T / 2; source [b, K, g, g]."""
    told, seen = self.told.told(self.first_stage, self.weights, batch)
    z = self.latents(batch)
    t = jnp.full(len(z), self.noise.times // 2)
    _, maps = self.looked(z, t, jax.random.normal(key, z.shape), told)
    net = self.told.source.net(batch[self.told.source.read].shape[1])
    shape = (*seen.places.shape[:2], *net.encoder.grid)
    maps = jnp.moveaxis(maps, -1, 1)
    return {"attention": maps, "source": seen.places.reshape(shape)}

  def edit(self, batch: method.Batch, key: jax.Array) -> dict[str, Array]:
    """image [b, H, W, c]: the source, with all factors of the query."""
    return {"image": self.made(batch, key)}

  def sample(self, batch: method.Batch, key: jax.Array) -> Array:
    """The image of `edit`."""
    return self.made(batch, key)

  def edits(self, batch: method.Batch, key: jax.Array) -> dict[str, Array]:
    """Factor -> [b, H, W, c]: the source with that of the query alone."""
    each = enumerate(self.told.rendering.factors)
    return {name: self.made(batch, key, k) for k, name in each}


def outputs(
  make: Callable[[method.Weights], EditedFaces],
  told: told_face.ToldFace,
  decodes: bool,
) -> dict[str, method.Predict]:
  """What a method offers.

  Args:
    make: weights -> what is made with them.
    told: what there is decides.
    decodes: whether pictures can be made.
  """
  names = ["regions"] if told.source.count else []
  if decodes:
    names += ["edit", "sample", *(["edits"] if told.rendering.factors else [])]
  return method.outputs_of(make, names)
