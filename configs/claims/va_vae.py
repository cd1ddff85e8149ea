"""VA-VAE: aligned latents cost little, say more, and are easier to model.

CIFAR-10. A small supervised ViT (780 steps) is the vision model. Two first
stages of factor 4 with 16 channels (width 16, 800 steps of 32, the critic from
600 on), with the alignment's weight 0.1 and with 0; then on the latents of
each, by their own statistics, a LightningDiT (width 96, depth 4, 800 steps of
64), and 500 samples (EMA, 25 Euler steps, guidance 1).

i. Cosine of mapped latents to the vision model's features: with alignment at
   least 0.2 higher (card). The map of the plain one is untrained, so that this
   is nearly given; hence also with the best linear map of either's latents, on
   half of 1000 test images, seen on the other half: not lower.
ii. PSNR of reconstructions: less than 1 dB is lost.
iii. Ridge on all numbers of a code: at least 5 points better.

Reported: the Frechet distance of samples to test images in features of the
vision model, `judged/frechet` (card, iv: lower).
"""

import functools

import jax
import numpy as np

import jmim
from jmim.core import method as methods
from jmim.data import sources
from jmim.methods.parts import vision_alignment as alignments
from jmim.tools import claims

RECIPE, MODEL = "configs/va_vae_cifar10.py", "configs/lightningdit_cifar10.py"
COSINE, PSNR, PROBE = "errors/cosine", "restoration/psnr", "probe/accuracy"
N, CHUNK = 1000, 100


@functools.cache
def read(workdir) -> tuple[np.ndarray, np.ndarray]:
  """(latents [N, places, c], features [N, places, w]) of test images."""
  m = jmim.load(workdir)
  data = m.config["data"]
  test = sources.build(data["name"], "test", data["data_dir"])
  x = m.preprocess([test[i]["image"] for i in range(N)])

  @jax.jit
  def both(weights: methods.Weights, x):
    z = m.method.latents(weights, {"image": x}, None)
    return z, m.method.seen(weights, x)

  parts = [both(m.weights, x[i : i + CHUNK]) for i in range(0, N, CHUNK)]
  z, f = (np.concatenate(part) for part in zip(*parts, strict=True))
  return z.reshape(N, f.shape[1], -1), f


def fitted(results, name: str) -> float:
  """Mean cosine of the best linear map of latents to features, held out."""
  z, f = read(results[name].workdir)
  z = np.concatenate([z, np.ones_like(z[..., :1])], -1)
  flat = lambda x: x[: N // 2].reshape(-1, x.shape[-1])
  best = np.linalg.lstsq(flat(z), flat(f), rcond=None)[0]
  return float(alignments.cosine(z[N // 2 :] @ best, f[N // 2 :]).mean())


def stage(weight: float) -> claims.Run:
  """A first stage with that weight of the alignment."""
  return claims.Run(f"{RECIPE}:teacher={{workdir:teacher}},weight={weight}")


def measured(name: str) -> claims.Run:
  """Statistics of the latents of a first stage."""
  return claims.Run(
    f"{MODEL}:first_stage={{workdir:{name}}}", tool="latent_statistics"
  )


def modelled(name: str) -> claims.Run:
  """A LightningDiT of these latents."""
  paths = (
    f"first_stage={{workdir:{name}}}",
    f"statistics={{workdir:{name}_statistics}}/made.npz",
    "judge={workdir:teacher}",
  )
  return claims.Run(f"{MODEL}:{','.join(paths)}", ("evals.samples=None",))


def more(key: str):
  """Aligned less plain, of a metric."""
  return lambda r: r["aligned"][key] - r["plain"][key]


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "teacher": claims.Run(
        "configs/teacher_cifar10.py:steps=780", shared=True
      ),
      "aligned": stage(0.1),
      "plain": stage(0.0),
      "aligned_statistics": measured("aligned"),
      "plain_statistics": measured("plain"),
      "of_aligned": modelled("aligned"),
      "of_plain": modelled("plain"),
    },
    conditions=(
      claims.Condition(
        text="i: cosine to the vision model, aligned - plain",
        value=more(COSINE),
        at_least=0.2,
      ),
      claims.Condition(
        text="i: cosine of the best linear map, aligned - plain",
        value=lambda r: fitted(r, "aligned") - fitted(r, "plain"),
        at_least=0.0,
      ),
      claims.Condition(
        text="ii: PSNR lost, plain - aligned [dB]",
        value=lambda r: -more(PSNR)(r),
        at_most=1.0,
      ),
      claims.Condition(
        text="iii: probe points, aligned - plain",
        value=more(PROBE),
        at_least=5.0,
      ),
    ),
    metrics=(COSINE, PSNR, PROBE, "loss/loss", "judged/frechet"),
  )
