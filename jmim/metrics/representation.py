"""Rank, similarity and attention distance of representations; float64.

CKA(X, Y)  = |X'Y|^2 / (|X'X| |Y'Y|)          centred columns, Frobenius
rank(X)    = exp(-sum p log p),  p = singular values / their sum
distance   = mean over queries of sum_k a_qk |pos_q - pos_k|
"""

import numpy as np


def centred(x: np.ndarray) -> np.ndarray:
  """[n, d] float64 minus its mean row."""
  x = x.astype(np.float64)
  return x - x.mean(0)


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
  """Similarity in 0 .. 1 of two representations (Kornblith et al. 2019).

  Args:
    x: [n, d] rows of examples.
    y: [n, e], the same examples.
  """
  x, y = centred(x), centred(y)
  norm = lambda a, b: np.linalg.norm(a.T @ b)
  return float(norm(x, y) ** 2 / (norm(x, x) * norm(y, y)))


def effective_rank(x: np.ndarray) -> float:
  """Of centred features [n, d] (Roy & Vetterli 2007), 1 .. min(n - 1, d)."""
  values = np.linalg.svd(centred(x), compute_uv=False)
  p = values / values.sum()
  p = p[p > 0]
  return float(np.exp(-(p * np.log(p)).sum()))


def attention_distance(
  maps: np.ndarray, grid: tuple[int, int], patch: float
) -> np.ndarray:
  """[..., heads] mean distance in pixels to what is attended to.

  Attention among patches only: prefix tokens are left out and the rest of a
  row is scaled to 1 (Dosovitskiy et al. 2021, figure 7).

  Args:
    maps: [..., heads, t, t] probabilities; t - h w prefix tokens come first.
    grid: (h, w) in patches.
    patch: side of a patch in pixels.
  """
  h, w = grid
  first = maps.shape[-1] - h * w
  maps = maps[..., first:, first:].astype(np.float64)
  maps = maps / maps.sum(-1, keepdims=True)
  places = np.stack(np.divmod(np.arange(h * w), w), 1) * patch
  distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
  return (maps * distances).sum(-1).mean(-1)


def principal_colours(tokens: np.ndarray) -> np.ndarray:
  """uint8 [n, h, w, 3]: the first three principal components as RGB.

  One basis for all images; each component is scaled from its 1st to its 99th
  percentile, its sign such that most values are below the middle.

  Args:
    tokens: [n, h, w, d].
  """
  flat = centred(tokens.reshape(-1, tokens.shape[-1]))
  _, vectors = np.linalg.eigh(flat.T @ flat)
  scores = flat @ vectors[:, ::-1][:, :3]
  scores = scores * np.where(np.median(scores, 0) > scores.mean(0), -1, 1)
  low, high = np.percentile(scores, (1, 99), axis=0)
  share = np.clip((scores - low) / np.maximum(high - low, 1e-12), 0, 1)
  colours = np.zeros((len(share), 3))
  colours[:, : share.shape[1]] = share
  return (255 * colours).round().astype(np.uint8).reshape(*tokens.shape[:3], 3)
