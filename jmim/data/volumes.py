"""Volumes [d, h, w]: cut on the host; mirrored and normalised on the device.

What goes with a volume (`entries.VOLUME_MAP`: ids of cells, say) is cut at the
same place and mirrored and turned with it; its values are never mixed.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import errors
from jmim.core import randomness
from jmim.core.settings import data as settings
from jmim.data import entries

Shape = tuple[int, ...]


def of(
  example: Mapping[str, Any],
  stored: Mapping[str, np.ndarray],
  spec: settings.Data,
  *,
  rng: np.random.Generator | None,
  name: str,
) -> dict[str, np.ndarray]:
  """`volume` uint8 [d, h, w], and the maps of the example that go with it.

  Args:
    example: as stored, with a `volume` uint8 [D, H, W].
    stored: its numbers; maps are those of the size of the volume.
    spec: `volume`, and `eval_volume` for evaluation.
    rng: of the place; None: evaluation, which takes the middle.
    name: of the example, for messages.

  Raises:
    UserError: no volume, one of another kind, or one that is too small.
  """
  if "volume" not in example:
    raise errors.UserError(
      f"examples with {', '.join(example)}, and data.volume={spec.volume}",
      'a feature named "volume"',
      "choose a data set of volumes, or set data.volume=()",
      "data.name",
    )
  volume = np.asarray(example["volume"])
  if volume.ndim != 3 or volume.dtype != np.uint8:
    raise errors.UserError(
      f"{name}: a volume {volume.dtype} {volume.shape}",
      "uint8 [d, h, w]",
      "scale the data set to 0 ... 255 and store it so",
      "data.name",
    )
  key = "eval_volume" if rng is None and spec.eval_volume else "volume"
  shape = tuple(getattr(spec, key))
  room = np.subtract(volume.shape, shape)
  if room.min() < 0:
    raise errors.UserError(
      f"{name}: a volume of {volume.shape} voxels",
      f"at least data.{key}={shape}",
      f"set data.{key} to at most {volume.shape}",
      f"data.{key}",
    )
  together = {"volume": volume} | {
    k: stored[k]
    for k in entries.among(stored, entries.VOLUME_MAP)
    if stored[k].shape == volume.shape
  }
  if rng is None:
    return {k: middle(x, shape) for k, x in together.items()}
  each = zip(rng.integers(room + 1).tolist(), shape, strict=True)
  box = tuple(slice(c, c + n) for c, n in each)
  return {k: x[box] for k, x in together.items()}


def middle(x: np.ndarray, shape: Shape) -> np.ndarray:
  """The middle [*shape] of [d, h, w], as evaluation sees it."""
  corner = np.subtract(x.shape, shape) // 2
  each = zip(corner.tolist(), shape, strict=True)
  return x[tuple(slice(c, c + n) for c, n in each)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
  """How each of b volumes is mirrored, then turned in its slices.

  Attributes:
    coins: bool [b, 3], mirrored along d, h, w; None: none is.
    turns: [b] quarters of a circle, 0 .. 3; None: none is.
  """

  coins: jax.Array | None = None
  turns: jax.Array | None = None

  def apply(self, x: jax.Array) -> jax.Array:
    """Of [b, d, h, w]."""
    each = lambda flags: flags[:, None, None, None]
    if self.coins is not None:
      for axis in range(3):
        other = jnp.flip(x, axis + 1)
        x = jnp.where(each(self.coins[:, axis]), other, x)
    if self.turns is None:
      return x
    turned = x
    for quarters in (1, 2, 3):
      turned = jnp.rot90(turned, axes=(2, 3))
      x = jnp.where(each(self.turns == quarters), turned, x)
    return x


def draw(spec: settings.Data, keys: randomness.Keys, batch: int) -> Move:
  """The mirrors and turns of training.

  Args:
    spec: `flip`, `turn`.
    keys: of which "flip" and "turn" are taken.
    batch: volumes.
  """
  coins = turns = None
  if spec.flip:
    coins = jax.random.bernoulli(keys("flip"), 0.5, (batch, 3))
  if spec.turn:
    turns = jax.random.randint(keys("turn"), (batch,), 0, 4)
  return Move(coins=coins, turns=turns)


def augmented(
  spec: settings.Data,
  keys: randomness.Keys,
  batch: Mapping[str, jax.Array],
) -> dict[str, jax.Array]:
  """The volumes of a training batch and their maps, moved and normalised.

  Args:
    spec: of what is done.
    keys: of the batch: a volume takes that of its name.
    batch: as it travels.
  """
  changed = {}
  for name in entries.among(batch, entries.VOLUME):
    move = draw(spec, randomness.Keys(keys(name)), len(batch[name]))
    changed[name] = normalise(spec, move.apply(batch[name]))
    for other, entry in entries.among(batch, entries.VOLUME_MAP).items():
      if entry.of == name and batch[other].shape == batch[name].shape:
        changed[other] = move.apply(batch[other])
  return changed


def normalise(spec: settings.Data, volume: jax.Array) -> jax.Array:
  """[0, 255] to ([0, 1] - volume_mean) / volume_std, float32."""
  x = volume.astype(jnp.float32) / 255.0
  return (x - spec.volume_mean) / spec.volume_std


def denormalise(spec: settings.Data, volume: jax.Array) -> jax.Array:
  """Inverse of `normalise`: uint8, rounded and clipped."""
  x = volume * spec.volume_std + spec.volume_mean
  return jnp.clip(jnp.round(x * 255.0), 0, 255).astype(jnp.uint8)


def prepared(
  spec: settings.Data, batch: Mapping[str, jax.Array]
) -> dict[str, jax.Array]:
  """The volumes of a batch for evaluation: normalised and nothing else."""
  names = entries.among(batch, entries.VOLUME)
  return {name: normalise(spec, batch[name]) for name in names}
