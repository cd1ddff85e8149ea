"""DMAE on ImageNet-1k: ViT-B/16 learns from a pre-trained MAE ViT-L/16.

    python -m jmim.main --config=configs/dmae_imagenet.py:mask_ratio=0.95 \
      --config.method.teacher=mae_l.npz --config.data.data_dir=DIR --workdir=W

Arguments: variant=B/16 (S/16, Ti/16), mask_ratio=0.75, epochs=100, batch=4096.
The teacher is the .npz of the encoder of MAE ViT-L/16, 1600 epochs, raw pixels.

Reference (authors; not repeated here): 84.0 after fine-tuning for 100 epochs
at 75 %, 83.6 at 95 %, 82.4 at 98 %. 100 epochs are 31 k steps.

Size: 112 M parameters.
Time: not measured.
Expect: the authors' fine-tuned top-1, not repeated: 84.0 %.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="B/16", mask_ratio=0.75, epochs=100, batch=4096
  )
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=arg.batch,
    size=224,
    host_crop="resized",
    crop_scale=(0.2, 1.0),
    flip=True,
    eval_crop="center",
    eval_resize=256,
  )
  config.method = configs.section(
    type="distill.dmae",
    dims=dict(variant=arg.variant),
    size=224,
    decoder_dims=dict(width=512, depth=8, heads=16),
    mask_ratio=arg.mask_ratio,
    norm_pix=False,
    teacher="",
    teacher_dims=dict(variant="L/16"),
    student_blocks=(8,),
    teacher_blocks=(17,),
    distance="L1",
    projection="fc-1layer",
    weight=1.0,
  )
  config.optim.update(
    name="adamw", lr=1.5e-4, lr_batch=256, b1=0.9, b2=0.95, weight_decay=0.05
  )
  config.schedule.update(name="cosine", warmup_epochs=20.0)
  config.train.update(
    total_epochs=float(arg.epochs), checkpoint_epochs=1.0, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_epochs=5.0, limit=2 * arg.batch),
    recon=configs.section(type="recon", every_epochs=20.0),
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
