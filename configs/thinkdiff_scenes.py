"""ThinkDiff on scenes: features of images, told to a tiny T5's decoder.

    python -m jmim.main --config=configs/t5_scenes.py --workdir=runs/t5
    python -m jmim.main --config=configs/captioner_scenes.py \
      --workdir=runs/captioner
    C=configs/thinkdiff_scenes.py:t5=runs/t5
    python -m jmim.main --config=$C,captioner=runs/captioner --workdir=W

variant=lvlm learns from what the captioner has generated, stored by
configs/generated_scenes.py as the data set `thoughts`:

    python -m jmim.main --config=$C,variant=lvlm --workdir=W2

Arguments: variant=clip (lvlm), t5=, captioner= (runs), norm=copied (own),
steps=1500.

Not yet measured here: `python -m jmim.tools.claim thinkdiff`.

Size: 8384 parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

LENGTH, WORDS, END, WIDTH = 10, 36, 2, 64  # as in t5_scenes
SIZES = dict(words=WORDS, width=WIDTH, depth=2, heads=4, head_width=16)
SEES = dict(variant="Ti/4", width=64, depth=3, heads=4)  # captioner_scenes


def get_config(arg: str | None = None):
  known = dict(variant="clip", t5="", captioner="", norm="copied", steps=1500)
  arg = configs.parse_arg(arg, **known)
  config, half = configs.base(), (0.5, 0.5, 0.5)
  config.data.update(batch=64, size=32, flip=False, mean=half, std=half)
  if arg.variant == "clip":
    config.data.update(
      name="scenes/one",
      tokenizer="words:scenes",
      text_length=LENGTH,
      text_start=-1,
      text_end=END,
    )
    told = dict(
      size=32,
      mean=half,
      std=half,
      vision=dict(family="dino", path=arg.captioner, dims=SEES, norm=True),
      tokens=LENGTH,
    )
  else:
    config.data.name = "thoughts"
    told = dict(length=LENGTH - 1, width=WIDTH, shared=True)
  config.method = configs.section(
    type="text.thinkdiff",
    variant=dict(type=arg.variant, **told),
    text=dict(length=LENGTH, end=END),
    t5=dict(hidden=128, buckets=16, distance=16, **SIZES),
    host=dict(path=arg.t5),
    projector=dict(norm=arg.norm),
  )
  config.optim.update(lr=2e-3, b2=0.999, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=100, limit=1024)
  )
  return config
