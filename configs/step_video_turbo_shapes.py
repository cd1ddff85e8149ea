"""Step-Video Turbo on moving shapes: ten calls, by pairs of noise and sample.

    python -m jmim.main --config=configs/step_video_shapes.py --workdir=RUN
    python -m jmim.tools.make_pairs --workdir=RUN --out=DIR --num=2000 \
      --name=step_video_pairs
    python -m jmim.main --config=configs/step_video_turbo_shapes.py:base=RUN \
      --workdir=W --config.data.data_dir=DIR

Pairs are of RUN's own sampler: 30 calls, guidance 2. Ten calls here, of which
guidance falls from 2 to 1 at a ninth of the way.

Arguments: base= (a run of step_video_shapes), steps=300, calls=10.
`errors/flow` is the error of the velocity of held-out pairs.

Size: 0.717 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, base="", steps=300, calls=10)
  config = configs.load("step_video_shapes")
  config.data.update(name="step_video_pairs", frames=0)
  config.method.type = "video.step_video_turbo"
  config.method.noise = configs.section(shift=1 / 3, ends=5.0)
  config.method.sampling.steps = arg.calls
  config.init_from.update(path=arg.base, weights="ema")
  config.optim.lr = 2e-4
  config.train.update(total_steps=arg.steps, checkpoint_steps=300)
  return config
