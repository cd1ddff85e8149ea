"""Two towers of CLIP on scenes of one thing and their captions.

    python -m jmim.main --config=configs/clip_scenes.py --workdir=runs/clip

Argument: steps=1000. Its tower of texts is the frozen one of diffdis_scenes.

Not yet measured here.

Size: 0.268 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(name="scenes/one", batch=128, size=32, flip=False)
  config.data.update(mean=half, std=half)
  config.data.update(tokenizer="words:scenes", text_length=12)
  ids = dict(vocabulary=30, length=12, start=1, end=2, pad=0)
  tower = dict(width=64, depth=2, heads=2, projection=64)
  config.method = configs.section(
    type="text.clip",
    size=32,
    dims=dict(variant="Ti/4", width=64, depth=3, heads=2),
    text=dict(**ids, **tower),
    alike=True,  # 160 captions: a batch holds some of them twice
  )
  config.optim.update(lr=1e-3, b2=0.98, weight_decay=0.1, clip_norm=1.0)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    zeroshot=configs.section(type="zeroshot", predict="features", limit=1000)
  )
  return config
