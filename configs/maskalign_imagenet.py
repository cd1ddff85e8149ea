"""MaskAlign on ImageNet-1k: ViT-B/16 or L/16 aligned with CLIP.

    python -m jmim.main --config=configs/maskalign_imagenet.py \
      --config.method.teacher=clip_b16.npz --workdir=W ...

Arguments: variant=B/16 (L/16), teacher=B/16 (L/14), epochs=200, batch=1024.
Students of another depth than their teacher join layers with fusion=sum.

Reference (authors; not repeated here; fine-tuned): B/16 from CLIP-B/16 85.4,
L/16 from CLIP-B/16 86.5, L/16 from CLIP-L/14 87.4.

Size: 92.7 M parameters.
Time: not measured.
Expect: the authors' fine-tuned top-1 of B/16, not repeated: 85.4 %.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="B/16", teacher="B/16", epochs=200, batch=1024
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
  same = arg.variant[0] == arg.teacher[0]
  config.method = configs.section(
    type="distill.maskalign",
    dims=dict(variant=arg.variant),
    size=224,
    drop_path=0.2 if arg.variant.startswith("L") else 0.1,
    teacher="",
    teacher_kind="clip",
    teacher_dims=dict(variant=arg.teacher),
    mask_ratio=0.7,
    alignment=dict(fusion="linear" if same else "sum", layers="top5"),
  )
  config.optim.update(
    name="adamw", lr=1.5e-4, lr_batch=256, b1=0.9, b2=0.95, weight_decay=0.05
  )
  config.schedule.update(name="cosine", warmup_epochs=20.0, min_lr=1e-5)
  config.train.update(
    total_epochs=float(arg.epochs), checkpoint_epochs=1.0, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_epochs=5.0, limit=2 * arg.batch)
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
