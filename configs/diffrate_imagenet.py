"""DiffRate on ImageNet-1k: token counts of a fine-tuned ViT.

    python -m jmim.convert --from=mae_finetuned --weights=FILE \
      --config=configs/finetune_imagenet.py:variant=L/16 --out=runs/mae_l
    python -m jmim.main --config=configs/diffrate_imagenet.py --workdir=runs/W \
      --config.method.classifier.path=runs/mae_l --config.data.data_dir=DIR
    python -m jmim.tools.token_counts --workdir=runs/W

Arguments: variant=L/16 (B/16, H/14; DeiT: S/16), head=finetune (DeiT:
backbone, converted with --from=timm_vit), target=0 GFLOPs (0: the paper's),
batch=1024. With --config.method.lists.published=deit_s_2.9g or mae_b_11.5g the
evaluation is that of the paper's lists.

Reference (authors, no fine-tuning; not repeated here), top-1 at GFLOPs: MAE B
82.86 (11.5), L 85.66 (42.3), H 86.66 (103.4); DeiT-S 79.54 (2.9), DeiT-B 81.50
(11.5). Three epochs; the authors' repeated augmentation is
data.repeat_samples=3, of which the card does not say the number.

Size: 2156 parameters.
Time: not measured.
Expect: the authors' top-1 of L at 42.3 GFLOPs, not repeated: 85.66 %.
"""

from jmim.core import config as configs

# (variant, head) -> GFLOPs of the paper.
TARGETS = {
  ("S/16", "backbone"): 2.9,
  ("B/16", "backbone"): 11.5,
  ("B/16", "finetune"): 11.5,
  ("L/16", "finetune"): 42.3,
  ("H/14", "finetune"): 103.4,
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="L/16", head="finetune", target=0.0, batch=1024
  )
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=arg.batch,
    size=224,
    host_crop="resized",
    crop_scale=(0.08, 1.0),
    crop_ratio=(3 / 4, 4 / 3),
    flip=True,
    eval_crop="center",
    eval_resize=256,
    randaugment=9.0,
    erase_share=0.25,
  )
  mean = arg.head == "finetune"
  config.method = configs.section(
    type="supervised.diffrate",
    size=224,
    classes=1000,
    classifier=dict(path="", kind=arg.head, dims=dict(variant=arg.variant)),
    mixing=dict(mixup=0.8, cutmix=1.0, smoothing=0.1),
    drop_path=0.1,
    counts=dict(
      granularity=4,
      untouched=(0, -1) if mean else (0,),
      target=arg.target or TARGETS.get((arg.variant, arg.head), 0.0),
      flops_unit=1e9,
      weight=5.0,
    ),
  )
  config.optim.update(name="adamw", lr=0.01, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="cosine", min_lr=0.001)
  config.train.update(total_epochs=3.0, checkpoint_epochs=0.25, log_steps=50)
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_epochs=1.0)
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
