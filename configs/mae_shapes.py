"""MAE on procedural scenes, judged by what its patch tokens know.

Data: `shapes/small`, built on first use (no download): two to five textured
shapes on a floor, with exact masks and depth. Segmentation and depth probes
on patch tokens, and masks that follow the tokens through moving clips.

    python -m jmim.main --config=configs/mae_shapes.py --workdir=runs/shapes

Arguments: steps=2000. Not yet run to its end here.

Size: 0.516 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, steps=2000)
  config = configs.base()
  config.data.update(
    name="shapes/small",
    batch=64,
    size=32,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
  )
  config.method = configs.section(
    type="mim.mae",
    dims=dict(variant="Ti/4", width=96, depth=4, heads=3),
    size=32,
    decoder_dims=dict(width=48, depth=2, heads=3),
    mask_ratio=0.75,
    norm_pix=True,
  )
  config.optim.update(lr=1.5e-3, weight_decay=0.05)
  config.schedule.warmup_steps = 100
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=500),
    segmentation=configs.section(type="dense"),
    depth=configs.section(type="dense", task="depth", target="depth"),
    propagation=configs.section(type="propagation"),
    attentive=configs.section(type="attentive", epochs=10.0),
    introspect=configs.section(type="introspect"),
    recon=configs.section(type="recon", batches=4),
  )
  return config
