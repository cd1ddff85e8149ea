"""VideoMAE V2 on clips of one moving shape: the small runs of the card.

    python -m jmim.main --config=configs/videomae_v2_shapes.py \
      --workdir=runs/videomae
    ... --config=configs/videomae_v2_shapes.py:decoder_ratio=0.0

Arguments: decoder_ratio=0.5, mask=tube (random), steps=1000. Clips of 8 frames
of 32 pixels, patch 4: 256 tokens, of which the encoder sees 28. The class of a
clip is the direction of the motion, one of eight.

Size: 0.522 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, decoder_ratio=0.5, mask="tube", steps=1000)
  config = configs.base()
  half, quarter = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
  config.data.update(
    name="shapes/directions",
    batch=64,
    size=32,
    frames=8,
    stride=1,
    flip=False,
    mean=half,
    std=quarter,
  )
  config.method = configs.section(
    type="video.videomae_v2",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=4),
    size=32,
    frames=8,
    tubelet=2,
    decoder_dims=dict(width=48, depth=2, heads=4),
    masks=dict(mask_ratio=0.9, mask=arg.mask, decoder_ratio=arg.decoder_ratio),
    mean=half,
    std=quarter,
  )
  config.optim.update(name="adamw", lr=1e-3, b2=0.95, weight_decay=0.05)
  config.schedule.update(name="cosine", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=400, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss"), probe=configs.section(type="probe")
  )
  return config
