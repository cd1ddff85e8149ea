"""DiffDub: a code of a mouth fills the hole in a face, and speech makes codes.

Faces of 32 px that speak. A renderer of 16 channels and 2000 steps (the card
has 32 and 6000, which is longer than a run of a claim may take), its codes of
400 clips, a speech model of 2000 steps on them, and 64 test clips that are
dubbed by sounds which no model has heard.

Exact. Kept pixels of dubbed clips are equal; a mask of ones costs nothing;
   noise in the kept region is not seen.
1. Rendering with another picture's code (of other people): correlation of the
   opening that is seen with that of the other picture >= 0.8, and a hue of the
   skin within 5 % of the source's.
2. Dubbing: correlation of the opening with the true one >= 0.7; with the sound
   of other frames <= 0.2.
3. Most of the learned shares of layers of the sound, above a half, is that of
   the one that carries the signal (they start at a third each).

Beside them, as a report: condition 1 of a renderer trained without augmentation
of its crops ("plain"). Openings are read from pixels
(`data.procedural.mouths`); of true frames that reaches `dubbing/truth`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method as methods
from jmim.data.procedural import talking
from jmim.methods.edit import diffdub
from jmim.tools import claims

RENDERER = "configs/diffdub_faces.py"
DUB = "configs/dubbing_faces.py:renderer={workdir:renderer}"
FOLDER = "data.data_dir={workdir:renderer}/data"
CONTROL, HUE = "control/correlation", "control/hue"
DUBBED = "dubbing/correlation"


@functools.cache
def of_tiny() -> tuple[float, float]:
  """Loss under a mask of ones; change by other noise in the kept region."""
  m, rng = diffdub.DiffDub.tiny(), np.random.default_rng(0)
  image = jnp.asarray(np.tanh(rng.normal(size=(4, 2, 8, 8, 3))), jnp.float32)
  batch = {"image": image}
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), batch)
  fill = lambda s: jnp.asarray(0.2 * rng.normal(size=s.shape), jnp.float32)
  weights = methods.Weights(jax.tree.map(fill, shapes))
  draws = m.drawn(jax.random.key(1), batch)
  keep = m.face.keep(image[:, 0], None)
  other = draws | {"noise": draws["noise"] + 3 * keep}
  run = lambda d: float(m.loss(weights, batch, d, 0)[0])
  known = field.replace(m, face=dict(hole=(0.0, 0.0, 0.01, 0.01)))
  ones = float(known.loss(weights, batch, draws, 0)[0])
  return ones, abs(run(draws) - run(other))


def get_claim() -> claims.Claim:
  dub = f"{DUB},speech={{workdir:speech}}"
  plain = f"{RENDERER}:augment=False"
  return claims.Claim(
    runs={
      "renderer": claims.Run(RENDERER),
      "plain": claims.Run(plain),
      "codes": claims.Run(DUB, (FOLDER, "apply.store=face_codes")),
      "speech": claims.Run("configs/diffdub_speech_faces.py", (FOLDER,)),
      "dubbed": claims.Run(dub, (FOLDER,)),
      "shuffled": claims.Run(f"{dub},shuffled=True", (FOLDER,)),
    },
    conditions=(
      claims.Condition(
        text="exact: change of kept pixels of dubbed clips",
        value=lambda r: r["dubbed"]["outside/apply/outside"],
        at_most=0.0,
      ),
      claims.Condition(
        text="exact: loss under a mask of ones",
        value=lambda r: of_tiny()[0],
        at_most=0.0,
      ),
      claims.Condition(
        text="exact: change of the loss by noise in the kept region",
        value=lambda r: of_tiny()[1],
        at_most=0.0,
      ),
      claims.Condition(
        text="1: correlation of openings, another's code",
        value=lambda r: r["renderer"][CONTROL],
        at_least=0.8,
      ),
      claims.Condition(
        text="1: hue of the skin, percent off the source's",
        value=lambda r: r["renderer"][HUE],
        at_most=5.0,
      ),
      claims.Condition(
        text="2: correlation of openings, dubbed by unheard sound",
        value=lambda r: r["dubbed"][DUBBED],
        at_least=0.7,
      ),
      claims.Condition(
        text="2: the same, sounds shuffled",
        value=lambda r: r["shuffled"][DUBBED],
        at_most=0.2,
      ),
      claims.Condition(
        text="3: share of the layer that speaks, of 3",
        value=lambda r: r["speech"][f"shares/layer{talking.SPEAKS}"],
        at_least=0.5,
      ),
    ),
    metrics=(CONTROL, HUE, DUBBED, "dubbing/truth"),
  )
