import dataclasses

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data.procedural import glyphs
from jmim.evals import spelling
from jmim.evals.lib import heads

SIDE = glyphs.WINDOW
SPEC = evalkit.context(size=4).spec


def words(n=6):
  return [
    glyphs.draw_word(np.random.default_rng(i), glyphs.words("test")[i])
    for i in range(n)
  ]


def stored(made):
  """As the data set keeps them."""
  return [
    {"letters": w.letters, "windows": w.windows, "colour": w.colour}
    for w in made
  ]


def pictures(made):
  ground = np.zeros((glyphs.HEIGHT, glyphs.WIDTH, 3), np.float32)
  return np.stack([glyphs.render(w, ground) for w in made])


def reader(looked):
  """Reads letters by comparing pixels, as a trained run would; notes shapes."""
  looks = {
    (letter, style): glyphs.strokes(letter, style)[:, 2:7]
    for letter in glyphs.LETTERS
    for style in glyphs.STYLES
  }

  def tell(images):
    looked.append(images.shape)
    found = {"label": [], "colour": []}
    for image in images:
      drawn = image[2:11, 3:8].max(-1) > 0
      fits = lambda key: (looks[key] == drawn).mean()  # noqa: B023
      letter, _ = max(looks, key=fits)
      found["label"].append(glyphs.LETTERS.index(letter))
      seen = image[2:11, 3:8][drawn].mean(0)
      gaps = np.abs(glyphs.PALETTE - seen).sum(-1)
      found["colour"].append(gaps.argmin())
    return {name: np.array(x) for name, x in found.items()}

  return heads.Heads(tell, (SIDE, SIDE, 3), {"told_by": "sha256:0"})


def measured(made, asked, parts=2, real=None, monkeypatch=None, **fields):
  """Results on samples that show `made` where `asked` was asked for."""
  looked = []
  monkeypatch.setattr(heads, "of_run", lambda *args: reader(looked))
  images, index = pictures(made), np.arange(len(made))
  shown = {} if real is None else {"picture": pictures(real)}
  cut = lambda x, i: np.array_split(x, parts)[i]
  outputs = []
  for i in range(parts):
    entries = {"index": cut(index, i)}
    entries |= {name: cut(x, i) for name, x in shown.items()}
    outputs.append((cut(images.astype(np.float32) / 255, i), entries))
  over = evalkit.stub(outputs)
  over.spec, over.sources = SPEC, {"eval": stored(asked)}
  over.pixels = lambda x: np.rint(255 * x).astype(np.uint8)
  made = spelling.Evaluator(workdir="W", **fields)
  return dict(made.run(over)), looked


@pytest.mark.parametrize("parts", [1, 2])
def test_what_is_written_as_asked_is_all_right(monkeypatch, parts):
  options = dict(parts=parts, real=words(), picture="picture")
  found, looked = measured(words(), words(), monkeypatch=monkeypatch, **options)
  keys = ("right_label", "right_colour", "real_label", "real_colour", "words")
  assert {found[key] for key in keys} == {100.0}
  assert found["examples"] == 6 and found["protocol"] == {"told_by": "sha256:0"}
  assert found["sheet"].dtype == np.uint8
  # Each word's three windows are read, of the sample and of the picture.
  assert looked == [(18 // parts, SIDE, SIDE, 3)] * 2 * parts


def test_wrong_letters_and_colours_are_counted(monkeypatch):
  """A letter of one, all letters of another, the colour of a third."""
  asked = words()
  made = list(asked)
  other = lambda letter: "0" if letter != "0" else "X"
  change = lambda w, **fields: dataclasses.replace(w, **fields)
  first, second, third = asked[:3]
  made[0] = change(first, text=other(first.text[0]) + first.text[1:])
  made[1] = change(second, text="".join(map(other, second.text)))
  made[2] = change(third, colour=(third.colour + 1) % len(glyphs.COLOURS))
  found, _ = measured(made, asked, monkeypatch=monkeypatch)
  assert found["right_label"] == pytest.approx(100 * 14 / 18)
  assert found["right_colour"] == pytest.approx(100 * 15 / 18)
  assert found["words"] == pytest.approx(100 * 4 / 6)
  assert not [key for key in found if key.startswith("real")]


@pytest.mark.parametrize(
  ("change", "seen"),
  [
    ({"windows": np.array([[6, 0]] * 3)}, "leave images"),
    ({"letters": np.zeros(2, int)}, "3 windows"),
  ],
)
def test_windows_and_classes_that_do_not_fit_are_named(
  monkeypatch, change, seen
):
  made = words(1)
  monkeypatch.setattr(spelling.stored, "annotation", _lookup(made, change))
  with pytest.raises(errors.UserError, match=seen):
    measured(made, made, parts=1, monkeypatch=monkeypatch)


def _lookup(made, change):
  rows = stored(made)[0] | change
  return lambda context, split, index, name: np.asarray(rows[name])[None]


@pytest.mark.parametrize(
  ("fields", "key"),
  [
    ({}, "workdir"),
    ({"workdir": "W", "heads": ()}, "heads"),
    ({"workdir": "W", "heads": ("label",)}, "heads"),
    ({"workdir": "W", "heads": ("=letters",)}, "heads"),
  ],
)
def test_what_nobody_could_read_is_refused(fields, key):
  with pytest.raises(errors.UserError) as e:
    spelling.Evaluator(**fields).check("evals.spelling", {}, None)
  assert e.value.key == f"evals.spelling.{key}"
  fine = spelling.Evaluator(workdir="W")
  assert fine.check("evals.spelling", {}, None) is None
