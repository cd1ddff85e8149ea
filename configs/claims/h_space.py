"""h-space: directions in a bottleneck change what is seen, random ones do not.

A base DDPM on folded scenes of one thing (3000 steps; the card: 4000, 32 px),
told nothing; 20 steps with eta 1. Of a picture are measured: colour (red less
blue, mean over the thing), area, and centroid (x, y), each in its own standard
deviations over samples; the thing is what differs from the ground.

1. Components 1 .. 5 of 200 samples, all of twice the third's deviation: mean
   |change| of the measures (both signs) >= 3 x that of random directions of
   that length.
2. A direction from red to blue (1000 samples, 100 of each end by a trained
   classifier): of pictures on the other side of 0 at its least strength >= 80 %
   are told as blue rather than red at some strength, and the mean score rises
   with every strength. Freed of the direction of area (by measured area), the
   change of area at equal strength is at most half, that of colour at least 70
   %.
3. Of 8 walks half way: |J u_1| >= 2 x mean |J r| over random unit r, and the
   change at the end, both of length |h| / 4 at that step alone, as well.

Exact (in the tests): offset 0 is plain DDIM bit for bit, power iteration is the
SVD, freed directions are orthogonal to all they are freed of.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

import jmim
from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import injection
from jmim.diffusion import jacobian
from jmim.methods.edit import h_space
from jmim.methods.edit import h_space_jacobian
from jmim.methods.parts import attribute_means
from jmim.tools import claims

LESS = ("evals.samples=None", "evals.errors=None")
STEPS, FITTED, SCORED, EXTREMES, EDITED = 20, 200, 1000, 100, 32
ALPHAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
BATCH = 40
WALK = dict(steps=STEPS, eta=1.0)
RED, BLUE = 0, 2  # in `described.COLOURS`
APART = 0.15  # of a pixel from the ground, in -1 .. 1


@functools.cache
def models(workdir: str) -> dict[str, procedure.Model]:
  """The base as procedures see it."""
  found = jmim.load(workdir, weights="ema")
  made = procedure.Model(method=found.method, weights=found.weights)
  return {"source": made}


def measures(images: np.ndarray) -> np.ndarray:
  """[n, 4] of images [n, h, w, 3] in -1 .. 1: red less blue, area, x, y."""
  images = np.asarray(images, np.float64)
  edge = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
  ground = np.median(np.concatenate(edge, 1), 1)[:, None, None]
  thing = np.abs(images - ground).max(-1) > APART
  size = np.maximum(thing.sum((1, 2)), 1)
  mean = lambda x: (thing * x).sum((1, 2)) / size
  places = (np.arange(images.shape[1]) + 0.5) / images.shape[1]
  colour = mean(images[..., 0] - images[..., 2])
  x, y = mean(places[None, None]), mean(places[None, :, None])
  return np.stack([colour, thing.mean((1, 2)), x, y], 1)


@functools.cache
def sampled(workdir: str, count: int) -> tuple[np.ndarray, np.ndarray]:
  """(h [n, steps, *h], images [n, h, w, 3]) of samples."""
  given = models(workdir)
  m = field.replace(h_space.HSpace(), walk=WALK)

  @jax.jit
  def some(index):
    batch = {"index": index, "label": jnp.zeros_like(index)}
    draws = procedure.drawn(m, jax.random.key(1), given, batch)
    source = given["source"].diffuser
    h, end = m.walk.seen(m.walk.opened(source, batch), batch, draws)
    return h, source.decode(end)

  parts = [
    jax.device_get(some(jnp.arange(at, at + BATCH)))
    for at in range(0, count, BATCH)
  ]
  return tuple(np.concatenate(x) for x in zip(*parts, strict=True))


def edited(workdir: str, m: h_space.HSpace, fitted: dict) -> np.ndarray:
  """Images [n, 1 + directions x alphas, h, w, 3] of samples of their own."""
  given = models(workdir)

  @jax.jit
  def some(fitted):
    index = jnp.arange(EDITED)
    batch = {"index": index, "label": jnp.zeros_like(index)}
    draws = procedure.drawn(m, jax.random.key(2), given, batch)
    return m.apply(given, fitted, batch, draws)["image"]

  return np.asarray(some(jax.tree.map(jnp.asarray, fitted)))


def of_all(images: np.ndarray) -> np.ndarray:
  """[n, k, 4] measures of images [n, k, h, w, 3]."""
  flat = measures(images.reshape(-1, *images.shape[2:]))
  return flat.reshape(*images.shape[:2], -1)


@functools.cache
def component_gain(workdir: str) -> float:
  """1: change by components over that by random directions."""
  h, images = sampled(workdir, FITTED)
  scale = measures(images).std(0)
  m = h_space.HSpace(components=5, shown=5, alphas=(-1.0, 1.0))
  m = field.replace(m, walk=WALK)
  fitted = m.fit(iter([{"h": h}]))
  m = dataclasses.replace(m, length=2 * float(fitted["deviations"][2]))
  found = []
  for random in (False, True):
    made = edited(workdir, dataclasses.replace(m, random=random), fitted)
    seen = of_all(made)
    found.append(np.abs((seen[:, 1:] - seen[:, :1]) / scale).mean())
  return float(found[0] / found[1])


def logits(net: str, images: np.ndarray) -> np.ndarray:
  """[n] blue less red, by the classifier."""
  found = jmim.load(net)
  scores = jax.jit(lambda x: found.method.scores(found.weights.params, x))
  label = np.asarray(scores(jnp.asarray(images))["label"])
  return label[:, BLUE] - label[:, RED]


@functools.cache
def coloured(workdir: str, net: str) -> dict[str, float]:
  """2: flips, least rise, and what is left of both changes when freed."""
  h, images = sampled(workdir, SCORED)
  area = measures(images)[:, 1]
  scores = np.stack([logits(net, images), area], 1)
  rows = iter([{"h": h, "scores": scores}])
  n = np.float32(attribute_means.by_scores(rows, EXTREMES))
  freed = np.float32(injection.apart(n[:1], n[1:]))
  m = h_space.HSpace(components=2, shown=2, alphas=ALPHAS)
  m = field.replace(m, walk=WALK)
  both = np.concatenate([n[:1], freed])
  images = edited(workdir, m, {"directions": both, "deviations": np.ones(2)})
  told = logits(net, images.reshape(-1, *images.shape[2:]))
  told = told.reshape(len(images), -1)[:, 1 : 1 + len(ALPHAS)]
  red = told[:, 0] < 0
  seen = of_all(images)[:, 1:].reshape(len(images), 2, len(ALPHAS), -1)
  change = np.abs(seen[:, :, -1] - seen[:, :, 0]).mean(0)  # [2, measures]
  return {
    "flipped": float((told[red].max(1) > 0).mean()) if red.any() else 0.0,
    "rise": float(np.diff(told.mean(0)).min()),
    "area": float(change[1, 1] / change[0, 1]),
    "colour": float(change[1, 0] / change[0, 0]),
  }


@functools.cache
def singular_gain(workdir: str) -> tuple[float, float]:
  """3: of the noise at the step, and of the data at the end."""
  given = models(workdir)
  m = h_space_jacobian.HSpaceJacobian(directions=1, at=STEPS // 2)
  m = field.replace(m, walk=dict(steps=STEPS))

  @jax.jit
  def gains():
    index = jnp.arange(8)
    batch = {"index": index, "label": jnp.zeros_like(index)}
    draws = procedure.drawn(m, jax.random.key(3), given, batch)
    opened = m.walk.opened(given["source"].diffuser, batch)
    begun = m.walk.begin(opened, batch, draws)
    values, u = m.found(opened, begun, draws["probe"])
    table = m.walk.table(opened.source)
    seen = injection.walk(table, opened.denoise(), begun.x)
    level = jacobian.level_of(table, m.at)
    f = opened.response(seen.states[m.at], level)
    u, h = u[:, 0, 0], seen.h[m.at]
    size = lambda a: jnp.sqrt((a**2).sum(tuple(range(a.ndim - 3, a.ndim))))
    each = lambda a: a[..., None, None, None]
    r = jax.random.normal(jax.random.key(4), (16, *u.shape))
    r = r / each(size(r))
    push = lambda v: size(jax.jvp(f, (jnp.zeros_like(v),), (v,))[1])
    noise = values[:, 0, 0].mean() / jax.vmap(push)(r).mean()
    moved = each(size(h)) / 4 * jnp.concatenate([u[None], r])
    offsets = jnp.zeros((len(moved), STEPS, *u.shape)).at[:, m.at].set(moved)
    images = m.walk.images_of(opened, begun, offsets=offsets, alphas=(1.0,))
    change = size(images[:, 1:] - images[:, :1])
    return noise, change[:, 0].mean() / change[:, 1:].mean()

  return tuple(map(float, gains()))


def get_claim() -> claims.Claim:
  base = lambda r: str(r["base"].workdir)
  told = lambda name: lambda r: coloured(base(r), str(r["net"].workdir))[name]
  return claims.Claim(
    runs={
      "base": claims.Run("configs/ddpm_scenes.py", LESS, shared=True),
      "net": claims.Run("configs/attributes_scenes.py", shared=True),
    },
    conditions=(
      claims.Condition(
        text="1: change by components / by random directions of that length",
        value=lambda r: component_gain(base(r)),
        at_least=3.0,
      ),
      claims.Condition(
        text="2: share of red pictures that become blue at some strength",
        value=told("flipped"),
        at_least=0.8,
      ),
      claims.Condition(
        text="2: least rise of the mean score between two strengths",
        value=told("rise"),
        at_least=0.0,
      ),
      claims.Condition(
        text="2: change of area, freed of its direction / not",
        value=told("area"),
        at_most=0.5,
      ),
      claims.Condition(
        text="2: change of colour, freed of the area's direction / not",
        value=told("colour"),
        at_least=0.7,
      ),
      claims.Condition(
        text="3: |J u| / mean |J r|, half way",
        value=lambda r: singular_gain(base(r))[0],
        at_least=2.0,
      ),
      claims.Condition(
        text="3: change of the data at the end, of the same two",
        value=lambda r: singular_gain(base(r))[1],
        at_least=2.0,
      ),
    ),
    metrics=("colour/accuracy",),
  )
