"""DiffDub's second stage on HDTF: from HuBERT's layers to codes of mouths.

Examples are clips of 13 s at 25 frames a second: `codes` [325, 512] of a
renderer (`edit.dubbing` with `render=False` and `apply.store`, whose clips hold
`frames` [325, 256, 256, 3] and `landmarks` [325, 68, 2]), and `sound` [25, 650,
1024], all hidden states of HuBERT-large at 50 a second.

    python -m jmim.main --config=configs/diffdub_speech_hdtf.py --workdir=W

Arguments: data=hdtf_codes, sound=hubert (mfcc: `sound` [1, 650, 13]),
steps=100000, batch=32: both numbers are ours, the authors state none.

Size: 34.8 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

SOUNDS = {
  "hubert": dict(layers=25, sound_width=1024),
  "mfcc": dict(layers=1, sound_width=13),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, data="hdtf_codes", sound="hubert", steps=100_000, batch=32
  )
  choices.check(arg, sound=SOUNDS)
  config = configs.base()
  config.data.update(name=arg.data, batch=arg.batch, size=256, flip=False)
  config.method = configs.section(
    type="edit.diffdub_speech", **SOUNDS[arg.sound]
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=10_000),
    shares=configs.section(type="mean", predict="shares", limit=32),
  )
  return config
