import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import clip
from jmim.evals.lib import towers

RNG = np.random.default_rng(0)
N, SHAPE, WIDTH = 6, (4, 4, 3), 5
MADE, X = RNG.integers(0, 256, (2, N, *SHAPE)).astype(np.uint8)
STORED = [
  {"caption": f"a {i}".encode(), "was": [f"the {i}", "another"], "label": 1}
  for i in range(N)
]
MAP = RNG.normal(size=(48, WIDTH))


def see(images):
  return images.reshape(len(images), -1) / 255.0 @ MAP


def say(texts):
  """Of each text its own vector, by its letters."""
  rows = [np.random.default_rng(list(t.encode())) for t in texts]
  return np.stack([r.normal(size=WIDTH) for r in rows])


def measured(monkeypatch, output, parts=2, **fields):
  """Results on pictures 0 .. 1 that the output gives for part i."""
  judge = towers.Towers(see, say, {"judge": "me"})
  monkeypatch.setattr(clip.towers, "of_run", lambda *args: judge)
  index = np.array_split(np.arange(N), parts)
  over = evalkit.stub(
    [(output(rows), {"index": rows, "image": X[rows]}) for rows in index]
  )
  over.sources = {"eval": STORED}
  over.pixels = lambda x: np.rint(255 * x).astype(np.uint8)
  over.once = lambda request, make: make()
  made = clip.Evaluator(workdir="W", **fields)
  made.check("evals.clip", over.sources, None)
  return dict(made.run(over))


def unit(x):
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def cosine(a, b):
  return 100 * (unit(a) * unit(b)).sum(1).mean()


ASKED = say([f"a {i}" for i in range(N)])
BEFORE = say([f"the {i}" for i in range(N)])


@pytest.mark.parametrize("parts", [1, 2])
def test_samples_beside_their_captions(monkeypatch, parts):
  found = measured(monkeypatch, lambda rows: MADE[rows] / 255, parts=parts)
  assert found.pop("sheet").dtype == np.uint8
  assert found.pop("text") == pytest.approx(cosine(see(MADE), ASKED), abs=1e-3)
  assert found == {"examples": N, "protocol": {"judge": "me"}}


def test_edits_beside_their_sources(monkeypatch):
  output = lambda rows: {"image": MADE[rows] / 255, "told": rows}
  options = dict(picture="image", source="batch", before="was")
  found = measured(monkeypatch, output, **options)
  y, x = see(MADE), see(X)
  assert found["image"] == pytest.approx(cosine(y, x), abs=1e-3)
  assert found["text_source"] == pytest.approx(cosine(x, ASKED), abs=1e-3)
  changed = unit(y) - unit(x), unit(ASKED) - unit(BEFORE)
  assert found["direction"] == pytest.approx(cosine(*changed), abs=1e-3)


def test_several_of_each_count_one_by_one(monkeypatch):
  both = np.stack([MADE, X], 1)
  options = dict(picture="image", source="batch", before="was")
  output = lambda rows: {"image": both[rows] / 255}
  found = measured(monkeypatch, output, **options)
  assert found["examples"] == 2 * N
  wanted = (cosine(see(MADE), see(X)) + 100) / 2
  assert found["image"] == pytest.approx(wanted, abs=1e-3)
  # What did not change has no direction: that of the others, halved.
  changed = unit(see(MADE)) - unit(see(X)), unit(ASKED) - unit(BEFORE)
  assert found["direction"] == pytest.approx(cosine(*changed) / 2, abs=1e-3)


def test_one_text_of_all_and_another_entry_to_compare_with(monkeypatch):
  output = lambda rows: {"sdedit": MADE[rows] / 255, "clean": X[rows] / 255}
  options = dict(picture="sdedit", source="clean", text="", prompt="a photo")
  found = measured(monkeypatch, output, **options)
  asked = np.repeat(say(["a photo"]), N, 0)
  assert found["text"] == pytest.approx(cosine(see(MADE), asked), abs=1e-3)
  assert found["image"] == pytest.approx(cosine(see(MADE), see(X)), abs=1e-3)
  alone = measured(monkeypatch, output, **options | {"prompt": ""})
  assert {"text", "text_source", "direction"}.isdisjoint(alone)
  assert alone["image"] == found["image"]


@pytest.mark.parametrize(
  "fields, key",
  [
    ({}, "workdir"),
    ({"workdir": "W", "prompt": "a"}, "prompt"),
    ({"workdir": "W", "text": ""}, "text"),
    ({"workdir": "W", "before": "was"}, "before"),
    ({"workdir": "W", "before": "was", "source": "x", "text": ""}, "before"),
    ({"workdir": "W", "text": "title"}, "text"),
    ({"workdir": "W", "text": "label"}, "text"),
    ({"workdir": "W", "source": "x", "before": "label"}, "before"),
  ],
)
def test_what_cannot_be_compared_is_named(fields, key):
  with pytest.raises(errors.UserError) as e:
    clip.Evaluator(**fields).check("evals.c", {"eval": STORED}, None)
  assert e.value.key == f"evals.c.{key}"


@pytest.mark.parametrize(
  "output, fields",
  [
    (lambda rows: {"image": MADE[rows] / 255}, {}),
    (lambda rows: MADE[rows] / 255, {"picture": "image"}),
  ],
)
def test_entries_that_are_not_there_are_named(monkeypatch, output, fields):
  with pytest.raises(errors.UserError) as e:
    measured(monkeypatch, output, **fields)
  assert e.value.key == "evals.<name>.picture"
