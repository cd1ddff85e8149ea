"""Step-Video: attention over all of space and time, and what must hold exactly.

Exact, without training:

A. Times of sampling with k = 1, 7, 13 and 17: greatest distance from k s /
   (1 + (k - 1) s) and from 0 and 1 at the ends.
B. Logits of two tokens, moved together along frames, rows or columns: greatest
   change. Moved apart by one place: least change, of the logits' deviation.
C. What the autoencoder makes of earlier frames, when later ones change:
   greatest change of latents, and of frames decoded.
D. Latent frames of 1, 17 and 204 frames (1, 3, 36), and tokens of 204 frames of
   544 x 992 (75,888): how many are others.

One moving shape, 5 frames of 16 px, 600 steps each, the same parameters:

E. Held-out error of the velocity, attention over all / over space and time in
   turn: at most 1.03, that is not worse but for the noise of a single run.

F. Norm of the first gradient of DPO, beta = 5000 / beta = 200, over 25: exact.

300 steps of DPO from the first run of E, whose average is the reference; the
faster of two clips is preferred:

G. Implicit accuracy on held-out pairs, at least 0.65.
H. Share of samples that are faster than the median of the reference's, of the
   same noise: not lower, at least 0.5.

As a report: the card expects E below 1, and H at least 0.65.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jmim
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import flow
from jmim.methods.video import step_video
from jmim.methods.video import video_dpo
from jmim.metrics import pace
from jmim.nn import posemb
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_dit
from jmim.nn.nets import video_sizes
from jmim.tools import claims

RECIPE, ERROR = "configs/step_video_shapes.py", "errors/flow"
ACCURACY = "errors/accuracy"
DPO = "configs/step_video_dpo_shapes.py"
FEW, MANY = 200.0, 5000.0  # beta
SAMPLES, WAYS = 256, 8
LEAN = ("evals.samples=None",)
# The run that others start from: DPO, sparse attention.
BASE = claims.Run(RECIPE, LEAN, shared=True)


def times_off() -> float:
  """A."""
  s, off = np.linspace(1, 0, 51), []
  for k in (1.0, 7.0, 13.0, 17.0):
    found = flow.Flow(shift=1 / k).levels(50).time
    off += [np.abs(found - 1 + k * s / (1 + (k - 1) * s)).max()]
    off += [abs(found[0]), abs(found[-1] - 1)]
  return float(max(off))


@functools.cache
def logits_off() -> tuple[float, float]:
  """B: (together, apart), at the published widths of a head."""
  axes = step_video.StepVideo().dims.widths
  rng = np.random.default_rng(0)
  q, k = (rng.normal(size=(1, 1, 1, sum(axes))) for _ in range(2))

  def logit(at, to):
    turned = [
      posemb.rotate(
        jnp.asarray(x, jnp.float32),
        posemb.rotary_axes(np.asarray(p)[None], axes, video_dit.THETA)[None],
        axes,
      )
      for x, p in ((q, at), (k, to))
    ]
    return float((turned[0] * turned[1]).sum())

  at, to = np.array([4, 10, 20]), np.array([1, 12, 3])
  base, deviation = logit(at, to), sum(axes) ** 0.5
  both = [logit(at + 7 * e, to + 7 * e) for e in np.eye(3)]
  one = [logit(at + e, to) for e in np.eye(3)]
  off = lambda found: np.abs(np.array(found) - base) / deviation
  return float(off(both).max()), float(off(one).min())


@functools.cache
def earlier() -> tuple[float, float]:
  """C: (of latents, of frames), in one chunk, every parameter random."""
  size = video_sizes.size("deep-f4x4")
  net, rng = video_codec.VideoCodec(size=size), np.random.default_rng(0)
  like = jax.eval_shape(net.init, jax.random.key(0))
  normal = lambda s: jnp.asarray(0.1 * rng.normal(size=s.shape), s.dtype)
  params = jax.tree.map(normal, like)
  clip = rng.normal(size=(1, 5, 16, 16, 3)).astype(np.float32)
  later = clip.copy()
  later[:, 1:] += 1.0
  encode = jax.jit(lambda x: net.encode(params, x)[0])
  decode = jax.jit(lambda z: net.decode(params, z))
  latents = np.asarray(encode(later) - encode(clip))[:, 0]
  z = rng.normal(size=(1, 2, 4, 4, size.code)).astype(np.float32)
  other = z.copy()
  other[:, 1] += 1.0
  frames = np.asarray(decode(other) - decode(z))[:, 0]
  return float(np.abs(latents).max()), float(np.abs(frames).max())


def counts_off() -> int:
  """D."""
  size = video_sizes.size("deep-f8x16")
  wrong = sum(size.latents(n) != m for n, m in ((1, 1), (17, 3), (204, 36)))
  m = field.replace(
    step_video.StepVideo(), first_stage=dict(variant="deep-f8x16")
  )
  pixels = m.first_stage.stage.pixels(m.shape)["video"]
  tokens = int(np.prod(m.shape[:3])) // m.dims.patch**2
  short = field.replace(m, frames=3).first_stage.stage.pixels((3, *m.shape[1:]))
  wrong += pixels != (204, 544, 992, 3) or tokens != 75_888
  return int(wrong + (short["video"][0] != 17))


def norm(beta: float) -> float:
  """Of the gradient of DPO, where the policy is its reference."""
  m = field.replace(video_dpo.VideoDPO.tiny(), beta=beta)
  rng = np.random.default_rng(0)
  batch = {"label": jnp.asarray([0, 1])}
  clips = rng.normal(size=(2, *m.inputs()["video"].shape))
  batch["video"] = jnp.asarray(clips, jnp.float32)
  start = m.init_reference(jax.random.key(0))
  draws = m.drawn(jax.random.key(1), batch)

  def loss(params, consts):
    return m.loss(methods.Weights(params, consts=consts), batch, draws, 0)[0]

  found = jax.jit(jax.grad(loss))({"main": start}, {"reference": start})
  squares = [np.square(np.float64(x)).sum() for x in jax.tree.leaves(found)]
  return float(np.sqrt(sum(squares)))


def paces(workdir, weights: str) -> np.ndarray:
  """[n] of samples, of all ways in turn."""
  made = jmim.load(workdir, weights=weights).sample(SAMPLES)
  angle = 2 * np.pi * np.arange(SAMPLES) / WAYS
  return pace.pace(made, angle)


def faster(results) -> float:
  """H."""
  middle = np.median(paces(results["full"].workdir, "ema"))
  return float((paces(results["dpo"].workdir, "raw") > middle).mean())


def get_claim() -> claims.Claim:
  exact = (
    ("A: times of sampling, off", times_off, dict(at_most=1e-9)),
    ("B: logits, both moved", lambda: logits_off()[0], dict(at_most=1e-4)),
    ("B: logits, one moved", lambda: logits_off()[1], dict(at_least=1e-3)),
    ("C: earlier latents", lambda: earlier()[0], dict(at_most=0.0)),
    ("C: earlier frames", lambda: earlier()[1], dict(at_most=0.0)),
    ("D: wrong counts", counts_off, dict(at_most=0)),
    (
      "F: gradient of DPO, 5000 / 200, over 25",
      lambda: norm(MANY) / norm(FEW) / (MANY / FEW),
      dict(at_least=0.99, at_most=1.01),
    ),
  )
  return claims.Claim(
    runs={
      "full": BASE,
      "factorised": claims.Run(f"{RECIPE}:attention=factorised", LEAN),
      "dpo": claims.Run(f"{DPO}:base={{workdir:full}}", LEAN),
    },
    conditions=(
      *(
        claims.Condition(text=text, value=lambda r, f=f: f(), **limit)
        for text, f, limit in exact
      ),
      claims.Condition(
        text="E: error of the velocity, full / factorised attention",
        value=lambda r: r["full"][ERROR] / r["factorised"][ERROR],
        at_most=1.03,
      ),
      claims.Condition(
        text="G: implicit accuracy on held-out pairs",
        value=lambda r: r["dpo"][ACCURACY],
        at_least=0.65,
      ),
      claims.Condition(
        text="H: samples faster than the reference's median",
        value=faster,
        at_least=0.5,
      ),
    ),
    metrics=(ERROR, ACCURACY, "errors/margin"),
  )
