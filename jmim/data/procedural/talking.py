"""Portraits that speak: clips of a mouth that a signal moves, and its sound.

    s(t)   = 2 numbers in -1 .. 1, each a mean of 3 sinusoids, t in frames
    open   = 2 + 2 s_0,  width = 9 + 3 s_1                    of the mouth
    sound  [layers, 2 frames, 16]: one layer is W s(t - DELAY), twice per frame,
             plus noise of deviation 0.1; the others are noise alone

W is one random matrix, the same for all clips. The head moves slowly by up to 2
units, the eyes blink once; all else stays.

Made for DiffDub (Liu et al. 2024).
"""

import dataclasses

import numpy as np

from jmim.data.procedural import portraits

LAYERS, WIDTH = 3, 16  # of the sound
SPEAKS = 1  # the layer that carries the signal
DELAY = 1.0  # frames by which the sound is late
NOISE = 0.1
BLINK = (0.5, 1.0, 0.5)  # shares of the eyes covered, frame by frame
_MIXED = np.random.default_rng(34).normal(size=(2, WIDTH))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
  """Frames as portraits, what moved them, and what is heard.

  Attributes:
    frames: n portraits of one identity and light.
    signal: float32 [n, 2] in -1 .. 1.
    sound: float32 [LAYERS, 2 n, WIDTH].
  """

  frames: tuple[portraits.Portrait, ...]
  signal: np.ndarray
  sound: np.ndarray


def draw(rng: np.random.Generator, frames: int) -> Clip:
  """A random clip.

  Args:
    rng: what it is drawn with.
    frames: how many, n.
  """
  who = portraits.draw_identity(rng)
  light = portraits.draw_light(rng)
  curve, brows = rng.uniform(-1, 1), rng.uniform(-0.5, 1)
  signal = _sines(rng, cycles=(1.0, 6.0), frames=frames)
  head = _sines(rng, cycles=(0.2, 1.0), frames=frames)
  blink = int(rng.integers(frames - len(BLINK)))
  sound = _sound(rng, signal, frames)
  made = []
  for t in range(frames):
    closed = BLINK[t - blink] if 0 <= t - blink < len(BLINK) else 0.0
    s, (x, y) = signal(t), 2 * head(t)
    mouth = portraits.Expression(
      open=2 + 2 * s[0],
      width=9 + 3 * s[1],
      curve=curve,
      brows=brows,
      closed=closed,
    )
    pose = portraits.Pose(x=x, y=y)
    one = portraits.Portrait(
      identity=who, expression=mouth, pose=pose, light=light
    )
    made.append(one)
  signal = np.float32([signal(t) for t in range(frames)])
  return Clip(frames=tuple(made), signal=signal, sound=sound)


def _sines(rng, cycles, frames):
  """t -> [2] in -1 .. 1; periods of so many cycles in all the frames."""
  speed = 2 * np.pi * rng.uniform(*cycles, (2, 3)) / frames
  phase = rng.uniform(0, 2 * np.pi, (2, 3))
  share = rng.uniform(0.5, 1, (2, 3))
  share /= share.sum(1, keepdims=True)
  return lambda t: (share * np.sin(speed * t + phase)).sum(1)


def _sound(rng, signal, frames):
  at = np.arange(2 * frames) / 2 - DELAY
  heard = np.stack([signal(t) for t in at]) @ _MIXED
  layers = rng.normal(size=(LAYERS, 2 * frames, WIDTH))
  layers[SPEAKS] = heard + NOISE * layers[SPEAKS]
  return layers.astype(np.float32)
