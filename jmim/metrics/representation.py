"""Rank, similarity, attention and rate of representations; float64.

CKA(X, Y)  = |X'Y|^2 / (|X'X| |Y'Y|)          centred columns, Frobenius
rank(X)    = exp(-sum p log p),  p = singular values / their sum
distance   = mean over queries of sum_k a_qk |pos_q - pos_k|
NMI(A)     = I(q; k) / sqrt(H(q) H(k)),  p(q, k) = a_qk / queries
H          = 1 - mean over masked m, visible v of cos(x_m, x_v)
E_m        = -sum_v p_mv log p_mv / log |V|,  p_mv = softmax_v(cos / tau)
rate(Z)    = sum_heads log det(I + d / (t eps^2) Z'Z) / 2
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


def among_patches(maps: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """[..., n, n] float64: attention without prefix tokens, rows scaled to 1.

  Args:
    maps: [..., t, t] probabilities; t - h w prefix tokens come first.
    grid: (h, w) in patches, n = h w.
  """
  first = maps.shape[-1] - grid[0] * grid[1]
  maps = maps[..., first:, first:].astype(np.float64)
  return maps / maps.sum(-1, keepdims=True)


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
  maps = among_patches(maps, grid)
  places = np.stack(np.divmod(np.arange(h * w), w), 1) * patch
  distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
  return (maps * distances).sum(-1).mean(-1)


def mutual_information(maps: np.ndarray) -> np.ndarray:
  """[...] normalised mutual information of query and key position, 0 .. 1.

  0: all queries read the same keys. 1: each reads one key of its own. Queries
  are equally likely. Where all attention is on one key, H(k) = 0 and the ratio
  has no value; it counts as 0, since the key tells nothing of the query (Shi et
  al. 2024, Hybrid Distill, after Xie et al. 2023; no code was available).

  Args:
    maps: [..., q, k] probabilities, rows that sum to 1.
  """
  joint = maps.astype(np.float64) / maps.shape[-2]
  keys = _entropy(joint.sum(-2))
  queries = np.log(maps.shape[-2])
  information = queries + keys - _entropy(joint.reshape(*maps.shape[:-2], -1))
  bound = np.sqrt(queries * keys)
  some = bound > 1e-9
  ratio = np.where(some, information, 0.0) / np.where(some, bound, 1.0)
  return np.clip(ratio, 0.0, 1.0)


def _entropy(p: np.ndarray) -> np.ndarray:
  """[..., n] probabilities -> [...] nats."""
  return -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)


def _cosines(masked: np.ndarray, visible: np.ndarray) -> np.ndarray:
  """[..., m, d] and [..., v, d] -> [..., m, v]."""
  a, b = _unit(masked), _unit(visible)
  return a @ b.swapaxes(-1, -2)


def _unit(x: np.ndarray) -> np.ndarray:
  """[..., d] float64 of length 1; zeros stay."""
  x = x.astype(np.float64)
  return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def heterogeneity(masked: np.ndarray, visible: np.ndarray) -> np.ndarray:
  """[...] 1 - mean cosine of masked and visible tokens, 0 .. 2.

  The paper of MTO (Choi et al. 2024) shows the quantity; this formula is an
  instantiation, since its text could not be read.

  Args:
    masked: [..., m, d] features of masked tokens.
    visible: [..., v, d] features of visible ones.
  """
  return 1 - _cosines(masked, visible).mean((-2, -1))


def row_entropy(
  masked: np.ndarray, visible: np.ndarray, temperature: float = 0.1
) -> np.ndarray:
  """[..., m] entropy of each masked token's affinity to visible ones, 0 .. 1.

  1: it prefers none of them; 0: it has found one. With a single visible token
  it is 1: they are all equal. The row-wise softmax is that of the paper of MTO
  (Choi et al. 2024); cosines and temperature are an instantiation.

  Args:
    masked: [..., m, d] features of masked tokens.
    visible: [..., v, d] features of visible ones.
    temperature: of the softmax over visible tokens.
  """
  logits = _cosines(masked, visible) / temperature
  p = np.exp(logits - logits.max(-1, keepdims=True))
  p /= p.sum(-1, keepdims=True)
  count = visible.shape[-2]
  return _entropy(p) / np.log(count) if count > 1 else np.ones(p.shape[:-1])


def coding_rate(subspaces: np.ndarray, precision: float = 0.01) -> np.ndarray:
  """[...] rate of tokens in the subspaces of heads, in nats.

  As CRATE's authors measure it (Ma-Lab-Berkeley/CRATE@674408fa82): tokens of a
  head are scaled to length 1, `precision` stands for eps^2, and the heads are
  summed. `nn.crate.coding_rate` is the same inside of a network.

  Args:
    subspaces: [..., h, t, d], tokens in the subspace of each head.
    precision: squared error that is allowed.
  """
  t, d = subspaces.shape[-2:]
  z = _unit(subspaces)
  gram = z.swapaxes(-1, -2) @ z  # as Z Z' has it, and smaller
  _, logs = np.linalg.slogdet(np.eye(d) + d / (t * precision) * gram)
  return logs.sum(-1) / 2


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
