"""DiffSTE on words of three glyphs: 16 x 32 px, folded to 8 x 16.

    python -m jmim.main --config=configs/attributes_glyphs.py --workdir=READER
    python -m jmim.main --config=configs/diffste_glyphs.py:reader=READER \
      --workdir=W

500 words to learn, 500 others to write. Instructions are tokens of whole words,
so that words which were not learnt are spelt by the characters alone.

Arguments: reader= (a run that reads what is written), branches=both (or text,
or char), steps=2500.
`python -m jmim.tools.claim diffste` compares.

Size: 1.45 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data import tokenizers
from jmim.data.builders import glyphs

BRANCHES = {"both": ("text", "char"), "text": ("text",), "char": ("char",)}
SIDES = (16, 32)
BETAS = dict(beta_start=1e-4, beta_end=0.02)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, reader="", branches="both", steps=2500)
  choices.check(arg, branches=BRANCHES)
  config = configs.base()
  half, words = (0.5, 0.5, 0.5), "words:glyphs"
  small = dict(width=32, multipliers=(1, 2), blocks=1, attend_at=(1, 2))
  texts = dict(tokenizer=words, text="instruction", text_length=glyphs.LENGTH)
  config.data.update(
    name="glyphs/words",
    batch=32,
    size=SIDES[0],
    pictures=(("picture", *SIDES),),
    flip=False,
    mean=half,
    std=half,
    **texts,
  )
  special = dict(start=1, end=2, pad=0, vocabulary=tokenizers.open(words).size)
  config.method = configs.section(
    type="edit.diffste",
    size=tuple(side // 2 for side in SIDES),
    channels=12,
    first_stage=dict(variant="fold2"),
    dims=dict(**small, attend_first=True, heads=2),
    told=dict(
      branches=BRANCHES[arg.branches],
      drop=0.1,
      tokens=glyphs.LENGTH,
      text=dict(**special, length=glyphs.LENGTH, width=64, depth=2, heads=4),
      characters=dict(length=3),
    ),
    painted=dict(read="picture"),
    noise=dict(**BETAS, schedule="linear", spacing="even"),
    sampling=dict(steps=20, guidance=2.0, clip=1.0),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=50)
  config.ema.decay = 0.995
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=1000, log_steps=50
  )
  one = lambda kind, **more: configs.section(type=kind, weights="ema", **more)
  config.evals = configs.section(
    outside=one("mean", predict="outside", limit=32),
    samples=one("samples", examples=16),
  )
  if arg.reader:
    config.evals.spelling = one(
      "spelling", workdir=arg.reader, picture="picture", limit=256
    )
  return config
