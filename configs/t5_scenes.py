"""A tiny T5 on captions of scenes: other recipes are told by its encoder.

"a red striped circle at the top left" is read up to a word and gone on with; or
read whole and said whole, by which it learns to tell one thing from another.

    python -m jmim.main --config=configs/t5_scenes.py --workdir=runs/t5

Arguments: steps=2000, objective=prefix (span), whole=0.5 (share of the texts
that are read and said whole).

Not yet measured here.

Size: 0.202 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

LENGTH, WORDS, END = 10, 30, 2  # words of "words:scenes", 4 special ones


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=2000, objective="prefix", whole=0.5)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one", batch=128, size=32, flip=False, mean=half, std=half
  )
  config.data.update(
    tokenizer="words:scenes", text_length=LENGTH, text_start=-1, text_end=END
  )
  config.method = configs.section(
    type="text.t5",
    network=dict(
      words=WORDS + 6,  # sentinels
      width=64,
      depth=2,
      heads=4,
      head_width=16,
      hidden=128,
      buckets=16,
      distance=16,
    ),
    length=LENGTH,
    vocabulary=WORDS,
    end=END,
    sentinel=WORDS + 5,
    objective=arg.objective,
    whole=arg.whole,
    share=0.3,
    span=2.0,
  )
  config.optim.update(lr=2e-3, b2=0.99, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=1024)
  )
  return config
