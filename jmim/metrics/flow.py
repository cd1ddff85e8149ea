"""How far flows lead from where they should.

EPE    = |flow - truth|, in pixels
spread = sqrt(mean_k |flow_k - mean flow|^2), of k hypotheses
"""

import numpy as np


def end_point_error(flow: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """[...] distances of flows [..., 2]."""
  return np.linalg.norm(flow.astype(np.float64) - truth, axis=-1)


def spread(flows: np.ndarray) -> np.ndarray:
  """[b, h, w] pixels: root of the mean squared distance to the mean flow.

  Args:
    flows: hypotheses [b, n, h, w, 2].
  """
  apart = flows.astype(np.float64) - flows.mean(1, keepdims=True)
  return np.sqrt((apart**2).sum(-1).mean(1))
