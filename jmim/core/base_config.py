"""Every config key that is not a method's or an evaluator's own.

`config.method` and `config.evals.<name>` are documented by the fields of the
classes they name. Durations: give ONE of `<stem>_steps`, `<stem>_epochs`,
`<stem>_images`; 0 means not given. Sizes of batches are totals over all
devices and hosts, always.
"""

from jmim.core import config_key
from jmim.core import hardware_config

Key, duration = config_key.Key, config_key.duration
KEYS: dict[str, Key] = {
  "seed": Key(0, "Fixes init, data order and draws. Change for a repeat."),
  # --- method: `type` here; its other keys are the fields of the class.
  "method.type": Key("", "Module below jmim/methods, e.g. 'mim.mae'."),
  # --- data: what the model sees.
  "data.name": Key("", "TFDS name ('cifar10', 'digits/scattered') or 'folder'"),
  "data.data_dir": Key("", "TFDS data dir or image folder; '': ~/.cache/jmim"),
  "data.train_split": Key("train", "Split trained on; TFDS slices work."),
  "data.eval_split": Key("test", "Held-out split that evaluators use."),
  "data.batch": Key(256, "Total batch per optimizer step.", low=1),
  "data.size": Key(224, "Image side given to the method [pixels].", low=1),
  "data.channels": Key(3, "3: RGB, 1: grey.", choices=(1, 3)),
  "data.host_crop": Key(
    "none",
    "How the host cuts a training image to `size`: 'none' (stored at that "
    "size), 'center', 'resized' (random resized crop; big images).",
    choices=("none", "center", "resized"),
  ),
  "data.eval_crop": Key(
    "none",
    "The same for evaluation: 'none' or 'center'.",
    choices=("none", "center"),
  ),
  "data.eval_resize": Key(
    0, "Short side before the centre crop [pixels]; 0: size.", low=0
  ),
  "data.crop_scale": Key((0.2, 1.0), "Area range of a random resized crop."),
  "data.crop_ratio": Key((0.75, 4 / 3), "Aspect range of such a crop."),
  "data.device_crop": Key(
    "none",
    "Random crop inside the step: 'pad' (zero-pad by `pad`, crop; CIFAR) or "
    "'resized'. Use it when images are stored at `size`.",
    choices=("none", "pad", "resized"),
  ),
  "data.pad": Key(4, "Padding of device_crop='pad' [pixels].", low=0),
  "data.flip": Key(True, "Mirror half of the images. Off for digits, text."),
  "data.jitter": Key(
    (0.0, 0.0, 0.0, 0.0),
    "Colour jitter: strength of brightness, contrast, saturation, hue.",
  ),
  "data.jitter_share": Key(
    0.8, "Share of images jittered, if any.", low=0, high=1
  ),
  "data.grey_share": Key(0.0, "Share of images made grey.", low=0, high=1),
  "data.blur_share": Key(0.0, "Share of images blurred.", low=0, high=1),
  "data.blur_sigma": Key((0.1, 2.0), "Range of the blur [pixels]."),
  "data.randaugment": Key(
    0.0, "RandAugment's magnitude (fine-tuning: 9); 0: none.", low=0, high=10
  ),
  "data.erase_share": Key(
    0.0,
    "Share of images with a box of noise (fine-tuning: 0.25).",
    low=0,
    high=1,
  ),
  "data.mean": Key((0.485, 0.456, 0.406), "Subtracted from [0, 1] images."),
  "data.std": Key((0.229, 0.224, 0.225), "Then divided by."),
  "data.decoder": Key(
    "pillow",
    "Of host_crop='resized': 'pillow' is torchvision's arithmetic; 'turbo' "
    "decodes only what the crop needs, 2.5x as fast (pip install jmim[fast]).",
    choices=("pillow", "turbo"),
  ),
  "data.kernel": Key(
    "bicubic",
    "Filter of the resize; turbo knows bicubic only.",
    choices=("bicubic", "bilinear"),
  ),
  "data.views": Key(0, "Crops of one image in `views`; 0: `image`.", low=0),
  "data.nested": Key(False, "Views 1, 2 ... are crops of view 0."),
  "data.view_scale": Key(
    (0.3, 0.6), "Area of nested views, as a share of view 0."
  ),
  "data.local_views": Key(0, "Small crops of one image in `locals`.", low=0),
  "data.local_size": Key(96, "Their side [pixels].", low=1),
  "data.local_scale": Key((0.05, 0.4), "Their area range."),
  "data.frames": Key(0, "Frames of a clip in `video`; 0: no video.", low=0),
  "data.stride": Key(4, "Stored frames per frame of a clip.", low=1),
  "data.repeat_samples": Key(
    1,
    "Slots in a row with the same example, drawn anew; divides batch.",
    low=1,
  ),
  "data.remainder": Key(
    "keep",
    "End of an epoch that fills no batch: 'keep' (a batch may straddle two "
    "epochs) or 'drop'.",
    choices=("keep", "drop"),
  ),
  "data.mixture": Key(
    (), "((name, weight), ...): train on several data sets; name is for eval."
  ),
  "data.cache": Key(
    0, "Keep this many bytes of encoded examples in memory; 0: none.", low=0
  ),
  "data.on_bad_record": Key(
    "raise",
    "A broken image: 'raise' (name it and stop) or 'skip' (name it, go on).",
    choices=("raise", "skip"),
  ),
  "data.max_bad_share": Key(
    0.05,
    "Stop if more than this share of the data set is broken.",
    low=0,
    high=1,
  ),
  # --- optim
  "optim.name": Key(
    "adamw", "Optimizer.", choices=("adamw", "lion", "sgd", "lars")
  ),
  "optim.lr": Key(1e-3, "Peak learning rate; see lr_batch.", low=0),
  "optim.lr_batch": Key(
    0,
    "lr is per this many examples: peak = lr * batch / lr_batch (MAE's blr: "
    "256). 0: lr is the peak itself.",
    low=0,
  ),
  "optim.b1": Key(0.9, "First-moment decay (adamw, lion).", low=0, below=1),
  "optim.b2": Key(
    0.95,
    "Second-moment decay (adamw, lion). 0.999 to fine-tune.",
    low=0,
    below=1,
  ),
  "optim.eps": Key(1e-8, "Adam's epsilon.", low=0),
  "optim.momentum": Key(0.9, "Momentum (sgd, lars).", low=0, below=1),
  "optim.trust": Key(0.001, "LARS trust coefficient.", above=0),
  "optim.weight_decay": Key(
    0.05,
    "Decoupled (adamw, lion) or added to the gradient (sgd, lars).",
    low=0,
  ),
  "optim.weight_decay_end": Key(
    0.0, "Its value at the end of half a cosine; 0: constant.", low=0
  ),
  "optim.clip_norm": Key(
    0.0,
    "Global gradient-norm clip per player; 0: none. Try 1.0 on spikes.",
    low=0,
  ),
  "optim.accumulate": Key(
    1, "Micro-batches per step: use when a batch does not fit.", low=1
  ),
  "optim.layer_decay": Key(
    1.0,
    "lr of layer i of n times this^(n - i); 0.65..0.75 to fine-tune.",
    above=0,
    high=1,
  ),
  "optim.freeze": Key((), "Regexes of parameters that do not train."),
  "optim.lr_mults": Key((), "((regex, factor), ...) on the learning rate."),
  "optim.decay_mults": Key((), "((regex, factor), ...) on the weight decay."),
  # --- schedule of the learning rate
  "schedule.name": Key(
    "cosine",
    "After the warm-up: half cosine or line to min_lr, constant, rsqrt, one "
    "step down.",
    choices=("cosine", "linear", "constant", "rsqrt", "step"),
  ),
  "schedule.min_lr": Key(0.0, "Where cosine and linear end.", low=0),
  "schedule.start_lr": Key(0.0, "Where the warm-up begins.", low=0),
  "schedule.drop_factor": Key(0.1, "step: by how much.", low=0, high=1),
  **duration("schedule.drop", "step: when, from the start"),
  **duration("schedule.warmup", "Linear warm-up from start_lr"),
  **duration("schedule.cooldown", "Final line to 0 (constant, rsqrt)"),
  **duration("schedule.timescale", "rsqrt: lr * sqrt(T / (T + t))"),
  # --- init_from: parameters of another run, see checkpoints/init_from.py
  "init_from.path": Key(
    "", "Workdir of a run, or .npz, to start the parameters from; '': fresh."
  ),
  "init_from.weights": Key(
    "raw", "Its trained parameters or their EMA.", choices=("raw", "ema")
  ),
  "init_from.rename": Key((), "((regex, replacement), ...) on its names."),
  "init_from.skip": Key((), "Regexes of its names that are not wanted."),
  "init_from.reinit": Key((), "Regexes of our names that stay fresh."),
  "init_from.resize": Key((), "Regexes of position tables to be resized."),
  # --- train
  **duration("train.total", "Length of the run"),
  "train.log_steps": Key(
    50, "Steps between log lines, which are means over them.", low=1
  ),
  "train.profile_steps": Key(
    "", "'10:13': trace these steps into workdir/profile, print what took long."
  ),
  **duration("train.checkpoint", "Between checkpoints; none: only the last"),
  "train.keep": Key(2, "Newest checkpoints kept.", low=1),
  **duration("train.keep_every", "Checkpoints at multiples of this stay"),
  "train.keep_best": Key(
    "",
    "Keep the checkpoint at which this number of an evaluator is highest, "
    "e.g. 'probe/accuracy'; lowest with '-' before it; '': none.",
  ),
  "train.max_skips": Key(
    10, "Stop after this many non-finite steps in a row.", low=1
  ),
  "train.max_failures": Key(
    5,
    "Stop after this many writes in a row failed (disk full, folder gone). "
    "Raise it where a file system is often away for a while.",
    low=1,
  ),
  "train.spike_z": Key(
    0.0,
    "A loss is a spike if it is this many robust standard deviations above "
    "the median of recent ones; 0: never. Try 10 for long runs.",
    low=0,
  ),
  "train.spike_window": Key(128, "Losses it is compared with.", low=16),
  "train.spike_policy": Key(
    "warn",
    "At a spike: 'warn', or 'rollback' to the checkpoint before it, with the "
    "batches since then skipped.",
    choices=("warn", "rollback"),
  ),
  "train.max_rollbacks": Key(
    3, "Stop at the next spike after this many rollbacks.", low=1
  ),
  # --- ema of the parameters
  "ema.decay": Key(0.0, "EMA decay per step; 0: no EMA.", low=0, below=1),
  "ema.warmup": Key(True, "Use min(decay, (1 + t) / (10 + t))."),
  # --- sample: what --mode=sample makes; how is said by the method's fields
  "sample.num": Key(64, "Images in all; more later continues.", low=1),
  "sample.batch": Key(
    64, "Images at a time; rounded up to a multiple of the devices.", low=1
  ),
  "sample.seed": Key(0, "An image is a function of (seed, its number)."),
  "sample.label": Key(
    -1, "Class of all images; -1: the classes in turn.", low=-1
  ),
  "sample.weights": Key("raw", "Parameters used.", choices=("raw", "ema")),
  # --- logging: beside metrics.jsonl and TensorBoard, which are always there
  "logging.wandb_project": Key(
    "", "W&B project that is told the same (pip install jmim[wandb]); '': none."
  ),
  "logging.wandb_mode": Key(
    "online", "offline: for `wandb sync`.", choices=("online", "offline")
  ),
  **hardware_config.KEYS,
}

# Sections of which any entry may be overridden for one player:
# config.optim.players.<player>.<key of optim>.
PER_PLAYER = ("optim",)
