"""The section `data`: which examples there are, and how a batch is made."""

import dataclasses

from jmim.core import field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
  """What the model sees. Sides in pixels, `batch` over all hosts.

  `data.specs.Spec` checks which of these values go together.
  """

  # --- which examples
  name: str = field.value(
    "",
    "name of TFDS ('cifar10', 'digits/scattered'), or 'folder', 'tar', "
    "'array', 'csv', 'parquet', 'text/byte:1024' (char, ids), or a Python "
    "object, 'my_module.my_data'",
  )
  data_dir: str = field.value(
    "", "TFDS data directory or folder of images; '': ~/.cache/jmim"
  )
  train_split: str = field.value(
    "train", "split trained on; slices: 'train[:80%]', 'train[100:200]'"
  )
  eval_split: str = field.value("test", "split that evaluators use")
  eval_share: float = field.value(
    0.0,
    "share of train_split held out for evaluators, in place of eval_split; "
    "0: none",
    low=0,
    high=0.9,
  )
  mixture: tuple = field.value(
    (), "((name, weight), ...): train on several data sets; `name` is for eval"
  )
  keep: str = field.value(
    "",
    "file that lists the examples of train_split to keep, by position from 0: "
    ".npy or text; '': all",
  )
  group: str = field.value(
    "",
    "stored id ('label', 'clip'): examples that share it make one, of "
    "`members` of them; '': each is one",
  )
  members: int = field.value(
    0, "examples of a group in one of a batch; 0: no groups", low=0
  )
  cache: int = field.value(
    0, "bytes of encoded examples kept in memory; 0: none", low=0
  )
  follow_labels: bool = field.value(
    False,
    "take method.classes from the data, and leave out evaluators that need "
    "labels where there are none",
  )
  batch: int = field.value(256, "total batch per optimizer step", low=1)
  repeat_samples: int = field.value(
    1,
    "slots in a row with the same example, drawn anew; divides batch",
    low=1,
  )
  remainder: str = field.value(
    "keep",
    "end of an epoch that fills no batch: 'keep' (a batch may straddle two "
    "epochs) or 'drop'",
    choices=("keep", "drop"),
  )
  on_bad_record: str = field.value(
    "raise",
    "broken examples, and shards that are not whole: 'raise' (name it, stop) "
    "or 'skip' (name it, go on without it)",
    choices=("raise", "skip"),
  )
  max_bad_share: float = field.value(
    0.05,
    "largest share of the examples, and of the shards, that may be broken "
    "before the run stops",
    low=0,
    high=1,
  )

  # --- on the host: decoding and cutting
  size: int = field.value(
    224,
    "image side given to the method [pixels]; its width, with `height`",
    low=1,
  )
  height: int = field.value(
    0,
    "image height given to a method that reads rectangles [pixels]; 0: size, a "
    "square",
    low=0,
  )
  channels: int = field.value(3, "channels; 3: RGB, 1: grey", choices=(1, 3))
  max_pixels: int = field.value(
    2**26,
    "largest stored picture [pixels]; a larger one is a bad record, refused "
    "before it is decoded (at 2^26 a thread needs some 0.7 GB)",
    low=1,
    high=178_956_970,  # above, Pillow refuses by itself
  )
  box: tuple = field.value(
    (),
    "(top, left, height, width) of the part of a stored `image` that is read "
    "[pixels], before any crop; its maps go with it; (): all of it",
  )
  host_crop: str = field.value(
    "none",
    "how the host cuts a training image to `size`: 'none' (stored at that "
    "size), 'center', 'resized' (random resized crop; big images)",
    choices=("none", "center", "resized"),
  )
  eval_crop: str = field.value(
    "none",
    "how the host cuts an image for evaluation: 'none', 'center' (short side "
    "to eval_resize), or 'squash' (both sides to it), then the middle",
    choices=("none", "center", "squash"),
  )
  eval_resize: int = field.value(
    0,
    "short side, or both, before the crop [pixels]; 0: size. With `height` the "
    "width, the height in proportion",
    low=0,
  )
  crop_scale: tuple = field.value(
    (0.2, 1.0), "least and greatest area of a random resized crop [share]"
  )
  crop_ratio: tuple = field.value(
    (3 / 4, 4 / 3), "least and greatest width / height of such a crop"
  )
  decoder: str = field.value(
    "pillow",
    "decoder of random crops: 'pillow' is torchvision's arithmetic; 'turbo' "
    "decodes only what the crop needs, 2.5x as fast (pip install jmim[fast])",
    choices=("pillow", "turbo"),
  )
  kernel: str = field.value(
    "bicubic",
    "filter of the resize; turbo knows bicubic only",
    choices=("bicubic", "bilinear"),
  )
  pictures: tuple = field.value(
    (),
    "((name, height, width), ...), or (name, n, height, width) for n of them: "
    "further stored pictures that a method reads, at sizes of their own",
  )
  tokenizer: str = field.value(
    "",
    "tokenizer of a stored text, which gives `tokens`: 'words:NAME' (the list "
    "of a builder), 'bytes', 'file:PATH' (tokenizer.json); '': nothing does",
  )
  text: str = field.value(
    "caption", "stored text that `tokens` are made of; '': `prompt` is"
  )
  prompt: str = field.value("", "text of every example, with text=''")
  texts: tuple = field.value(
    (), "((entry, stored text), ...): further tokens of a method, made alike"
  )
  text_words: tuple = field.value(
    (),
    "words whose tokens have a 1 in `marks`, beside `tokens`: one text of them "
    "for all examples, or one for each label; (): there are no marks",
  )
  text_length: int = field.value(
    77, "tokens of a text, start, end and padding included", low=1
  )
  text_start: int = field.value(
    1, "token before a text; -1: none (CLIP: 49406, T5: -1)", low=-1
  )
  text_end: int = field.value(
    2, "token after a text; -1: none (CLIP: 49407, T5: 1)", low=-1
  )
  text_pad: int = field.value(
    0, "token that fills up (CLIP of Stable Diffusion 1: 49407)", low=0
  )
  views: int = field.value(
    0, "crops of one image in `views`; 0: `image`", low=0
  )
  nested: bool = field.value(False, "views 1, 2 ... are crops of view 0")
  view_scale: tuple = field.value(
    (0.3, 0.6), "least and greatest area of nested views [share of view 0]"
  )
  local_views: int = field.value(
    0, "small crops of one image in `locals`", low=0
  )
  local_size: int = field.value(96, "side of local views [pixels]", low=1)
  local_scale: tuple = field.value(
    (0.05, 0.4), "least and greatest area of local views [share]"
  )
  frames: int = field.value(
    0, "frames of a clip in `video`; 0: no video", low=0
  )
  stride: int = field.value(4, "stored frames per frame of a clip", low=1)
  volume: tuple = field.value(
    (),
    "[d, h, w] cut at a random place out of a stored volume [voxels], for "
    "evaluation out of its middle; (): no volumes",
  )
  eval_volume: tuple = field.value(
    (),
    "[d, h, w] cut for evaluation, for methods that work in windows; (): "
    "`volume`",
  )

  # --- on the device, inside the step
  device_crop: str = field.value(
    "none",
    "random crop inside the step: 'pad' (zero-pad by `pad`, crop; CIFAR) or "
    "'resized'; for images stored at `size`",
    choices=("none", "pad", "resized"),
  )
  pad: int = field.value(4, "padding of device_crop='pad' [pixels]", low=0)
  flip: bool = field.value(
    True,
    "mirror half of the images (volumes: along each axis); off for digits and "
    "text",
  )
  turn: bool = field.value(
    False,
    "turn images (volumes: their slices) by no, one, two or three quarters of "
    "a circle",
  )
  jitter: tuple = field.value(
    (0.0, 0.0, 0.0, 0.0),
    "colour jitter: strength of brightness, contrast, saturation, hue",
  )
  jitter_share: float = field.value(
    0.8, "share of images jittered, if any", low=0, high=1
  )
  grey_share: float = field.value(
    0.0, "share of images made grey", low=0, high=1
  )
  blur_share: float = field.value(0.0, "share of images blurred", low=0, high=1)
  blur_sigma: tuple = field.value(
    (0.1, 2.0), "least and greatest standard deviation of the blur [pixels]"
  )
  randaugment: float = field.value(
    0.0, "magnitude of RandAugment (fine-tuning: 9); 0: none", low=0, high=10
  )
  erase_share: float = field.value(
    0.0,
    "share of images with a box of noise (fine-tuning: 0.25)",
    low=0,
    high=1,
  )
  mean: tuple = field.value(
    (0.485, 0.456, 0.406), "mean per channel, subtracted from [0, 1] images"
  )
  std: tuple = field.value(
    (0.229, 0.224, 0.225), "standard deviation per channel, divided by"
  )
  volume_mean: float = field.value(
    0.0, "mean of volumes, subtracted from [0, 1] voxels"
  )
  volume_std: float = field.value(
    1.0, "standard deviation of volumes, divided by", above=0
  )

  # --- clouds of points, on the device (see `clouds`)
  points: int = field.value(
    0,
    "points of a cloud in `points`, drawn at random in training, else the "
    "first; 0: all that are stored",
    low=0,
  )
  points_unit: bool = field.value(
    False, "centre each cloud, and scale its farthest point to distance 1"
  )
  points_mean: tuple = field.value(
    (0.0, 0.0, 0.0), "mean of the data set per axis, subtracted from points"
  )
  points_std: tuple = field.value(
    (1.0, 1.0, 1.0),
    "standard deviation per axis that points are divided by",
  )
  points_scale: tuple = field.value(
    (1.0, 1.0), "least and greatest random factor, one per cloud and axis"
  )
  points_shift: float = field.value(
    0.0, "greatest random shift, one per cloud and axis", low=0
  )
  points_turn: str = field.value(
    "none",
    "axis about which clouds are turned at random",
    choices=("none", "x", "y", "z"),
  )

  @property
  def sides(self) -> tuple[int, int]:
    """(height, width) of one image."""
    return (self.height or self.size, self.size)

  @property
  def image(self) -> tuple[int, int, int]:
    """[h, w, c] of one image."""
    return (*self.sides, self.channels)
