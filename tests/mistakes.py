"""The mistakes that `test_mistakes` makes on the command line."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs" / "mae_digits.py"
ASKED = f"--config={RECIPE}"
PROCEDURE = ROOT / "configs" / "img2img_digits.py"
CODE = "--config.procedure.code.{}"
PROTECT = f"--config={ROOT / 'configs' / 'diff_protect_digits.py'}"
# Models are those of recipes then: none has to be trained.
DRY = ("--mode=dry_run", "--topology=cpu:8")


def recipe(name: str, argument: str) -> str:
  """The flag of a recipe with an argument."""
  return f"--config={ROOT / 'configs' / name}.py:{argument}"


def changed(name: str, argument: str, *changes: str) -> list[str]:
  """A recipe with an argument, and changes of its config."""
  return [recipe(name, argument), *(f"--config.{x}" for x in changes)]


# (id, changes of a right command, what the screen must hold).
MISTAKES = [
  ("misspelt key", ["data.bach=8"], ["data.bach", "data.batch"]),
  (
    "rectangles for a method of squares",
    ["method.type=mim.mto_mae", "data.height=16"],
    ["data.height=16", "data.height=0", "(16, 32, 3)"],
  ),
  (
    "rectangles of another height",
    ["method.height=16", "data.height=24"],
    ["data.height=24", "(16, 32, 3)", "method.height"],
  ),
  (
    "height of a method of squares",
    ["method.type=mim.colormae", "method.height=16"],
    ["method.height"],
  ),
  (
    "rectangles that are turned",
    ["data.height=16", "method.height=16", "data.turn=True"],
    ["data.turn", "data.height"],
  ),
  ("misspelt section", ["dta.batch=8"], ["dta.batch", "data.batch"]),
  (
    "misspelt method key",
    ["method.mask_ration=0.5"],
    ["method.mask_ration", "mask_ratio"],
  ),
  (
    "misspelt evaluator key",
    ["evals.probe.heads=ridge"],
    ["evals.probe.heads", "'evals.probe.head'"],
  ),
  ("no value", ["data.batch"], ["data.batch", "VALUE"]),
  ("value after a space", ["data.batch", "--config.seed=1", "8"], ["="]),
  ("wrong type", ["data.batch=many"], ["data.batch", "int"]),
  (
    "int for a float is fine, then a wrong key",
    [
      "method.mask_ratio=0",
      "evals.probe.every_epochs=2",
      "train.total_steps=0",
    ],
    ["train.total_steps"],
  ),
  (
    "wrong type of a method key",
    ["method.mask_ratio=lots"],
    ["method.mask_ratio", "float"],
  ),
  ("part of a number", ["data.batch=8.5"], ["data.batch", "int"]),
  ("lower-case truth", ["data.flip=true"], ["data.flip", "bool"]),
  ("not among the choices", ["optim.name=adam"], ["optim.name", "'adamw'"]),
  ("out of range", ["optim.b2=1.0"], ["optim.b2", "< 1"]),
  ("section as a value", ["method=mim.mae"], ["method", "section"]),
  ("key below a value", ["data.batch.size=3"], ["data.batch"]),
  ("batch over devices", ["data.batch=12"], ["data.batch", "use 16"]),
  (
    "batch over accumulate",
    ["data.batch=8", "optim.accumulate=3"],
    ["data.batch", "use 24"],
  ),
  ("patch", ["method.dims.variant=Ti/5"], ["method", "patch 5"]),
  (
    "variant",
    ["method.dims.variant=XXL/4"],
    ["method.dims.variant", "Ti, S, B, L"],
  ),
  (
    "heads",
    ["method.dims.heads=5"],
    ["method.dims.heads", "method.dims.width", "5"],
  ),
  (
    "decoder heads",
    ["method.decoder_dims.heads=5"],
    ["method.decoder_dims.heads", "method.decoder_dims.width", "5"],
  ),
  (
    "decoder of another width than CRATE's encoder",
    ["method.type=mim.crate_mae", "method.decoder_dims.width=32"],
    ["method.decoder_dims.width", "32", "16"],
  ),
  (
    "MLP of blocks that have none",
    ["method.type=mim.crate_mae", "method.dims.mlp_ratio=2.0"],
    ["method.dims.mlp_ratio", "no MLP"],
  ),
  (
    "heads under their older name",
    ["method.heads=5"],
    ["method.dims.heads", "method.dims.width", "5"],
  ),
  (
    "misspelt key of a part",
    ["method.dims.widht=32"],
    ["method.dims.widht", "method.dims.width"],
  ),
  (
    "misspelt section of a part",
    ["method.dim.width=32"],
    ["method.dim", "method.dims"],
  ),
  ("part as a value", ["method.dims=B/16"], ["method.dims", "section"]),
  ("mask all", ["method.mask_ratio=1.0"], ["method.mask_ratio", "< 1.0"]),
  ("method", ["method.type=mim.mea"], ["method.type", "mim.mae"]),
  ("method's class", ["method.type=mim.mae.MAE"], ["method.type", "mim.mae"]),
  (
    "ratio of a curriculum that falls",
    ["method.type=mim.lmd", "method.mask_ratio=0.1"],
    ["method.curriculum.start", "method.mask_ratio"],
  ),
  (
    "layer of a teacher",
    ["method.type=distill.mr_mae", "method.teacher.layer=40"],
    ["method.teacher.layer", "40 of 12 blocks"],
  ),
  (
    "no weights of a teacher",
    ["method.type=distill.mr_mae"],
    ["teacher: no file", "workdir of a run"],
  ),
  (
    "scale of clouds that shrinks",
    ["data.points_scale=(2.0,0.5)"],
    ["data.points_scale", "least <= greatest"],
  ),
  (
    "axis of a turn of clouds",
    ["data.points_turn=w"],
    ["data.points_turn", "'x'"],
  ),
  (
    "deviation of clouds that is 0",
    ["data.points_std=(1.0,0.0,1.0)"],
    ["data.points_std", "positive numbers"],
  ),
  ("size of method and data", ["data.size=16"], ["data.size", "method.size"]),
  (
    "method of one channel",
    ["method.channels=1"],
    ["data.size", "(32, 32, 1)"],
  ),
  ("data set", ["data.name=cifr10"], ["data.name", "cifar10"]),
  (
    "data dir",
    ["data.data_dir=/nowhere/at/all"],
    ["data.data_dir", "/nowhere/at/all"],
  ),
  ("no data dir", ["data.data_dir="], ["data.data_dir"]),
  ("split", ["data.train_split=trian"], ["data.train_split", "train"]),
  ("means of grey images", ["data.mean=(0.5,)"], ["data.mean", "3 number"]),
  ("means that are words", ["data.mean=('a','b','c')"], ["data.mean", "float"]),
  (
    "turned views",
    ["data.views=2", "data.turn=True", "method.type=mim.cropmae"],
    ["data.turn", "data.views"],
  ),
  (
    "cycles without lengths",
    ["schedule.name=cycles"],
    ["schedule.cycles", "positive lengths"],
  ),
  (
    "a floor for each cycle",
    ["schedule.name=cycles", "schedule.cycles=(1.0, 2.0)"],
    ["schedule.floors", "2 number(s)"],
  ),
  (
    "a second drop before the first",
    ["schedule.name=step", "schedule.drop_again=(0.5,)"],
    ["schedule.drop_again", "above 1"],
  ),
  ("no deviation", ["data.std=(0.2,0.0,0.2)"], ["data.std", "positive"]),
  ("one bound", ["data.crop_scale=(0.2,)"], ["data.crop_scale", "two"]),
  (
    "bounds swapped",
    ["data.host_crop=resized", "data.crop_scale=(0.9,0.1)"],
    ["data.crop_scale", "least <= greatest"],
  ),
  ("views for a method of images", ["data.views=2"], ["data.views=0", "image"]),
  (
    "two random crops",
    ["data.host_crop=resized", "data.device_crop=pad"],
    ["data.device_crop", "none"],
  ),
  (
    "a picture without its sides",
    ["data.pictures=('garment',64,48)"],
    ["data.pictures", "(name, height, width)"],
  ),
  (
    "a picture of a known name",
    ["data.pictures=(('image',64,48),)"],
    ["data.pictures", "'image' is there"],
  ),
  (
    "groups for a method of images",
    ["data.group=label", "data.members=2"],
    ["data.members", "(2, 32, 32, 3)"],
  ),
  ("groups of no size", ["data.group=label"], ["data.members", "at least 1"]),
  ("groups by no id", ["data.members=2"], ["data.members", "data.group"]),
  (
    "groups by a picture",
    ["data.group=image", "data.members=2"],
    ["data.group", "a stored id"],
  ),
  (
    "a list that is not there",
    ["data.keep=/nowhere/list.npy"],
    ["data.keep", "/nowhere/list.npy"],
  ),
  ("evaluator", ["evals.probe.type=prob"], ["evals.probe.type", "probe"]),
  ("evaluator that is none", ["evals.probe.type=base"], ["evals.probe.type"]),
  ("evaluator to remove", ["evals.fid=None"], ["evals.fid", "evals.probe"]),
  ("evaluator as a word", ["evals.probe=probe"], ["evals.probe", "type"]),
  (
    "predict",
    ["evals.probe.predict=logits"],
    ["evals.probe.predict", "features", "reconstruct"],
  ),
  (
    "attribute that the data lack",
    ["evals.probe.type=attributes", "evals.probe.binary=('smile',)"],
    ["evals.probe.binary", "no 'smile'", "image, label"],
  ),
  (
    "no attribute to probe",
    ["evals.probe.type=attributes"],
    ["evals.probe.classes", "image, label"],
  ),
  (
    "part outside the vector",
    [
      "evals.probe.type=attributes",
      "evals.probe.predict=features",
      "evals.probe.classes=('label',)",
      "evals.probe.parts=(':8', '8:17')",
    ],
    ["evals.probe.parts", "8:17", "<= 16"],
  ),
  (
    "best by nothing",
    ["train.keep_best=fid/fid"],
    ["train.keep_best", "probe"],
  ),
  ("replay while training", ["--replay_step=3"], ["--replay_step", "eval"]),
  ("no ema", ["evals.probe.weights=ema"], ["evals.probe.weights", "ema.decay"]),
  ("no duration", ["train.total_steps=0"], ["train.total_steps"]),
  ("negative duration", ["train.total_steps=-5"], ["train.total_steps", ">="]),
  (
    "long warm-up",
    ["schedule.warmup_steps=5"],
    ["schedule.warmup", "train.total"],
  ),
  ("mesh", ["hardware.mesh.fsdp=3"], ["hardware.mesh", "8 devices"]),
  ("two free axes", ["hardware.mesh.fsdp=-1"], ["hardware.mesh", "-1"]),
  (
    "flash on a CPU",
    ["hardware.attention=cudnn"],
    ["hardware.attention", "auto"],
  ),
  (
    "a TPU's flash on a CPU",
    ["hardware.attention=flash"],
    ["hardware.attention", "a TPU", "auto"],
  ),
  (
    "axis of the layout",
    ["hardware.shard_rules=(('kernel',('layer',)),)"],
    ["hardware.shard_rules", "fsdp"],
  ),
  (
    "a compiler's option without a value",
    ["hardware.compiler=('xla_cpu_use_xnnpack',)"],
    ["hardware.compiler", "name=value"],
  ),
  (
    "rule of the layout",
    ["hardware.shard_rules=('kernel','fsdp')"],
    ["hardware.shard_rules", "regex"],
  ),
  ("no box", ["data.box=(0,0,9)"], ["data.box", "(top, left, height, width)"]),
  (
    "box beyond the images",
    ["data.box=(9,0,32,32)"],
    ["data.box", "32 x 32 pixels"],
  ),
  (
    "regex without a match",
    ["optim.freeze=('encodr/',)"],
    ["optim.freeze", "encodr/", "main/decoder"],
  ),
  ("broken regex", ["optim.freeze=('enc(',)"], ["optim.freeze", "enc("]),
  (
    "one pair without its tuple",
    ["optim.lr_mults=('encoder',0.1)"],
    ["optim.lr_mults", "(regex, number)"],
  ),
  (
    "multiplier that is a word",
    ["optim.lr_mults=(('encoder','low'),)"],
    ["optim.lr_mults", "number"],
  ),
  ("player", ["optim.players.generator.lr=1e-3"], ["optim.players", "main"]),
  ("key of a player", ["optim.players.main.lrr=1"], ["optim.players.main.lrr"]),
  (
    "regex of a player",
    ["optim.players.main.freeze=('zzz',)"],
    ["optim.players.main.freeze"],
  ),
  ("dry run of nothing", ["--mode=dry_run"], ["--topology", "v5e:16x16"]),
  (
    "names of remat",
    ["hardware.remat_save=('qkv',)"],
    ["hardware.remat_save", "remat='names'"],
  ),
  ("sampling flag without its mode", ["--num=9"], ["--num", "sample.num"]),
  (
    "a method that is applied",
    ["--mode=apply"],
    ["procedure", "mim.mae", "configs.procedure()"],
  ),
  ("unknown mode", ["--mode=trian"], ["--mode", "train"]),
  ("nothing to evaluate", ["--mode=eval"], ["--workdir", "--mode=train"]),
  ("seed beyond 32 bits", ["seed=4294967296"], ["seed", "<= 4294967295"]),
  ("bucket", ["--workdir=gs://bucket/run"], ["--workdir", "mount the bucket"]),
  ("unknown flag", ["--workdri=x"], ["workdri", "--workdir"]),
  ("bare word", ["train"], ["train"]),
  ("config file", ["--config=configs/mea.py"], ["--config", "no such file"]),
  ("argument of the recipe", [f"{ASKED}:stepz=3"], ["--config", "steps"]),
  (
    "host of a recipe",
    [recipe("mto_cifar10", "host=swin")],
    ["--config", "host=swin", "simmim or mae"],
  ),
  (
    "data of a recipe",
    [recipe("diti_images", "data=faces")],
    ["--config", "data=faces", "celeba, ffhq or bedroom"],
  ),
  (
    "stage of a recipe that trains its host",
    [recipe("diti_shapes", "stage=teacher")],
    ["--config", "stage=teacher", "host or diti"],
  ),
  (
    "stage of a recipe that has two",
    [recipe("diffusevae_digits", "stage=vae")],
    ["--config", "stage=vae", "refiner or plain"],
  ),
  (
    "stage of a recipe that has four",
    [recipe("va_vae_imagenet", "stage=4")],
    ["--config", "stage=4", "0, 1, 2 or 3"],
  ),
  (
    "model of a recipe",
    [recipe("arbscale_images", "model=cats")],
    ["--config", "model=cats", "ffhq, div2k or faces"],
  ),
  (
    "stage of a recipe that would be ignored",
    [recipe("arbscale_images", "stage=aligned")],
    ["--config", "stage=aligned", "diffusion or align"],
  ),
  (
    "task of a recipe",
    [recipe("difface_ffhq512", "task=upscale")],
    ["--config", "task=upscale", "faces or inpaint"],
  ),
  (
    "network of a recipe",
    [recipe("restorer_faces", "net=vit")],
    ["--config", "net=vit", "conv, srcnn or swinir"],
  ),
  (
    "data set of a recipe",
    [recipe("difffit_imagenet512", "set=birds")],
    ["--config", "set=birds", "cub200"],
  ),
  (
    "stage of a recipe",
    [recipe("linfusion_digits", "stage=teacher")],
    ["--config", "stage=teacher", "host or student"],
  ),
  (
    "fold of a recipe",
    [recipe("diffews_coco20i", "fold=4")],
    ["--config", "fold=4", "0, 1, 2 or 3"],
  ),
  (
    "fold that there is not",
    [recipe("segment_scenes", "fold=4")],
    ["--config", "fold=4 of folds=4"],
  ),
  (
    "classes of a recipe",
    [recipe("segment_voc", "classes=20")],
    ["--config", "classes=20", "2 or 21"],
  ),
  (
    "words without a tokenizer",
    ["data.text_words=('circle',)"],
    ["data.text_words", "data.tokenizer=''"],
  ),
  (
    "branches of a recipe",
    [recipe("diffste_glyphs", "branches=words")],
    ["--config", "branches=words", "both, text or char"],
  ),
  (
    "edits that are no multiple of an origin's",
    [recipe("oripid_published", "batch=510")],
    ["--config", "batch=510", "members=4"],
  ),
  (
    "teacher of clouds",
    [recipe("i2p_mae_shapes", "teacher=clip")],
    ["--config", "teacher=clip", "dino or none"],
  ),
  (
    "task of a restorer",
    [recipe("resshift_imagenet", "task=birds")],
    ["--config", "task=birds", "sr or faces"],
  ),
  (
    "stage of a recipe with stages",
    [recipe("arbscale_shapes", "stage=autoencoder")],
    ["--config", "stage=autoencoder", "autoencoder_inr_shapes"],
  ),
  (
    "stage of a recipe whose first has its own",
    [recipe("diffir_cifar10", "stage=prior")],
    ["--config", "stage=prior", "diffir_prior_cifar10"],
  ),
  (
    "patch of a recipe whose patches grow",
    [recipe("diffir_gopro", "patch=224")],
    ["--config", "patch=224", "192, 256, 320"],
  ),
  (
    "stage of a recipe with two priors",
    [recipe("cue_cifar10", "stage=both")],
    ["--config", "stage=both", "enhance, noise or light"],
  ),
  (
    "stage of a recipe of four",
    [recipe("microdit_text256", "stage=third")],
    ["--config", "stage=third", "masked or whole"],
  ),
  (
    "size of a recipe",
    [recipe("mar_imagenet256", "size=XL")],
    ["--config", "size=XL", "B, L or H"],
  ),
  (
    "directions of a recipe",
    [recipe("h_space_scenes", "directions=pcs")],
    ["--config", "directions=pcs", "pca, steps or random"],
  ),
  (
    "model of a recipe",
    [recipe("h_space_celebahq", "model=vit")],
    ["--config", "model=vit", "unet or dit"],
  ),
  ("type of the argument", [f"{ASKED}:steps=few"], ["--config", "int"]),
  (
    "peak held beyond the run",
    ["schedule.hold_steps=9"],
    ["schedule.hold_steps", "a part of the run"],
  ),
]

# (id, changes of a command with the recipe PROCEDURE, what the screen holds).
PROCEDURES = [
  ("a procedure that is trained", [], ["--mode", "edit.img2img", "=apply"]),
  ("evaluated as a run", ["--mode=eval"], ["--mode", "edit.img2img"]),
  (
    "no model",
    ["--mode=apply"],
    ["procedure.source.path", "is empty", "workdir of a trained run"],
  ),
  (
    "no such run",
    ["--mode=apply", "--config.procedure.source.path=runs/none"],
    ["procedure.source.path", "runs/none", "no such file"],
  ),
  (
    "misspelt key of a procedure",
    ["--mode=apply", "--config.procedure.strengh=0.2"],
    ["procedure.strengh", "procedure.strength"],
  ),
  (
    "misspelt key of a model",
    ["--mode=apply", "--config.procedure.source.pth=W"],
    ["procedure.source.pth", "procedure.source.path"],
  ),
  (
    "no such procedure",
    ["--mode=apply", "--config.procedure.type=edit.img2im"],
    ["procedure.type", "edit.img2img"],
  ),
  (
    "strength beyond all steps",
    ["--mode=apply", "--config.procedure.strength=1.5"],
    ["procedure.strength", "<= 1.0"],
  ),
  (
    "a key of training",
    ["--mode=apply", "--config.optim.lr=0.1"],
    ["optim.lr"],
  ),
  (
    "no result of an example",
    ["--mode=apply", "--config.apply.repeats=0"],
    ["apply.repeats", ">= 1"],
  ),
  (
    "a place that no network has",
    [
      recipe("h_space_scenes", "directions=steps"),
      "--mode=apply",
      "--config.procedure.walk.place.at=behind",
    ],
    ["procedure.walk.place.at", "behind", "'after'"],
  ),
  (
    "sides that attention has not",
    [
      recipe("diffumask_scenes", "num=4"),
      *DRY,
      "--config.procedure.sides=(8, 32)",
    ],
    ["procedure.sides", "sides [32]", "[8, 16]"],
  ),
  (
    "a box of another that has no size",
    [
      recipe("segment_scenes", "pairs=scenes/one,read=instance"),
      *DRY,
      "--config.method.pasted.box=(0.4, 0.1)",
    ],
    ["method", "pasted.box", "least and greatest"],
  ),
  (
    "affinities of more maps than there are",
    [
      recipe("affinity_scenes", "steps=9"),
      *DRY,
      "--config.method.widths=(4, 4, 4, 4)",
    ],
    ["method", "widths=(4, 4, 4, 4)", "3 maps"],
  ),
  (
    "tokens of a stage that the slices do not divide",
    [
      recipe("tokenunify_membranes", "steps=9"),
      *DRY,
      "--config.method.dims.slices=3",
    ],
    ["method", "dims.slices=3", "1600 tokens in stage 1"],
  ),
  (
    "a curriculum of another length than the run",
    [
      recipe("tokenunify_membranes", "steps=9"),
      *DRY,
      "--config.train.total_steps=8",
      "--config.method.mixture.steps=9",
    ],
    ["method.mixture.steps", "train.total_steps=9", "run of 8 steps"],
  ),
  (
    "kernels of a decoder without a middle",
    [
      recipe("tokenunify_membranes", "steps=9"),
      *DRY,
      "--config.method.dims.kernel=4",
    ],
    ["method", "dims.kernel=4", "odd"],
  ),
  (
    "volumes that the stages do not halve",
    [
      recipe("affinity_membranes", "steps=9"),
      *DRY,
      "--config.method.shape=(8, 40, 42)",
    ],
    ["method", "(8, 40, 42)", "multiples of 4"],
  ),
  (
    "tokens that do not fill the volume",
    [
      recipe("tokenunify_membranes", "steps=9"),
      *DRY,
      "--config.method.patch=(3, 8, 8)",
    ],
    ["method", "patch=(3, 8, 8)", "multiple"],
  ),
  (
    "a roll-out of no tokens",
    [
      recipe("tokenunify_membranes", "steps=9"),
      *DRY,
      "--config.method.rollout.start=100",
    ],
    ["method", "rollout.start=100", "100 tokens"],
  ),
  (
    "tasks that all weigh nothing",
    [
      recipe("tokenunify_membranes", "tasks=next"),
      *DRY,
      "--config.method.mixture.weights=(0.0, 0.0, 0.0)",
    ],
    ["method", "mixture.weights=(0.0, 0.0, 0.0)", "not all of them 0"],
  ),
  (
    "volumes of another size than the method's",
    [
      recipe("tokenunify_membranes", "steps=9"),
      *DRY,
      "--config.data.volume=(8, 32, 40)",
    ],
    ["data.volume", "(8, 32, 40)", "(8, 40, 40)"],
  ),
  (
    "larger volumes for a method without windows",
    changed("tokenunify_membranes", "steps=9", "data.eval_volume=(12, 48, 48)"),
    ["data.eval_volume=(12, 48, 48)", "(8, 40, 40)"],
  ),
  (
    "volumes beside clips",
    [
      recipe("tokenunify_membranes", "steps=9"),
      *DRY,
      "--config.data.frames=4",
    ],
    ["data.frames", "volumes alone"],
  ),
  (
    "pixels that are folded beyond the image",
    [
      recipe("diffir_prior_cifar10", "steps=9"),
      *DRY,
      "--config.method.dims.unshuffle=2",
    ],
    ["method", "dims.unshuffle=2", "4, or 1"],
  ),
  (
    "a critic where the restorer does not learn",
    [
      recipe("diffir_cifar10", "stage=condition"),
      *DRY,
      "--config.method.critic.weight=0.1",
    ],
    ["method", "critic.weight", "'joint'"],
  ),
  (
    "neither of two models",
    [
      recipe("h_space_labels_scenes", "by=scores"),
      "--mode=apply",
    ],
    ["procedure.source.path", "is empty"],
  ),
  (
    "two kinds of codes of different views",
    changed("digit_imagenet256", "stage=ar", "method.pixels.read=images"),
    ["semantic.read", "pixels.read", "both are stored"],
  ),
  (
    "masks of a stage that names the next code",
    changed("digit_imagenet256", "stage=ar", "method.render.masks.least=0.5"),
    ["method.render.masks"],
  ),
  (
    "no such stage of DiGIT",
    [recipe("digit_imagenet256", "stage=two")],
    ["--config", "gpt, ar or nar"],
  ),
  (
    "a probability above one",
    changed("digit_imagenet256", "stage=gpt", "method.sampling.top_p=2.0"),
    ["method.sampling.top_p", "<= 1.0"],
  ),
  (
    "misspelt key of apply",
    ["--mode=apply", "--config.apply.nmu=3"],
    ["apply.nmu", "apply.num"],
  ),
  (
    "noise of DDIM beyond DDPM's",
    ["--mode=apply", recipe("cycle_scenes", "num=8"), CODE.format("eta=2.0")],
    ["procedure.code.eta", "<= 1.0"],
  ),
  (
    "sampler that has no code",
    [
      "--mode=apply",
      recipe("cycle_scenes", "num=8"),
      CODE.format("sampler=heun"),
    ],
    ["procedure.code.sampler", "'ddim', 'ddpm'"],
  ),
  (
    "field of a search among those of codes",
    ["--mode=apply", recipe("cycle_scenes", "num=8"), CODE.format("skip=(3,)")],
    ["procedure.code.skip"],
  ),
  (
    "the best by nobody",
    ["--mode=apply", recipe("cycle_scenes", "best=True")],
    ["--config", "attributes=RUN"],
  ),
  (
    "another text for a model of classes",
    [
      *DRY,
      recipe("cycle_scenes", "num=8"),
      "--config.procedure.told=target",
    ],
    ["procedure.told", "is told no tokens"],
  ),
  (
    "a direction by a classifier",
    [
      *DRY,
      recipe("cycle_text_scenes", "num=8"),
      "--config.procedure.scorer.recipe=configs/attributes_scenes.py",
    ],
    ["procedure.scorer", "name a run of text.clip"],
  ),
  (
    "a description that is longer than a caption",
    [
      *DRY,
      recipe("diffuhaul_scenes", "vague=True"),
      f"--config.procedure.description.caption={(1,) * 40}".replace(" ", ""),
    ],
    ["procedure.description", "description.caption", "tokens at most"],
  ),
  (
    "steps of Langevin that leap",
    [
      "--mode=apply",
      recipe("langevin_scenes", "num=8"),
      "--config.procedure.rate=4.0",
    ],
    ["procedure.rate", "< 4.0"],
  ),
  (
    "hole that is not begun from noise",
    [*DRY, "--config.procedure.hole=0.5"],
    ["procedure.hole", "hole=0.5", "strength=0.6"],
  ),
  (
    "no such attack",
    [PROTECT, "--mode=apply", "--config.procedure.attack=sdss"],
    ["procedure.attack", "'sds'", "'mist'"],
  ),
  (
    "key of a budget beside it",
    [PROTECT, "--mode=apply", "--config.procedure.epsilon=8.0"],
    ["procedure.epsilon", "procedure.budget.epsilon"],
  ),
  (
    "no change at all",
    [PROTECT, "--mode=apply", "--config.procedure.budget.epsilon=0.0"],
    ["procedure.budget.epsilon", "> 0"],
  ),
  (
    "no such edit",
    [PROTECT, *DRY, "--config.procedure.readout.kinds=('dreambooth',)"],
    ["procedure.readout.kinds", "once, sdedit, inpaint"],
  ),
  (
    "a texture finer than pixels",
    [
      PROTECT,
      *DRY,
      "--config.procedure.attack=encoder",
      "--config.procedure.target.fields=64",
    ],
    ["procedure.target.fields", "fields=64 of an image (32, 32)"],
  ),
  (
    "hole smaller than what is diffused",
    [
      PROTECT,
      *DRY,
      "--config.procedure.readout.kinds=('inpaint',)",
      "--config.procedure.readout.hole=0.05",
    ],
    ["procedure.readout.kinds", "hole=0.05 of a side of 8 x 8"],
  ),
  # Methods whose keys are not those of the recipe of MISTAKES.
  (
    "nothing masked, sampled from all [MASK]",
    changed("vq_diffusion_digits", "masked=0.0", "method.sampling.start=mask"),
    ["method", "sampling.start 'mask'", "process.mask_last 0", "'prior'"],
  ),
  (
    "kept and masked above one",
    changed("vq_diffusion_digits", "steps=200", "method.process.keep_last=0.5"),
    ["method", "kept and masked", "above 1"],
  ),
  (
    "sharper codes without purity",
    changed("vq_diffusion_digits", "steps=200", "method.sampling.sharpen=1.0"),
    ["method", "sampling.sharpen 1.0", "'purity'"],
  ),
  (
    "special token that is none of the words",
    changed("t5_scenes", "steps=4", "method.sentinel=36"),
    ["method", "sentinel 36 of network.words 36"],
  ),
  (
    "more gaps than sentinels",
    changed("t5_scenes", "objective=span", "method.sentinel=30"),
    ["method", "sentinel 30, and 2 gaps", "below 30", "vocabulary"],
  ),
  (
    "an instruction that is longer than the method's",
    changed("diffste_glyphs", "steps=4", "method.told.tokens=9"),
    ["data.text_length", "data.text_length=10", "(9,)"],
  ),
  (
    "a text for all that is too long",
    changed(
      "clip_scenes",
      "steps=4",
      "data.text=",
      f"data.prompt={'a red circle ' * 9}",
    ),
    ["data.text_length", "data.prompt has 29 tokens"],
  ),
  (
    "classes in sentences without a tokenizer",
    changed(
      "clip_scenes",
      "steps=4",
      "data.tokenizer=",
      "evals.zeroshot.templates=('a {}',)",
    ),
    ["data.tokenizer", "evals.zeroshot.templates"],
  ),
  (
    "a text that would never end",
    changed("thinkdiff_scenes", "steps=4", "method.text.end=0"),
    ["method", "text.end 0 is text.pad"],
  ),
  (
    "grid of an image that is smaller than its pool",
    changed("thinkdiff_scenes", "steps=4", "method.variant.pool=9"),
    ["method", "variant.pool 9 of a grid of 8"],
  ),
  (
    "what is told of a scene",
    ["--mode=apply", recipe("prompted_scenes", "told=sound")],
    ["--config", "image, text or both"],
  ),
  (
    "a prompt of nothing",
    [
      *DRY,
      recipe("prompted_scenes", "told=image"),
      "--config.procedure.told.images=0",
    ],
    ["procedure.told", "told.images=0 without told.text"],
  ),
  (
    "a prompt beside captions of labels",
    changed("mmar_digits", "stage=2", "method.text.prompt=(1,)"),
    ["method", "text.of", "text.prompt"],
  ),
  (
    "a host of a model that is trained whole",
    changed("mmar_digits", "stage=2", "method.host.path=runs/lm"),
    ["method", "host.path", "network.lm.lora.rank 0", "init_from.path"],
  ),
  (
    "a caption that is too long",
    changed(
      "mmar_laion",
      "stage=2",
      "method.text.length=2",
      "method.text.prompt=(1, 2, 3)",
    ),
    ["method", "text.prompt (1, 2, 3)", "text.length 2"],
  ),
  (
    "a text and classes",
    changed("vq_diffusion_digits", "steps=200", "method.condition.kind=text"),
    ["method", "condition.kind 'text'", "condition.classes 10"],
  ),
  (
    "frames that no chunk has",
    changed("autoencoder3d_shapes", "steps=10", "method.frames=4"),
    ["method", "frames 4 in chunks of 5", "1 + 4 k frames", "dims.chunk"],
  ),
  (
    "dual paths that are not there",
    [
      recipe("autoencoder3d_shapes", "variant=deep-f2x2,trains=dual"),
    ],
    ["method", "trains 'dual'", "dims.variant", "no dual paths"],
  ),
  (
    "a first stage of clips for images",
    changed("dit_digits", "steps=10", "method.first_stage.variant=deep-f2x2"),
    ["method", "first_stage.variant 'deep-f2x2' codes clips"],
  ),
  (
    "no such degradation",
    changed(
      "diffir_prior_cifar10", "steps=10", "method.degraded.degradation=rain"
    ),
    ["method.degraded.degradation", "'rain'", "'motion'"],
  ),
  (
    "a degradation that does nothing",
    changed(
      "diffir_prior_cifar10", "steps=10", "method.degraded.degradation=bicubic"
    ),
    ["degraded.factor=1", "'bicubic'", "2 or more"],
  ),
  (
    "a factor of a degradation without one",
    changed("diffir_prior_cifar10", "steps=10", "method.degraded.factor=4"),
    ["degraded.factor=4", "'motion'", "degraded.factor=1"],
  ),
  (
    "experts without a token",
    changed(
      "microdit_shapes", "steps=20", "method.patches.backbone.capacity=0.2"
    ),
    ["method", "patches.backbone.experts", "0 of 16 tokens"],
  ),
  (
    "ratios of other blocks than there are",
    changed("microdit_shapes", "steps=20", "method.patches.backbone.depth=5"),
    ["method", "patches.backbone.qkv_ratios", "patches.backbone.depth 5"],
  ),
  (
    "captions of another length than is read",
    changed("microdit_shapes", "steps=20", "data.text_length=5"),
    ["data.text_length=5", "(6,)"],
  ),
  (
    "a sampler of another kind of noise",
    changed("microdit_shapes", "steps=20", "method.sampling.sampler=ddpm"),
    ["method", "sampling.sampler 'ddpm'", "heun"],
  ),
  (
    "a width without a table of positions in 3-D",
    [recipe("fastdit3d_shapenet", "variant=L/8")],
    ["method", "network.dims.width 1024", "divide by 6"],
  ),
  (
    "windows that do not tile the voxels",
    changed("fastdit3d_shapes", "steps=200", "method.network.window=3"),
    ["method", "network.window=3", "8 patches"],
  ),
  (
    "windows of an encoder that sees few tokens",
    changed("fastdit3d_shapes", "steps=200", "method.network.windows=(0,)"),
    ["method", "network.windows=(0,)", "masked=False"],
  ),
  (
    "more experts of a token than there are, in 3-D",
    changed("fastdit3d_shapes", "steps=200", "method.network.chosen=5"),
    ["method", "network.chosen=5", "network.experts=4"],
  ),
  (
    "rotary axes that are no head",
    changed("step_video_shapes", "steps=100", "method.dims.axes=(16, 8, 4)"),
    ["method", "dims.axes (16, 8, 4)", "that of a head, 32"],
  ),
  (
    "labels where texts are stored",
    changed("step_video_shapes", "steps=100", "method.told.kind=stored"),
    ["method", "told.kind 'stored' with told.classes 8"],
  ),
  (
    "texts that no data set stores",
    changed(
      "step_video_shapes",
      "steps=100",
      "method.told.kind=stored",
      "method.told.classes=0",
    ),
    ["'context', which the method reads", "data.name"],
  ),
  (
    "a clip that is no whole number of patches",
    changed("step_video_shapes", "size=16,patch=3", "train.total_steps=100"),
    ["method", "side 16 does not divide by patch 3"],
  ),
  (
    "a length that is no chunks",
    [recipe("step_video_published", "stage=clips192,length=100")],
    ["length=100", "a multiple of 17 frames"],
  ),
  (
    "guidance of clips that always were told something",
    changed("step_video_shapes", "steps=100", "method.told.drop=0.0"),
    ["method", "sampling.guidance=2.0 with told.drop=0"],
  ),
  (
    "a reference that is of no run",
    changed("step_video_dpo_shapes", "base=nowhere", "init_from.path="),
    ["reference: no file", "nowhere", "method.reference.path"],
  ),
  (
    "times that are uniform and at the ends",
    changed(
      "step_video_shapes",
      "steps=100",
      "method.noise.ends=5.0",
      "method.noise.uniform=True",
    ),
    ["method", "noise.ends 5.0 with noise.uniform"],
  ),
  (
    "a search after the last call",
    changed(
      "adaspa_shapes",
      "sparsity=0.8",
      "train.total_steps=100",
      "method.sampling.steps=20",
    ),
    ["method", "sparse.searches (10, 30) with sampling.steps 20"],
  ),
  (
    "heads that cannot give blocks to others",
    changed("adaspa_shapes", "sparsity=0.2", "train.total_steps=100"),
    ["method", "sparse.sparsity 0.2: below 1/3"],
  ),
  (
    "a sparse path with noise on the way",
    changed(
      "adaspa_shapes",
      "sparsity=0.8",
      "train.total_steps=100",
      "method.sampling.sampler=ddim",
      "method.sampling.eta=0.5",
    ),
    ["method", "sampling.eta 0.5", "by 'euler', or 'ddim' with eta 0"],
  ),
  (
    "blocks of attention that is factorised",
    changed(
      "adaspa_shapes",
      "sparsity=0.8",
      "train.total_steps=100",
      "method.attention=factorised",
    ),
    ["method", "attention 'factorised'", "over all tokens"],
  ),
  (
    "a stage of a recipe",
    [recipe("viton_dit_dancers", "stage=pose")],
    ["--config", "stage=pose", "image, video or control"],
  ),
  (
    "frames of a long clip that training did not give",
    changed(
      "viton_dit_dancers",
      "stage=video,steps=200",
      "method.long.frames=16",
      "method.clip.given=0.2",
    ),
    ["method", "long.frames=16", "2 are given", "clip.given"],
  ),
  (
    "a clip longer than its video",
    changed(
      "viton_dit_dancers", "stage=video,steps=200", "method.clip.stride=3"
    ),
    ["method", "clip.stride=3", "clip.length=16"],
  ),
  (
    "guidance by a condition that is never left out",
    changed(
      "viton_dit_dancers",
      "steps=200",
      "method.told.conditions.drop=(0.0, 0.1, 0.1)",
    ),
    ["method", "sampling.guidance=2", "conditions.drop"],
  ),
  (
    "guidance by a condition that a stage has not",
    changed(
      "viton_dit_dancers",
      "stage=video,steps=200",
      "method.told.conditions.guide=('garment', 'pose')",
    ),
    ["method", "told.conditions.guide", "dims.branch=0", "'pose'"],
  ),
  (
    "more frames to dress than a video has",
    changed(
      "viton_dit_dancers", "stage=video,steps=200", "method.long.frames=17"
    ),
    ["method", "long.frames=17", "clip.length"],
  ),
  (
    "more joints of poses than heatmaps, and no order",
    changed("diffpose_poses", "steps=20", "method.body.joints=17"),
    ["method", "body.joints 17", "heatmaps.joints 16", "body.order"],
  ),
  (
    "hips that are no joints",
    changed("diffpose_poses", "steps=20", "method.body.hips=(0, 16)"),
    ["method", "body.hips (0, 16)", "0 to 15"],
  ),
  (
    "heads that do not divide a joint's token",
    changed("diffpose_poses", "steps=20", "method.condition.heads=3"),
    ["method", "condition.channels 16", "condition.heads 3"],
  ),
  (
    "heatmaps that the data do not store",
    changed("diffpose_poses", "steps=20", "method.heatmaps.modes=0"),
    ["'heatmaps'", "modes"],
  ),
  (
    "a task that there is not",
    changed(
      "lavin_dit_shapes", "steps=200", "method.tasks.held_out=('rotate',)"
    ),
    ["method", "tasks: rotate", "identity, invert, roll"],
  ),
  (
    "heads that three axes do not share",
    changed("lavin_dit_shapes", "steps=200", "method.dims.heads=6"),
    ["method", "dims.width 96 in dims.heads 6", "multiples of 6"],
  ),
  (
    "an even number of steps on a grid of two halves",
    changed("lavin_dit_shapes", "steps=200", "method.sampling.steps=20"),
    ["method", "sampling.steps 20", "(19, 29, 39)"],
  ),
  (
    "more pairs than there are pictures",
    changed("lavin_dit_shapes", "steps=200", "method.context.shown=8"),
    ["method", "context.shown 8", "context.templates"],
  ),
  (
    "a whole view that nothing compares",
    changed("nvist_views", "steps=10", "method.rays.whole=True"),
    ["method", "rays.whole=True", "perceptual.network='none'"],
  ),
  (
    "fewer rays than a whole view has",
    changed(
      "nvist_views",
      "steps=10",
      "method.rays.whole=True",
      "method.rays.budget=700",
      "method.perceptual.network=small",
    ),
    ["method", "rays.budget=700", "768 pixels", "rays.whole"],
  ),
  (
    "planes that patches do not fill",
    changed("nvist_views", "steps=10", "method.planes.patch=5"),
    ["method", "planes.resolution=24", "planes.patch=5"],
  ),
  (
    "branches of unequal numbers",
    changed("dimr_shapes", "steps=10", "method.dims.widths=(64, 32, 16)"),
    ["method", "one entry per branch", "'width': 3", "'blocks': 2"],
  ),
  (
    "a finer branch first",
    changed("dimr_shapes", "steps=10", "method.dims.patches=(1, 4)"),
    ["method", "dims.patches x dims.reduced", "no multiple of 16"],
  ),
  (
    "tokens that do not fit",
    changed("dimr_shapes", "steps=10", "method.dims.patches=(5, 1)"),
    ["method", "size 16 does not divide by", "5 of branch 0"],
  ),
  (
    "stage of DiffDub",
    [recipe("diffdub_hdtf", "stage=speech")],
    ["--config", "stage=speech", "renderer or diffae"],
  ),
  (
    "features of a sound",
    [recipe("diffdub_speech_hdtf", "sound=wav2vec")],
    ["--config", "sound=wav2vec", "hubert or mfcc"],
  ),
  (
    "guidance by a code that is never dropped",
    [recipe("diffdub_hdtf", "steps=4"), *DRY]
    + ["--config.method.sampling.guidance=2.0"],
    ["method", "sampling.guidance=2.0", "no condition is dropped"],
  ),
  (
    "a hole that is no box",
    [recipe("diffdub_faces", "steps=4"), *DRY]
    + ["--config.method.face.hole=(0.9, 0.1, 0.5, 0.9)"],
    ["method", "face.hole=(0.9, 0.1, 0.5, 0.9)", "(top, left, bottom, right)"],
  ),
  (
    "a window longer than its clip",
    [recipe("diffdub_speech_faces", "steps=4"), *DRY]
    + ["--config.method.frames=30"],
    ["method", "frames=30", "length=40"],
  ),
  (
    "speech that makes codes of another width",
    [recipe("dubbing_faces", "num=4"), *DRY]
    + ["--config.procedure.speech.recipe=configs/diffdub_speech_hdtf.py"],
    ["procedure", "have 32 numbers", "speech.path makes 512"],
  ),
  (
    "stage of flows",
    [recipe("diffmatch_pairs512", "stage=finer")],
    ["--config", "stage=finer", "coarse or fine"],
  ),
  (
    "a map of features that there is not",
    changed("diffmatch_warps", "steps=10", "method.matcher.levels=((32, 4),)"),
    ["method", "matcher.levels", "maps 1 to 3"],
  ),
  (
    "flows sampled with noise",
    changed("diffmatch_warps", "steps=10", "method.sampling.eta=1.0"),
    ["method", "sampling.eta=1.0", "ddim with eta 0"],
  ),
  (
    "pairs of another size than is read",
    changed("diffmatch_warps", "steps=10", "method.size=16"),
    ["data.pictures", "(2, 16, 16, 3)"],
  ),
  (
    "a level without attention",
    changed(
      "difffae_faces",
      "steps=10",
      "method.told.attention.side=4",
      "method.dims.multipliers=(1, 2)",
    ),
    ["method", "told.attention.side=4", "dims.attend_at"],
  ),
  (
    "more regions than tokens",
    changed("difffae_faces", "steps=10", "method.told.source.count=3"),
    ["method", "told.attention.regions=5", "told.source.count=3"],
  ),
  (
    "a factor that is no parameter",
    changed(
      "difffae_faces", "steps=10", "method.told.rendering.factors=('hair',)"
    ),
    ["method", "told.rendering.factors", "hair"],
  ),
  (
    "guidance by a rendering that is not shown",
    changed(
      "difffae_faces",
      "steps=10",
      "method.told.rendering.used=False",
      "method.told.rendering.numbers=()",
    ),
    ["method", "told.conditions.guide", "rendering.used=False"],
  ),
  (
    "an identity of a source that is not told",
    [recipe("difffae_faces", "identity=I,tokens=False")],
    ["--config", "identity=I", "tokens=False"],
  ),
  (
    "regions kept that have no name",
    changed("difffae_faces", "steps=100", "evals.factors.kept=('hat',)"),
    ["evals", "kept", "hat"],
  ),
  (
    "a schedule of masks that there is not",
    changed("maskgit_digits", "steps=200", "method.sampling.schedule=sine"),
    ["method", "sampling.schedule 'sine'", "cosine"],
  ),
  (
    "grey values of colours",
    changed("maskgit_digits", "steps=200", "method.codes.channels=3"),
    ["method", "codes.kind 'levels'", "codes.channels 3"],
  ),
  (
    "more calls than tokens",
    changed("mar_digits", "steps=200", "method.sampling.steps=17"),
    ["method", "sampling.steps 17", "16 tokens"],
  ),
  (
    "a temperature of what is not drawn",
    changed(
      "mar_digits",
      "steps=200,head=regression",
      "method.sampling.temperature=0.9",
    ),
    ["method", "sampling.temperature=0.9", "head.kind='regression'"],
  ),
  (
    "more times of the score than of the process",
    changed("tad_sr_cifar10", "steps=10", "method.hsd.times=9"),
    ["method", "hsd.times=9", "noise.times=4"],
  ),
  (
    "a critic of maps that there are not",
    changed("tad_sr_cifar10", "steps=10", "method.critic.taps=(9,)"),
    ["method", "critic.taps=(9,)"],
  ),
  (
    "an image that is not doubled",
    changed("rrdb_regions", "steps=10", "method.degraded.factor=3"),
    ["method", "degraded.factor"],
  ),
  (
    "guidance by no small image",
    changed("sam_diffsr_regions", "steps=10", "method.sampling.guidance=2.0"),
    ["method", "sampling.guidance=2.0", "leave it at 1"],
  ),
]
