"""Random resized crops of JPEGs by several means, on one core.

Rates are images per second of processor time, all threads together: seconds by
the clock would on a shared machine drift by a factor of two within a minute.
"""

import collections
import contextlib
import importlib.util
import io
import itertools
import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from PIL import Image
from sklearn import datasets

from jmim.data import decode
from jmim.data import jpeg

SIZE = 224
_SCALE, _RATIO = (0.2, 1.0), (3 / 4, 4 / 3)
_BATCH = 64
Box = tuple[int, int, int, int]
# Makes all crops once.
Runner = Callable[[], Iterator[np.ndarray]]
Crop = Callable[[bytes, Box], np.ndarray]
Runners = dict[str, Runner]


def photographs(count: int, seed: int = 0) -> list[bytes]:
  """JPEGs of 500 x 375 with the detail, and so the bytes, of photographs.

  Args:
    count: how many.
    seed: of the crops and of the noise.

  Returns:
    Encoded images of about 85 kB, as those of ImageNet.
  """
  rng = np.random.default_rng(seed)
  originals = datasets.load_sample_images().images
  files = []
  for i in range(count):
    picture = Image.fromarray(originals[i % len(originals)])
    width = int(rng.integers(380, min(picture.width, picture.height * 4 // 3)))
    height = width * 3 // 4
    left = int(rng.integers(picture.width - width + 1))
    top = int(rng.integers(picture.height - height + 1))
    box = (left, top, left + width, top + height)
    pixels = np.asarray(picture.resize((500, 375), box=box), np.float32)
    pixels = np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255)
    file = io.BytesIO()
    Image.fromarray(pixels.astype("u1")).save(file, "jpeg", quality=95)
    files.append(file.getvalue())
  return files


def boxes(count: int, seed: int = 1) -> list[Box]:
  """Random boxes of 375 x 500 images, the same for every contestant."""
  rng = np.random.default_rng(seed)
  return [
    decode.crop_box(375, 500, scale=_SCALE, ratio=_RATIO, rng=rng)
    for _ in range(count)
  ]


def contestants(files: Sequence[bytes], places: Sequence[Box]) -> Runners:
  """Name -> what makes all crops once: an iterator of uint8 arrays.

  Args:
    files: JPEGs.
    places: a box of each.

  Returns:
    Batches [n, 224, 224, 3] of whole contestants; of the parts of one, what
    they leave of each image.
  """
  pairs = list(zip(files, places, strict=True))

  def whole(make: Crop) -> Iterator[np.ndarray]:
    for start in range(0, len(pairs), _BATCH):
      some = pairs[start : start + _BATCH]
      batch = np.empty((len(some), SIZE, SIZE, 3), np.uint8)
      for slot, (data, box) in enumerate(some):
        batch[slot] = make(data, box)
      yield batch

  def part(make: Crop) -> Iterator[np.ndarray]:
    return itertools.starmap(make, pairs)

  runners = {"Pillow": lambda: whole(_pillow)}
  if jpeg.available():
    runners["jmim turbo"] = lambda: whole(_turbo)
    runners["jmim turbo, without the resize"] = lambda: part(_turbo_decode)
    runners["  of which parsing (entropy decoding)"] = lambda: part(_parse)
  if importlib.util.find_spec("tensorflow"):
    runners["tf.data, bicubic"] = _tf_data(files, places)
  return runners


def _pillow(data: bytes, box: Box) -> np.ndarray:
  top, left, height, width = box
  with Image.open(io.BytesIO(data)) as picture:
    cut = picture.convert("RGB").crop((left, top, left + width, top + height))
  return np.asarray(cut.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def _turbo(data: bytes, box: Box) -> np.ndarray:
  return decode.quick_resize(_turbo_decode(data, box), SIZE, SIZE)


def _turbo_decode(data: bytes, box: Box) -> np.ndarray:
  return jpeg.crop(data, box, 3, jpeg.shrink(*box[2:], (SIZE, SIZE)))[0]


def _parse(data: bytes, box: Box) -> np.ndarray:
  """At an eighth only one coefficient per block is transformed."""
  return jpeg.crop(data, box, 1, 8)[0]


def _tf_data(files: Sequence[bytes], places: Sequence[Box]) -> Runner:
  """decode_and_crop_jpeg, not antialiased, as input pipelines use it."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  import tensorflow as tf  # noqa: PLC0415  optional, and slow to import

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  tf.autograph.set_verbosity(0)

  def make(data, box):
    image = tf.image.decode_and_crop_jpeg(data, box, channels=3)
    image = tf.image.resize(image, (SIZE, SIZE), method="bicubic")
    return tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)

  stored = np.array(files, object), np.array(places, np.int32)
  data = tf.data.Dataset.from_tensor_slices(stored)
  data = data.map(make, num_parallel_calls=tf.data.AUTOTUNE).batch(_BATCH)
  return data.as_numpy_iterator


@contextlib.contextmanager
def one_core() -> Iterator[None]:
  """Holds this thread, and those that it starts, on one core."""
  before = os.sched_getaffinity(0)
  os.sched_setaffinity(0, {min(before)})
  try:
    yield
  finally:
    os.sched_setaffinity(0, before)


def race(runners: Runners, count: int, rounds: int) -> dict[str, float]:
  """Mean seconds of processor time per image of each, in turn.

  Of several rounds the fastest counts: what the rest of the machine does to
  caches and clock rate is not the program's.

  Args:
    runners: that make all crops once.
    count: images of a round.
    rounds: how many.
  """
  best = dict.fromkeys(runners, float("inf"))
  for _ in range(rounds):
    for name, run in runners.items():
      start = time.process_time()
      collections.deque(run(), maxlen=0)
      best[name] = min(best[name], (time.process_time() - start) / count)
  return best
