"""The evaluator of dubbed clips, on drawn ones."""

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data.builders import faces
from jmim.data.procedural import mouths
from jmim.evals import dubbing
from jmim.metrics import attributes

CONFIG = {c.name: c for c in faces.Faces.BUILDER_CONFIGS}["clips"]
UNITS = lambda x: x.astype(np.float32) / 255


def clips():
  """Three clips; dubbed is the clip itself, the first backwards."""
  made = [faces.Faces.example(CONFIG, "test", i) for i in range(3)]
  frames = np.stack([m["frames"] for m in made])
  video = frames.copy()
  video[0] = frames[0, ::-1]
  mouth = np.stack([m["mouth"] for m in made])
  return {"video": UNITS(video), "frames": UNITS(frames), "mouth": mouth}


def measured(out, parts=1, **fields):
  cut = lambda i: {k: np.array_split(x, parts)[i] for k, x in out.items()}
  over = evalkit.stub([(cut(i), {}) for i in range(parts)])
  over.pixels = evalkit.context(size=32).pixels
  return dict(dubbing.Evaluator(**fields).run(over))


@pytest.mark.parametrize("parts", [1, 2])
def test_openings_follow_those_that_were_asked_for(parts):
  out = clips()
  found = measured(out, parts)
  assert found["truth"] > 0.9 and found["examples"] == 3
  each = [
    attributes.pearson(
      mouths.opening((255 * out["video"][i]).round().astype(np.uint8)),
      out["mouth"][i, :, 0],
    )
    for i in range(3)
  ]
  assert min(each[1:]) > 0.9 > each[0]
  assert found["correlation"] == pytest.approx(np.mean(each), abs=1e-6)
  assert found["sheet"].dtype == np.uint8 and found["sheet"].shape[1] == 960


def test_pictures_by_the_codes_of_others():
  frames = clips()["frames"]
  flat = frames[:, ::4].reshape(-1, 32, 32, 3)
  guide = np.roll(flat, 1, axis=0)
  right = measured({"image": guide, "guide": guide, "source": guide})
  assert right["correlation"] == pytest.approx(1) and right["hue"] == 0
  wrong = measured({"image": flat, "guide": flat[::-1], "source": guide})
  assert wrong["correlation"] < 0.6 and wrong["hue"] > 0


def test_other_outputs_are_refused():
  with pytest.raises(errors.UserError, match="mouth"):
    measured({"video": np.zeros((1, 2, 32, 32, 3))})
