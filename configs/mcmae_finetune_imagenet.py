"""Fine-tuning of an MCMAE on ImageNet-1k, the authors' recipe.

    python -m jmim.main --config=configs/mcmae_finetune_imagenet.py \
      --config.data.data_dir=DIR --workdir=WORKDIR \
      --config.init_from.path=PRETRAINED_WORKDIR

Arguments: size=224, batch=1024. The encoder starts from a run of
mr_mae_imagenet with backbone=mcmae, or from the authors' weights (python -m
jmim.convert --from=mcmae): shortcuts, decoder and what mimics are left there.

Top-1 of the authors: 85.0 (MCMAE-B, 1600 epochs), 85.8 (MR-MCMAE-B, 400); not
repeated here. In half precision with 16-bit exponents (float16) their code may
run into NaN: bfloat16 or float32.

Size: 85.4 M parameters.
Time: not measured.
Expect: the authors' top-1 of MCMAE-B, not repeated: 85.0 %.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, size=224, batch=1024)
  config = configs.base()
  config.data.update(
    name="imagenet2012",
    eval_split="validation",
    batch=arg.batch,
    size=arg.size,
    host_crop="resized",
    crop_scale=(0.08, 1.0),
    crop_ratio=(3 / 4, 4 / 3),
    flip=True,
    eval_crop="center",
    eval_resize=arg.size * 256 // 224,
    randaugment=9.0,
    erase_share=0.25,
  )
  config.method = configs.section(
    type="supervised.mcmae",
    size=arg.size,
    classes=1000,
    dims=dict(variant="B/16"),
    mixing=dict(mixup=0.8, cutmix=1.0, smoothing=0.1),
    drop_path=0.1,
  )
  config.init_from.update(
    skip=(
      "^main/(decoder|heads|fusion)/",
      "^main/encoder/(norm|shortcut1|shortcut2)/",
    ),
    reinit=("^main/head/", "pos_embed$"),
  )
  config.optim.update(
    lr=5e-4, lr_batch=256, b2=0.999, weight_decay=0.05, layer_decay=0.65
  )
  config.schedule.update(warmup_epochs=5.0, min_lr=1e-6)
  config.train.update(total_epochs=100.0, checkpoint_epochs=1.0, log_steps=100)
  config.evals = configs.section(
    accuracy=configs.section(type="accuracy", every_epochs=1.0)
  )
  config.hardware.data_threads = 16
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
