"""A small classifier of the procedural faces: the features of their distances.

    python -m jmim.main --config=configs/convnet_faces.py --workdir=W

Arguments: steps=1000, data=faces/small (faces/small32; faces/people: 200 people
of 32 px, the identities of `difffae_faces`). What restorers of these
faces are measured with: `evals.<name>.encoder=W` of the evaluator `fid`.

Size: 0.0948 M parameters.
Time: a minute and a half on a CPU core.
Expect: accuracy 83.5 %.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=1000, data="faces/small")
  people = arg.data == "faces/people"
  size = 32 if people or arg.data.endswith("32") else 16
  config = configs.base()
  config.data.update(
    name=arg.data,
    batch=64,
    size=size,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="supervised.convnet",
    size=size,
    width=32,
    classes=200 if people else 12,
  )
  config.optim.update(lr=3e-3, b2=0.99, weight_decay=0.01)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(accuracy=configs.section(type="accuracy"))
  return config
