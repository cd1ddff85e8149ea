"""Draws the pictures of docs/methods.md: what each method hides, and a curve.

    python -m jmim.tools.draw_methods [--out docs/images/methods] [NAME ...]

Masks are drawn by the methods themselves (`draw`), at the sizes of their
published recipes, over held-out scattered digits; nothing is trained.
"""

import argparse
import dataclasses
import io
import pathlib
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import PIL.Image

from jmim.core import discovery
from jmim.data import sources
from jmim.diffusion import first_hitting
from jmim.diffusion import truncated
from jmim.evals.lib import draw as sheets
from jmim.masks import tokens as masking
from jmim.methods.parts import deep_linear

OUT = pathlib.Path("docs") / "images" / "methods"
GREY, SIDE, ROWS = 120, 224, 4
KEY = 3


def pictures(n: int) -> np.ndarray:
  """uint8 [n, SIDE, SIDE, 3]: held-out digits, enlarged."""
  source = sources.build("digits/scattered", "test")
  files = [io.BytesIO(source[i]["image"]) for i in range(n)]
  images = np.stack([np.asarray(PIL.Image.open(f)) for f in files])
  return sheets.enlarge(images, (SIDE, SIDE))


def hide(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Grey where [n, h, w] is true; any grid that divides the images."""
  big = sheets.enlarge(np.asarray(mask, bool), images.shape[1:3])[..., None]
  return np.where(big, np.uint8(GREY), images)


def make(name: str, **fields):
  """The method of a name with these fields."""
  return discovery.find(name)(**fields)


def drawn(method, n: int = ROWS, **batch):
  """Its draws for n examples; the arrays' values do not matter."""
  batch = batch or {"image": np.zeros((n, 1), np.float32)}
  return jax.tree.map(np.asarray, method.draw(jax.random.key(KEY), batch, 0))


def mae_mask(method) -> np.ndarray:
  """[n, h, w] mask of an MAE or one of its kind."""
  mask = method.mask(drawn(method)).mask
  return np.asarray(mask).reshape(-1, *method.grid)


def mae(images):
  """A mask of MAE at three ratios."""
  columns = {"image": images}
  for ratio in (0.5, 0.75, 0.9):
    m = make("mim.mae", mask_ratio=ratio)
    columns[f"{ratio:.0%} hidden"] = hide(images, mae_mask(m))
  return columns


def umd(images):
  """The mask of a clean image, and of images noised to three times."""
  m = make("diffusion.umd", variant="B/4", size=64)
  draws = drawn(m)

  def masked(pictures, ratio):
    keep = masking.keep_count(draws["scores"].shape[1], ratio)
    mask = masking.from_scores(jnp.asarray(draws["scores"]), keep).mask
    return hide(pictures, np.asarray(mask).reshape(-1, *m.grid))

  x = images[:, ::7, ::7] / 127.5 - 1.0  # as they were before enlarging
  eps = np.random.default_rng(KEY).normal(size=x.shape)
  columns = {"clean": masked(images, m.clean_mask)}
  for t in (200, 500, 800):
    a, s = map(float, m.process.at(jnp.asarray(t)))
    noised = np.clip(127.5 * (a * x + s * eps + 1.0), 0, 255).astype(np.uint8)
    big = sheets.enlarge(noised, (SIDE, SIDE))
    columns[f"time {t}"] = masked(big, m.noised_mask)
  return columns


def dmae(images):
  """What teacher and student see at three mask ratios."""
  columns = {"image": images}
  for ratio in (0.75, 0.95, 0.98):
    m = make("distill.dmae", mask_ratio=ratio)
    columns[f"{ratio:.0%} hidden"] = hide(images, mae_mask(m))
  return columns


def simmim(images):
  """Squares of three sizes."""
  columns = {"image": images}
  for square in (16, 32, 56):
    variant = {"variant": "B/8"} if square == 56 else {}
    m = make("mim.simmim", square=square, **variant)
    columns[f"{square} px"] = hide(images, drawn(m)["mask"])
  return columns


def colormae(images):
  """One mask of each colour."""
  columns = {}
  for colour in ("white", "red", "blue", "green", "purple"):
    m = make("mim.colormae", colours=(colour,), start_steps=(0,))
    columns[colour] = hide(images, mae_mask(m))
  return columns


def maskalign(images):
  """Kept patches drawn by an importance: here, the contrast of a patch."""
  m = make("distill.maskalign")
  cells = images.reshape(len(images), 14, 16, 14, 16, 3).astype(np.float32)
  contrast = cells.std((2, 4)).mean(-1) + 2.0
  p = contrast.reshape(len(images), -1) / contrast.sum((1, 2))[:, None]
  columns = {"image": images}
  heat = sheets.heat(contrast, contrast.min(), contrast.max())
  columns["importance"] = sheets.enlarge(heat, (SIDE, SIDE))
  for name in ("attention", "random"):
    own = dataclasses.replace(m, visible=name)
    mask = np.asarray(own.mask(jnp.asarray(p), drawn(own)).mask)
    columns[name] = hide(images, mask.reshape(-1, 14, 14))
  return columns


def ijepa(images):
  """The context and the four blocks to predict from it."""
  draws, n = drawn(make("mim.ijepa", variant="H/14")), 256
  columns = {"image": images}

  def shown(ids, valid):
    found = np.zeros((len(ids), n), bool)
    for row, i, ok in zip(found, ids, valid, strict=True):
      row[i[ok]] = True
    return hide(images, ~found.reshape(-1, 16, 16))

  columns["context"] = shown(
    draws["context"][:, 0], draws["context_valid"][:, 0]
  )
  for t in range(draws["targets"].shape[1]):
    columns[f"target {t + 1}"] = shown(
      draws["targets"][:, t], draws["targets_valid"][:, t]
    )
  return columns


def cropmae(images):
  """Source, target and what is seen of the target."""
  views = np.stack([images, _crops(images)], axis=1)
  m = make("mim.cropmae")
  noise = {k: jnp.asarray(v) for k, v in drawn(m, views=views).items()}
  mask = np.asarray(m.mask(noise).mask).reshape(-1, *m.grid)
  return {
    "source": images,
    "target": views[:, 1],
    "seen": hide(views[:, 1], mask),
  }


def _crops(images):
  """A crop of 0.45 of the area of each, enlarged."""
  rng, side, found = np.random.default_rng(KEY), 150, []
  for image in images:
    y, x = rng.integers(0, SIDE - side, 2)
    crop = PIL.Image.fromarray(image[y : y + side, x : x + side])
    found.append(np.asarray(crop.resize((SIDE, SIDE))))
  return np.stack(found)


def cae(images):
  """Rectangles beside a random mask of the same count."""
  columns = {"image": images}
  for name, blockwise in (("rectangles", True), ("random", False)):
    mask = drawn(make("mim.cae", blockwise=blockwise))["mask"]
    columns[name] = hide(images, mask.reshape(-1, 14, 14))
  return columns


def videomae_v2(images):
  """Encoder and decoder mask of one clip at four steps, one row each."""
  m = make("video.videomae_v2")
  draws = drawn(m, 1, video=np.zeros((1, 1), np.float32))
  still = np.repeat(images[:1], 4, axis=0)
  steps = lambda x: x[0].reshape(m.grid)[:4]
  hidden, left = steps(draws["hidden"]), steps(draws["left"])
  return {
    "frame": still,
    "encoder": hide(still, hidden),
    "decoder": hide(still, left),
    "scored": hide(still, left | ~hidden),
  }


def jepa_linear(path: pathlib.Path) -> None:
  """Amplitudes of four features over time, for both objectives."""
  plt = matplotlib.figure.Figure((9, 3), layout="constrained")
  lam, rho = (1, 0.8, 0.5, 0.3), (0.2, 0.6, 0.9, 0.8)
  settings = (("mae", 0.005, 12_000), ("jepa", 0.1, 20_000))
  for axes, (objective, rate, steps) in zip(
    plt.subplots(1, 2), settings, strict=True
  ):
    times, found, _ = deep_linear.simulate(
      jax.random.key(KEY),
      lam,
      rho=rho,
      depth=2,
      eps=0.01,
      objective=objective,
      rate=rate,
      steps=steps,
      every=50,
    )
    final = deep_linear.limit(rho, 2, objective)
    for i, pair in enumerate(zip(lam, rho, strict=True)):
      label = "covariance {}, regression {}".format(*pair)
      axes.plot(times, found[:, i] / final[i], label=label)
    axes.set(title=objective.upper(), xlabel="time", ylabel="share learned")
  axes.legend()
  plt.savefig(path, dpi=90)


def mdm(path: pathlib.Path) -> None:
  """Times of the hits of one sequence, and what cut noise does to entropy."""
  plt = matplotlib.figure.Figure((9, 3), layout="constrained")
  left, right = plt.subplots(1, 2)
  length = 32
  u = np.random.default_rng(KEY).random((6, length))
  left.plot(first_hitting.hitting_times(u, length).T, color="0.7")
  mean = first_hitting.order_statistics(length)[0]
  left.plot(mean, color="black", label="mean, n / (L + 1)")
  left.set(title="First hitting, L = 32", xlabel="hit", ylabel="time")
  left.legend()
  p = np.arange(1, 33) ** -1.5
  p, limits = p / p.sum(), np.linspace(2, 20, 19)
  for steps in (1, 10, 100, 1000):
    laws = [truncated.chain(p, steps, m) for m in limits]
    entropies = [truncated.entropy(law) for law in laws]
    right.plot(limits, entropies, label=f"N = {steps}")
  right.axhline(truncated.entropy(p), color="0.7", linestyle=":")
  right.axvline(truncated.gumbel_max(23), color="0.7", linestyle=":")
  right.set(
    title="Ancestral, N steps; dotted: exact, float32",
    xlabel="noise cut at M",
    ylabel="entropy [nats]",
  )
  right.legend()
  plt.savefig(path, dpi=90)


SHEETS = {
  f.__name__: f
  for f in (
    mae,
    dmae,
    simmim,
    colormae,
    maskalign,
    ijepa,
    cropmae,
    cae,
    videomae_v2,
    umd,
  )
}
FIGURES = {"jepa_linear": jepa_linear, "mdm": mdm}


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  known = (*SHEETS, *FIGURES)
  parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
  parser.add_argument("--out", type=pathlib.Path, default=OUT)
  args = parser.parse_args(argv)
  if unknown := set(args.names) - set(known):
    parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
  args.out.mkdir(parents=True, exist_ok=True)
  for name in args.names or known:
    path = args.out / f"{name}.png"
    if name in FIGURES:
      FIGURES[name](path)
    else:
      columns = SHEETS[name](pictures(ROWS))
      picture = sheets.sheet(columns, pairs=1, scale=1)
      image = PIL.Image.fromarray(picture)
      image.reduce(2).quantize(64).save(path, optimize=True)
    print(path)
  return 0


if __name__ == "__main__":
  sys.exit(main())
