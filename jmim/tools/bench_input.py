"""How fast the input is, and whether that is fast enough.

    python -m jmim.tools.bench_input
    python -m jmim.tools.bench_input --config=configs/mae_imagenet.py \
      --config.data.data_dir=DIR --needs=2000

Without a config: 256 photograph-like JPEGs of 500 x 375, made from the two
photographs that scikit-learn ships, random resized crop to 224. Printed are the
rate per core and per host, the time of a batch, where the time goes, and in the
same run, image by image in turn, the same work by Pillow (torchvision's
arithmetic) and, if TensorFlow is installed, by tf.data. Taking turns matters:
on a shared machine rates drift by a factor of two within a minute.
"""

import argparse
import dataclasses
import importlib.util
import io
import os
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
from PIL import Image
from sklearn import datasets

from jmim import build
from jmim import checks
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import validate
from jmim.data import decode
from jmim.data import jpeg
from jmim.data import pipeline
from jmim.data import reader
from jmim.data import sources
from jmim.data import views
from jmim.data import worker

_SIZE = 224
_SCALE, _RATIO = (0.2, 1.0), (3 / 4, 4 / 3)
Box = tuple[int, int, int, int]


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
  return [decode.crop_box(375, 500, _SCALE, _RATIO, rng) for _ in range(count)]


def contestants() -> dict[str, Callable[[bytes, Box], np.ndarray]]:
  """Name -> (file, box) -> uint8 [224, 224, 3]; one core each."""
  found = {"Pillow": _pillow}
  if jpeg.available():
    found["jmim turbo"] = _turbo
    found["jmim turbo, without the resize"] = _turbo_decode
    found["  of which parsing (entropy decoding)"] = _parse
  if importlib.util.find_spec("tensorflow"):
    found["tf.image, bicubic"] = _tensorflow()
  return found


def _pillow(data: bytes, box: Box) -> np.ndarray:
  top, left, height, width = box
  with Image.open(io.BytesIO(data)) as picture:
    cut = picture.convert("RGB").crop((left, top, left + width, top + height))
  return np.asarray(cut.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))


def _turbo(data: bytes, box: Box) -> np.ndarray:
  return decode.quick_resize(_turbo_decode(data, box), _SIZE, _SIZE)


def _turbo_decode(data: bytes, box: Box) -> np.ndarray:
  return jpeg.crop(data, box, 3, jpeg.shrink(box[2], box[3], _SIZE))[0]


def _parse(data: bytes, box: Box) -> np.ndarray:
  """At an eighth only one coefficient per block is transformed."""
  return jpeg.crop(data, box, 1, 8)[0]


def _tensorflow() -> Callable[[bytes, Box], np.ndarray]:
  """decode_and_crop_jpeg in a compiled graph, as input pipelines use it."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  import tensorflow as tf  # noqa: PLC0415  optional, and slow to import

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)

  @tf.function(
    input_signature=[
      tf.TensorSpec((), tf.string), tf.TensorSpec((4,), tf.int32)
    ]
  )  # fmt: skip
  def run(data, box):
    image = tf.image.decode_and_crop_jpeg(data, box, channels=3)
    image = tf.image.resize(image, (_SIZE, _SIZE), method="bicubic")
    return tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)

  return lambda data, box: run(data, np.array(box, np.int32)).numpy()


def race(
  runners: dict[str, Callable], files: Sequence[bytes], rounds: int
) -> dict[str, float]:
  """Mean seconds per image of each, every image by each in turn.

  Of several rounds the fastest counts, image by image: what interrupts is not
  the program's.
  """
  places = boxes(len(files))
  best = {name: np.full(len(files), np.inf) for name in runners}
  for _ in range(rounds):
    for i, (data, box) in enumerate(zip(files, places, strict=True)):
      for name, run in runners.items():
        start = time.perf_counter()
        run(data, box)
        best[name][i] = min(best[name][i], time.perf_counter() - start)
  return {name: float(times.mean()) for name, times in best.items()}


@dataclasses.dataclass(frozen=True)
class Rates:
  """What was measured of the whole pipeline of this host.

  Attributes:
    images: per second.
    sent: bytes per second on their way to the device.
    p50: median seconds between batches.
    p99: 99th percentile of that.
  """

  images: float
  sent: float
  p50: float
  p99: float


def pipeline_rates(
  source: sources.Source, spec: pipeline.Spec, seconds: float
) -> Rates:
  """Times the stream of batches for so many seconds after a warm-up."""
  stream = pipeline.train(source, spec)
  for _ in range(1 + spec.prefetch):
    batch = next(stream)
  laps, start = [], time.perf_counter()
  while not laps or laps[-1] - start < seconds:
    batch = next(stream)
    laps.append(time.perf_counter())
  stream.close()
  gaps = np.diff([start, *laps])
  size = sum(array.nbytes for array in batch.values())
  return Rates(
    images=spec.batch / gaps.mean(),
    sent=size / gaps.mean(),
    p50=float(np.quantile(gaps, 0.5)),
    p99=float(np.quantile(gaps, 0.99)),
  )


def shares(
  source: sources.Source, spec: pipeline.Spec, count: int
) -> dict[str, float]:
  """Share of the time of one thread in reading, making and stacking."""
  stream = pipeline.stream_of(source, spec)
  epoch, index = stream.slots(0)
  spent = {"read": 0.0, "decode and resize": 0.0, "copy": 0.0}
  make = views.Maker(spec, training=True)
  made, begin = [], time.perf_counter()
  for i, e in list(zip(index.tolist(), epoch.tolist(), strict=True))[:count]:
    start = time.perf_counter()
    example = source[i]
    read = time.perf_counter()
    rng = reader.example_rng(spec.seed, e, i)
    made += make(example, [rng], source.name(i))
    spent["read"] += read - start
    spent["decode and resize"] += time.perf_counter() - read
  start = time.perf_counter()
  for name in made[0]:
    np.stack([arrays[name] for arrays in made])
  spent["copy"] = time.perf_counter() - start
  whole = time.perf_counter() - begin
  return {name: seconds / whole for name, seconds in spent.items()}


def _parse_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments, and "key=value" overrides of the recipe."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--config", help="recipe whose data are measured")
  parser.add_argument("--images", type=int, default=256, help="made images")
  parser.add_argument("--rounds", type=int, default=3, help="of the race")
  parser.add_argument("--seconds", type=float, default=10.0, help="pipeline")
  parser.add_argument("--needs", type=float, help="images/s of the step")
  for name in ("threads", "workers"):
    parser.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS,
                        help=f"hardware.data_{name}")  # fmt: skip
  ours = [a for a in argv if a.startswith("--config.")]
  flags = parser.parse_args([a for a in argv if a not in ours])
  return flags, [a.removeprefix("--config.") for a in ours]


def _subject(flags: argparse.Namespace, overrides: Sequence[str], files):
  """(source, spec) of the recipe, or of the made photographs."""
  if flags.config:
    config = configs.override(configs.load(flags.config), overrides)
    validate.validate(config)
    checks.check_data(config.data)
    spec = build.make_specs(config)[0]
    source = build.make_sources(config)["train"]
  else:
    source = sources.ArraySource({"image": files})
    spec = pipeline.Spec(
      batch=64, size=_SIZE, host_crop="resized",
      decoder="turbo" if jpeg.available() else "pillow",
      threads=os.cpu_count() or 1,
    )  # fmt: skip
  given = {k: v for k, v in vars(flags).items() if k in ("threads", "workers")}
  return source, dataclasses.replace(spec, **given)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  flags, overrides = _parse_flags(sys.argv[1:] if argv is None else argv)
  try:
    measure(flags, overrides)
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    return 2
  return 0


def measure(flags: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Measures and prints; raises UserError if the data cannot be read."""
  worker.one_thread_per_image()
  files = photographs(flags.images)
  kilobytes = np.mean([len(f) for f in files]) / 1000
  print(
    f"one core, {len(files)} JPEGs of 500 x 375 ({kilobytes:.0f} kB) -> 224"
  )
  seconds = race(contestants(), files, flags.rounds)
  for name, each in seconds.items():
    ratio = seconds["Pillow"] / each
    print(f"  {name:38} {1 / each:7.0f} images/s  {ratio:5.2f} x Pillow")
  if not jpeg.available():
    print('  jmim turbo: not installed; pip install "jmim[fast]"')
  source, spec = _subject(flags, overrides, files)
  print(
    f"this host: batch {spec.batch}, {spec.workers} workers, "
    f"{spec.threads} threads each, decoder {spec.decoder}"
  )
  for name, share in shares(source, spec, 256).items():
    print(f"  {name:38} {share:7.1%}")
  rates = pipeline_rates(source, spec, flags.seconds)
  cores = len(os.sched_getaffinity(0))
  print(
    f"  {rates.images:.0f} images/s, {rates.images / cores:.0f} per core "
    f"({cores}); {rates.sent / 1e6:.0f} MB/s to the device\n"
    f"  batch: median {1e3 * rates.p50:.0f} ms, 99 % {1e3 * rates.p99:.0f} ms"
  )
  if flags.needs:
    verdict = "enough" if rates.images >= flags.needs else "TOO SLOW"
    print(
      f"the step needs {flags.needs:.0f} images/s, this host delivers "
      f"{rates.images:.0f}: {verdict}"
    )


if __name__ == "__main__":
  sys.exit(main())
