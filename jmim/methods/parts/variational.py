"""L_vb, which teaches a variance, beside any loss of the noise.

Nichol and Dhariwal 2021, equation 16: L_hybrid = L_simple + lambda L_vlb, with
the mean a constant to L_vlb. That is a sum over T times, of which one is drawn;
the factor of what is drawn, lambda T, is 1 here whatever T is: theirs (lambda =
0.001) and ADM's at T = 1000, where IDDPM's 4000 times have 4. The terms are
those of `parts/gaussian.py`.
"""

from typing import Any

import jax

from jmim.core import method
from jmim.methods.parts import gaussian


def learns(owner: Any) -> bool:
  """Whether the network of a method predicts a variance too.

  Args:
    owner: a method that has `channels`, `prediction` and `net()`.

  Raises:
    ValueError: it does, beside something else than the noise.
  """
  more = owner.net().out > owner.channels
  if more and owner.prediction != "eps":
    raise ValueError(
      f"noise.learn_variance with prediction {owner.prediction!r}: L_vb is "
      "that of predicted noise, 'eps'"
    )
  return more


def bound(
  noise: gaussian.Gaussian, raw: jax.Array, x: jax.Array, draws: method.Draws
) -> dict[str, jax.Array]:
  """{"loss_vb": mean over the batch, in bits}, or {} if it is not learned.

  Args:
    noise: the process.
    raw: the network's prediction [b, h, w, c or 2 c] at the drawn times.
    x: data [b, h, w, c].
    draws: of the process.
  """
  if not noise.learn_variance:
    return {}
  return {"loss_vb": noise.errors(raw, x, draws)["vb"].mean()}
