"""One small network tells pose, expression, light and whose face it is.

    python -m jmim.main --config=configs/attributes_faces.py --workdir=W

Argument: steps=3000. What it has learnt on clean faces measures edited ones
(`evals.<name>.workdir=W` of the evaluator `factors`).

Size: 0.374 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

# What each number varies by, about: its deviation in the data.
UNITS = {
  "pose": (1.2, 1.2, 0.15, 1.7),  # x, y, angle, yaw
  "expression": (1.2, 1.2, 0.43),  # open, curve, brows
  "light": (0.2, 0.2),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=3000)
  config, half = configs.base(), (0.5, 0.5, 0.5)
  config.data.update(name="faces/people", batch=64, size=32, flip=False)
  config.data.update(mean=half, std=half)
  config.method = configs.section(
    type="supervised.attributes",
    size=32,
    width=24,
    cells=4,
    attributes=("label",),
    classes=(200,),
    numbers=dict(names=tuple(UNITS), units=tuple(UNITS.values())),
  )
  config.optim.update(lr=2e-3, b2=0.99, weight_decay=0.01)
  config.schedule.update(name="cosine", warmup_steps=50)
  config.train.update(total_steps=arg.steps, checkpoint_steps=1000)
  config.evals = configs.section(
    loss=configs.section(type="loss"),
    who=configs.section(type="accuracy", predict="logits/label"),
  )
  return config
