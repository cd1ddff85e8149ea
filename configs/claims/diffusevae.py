"""DiffuseVAE: what the blurred image is worth to a diffusion model.

Plain 8 x 8 digits. The VAE of diffusevae_vae_digits (a code of 16), then the
same UNet three times: refiner of form 1, of form 2, and plain DDPM; 3000 steps
each, EMA. Codes are of a mixture of 10 Gaussians fitted to those of the
training split.

A. Held-out error of the noise at t >= 0.7 T, where an image is hardly seen,
   under the same times and noise: form 1 over plain, and form 2 over plain.
B. Correlation of the blurred image and what is made of it, over pixels and
   1000 samples, less the mean of each pixel: both forms.
C. Frechet distance of 1000 samples to the test split in pixels, 5 DDIM steps:
   each form over plain DDPM. The card has features of a classifier at 10 steps
   and asks for 0.7; at this size it is asked that no form is worse.
D. Mean log likelihood of held-out codes, mixture less N(0, I), in nats.

Exact, in the tests: marginals of form 2, its DDIM with exact noise, its
posterior step against the paper's k1 and k2, respaced betas.
"""

import functools

import jax
import numpy as np

import jmim
from jmim.data import sources
from jmim.metrics import generation
from jmim.tools import claims
from jmim.tools import fit_codes

RECIPE = "configs/diffusevae_digits.py"
N, LATE, PASSES = 1000, 0.7, 4
LEAN = ("evals.errors=None",)


@functools.cache
def model(workdir, weights="ema"):
  return jmim.load(workdir, weights=weights)


@functools.cache
def images(name: str, data_dir: str, split: str) -> list:
  """The images of a split, encoded."""
  source = sources.build(name, split, data_dir)
  return [source[i]["image"] for i in range(len(source))]


def of(m, split: str) -> list:
  data = m.config["data"]
  return images(data["name"], data["data_dir"], split)


@functools.cache
def codes(workdir, split: str) -> np.ndarray:
  """[n, 16] sampled codes of a split."""
  m = model(workdir, "raw")
  mean, v = np.split(m("moments", of(m, split))[:, 0, 0], 2, axis=-1)
  noise = np.random.default_rng(split == "test").normal(size=mean.shape)
  return mean + np.exp(v / 2) * noise


@functools.cache
def mixture(workdir) -> dict:
  return fit_codes.fit(codes(workdir, "train").astype(np.float64), 10)


@functools.cache
def drawn(workdir) -> np.ndarray:
  """float32 [N, 16] codes of the mixture."""
  found, rng = mixture(workdir), np.random.default_rng(7)
  share = np.exp(found["log_weight"].astype(np.float64))
  k = rng.choice(len(share), N, p=share / share.sum())
  noise = rng.normal(size=(N, found["mean"].shape[1]))
  z = found["mean"][k] + np.einsum("nij,nj->ni", found["factor"][k], noise)
  return z.astype(np.float32)


@functools.cache
def samples(workdir, vae, name: str, steps: int) -> np.ndarray:
  """[N, 8, 8, 1] of an output; of plain DDPM without codes."""
  m = model(workdir).override(f"method.sampling.steps={steps}")
  given = {"code": drawn(vae)} if vae else {}
  return m(name, index=np.arange(N, dtype=np.int32), **given)


def late(results, name: str) -> float:
  """Error of the noise at t >= 0.7 T; times and noise are those of a key."""
  m = model(results[name].workdir)
  batch = {"image": m.preprocess(of(m, "test"))}
  times = m.method.noise.times
  first = round(LATE * times)

  @jax.jit
  def error(key):
    draws = m.method.drawn(key, batch)
    draws["t"] = first + draws["t"] * (times - first) // times
    return m.method.loss(m.weights, batch, draws, 0)[0]

  found = [error(jax.random.key(i)) for i in range(PASSES)]
  return float(np.mean(found))


def correlation(results, name: str) -> float:
  """Of condition and sample, each pixel less its mean."""
  where = (results[name].workdir, results["vae"].workdir)
  c, x = (samples(*where, output, 50) for output in ("condition", "sample"))
  c, x = (a - a.mean(0) for a in (c, x))
  return float(np.corrcoef(c.ravel(), x.ravel())[0, 1])


def distance(results, name: str, steps: int = 5) -> float:
  """Frechet distance in pixels to the test split."""
  vae = None if name == "plain" else results["vae"].workdir
  made = samples(results[name].workdir, vae, "sample", steps).clip(-1, 1)
  m = model(results[name].workdir)
  real = m.preprocess(of(m, "test"))
  a, b = (generation.of(x.reshape(len(x), -1)) for x in (real, made))
  return generation.frechet(a.mean, a.covariance, b.mean, b.covariance)


def likelihood(results) -> float:
  """Of held-out codes, above N(0, I)."""
  held = codes(results["vae"].workdir, "test").astype(np.float64)
  found = fit_codes.log_likelihood(mixture(results["vae"].workdir), held)
  return float((found - fit_codes.normal(held)).mean())


def refiner(form: int) -> claims.Run:
  changes = ("method.coarse.path={workdir:vae}", *LEAN)
  return claims.Run(f"{RECIPE}:form={form}", changes)


def ratio(measure, name: str):
  return lambda r: measure(r, name) / measure(r, "plain")


def conditions():
  """A, B and C of both forms."""
  for name in ("form1", "form2"):
    yield claims.Condition(
      text=f"A: late error of the noise, {name} / plain",
      value=ratio(late, name),
      at_most=0.9,
    )
    yield claims.Condition(
      text=f"B: correlation of condition and sample, {name}",
      value=functools.partial(correlation, name=name),
      at_least=0.6,
    )
    yield claims.Condition(
      text=f"C: Frechet distance in pixels, 5 steps, {name} / plain",
      value=ratio(distance, name),
      at_most=1.0,
    )


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "vae": claims.Run("configs/diffusevae_vae_digits.py"),
      "form1": refiner(1),
      "form2": refiner(2),
      "plain": claims.Run(f"{RECIPE}:stage=plain", LEAN),
    },
    conditions=(
      *conditions(),
      claims.Condition(
        text="D: log likelihood of held-out codes above N(0, I), nats",
        value=likelihood,
        at_least=0.0,
      ),
    ),
    metrics=("restoration/psnr", "errors/kl", "errors/pixel"),
  )
