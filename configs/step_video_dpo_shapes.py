"""Video-DPO on moving shapes: of two clips the faster one is preferred.

    python -m jmim.main --config=configs/step_video_shapes.py --workdir=RUN
    python -m jmim.main --config=configs/step_video_dpo_shapes.py:base=RUN \
      --workdir=W
    python -m jmim.main --mode=sample --workdir=W --num=64 \
      --config=configs/step_video_dpo_shapes.py:base=RUN

Pairs of `shapes/preferences` differ in their pace alone, and are in the range
of paces that RUN was trained on. It begins at RUN's average, which is the
reference: the first loss is log 2 = 0.693.

Arguments: base= (a run of step_video_shapes, of the same arguments),
beta=200 (factor of a difference of mean errors per clip; searched in 50 ..
500), lr=2e-5 (the card searches 1e-6 .. 1e-5, of larger models), steps=300,
attention=full. `errors/accuracy` is the share of held-out pairs whose preferred
clip has gained more than the other, `errors/margin` by how much, times beta.

Size: 0.717 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  known = dict(beta=200.0, lr=2e-5, steps=300, attention="full")
  arg = configs.parse_arg(arg, base="", **known)
  config = configs.load(f"step_video_shapes:attention={arg.attention}")
  config.data.update(name="shapes/preferences", frames=10)
  config.method.update(
    type="video.video_dpo",
    beta=arg.beta,
    reference=configs.section(path=arg.base, weights="ema"),
  )
  config.init_from.update(path=arg.base, weights="ema")
  config.optim.update(lr=arg.lr, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=20)
  config.ema.decay = 0.0
  config.train.update(total_steps=arg.steps, checkpoint_steps=300, log_steps=20)
  config.evals = configs.section(
    errors=configs.section(type="mean", limit=256, repeats=4, every_steps=300),
    samples=configs.section(type="samples", every_steps=300),
  )
  return config
