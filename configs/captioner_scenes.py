"""A captioner of scenes: the small vision-language model of ThinkDiff.

    python -m jmim.main --config=configs/captioner_scenes.py \
      --workdir=runs/captioner

Arguments: steps=1500.

Not yet measured here.

Size: 0.269 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

LENGTH, WORDS = 9, 30  # words of "words:scenes", 4 special ones


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1500)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenes/one", batch=64, size=32, flip=False, mean=half, std=half
  )
  config.data.update(
    tokenizer="words:scenes", text_length=LENGTH, text_start=-1, text_end=-1
  )
  config.method = configs.section(
    type="text.captioner",
    size=32,
    text=dict(length=LENGTH, words=WORDS, begin=1, end=2, pad=0),
    network=dict(
      dims=dict(variant="Ti/4", width=64, depth=3, heads=4),
      lm=dict(width=64, depth=2, heads=4),
      hidden=176,
    ),
    tokens=LENGTH,
  )
  config.optim.update(lr=2e-3, b2=0.99, weight_decay=0.02, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500, limit=1024),
    told=configs.section(
      type="attributes", classes=("label", "kind", "texture", "place")
    ),
  )
  return config
