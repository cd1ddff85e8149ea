"""How near poses are: MPJPE, its Procrustes form, PCK and CPS.

Poses are [..., j, 3]; of several hypotheses [..., n, j, 3] and a truth
[..., 1, j, 3] each measure has a value per hypothesis. Float64.
"""

import numpy as np

THRESHOLDS = np.arange(1, 301)  # of CPS [mm]


def distances(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """[..., j] of each joint from where it is."""
  return np.linalg.norm(np.float64(made) - truth, axis=-1)


def mpjpe(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """[...] mean distance over the joints."""
  return distances(made, truth).mean(-1)


def aligned(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """Poses moved, turned and scaled (never mirrored) to be nearest a truth.

  The least sum of squares (Procrustes; Umeyama 1991). Of a pose whose joints
  are all in one place, that place becomes the truth's middle.

  Args:
    made: [..., j, 3].
    truth: the same, or broadcasts to it.
  """
  made = np.float64(made)
  truth = np.broadcast_to(np.float64(truth), made.shape)
  middle, goal = (x.mean(-2, keepdims=True) for x in (made, truth))
  x, y = made - middle, truth - goal
  u, s, vt = np.linalg.svd(np.swapaxes(x, -1, -2) @ y)
  sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
  u[..., -1] *= sign[..., None]
  s[..., -1] *= sign
  power = (x**2).sum((-1, -2))
  scale = s.sum(-1) / np.where(power > 0, power, 1.0)
  return scale[..., None, None] * x @ u @ vt + goal


def pck(
  made: np.ndarray, truth: np.ndarray, joints: list[int], within: float = 150.0
) -> np.ndarray:
  """[...] share of some joints that are nearer than `within` (3DPCK)."""
  return (distances(made, truth)[..., joints] < within).mean(-1)


def cps(fit: np.ndarray, truth: np.ndarray, joints: list[int]) -> np.ndarray:
  """[...] Correct Poses Score in mm, 0 to 299 (Wandt et al. 2021).

  The area under (threshold -> is every one of some joints nearer), thresholds
  of 1 to 300 mm, by trapezoids.

  Args:
    fit: poses, as `aligned` leaves them.
    truth: the same, or broadcasts to it.
    joints: which count.
  """
  worst = distances(fit, truth)[..., joints].max(-1)
  right = np.float64(worst[..., None] < THRESHOLDS)
  return (right[..., 1:] + right[..., :-1]).sum(-1) / 2
