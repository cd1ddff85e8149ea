"""MMAR: v is what low precision needs, and why stage two must follow.

1. Numerics, nothing trained, seconds: the exact denoiser of a mixture of 8
   Gaussians on 16 numbers (deviation 0.2), DDIM over the cosine schedule from
   t = 999. Root mean squared deviation from the float64 path of what is made,
   where all predictions are rounded to bfloat16, in 10, 50 and 250 steps: of
   eps at least 100 times that of v, of v at most that of x0. (The card has eps
   1.58 / 0.97 / 0.44, x0 0.0022 / 0.0021 / 0.0027, v 0.0005 / 0.0002 / 0.0001.)
2. Plain digits, 2000 steps of each stage from nothing: the loss of images at a
   mask rate of 0.1, after training on rates of 0.7 to 1 only, over that after
   0 to 1: at least 1.2.
3. Tokens of test digits drawn by trained heads, DDIM in 50 steps: deviation if
   what the head predicts is rounded to bfloat16, of v over that of eps (a run
   of its own): at most 0.1. The card compares the recognition of samples by
   three points instead, which at this size is a coin toss.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jmim
from jmim.core import randomness
from jmim.data import sources
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.methods.parts import guided
from jmim.tools import claims

RECIPE = "configs/mmar_digits.py"
LEAN = ("evals.samples=None",)
STEPS = (10, 50, 250)
COMPONENTS, NUMBERS, SPREAD, ROWS = 8, 16, 0.2, 256


def denoised(x, a: float, s: float, means) -> np.ndarray:
  """E[x0 | x_t] of the mixture, x [n, NUMBERS]."""
  var = (a * SPREAD) ** 2 + s**2
  square = ((x[:, None] - a * means) ** 2).sum(-1)
  share = np.exp((square.min(1, keepdims=True) - square) / (2 * var))
  share /= share.sum(1, keepdims=True)
  mean = share @ means
  return mean + a * SPREAD**2 / var * (x - a * mean)


@functools.cache
def made(kind: str, steps: int, rounded: bool) -> np.ndarray:
  """float64 [ROWS, NUMBERS] at the end of the path, from the same noise."""
  rng = np.random.default_rng(0)
  means = rng.normal(size=(COMPONENTS, NUMBERS))
  x = rng.normal(size=(ROWS, NUMBERS))
  visited = np.linspace(999, 0, steps).round().astype(int)
  path = schedule.make("cosine", 1000).levels(visited)
  table = solvers.make("ddim", path)
  for i in range(steps):
    a, s = path.signal[i], path.noise[i]
    x0 = denoised(x, a, s, means)
    eps = targets.to_eps("x0", x0, x=x, a=a, s=s)
    raw = targets.target(kind, x0, eps, a=a, s=s)
    if rounded:
      raw = raw.astype(jnp.bfloat16).astype(np.float64)
    out = targets.output(kind, raw, x=x, a=a, s=s)
    x = table.out[i, solvers.X0] * out.x0 + table.out[i, solvers.EPS] * out.eps
  return x


def rms(x) -> float:
  return float(np.sqrt(np.mean(np.square(x))))


def deviation(kind: str, steps: int) -> float:
  exact = made("v", steps, rounded=False)
  return rms(made(kind, steps, rounded=True) - exact)


def least(kind: str, base: str) -> float:
  """Of the three numbers of steps the least ratio of two deviations."""
  return min(deviation(kind, n) / deviation(base, n) for n in STEPS)


@functools.cache
def tested(workdir) -> tuple:
  """The model of a run (EMA), and its batch of all test digits."""
  m = jmim.load(workdir, weights="ema")
  data = m.config["data"]
  read = sources.build(data["name"], "test", data["data_dir"])
  rows = [read[i] for i in range(len(read))]
  image = m.preprocess([row["image"] for row in rows])
  label = np.array([row["label"] for row in rows], np.int32)
  return m, {"image": image, "label": label}


def loss_at(results, name: str, rate: float = 0.1) -> float:
  """Of test images given their captions, with that share masked."""
  m, batch = tested(results[name].workdir)
  keys = {"least_rate": rate, "most_rate": rate, "describe": 0.0, "drop": 0.0}
  items = [f"method.sequence.{key}={value}" for key, value in keys.items()]
  method = m.override(*items).method

  @jax.jit
  def loss(key):
    draws = method.drawn(key, batch)
    return method.loss(m.weights, batch, draws, 0)[1]["loss_image"]

  return float(np.mean([loss(jax.random.key(i)) for i in range(8)]))


def moved(results, name: str, steps: int = 50) -> float:
  """Deviation of tokens if what the head predicts is rounded."""
  m, batch = tested(results[name].workdir)
  method, weights = m.method, m.weights
  head, params = method.head, weights.params["main"]["head"]
  walk = guided.Guided(sampler="ddim", steps=steps, clip=0.0)
  table = method.noise.table(walk)

  @functools.partial(jax.jit, static_argnames="rounded")
  def tokens(key, rounded):
    keys = randomness.Keys(key)
    draws = method.drawn(keys("draws"), batch)
    one = jnp.ones_like(draws["form"])
    draws |= {"form": one, "text_drop": one}  # all are given their caption
    forms, texts = method.sequence.forms(draws), method.text.texts(batch)
    x, net = method.tokens(weights, batch, draws), method.joint(weights)
    _, z = net.whole(texts, x, forms, method.sequence)
    z = z.reshape(-1, z.shape[-1])

    def denoise(x, level):
      inside = head.prediction.inside(x, a=level.signal, s=level.noise)
      t = jnp.full(len(x), level.time)
      raw = head.predict(params, method.noise, z, inside, t=t)
      raw = raw.astype(jnp.bfloat16).astype(jnp.float32) if rounded else raw
      return head.prediction.output(method.noise, raw, x, level)

    start = jax.random.normal(keys("start"), (len(z), method.shape[1]))
    return samplers.sample(table, denoise, start)[0]

  pair = (tokens(jax.random.key(0), rounded=r) for r in (True, False))
  return rms(np.subtract(*pair))


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "v": claims.Run(f"{RECIPE}:stage=2", LEAN),
      "high": claims.Run(f"{RECIPE}:stage=1", LEAN),
      "eps": claims.Run(f"{RECIPE}:stage=2,head=eps", LEAN),
    },
    conditions=(
      claims.Condition(
        text="1: deviation by rounding, eps / v, the least of three",
        value=lambda r: least("eps", "v"),
        at_least=100.0,
      ),
      claims.Condition(
        text="1: deviation by rounding, x0 / v, the least of three",
        value=lambda r: least("x0", "v"),
        at_least=1.0,
      ),
      claims.Condition(
        text="2: loss at rate 0.1, trained on 0.7 to 1 / on 0 to 1",
        value=lambda r: loss_at(r, "high") / loss_at(r, "v"),
        at_least=1.2,
      ),
      claims.Condition(
        text="3: deviation by rounding, trained heads, v / eps",
        value=lambda r: moved(r, "v") / moved(r, "eps"),
        at_most=0.1,
      ),
    ),
    metrics=(
      "loss/loss_image",
      "loss/loss_text",
      "judged/recognised",
      "judged/frechet",
    ),
  )
