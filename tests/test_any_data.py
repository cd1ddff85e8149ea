"""Small data sets of every source, made at random: the right number, or a word.

Each is opened, checked and tested as a run does it. What comes out is the
nearest-neighbour vote that numpy makes of what was written, or one UserError:
never another exception, and never NaN.
"""

import dataclasses
import io
import pathlib
import tarfile
import tempfile

import dataset_files
import evalkit
import hypothesis
import numpy as np
from hypothesis import strategies as st
from PIL import Image

from jmim.core import config as configs
from jmim.core import errors
from jmim.data import pipeline
from jmim.evals import knn
from jmim.session import build
from jmim.session import checks
from jmim.session import data_facts
from jmim.session import opened

SIZE, SHADES, T = 4, (0, 40, 90, 130, 200, 250), 0.5


@dataclasses.dataclass(frozen=True)
class Example:
  """A picture whose halves are `shade` and 255 - shade; None: no class."""

  shade: int
  label: int | None
  kind: str = "png"

  @property
  def good(self):
    """Whether its picture can be read."""
    return self.kind not in BROKEN

  @property
  def pixels(self):
    """uint8 [s, s, 3]."""
    half = np.full((SIZE, SIZE // 2, 3), self.shade, np.uint8)
    return np.concatenate([half, 255 - half], 1)


def _encoded(kind, mode, pixels, **options):
  file = io.BytesIO()
  made = Image.fromarray(pixels)
  deep = np.uint16(257) * pixels[..., 0]
  picture = Image.fromarray(deep) if mode == "I;16" else made.convert(mode)
  picture.save(file, kind, **options)
  return file.getvalue()


WHOLE = {
  "png": ("png", "RGB"),
  "bmp": ("bmp", "RGB"),
  "tif": ("tiff", "L"),
  "gif": ("gif", "L"),
  "grey.png": ("png", "L"),
  "deep.png": ("png", "I;16"),
  "palette.png": ("png", "P"),
  "jpg": ("jpeg", "L", {"quality": 100}),
  "cmyk.jpg": ("jpeg", "CMYK", {"quality": 100}),
}
BROKEN = {
  "cut.png": lambda data: data[:40],
  "text.jpg": lambda data: b"no picture",
  "empty.png": lambda data: b"",
}


def file_of(example):
  """(ending, bytes) of the picture."""
  if not example.good:
    whole = file_of(dataclasses.replace(example, kind="png"))[1]
    return example.kind, BROKEN[example.kind](whole)
  kind, mode, *options = WHOLE[example.kind]
  data = _encoded(kind, mode, example.pixels, **dict(*options))
  return example.kind, data


# --- data sets, as they are written


def folder(root, split, examples, rng):
  """Classes as sub-folders; without any: pictures alone."""
  for i, example in enumerate(examples):
    ending, data = file_of(example)
    below = "" if example.label is None else NAMES[example.label]
    path = root / split / below / f"{rng.choice(ODD)} {i}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
  (root / split / ".hidden").mkdir(parents=True, exist_ok=True)
  (root / split / "empty").mkdir(exist_ok=True)


def tar(root, split, examples, rng):
  """Two shards; a label is a member beside the picture."""
  for shard in (0, 1):
    with tarfile.open(root / f"{split}-{shard}.tar", "w") as file:
      for i, example in enumerate(examples[shard::2]):
        ending, data = file_of(example)
        members = {ending.rpartition(".")[2]: data, "txt": b"words"}
        if example.label is not None:
          members["cls"] = NAMES[example.label].encode()
        odd = rng.choice(ODD)
        for end, content in members.items():
          info = tarfile.TarInfo(f"{odd} {i}.{end}")
          info.size = len(content)
          file.addfile(info, io.BytesIO(content))


def array(root, split, examples, rng):
  """One file of arrays; labels written in one of several ways."""
  labels = np.array([-1 if e.label is None else e.label for e in examples])
  ways = [lambda y: y, lambda y: y[:, None], lambda y: y.astype(np.float32)]
  if (labels >= 0).all():
    ways.append(lambda y: np.eye(len(NAMES))[y])
  arrays = {
    "image": np.stack([e.pixels for e in examples]),
    "weight": rng.random(len(examples)),
  }
  if (labels >= 0).any() or rng.random() < 0.5:
    arrays["label"] = ways[rng.integers(len(ways))](labels)
  np.savez(root / f"{split}.npz", **arrays)


def tfds(root, splits, rng):
  """Records of TFDS, with a ragged feature that nobody reads."""
  del rng
  made = {
    split: [
      {
        "image": io.BytesIO(file_of(e)[1]),
        "label": -1 if e.label is None else e.label,
        "words": ["a"] * i,
      }
      for i, e in enumerate(examples)
    ]
    for split, examples in splits.items()
  }
  dataset_files.write_tfds(root, made)


def each(write):
  """Writes every split of a data set."""
  return lambda root, splits, rng: [
    write(root, split, examples, rng) for split, examples in splits.items()
  ]


NAMES = dataset_files.CLASSES
ODD = ("a", "ü b", "[0-9]", "back\\slash", "100%")
WRITERS = {
  "folder": each(folder),
  "tar": each(tar),
  "array": each(array),
  "tfds": tfds,
}


@st.composite
def data_sets(draw):
  """(source, examples to train and test on, whether bad ones are skipped)."""
  source = draw(st.sampled_from(sorted(WRITERS)))
  whole = {"array": ["png"], "tfds": ["png", "grey.png"]}.get(source, [*WHOLE])
  broken = {"array": [], "tfds": ["cut.png"]}.get(source, [*BROKEN])
  kinds = whole + broken * draw(st.booleans())
  labelled = draw(st.sampled_from(["all", "all", "some", "none"]))
  if labelled == "some" and source == "folder":
    labelled = "all"  # pictures beside classes are refused; see its own tests

  def example(labels):
    shade, label = draw(st.sampled_from(SHADES)), draw(labels)
    none = labelled == "none" or labelled == "some" and draw(st.booleans())
    kind = draw(st.sampled_from(kinds))
    return Example(shade, None if none else label, kind)

  labels = st.integers(0, len(NAMES) - 1)
  train = [example(labels) for _ in range(draw(st.integers(1, 6)))]
  known = st.sampled_from([e.label or 0 for e in train])
  labels = draw(st.sampled_from([known, known, labels]))
  test = [example(labels) for _ in range(draw(st.integers(1, 4)))]
  return source, train, test, draw(st.sampled_from([True, True, False]))


def measured(source, root, skip):
  """k-NN of the pixels, as a run would have it: percent, and how many."""
  items = {
    "name": source if source != "tfds" else dataset_files.NAME,
    "data_dir": str(root),
    "size": SIZE,
    "batch": 3,
    "on_bad_record": "skip" if skip else "raise",
    "max_bad_share": 1.0,
  }
  config = configs.override(
    configs.base(), [f"data.{k}={v}" for k, v in items.items()]
  )
  data = opened.make_sources(config)
  near = knn.Evaluator(predict="pixels", k=(9,), temperature=T, reference=False)
  checks.check_labels({"near": near}, data, {})
  spec = dataclasses.replace(build.make_spec(config), threads=2, flip=False)
  pipeline.check_example(data["train"], spec, training=True)
  data_facts.lines(data_facts.of(data))
  context = evalkit.context(data=data, size=SIZE)
  context.spec = spec
  return dict(near.run(context))


def expected(train, test):
  """(least, most) percent of a vote by cosine similarity, and how many."""
  used = lambda examples: [
    e for e in examples if e.good and e.label is not None
  ]
  train, test = used(train), used(test)
  rows = [np.stack([e.pixels.ravel() / 255 for e in x]) for x in (train, test)]
  unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows]
  weight = np.exp(unit[1] @ unit[0].T / T)
  votes = weight @ np.eye(len(NAMES))[[e.label for e in train]]
  mine = votes[np.arange(len(test)), [e.label for e in test]]
  rest = np.where(np.eye(len(NAMES))[[e.label for e in test]], 0, votes).max(1)
  sure, maybe = mine > rest * (1 + 1e-5), mine >= rest * (1 - 1e-5)
  return 100 * sure.mean(), 100 * maybe.mean(), len(test)


@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
@hypothesis.given(data_sets(), st.integers(0, 2**16))
def test_the_right_number_or_one_screen(made, seed):
  source, train, test, skip = made
  with tempfile.TemporaryDirectory() as where:
    root, rng = pathlib.Path(where), np.random.default_rng(seed)
    WRITERS[source](root, {"train": train, "test": test}, rng)
    try:
      values = measured(source, root, skip)
    except errors.UserError as error:
      hypothesis.event(f"{source}: {error.key}")
      assert error.seen and error.fix
      return
  hypothesis.event(f"{source}: a number")
  least, most, count = expected(train, test)
  assert values["examples"] == count
  assert least - 1e-3 <= values["top1"] <= most + 1e-3


def test_what_is_whole_has_a_number():
  """That the property above does not hold by errors alone."""
  rng = np.random.default_rng(0)
  train = [Example(s, i % 3) for i, s in enumerate(SHADES)]
  test = [Example(s, i % 3) for i, s in enumerate(SHADES[:4])]
  for source, write in WRITERS.items():
    with tempfile.TemporaryDirectory() as where:
      root = pathlib.Path(where)
      write(root, {"train": train, "test": test}, rng)
      values = measured(source, root, skip=False)
    least, most, count = expected(train, test)
    assert values["examples"] == count == 4, source
    assert least - 1e-3 <= values["top1"] <= most + 1e-3, source


@hypothesis.given(
  st.sampled_from(["byte", "char"]),
  st.text(max_size=20),
  st.text(max_size=12),
  st.integers(1, 4),
)
def test_texts_are_their_tokens_or_one_screen(kind, train, test, length):
  with tempfile.TemporaryDirectory() as where:
    root = pathlib.Path(where)
    for split, text in (("train", train), ("test", test)):
      data = text.encode("utf-8", "replace")
      (root / f"{split}.txt").write_bytes(data)
    items = {"name": f"text/{kind}:{length}", "data_dir": where, "batch": 2}
    config = configs.override(
      configs.base(), [f"data.{k}={v}" for k, v in items.items()]
    )
    try:
      data = opened.make_sources(config)
      spec = build.make_spec(config)
      pipeline.check_example(data["train"], spec, training=True)
    except errors.UserError as error:
      assert error.seen and min(map(_length(kind), (train, test))) < length
      return
    batches = [*pipeline.evaluation_batches(data["eval"], spec)]
  rows = np.concatenate([b["tokens"][b["valid"]] for b in batches])
  text = _plain(test)
  characters = sorted(set(_plain(train)))
  tokens = (
    [*text.encode()]
    if kind == "byte"
    else [characters.index(c) + 1 if c in characters else 0 for c in text]
  )
  whole = len(tokens) // length
  np.testing.assert_array_equal(
    rows, np.reshape(tokens[: whole * length], (whole, length))
  )


def _plain(text):
  """As it can be written: what has no code is "?"."""
  return text.encode("utf-8", "replace").decode()


def _length(kind):
  encoded = lambda text: len(text.encode("utf-8", "replace"))
  return encoded if kind == "byte" else lambda text: len(_plain(text))
