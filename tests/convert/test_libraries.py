"""Agreement with the libraries' own networks; skipped where they are not."""

import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jmim
from jmim.convert import exporting
from jmim.convert import families
from jmim.convert import files
from jmim.convert import importing
from jmim.convert import plan
from jmim.convert import table
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import tree as trees

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import test_families as kit  # noqa: E402

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
B, SIDE = 2, 16
KW = dict(
  hidden_size=32,
  num_hidden_layers=2,
  num_attention_heads=4,
  intermediate_size=96,
  image_size=SIDE,
  patch_size=4,
  num_channels=3,
)
DINO = {k: v for k, v in KW.items() if k != "intermediate_size"} | dict(
  mlp_ratio=3
)


def shake(model):
  """Random values everywhere: biases and norms start at 0 and 1."""
  generator = torch.Generator().manual_seed(0)
  with torch.no_grad():
    for p in model.parameters():
      p += (
        0.3
        * torch.randn(p.shape, generator=generator)
        * (p.std() if p.numel() > 1 and p.std() > 0 else 0.3)
      )
  return model.eval()


def images(seed=0):
  x = np.random.default_rng(seed).normal(size=(B, SIDE, SIDE, 3))
  x = x.astype(np.float32)
  return jnp.asarray(x), torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


def load(name, config, found):
  """(method, params, extra, plan) of weights in a family."""
  family = families.FAMILIES[name]
  cls = discovery.find(family.methods[0])
  method = cls(**family.read_config(config))
  assert family.objection(family.methods[0], method) is None
  like = kit.shapes(method)
  made = plan.make(family, method, found, like)
  tree = trees.nested(dict(made.leaves()))
  return method, tree["params"], made


def back(name, method, params):
  """What jmim writes for the library: (config.json, arrays)."""
  family = families.FAMILIES[name]
  named = trees.named({"params": params})
  table.check_export(family.table(method), named)
  arrays = dict(table.export_stream(family.table(method), named))
  return family.write_config(method), arrays


def save(folder, config, arrays):
  folder.mkdir()
  (folder / "config.json").write_text(json.dumps(config))
  specs = {n: (x.shape, np.dtype(np.float32)) for n, x in arrays.items()}
  files.write(folder / "model.safetensors", specs, arrays.items())


def check_diffusers_reads(name, method, params, theirs, folder):
  """Diffusers loads what jmim writes: all names, the weights of `theirs`."""
  save(folder, *back(name, method, params))
  (folder / "model.safetensors").rename(
    folder / "diffusion_pytorch_model.safetensors"
  )
  again, info = type(theirs).from_pretrained(
    folder, output_loading_info=True, low_cpu_mem_usage=False
  )
  assert not any(info.values()), info
  for key, value in theirs.state_dict().items():
    np.testing.assert_array_equal(again.state_dict()[key], value, key)


BEIT = dict(layer_norm_eps=1e-6, drop_path_rate=0.0)
HF = {  # family, options: (config, model, more of the config)
  "hf_vit": ("ViT", "ViT", dict(layer_norm_eps=1e-5)),
  "hf_dinov2": ("Dinov2", "Dinov2", dict(layerscale_value=0.5)),
  "hf_dinov2 giant": (
    "Dinov2",
    "Dinov2",
    dict(layerscale_value=0.5, use_swiglu_ffn=True),
  ),
  "hf_beit": ("Beit", "Beit", BEIT | dict(use_relative_position_bias=True)),
  "hf_beit shared": (
    "Beit",
    "Beit",
    BEIT
    | dict(
      use_shared_relative_position_bias=True,
      use_mean_pooling=False,
      layer_scale_init_value=0.0,
    ),
  ),
  "hf_beit absolute": (
    "Beit",
    "Beit",
    BEIT | dict(use_absolute_position_embeddings=True),
  ),
  "hf_dinov2_with_registers": (
    "Dinov2WithRegisters",
    "Dinov2WithRegisters",
    dict(layerscale_value=0.5, num_register_tokens=3),
  ),
  "hf_ijepa": ("IJepa", "IJepa", {}),
}


@pytest.mark.parametrize("case", HF)
def test_transformers_classifiers(tmp_path, case):
  (config_name, kind, more), name = HF[case], case.split()[0]
  base = DINO if "dino" in name else KW
  config = getattr(transformers, f"{config_name}Config")(
    **base, **more, num_labels=5
  )
  cls = getattr(transformers, f"{kind}ForImageClassification")
  theirs = shake(cls(config))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = images()
  with torch.no_grad():
    want = theirs(x, output_hidden_states=True)
  found = files.read(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  method, params, made = load(name, settings, found)
  assert not made.fresh
  assert all(n.endswith("mask_token") for n in made.ignored)
  logits = jax.jit(method.logits)(params, ours)
  np.testing.assert_allclose(logits, want.logits.numpy(), atol=1e-4)
  # Back: the library finds every name and computes the same.
  save(tmp_path / "ours", *back(name, method, params))
  again, info = cls.from_pretrained(tmp_path / "ours", output_loading_info=True)
  assert not any(info.values()), info
  with torch.no_grad():
    got = again.eval()(x).logits
  np.testing.assert_allclose(got.numpy(), want.logits.numpy(), atol=1e-5)


def test_transformers_vit_without_a_head(tmp_path):
  theirs = shake(transformers.ViTModel(transformers.ViTConfig(**KW)))
  theirs.save_pretrained(tmp_path)
  found = files.read(tmp_path)
  settings = json.loads((tmp_path / "config.json").read_text())
  method, params, made = load("hf_vit", settings, found)
  assert {n.split("/")[2] for n in made.fresh} == {"head"}
  assert sorted(made.ignored) == ["pooler.dense.bias", "pooler.dense.weight"]
  ours, x = images()
  with torch.no_grad():
    want = theirs(x).last_hidden_state
  got = method.encode(params, {"image": ours})["latent"]
  np.testing.assert_allclose(got, want.numpy(), atol=1e-4)


@pytest.mark.parametrize("norm_pix", [False, True])
def test_transformers_vit_mae(tmp_path, norm_pix):
  config = transformers.ViTMAEConfig(
    **KW,
    decoder_hidden_size=16,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=48,
    norm_pix_loss=norm_pix,
    layer_norm_eps=1e-6,
  )
  theirs = transformers.ViTMAEForPreTraining(config)
  shake(theirs)
  # The library's own tables: its random models have zeros there, which no
  # trained ones do (version 5.23).
  module = sys.modules[transformers.ViTMAEForPreTraining.__module__]
  with torch.no_grad():
    for table_ in (
      theirs.vit.embeddings.position_embeddings,
      theirs.decoder.decoder_pos_embed,
    ):
      rows = module.build_2d_sinusoidal_position_embedding(
        4, 4, table_.shape[-1], cls_token=True
      )
      table_.copy_(torch.cat(rows.chunk(2, -1)[::-1], -1)[None])
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = images()
  noise = np.random.default_rng(1).uniform(size=(B, 16)).astype(np.float32)
  with torch.no_grad():
    want = theirs(x, noise=torch.from_numpy(noise))
  found = files.read(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  method, params, made = load("hf_vit_mae", settings, found)
  assert not made.fresh and not made.ignored
  batch, draws = {"image": ours}, {"noise": jnp.asarray(noise)}
  out = jax.jit(method.forward)(params, batch, draws)
  np.testing.assert_allclose(out["pred"], want.logits.numpy(), atol=1e-4)
  loss, _ = method.loss("main", params, {}, {}, batch, draws, 0)
  np.testing.assert_allclose(loss, want.loss.numpy(), rtol=1e-4)
  save(tmp_path / "ours", *back("hf_vit_mae", method, params))
  again, info = transformers.ViTMAEForPreTraining.from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert not any(info.values()), info
  with torch.no_grad():
    got = again.eval()(x, noise=torch.from_numpy(noise)).logits
  np.testing.assert_allclose(got.numpy(), want.logits.numpy(), atol=1e-5)


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_transformers_clip(tmp_path, act):
  config = transformers.CLIPVisionConfig(**KW, projection_dim=8, hidden_act=act)
  theirs = shake(transformers.CLIPVisionModelWithProjection(config))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = images()
  with torch.no_grad():
    want = theirs(x)
  found = files.read(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  method, params, made = load("hf_clip", settings, found)
  assert not made.fresh
  got = jax.jit(method.logits)(params, ours)
  np.testing.assert_allclose(got, want.image_embeds.numpy(), atol=1e-4)
  save(tmp_path / "ours", *back("hf_clip", method, params))
  again, info = transformers.CLIPVisionModelWithProjection.from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert not any(info.values()), info
  with torch.no_grad():
    got = again.eval()(x).image_embeds
  np.testing.assert_allclose(got.numpy(), want.image_embeds.numpy(), atol=1e-5)


def test_transformers_videomae(tmp_path):
  config = transformers.VideoMAEConfig(
    **(KW | dict(intermediate_size=128)),
    num_frames=4,
    tubelet_size=2,
    decoder_hidden_size=16,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=64,
    use_mean_pooling=False,
    layer_norm_eps=1e-6,
  )
  theirs = shake(transformers.VideoMAEForPreTraining(config))
  theirs.save_pretrained(tmp_path / "theirs")
  rng = np.random.default_rng(0)
  clips = rng.normal(size=(B, 4, SIDE, SIDE, 3)).astype(np.float32)
  x = torch.from_numpy(np.moveaxis(clips, -1, 2).copy())
  hidden = np.zeros((B, 32), bool)
  for row in hidden:
    row[rng.permutation(32)[:24]] = True
  with torch.no_grad():
    want = theirs(x, torch.from_numpy(hidden))
  found = files.read(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  family = families.FAMILIES["hf_videomae"]
  method = discovery.find("video.videomae_v2")(
    **family.read_config(settings), mask_ratio=0.75
  )
  made = plan.make(family, method, found, kit.shapes(method))
  assert not made.ignored
  params = trees.nested(dict(made.leaves()))["params"]
  draws = {"hidden": jnp.asarray(hidden), "left": ~jnp.asarray(hidden)}
  batch = {"video": jnp.asarray(clips)}
  out = jax.jit(method.forward)(params, batch, draws)
  np.testing.assert_allclose(out["pred"], want.logits.numpy(), atol=1e-4)
  loss, _ = method.loss("main", params, {}, {}, batch, draws, 0)
  np.testing.assert_allclose(loss, want.loss.numpy(), rtol=1e-4)
  save(tmp_path / "ours", *back("hf_videomae", method, params))
  again, info = transformers.VideoMAEForPreTraining.from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert not any(info.values()), info
  with torch.no_grad():
    got = again.eval()(x, torch.from_numpy(hidden)).logits
  np.testing.assert_allclose(got.numpy(), want.logits.numpy(), atol=1e-5)


def test_transformers_swin(tmp_path):
  config = transformers.SwinConfig(
    image_size=SIDE,
    patch_size=2,
    embed_dim=8,
    depths=[2, 2],
    num_heads=[2, 4],
    window_size=4,
    encoder_stride=4,
    mlp_ratio=3.0,
  )
  theirs = shake(transformers.SwinForMaskedImageModeling(config))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = images()
  hidden = np.random.default_rng(1).integers(0, 2, (B, 64)).astype(bool)
  with torch.no_grad():
    want = theirs(x, bool_masked_pos=torch.from_numpy(hidden))
  found = files.read(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  method, params, made = load("hf_swin", settings, found)
  assert not made.fresh
  draws = {"mask": jnp.asarray(hidden, jnp.float32).reshape(B, 8, 8)}
  out = jax.jit(method.forward)(params, {"image": ours}, draws)
  pred = np.moveaxis(np.asarray(out["pred"]), -1, 1)
  np.testing.assert_allclose(pred, want.reconstruction.numpy(), atol=1e-4)
  batch = {"image": ours}
  loss, _ = method.loss("main", params, {}, {}, batch, draws, 0)
  np.testing.assert_allclose(loss, want.loss.numpy(), rtol=1e-4)
  save(tmp_path / "ours", *back("hf_swin", method, params))
  again, info = transformers.SwinForMaskedImageModeling.from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert not any(info.values()), info
  with torch.no_grad():
    got = again.eval()(x, bool_masked_pos=torch.from_numpy(hidden))
  np.testing.assert_allclose(
    got.reconstruction.numpy(), want.reconstruction.numpy(), atol=1e-5
  )


def workdir(folder, name, family, **fields):
  """A converted run of random weights; (its path, its method)."""
  config = configs.base()
  config.data.update(
    name="folder",
    size=SIDE,
    eval_crop="center",
    eval_resize=20,
    mean=(0.1, 0.2, 0.3),
    std=(0.5, 0.6, 0.7),
  )
  config.method = configs.section(type=name, **fields)
  config.hardware.compile_cache = ""
  method = discovery.find(name)(**fields)
  rng = np.random.default_rng(0)
  named = {
    n: rng.normal(0, 0.2, x.shape).astype("f4")
    for n, x in trees.named(kit.shapes(method)).items()
  }
  rules = families.FAMILIES[family].table(method)
  np.savez(folder / "w.npz", **dict(table.export_stream(rules, named)))
  importing.run(family, str(folder / "w.npz"), config, folder / "run")
  return folder / "run"


PICTURE = np.random.default_rng(3).integers(0, 255, (31, 24, 3), np.uint8)


def test_an_exported_folder_is_all_transformers_needs(tmp_path):
  run = workdir(tmp_path, "supervised.backbone", "timm_vit", **kit.VIT)
  exporting.run(run, "hf", tmp_path / "hub")
  want = jmim.load(run)("logits", [PICTURE])
  auto = transformers.AutoModelForImageClassification
  theirs = auto.from_pretrained(tmp_path / "hub").eval()
  processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "hub")
  x = processor(PICTURE, return_tensors="pt")["pixel_values"]
  ours = jmim.load(tmp_path / "hub").preprocess([PICTURE])
  # Their resize is torchvision's, ours Pillow's: rounding of pixels apart.
  np.testing.assert_allclose(
    x.numpy().transpose(0, 2, 3, 1), ours, atol=2.1 / 255 / 0.5
  )
  with torch.no_grad():
    again = torch.from_numpy(ours.transpose(0, 3, 1, 2).copy())
    got = theirs(again).logits.numpy()
  np.testing.assert_allclose(got, want, atol=1e-4)
  base = transformers.AutoModel.from_pretrained(
    tmp_path / "hub", add_pooling_layer=False
  )
  assert type(base).__name__ == "ViTModel"


def test_an_exported_folder_is_all_timm_needs(tmp_path):
  timm = pytest.importorskip("timm")
  run = workdir(tmp_path, "supervised.backbone", "timm_vit", **kit.VIT)
  exporting.run(run, "timm", tmp_path / "hub")
  model = jmim.load(tmp_path / "hub")
  theirs = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True)
  x = torch.from_numpy(model.preprocess([PICTURE]).transpose(0, 3, 1, 2).copy())
  with torch.no_grad():
    got = theirs.eval()(x).numpy()
  np.testing.assert_allclose(got, model("logits", [PICTURE]), atol=1e-4)
  data = timm.data.resolve_model_data_config(theirs)
  assert data["mean"] == [0.1, 0.2, 0.3] or data["mean"] == (0.1, 0.2, 0.3)


def dit_of(diffusers, tied=True):
  """A DiT whose blocks share their embeddings, as the published one's do."""
  model = diffusers.DiTTransformer2DModel(
    num_attention_heads=2,
    attention_head_dim=8,
    in_channels=4,
    out_channels=8,
    num_layers=2,
    sample_size=8,
    patch_size=2,
    num_embeds_ada_norm=5,
    norm_eps=1e-6,
  )
  shake(model)
  first, *others = model.transformer_blocks
  for block in others if tied else ():
    block.norm1.emb.load_state_dict(first.norm1.emb.state_dict())
  return model


def test_diffusers_dit(tmp_path):
  diffusers = pytest.importorskip("diffusers")
  theirs = dit_of(diffusers)
  theirs.save_pretrained(tmp_path / "theirs")
  # Diffusers' angles of time end at 1/10000 (freq_shift 1), those of the
  # authors (and ours) do not: at t = 0, or with shift 0, both are the same.
  for block in theirs.transformer_blocks:
    block.norm1.emb.time_proj.downscale_freq_shift = 0
  x = np.random.default_rng(0).normal(size=(B, 8, 8, 4)).astype(np.float32)
  t, label = np.asarray([7, 500]), np.asarray([1, 4])
  with torch.no_grad():
    want = theirs(
      torch.from_numpy(x.transpose(0, 3, 1, 2).copy()),
      torch.from_numpy(t),
      torch.from_numpy(label),
    ).sample
  found = files.read(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  method, params, made = load("diffusers_dit", settings, found)
  assert not made.fresh
  got = jax.jit(method.network)(params, x, jnp.asarray(t), jnp.asarray(label))
  np.testing.assert_allclose(
    np.moveaxis(np.asarray(got), -1, 1), want.numpy(), atol=1e-4
  )
  check_diffusers_reads(
    "diffusers_dit",
    method,
    params=params,
    theirs=theirs,
    folder=tmp_path / "ours",
  )


TIMM = {
  "token": dict(global_pool="token"),
  "avg": dict(global_pool="avg", init_values=0.5),
  "clip": dict(pre_norm=True, class_token=True, act_layer="quick_gelu"),
}


@pytest.mark.parametrize("case", TIMM)
def test_timm_vit(tmp_path, case):
  timm = pytest.importorskip("timm")
  args = dict(
    img_size=SIDE,
    patch_size=4,
    embed_dim=32,
    depth=2,
    num_heads=4,
    mlp_ratio=3.0,
    **TIMM[case],
  )
  theirs = timm.create_model("vit_base_patch16_224", num_classes=5, **args)
  shake(theirs)
  torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
  found = files.read(tmp_path / "theirs.pth")
  settings = {
    "architecture": "vit_base_patch16_224",
    "num_classes": 5,
    "model_args": args,
  }
  method, params, made = load("timm_vit", settings, found)
  assert not made.fresh and not made.ignored
  ours, x = images()
  with torch.no_grad():
    want = theirs(x).numpy()
  logits = jax.jit(method.logits)(params, ours)
  np.testing.assert_allclose(logits, want, atol=1e-4)
  config, arrays = back("timm_vit", method, params)
  save(tmp_path / "ours", config, arrays)
  again = timm.create_model(
    config["architecture"],
    num_classes=config["num_classes"],
    checkpoint_path=str(tmp_path / "ours/model.safetensors"),
    **config["model_args"],
  )
  with torch.no_grad():
    np.testing.assert_allclose(again.eval()(x).numpy(), want, atol=1e-5)


@pytest.mark.parametrize(
  "name", ["vit_small_patch16_224", "vit_large_patch14_224"]
)
def test_timm_architectures_are_known_by_name(name):
  timm = pytest.importorskip("timm")
  with torch.device("meta"):
    state = timm.create_model(name).state_dict()
  family = families.FAMILIES["timm_vit"]
  method = discovery.find("supervised.backbone")(
    **family.read_config({"architecture": name, "num_classes": 1000})
  )
  like = kit.shapes(method)
  wanted = table.shapes(family.table(method), like)
  assert {n: tuple(x.shape) for n, x in state.items()} == wanted
  with pytest.raises(errors.UserError, match="vit_so400m"):
    family.read_config({"architecture": "vit_so400m_patch14_224"})


def test_big_vision_as_timm_reads_it(tmp_path):
  timm = pytest.importorskip("timm")
  method = kit.tiny("big_vision", "supervised.backbone")
  arrays = kit.filled(kit.shapes(method))
  params = trees.nested(arrays)["params"]
  rules = families.FAMILIES["big_vision"].table(method)
  written = dict(table.export_stream(rules, arrays))
  np.savez(tmp_path / "x.npz", **{f"params/{n}": x for n, x in written.items()})
  theirs = timm.create_model(
    "vit_base_patch16_224",
    img_size=SIDE,
    patch_size=4,
    embed_dim=32,
    depth=2,
    num_heads=4,
    num_classes=6,
  ).eval()
  theirs.load_pretrained(str(tmp_path / "x.npz"))
  ours, x = images()
  with torch.no_grad():
    want = theirs(x).numpy()
  logits = jax.jit(method.logits)(params, ours)
  np.testing.assert_allclose(logits, want, rtol=1e-4, atol=1e-3)


def test_open_clip():
  model = pytest.importorskip("open_clip.model")
  theirs = model.VisionTransformer(
    image_size=SIDE,
    patch_size=4,
    width=32,
    layers=2,
    heads=4,
    mlp_ratio=3.0,
    output_dim=8,
  )
  shake(theirs)
  ours, x = images()
  with torch.no_grad():
    want = theirs(x).numpy()
  state = {f"visual.{n}": p.numpy() for n, p in theirs.state_dict().items()}
  family = families.FAMILIES["open_clip"]
  sizes = kit.VIT | dict(classes=8, mlp_ratio=3.0)
  method = discovery.find("supervised.backbone")(
    **sizes, **(kit.CLIP | dict(act="gelu"))
  )
  assert family.objection("supervised.backbone", method) is None
  text = {"text.positional_embedding": np.zeros(2), "logit_scale": np.ones(())}
  found = kit.weights(state | text)
  made = plan.make(family, method, found, kit.shapes(method))
  assert not made.fresh and set(made.ignored) == set(text)
  params = trees.nested(dict(made.leaves()))["params"]
  got = jax.jit(method.logits)(params, ours)
  np.testing.assert_allclose(got, want, atol=1e-4)
  named = trees.named({"params": params})
  back = dict(table.export_stream(family.table(method), named))
  back = {n.removeprefix("visual."): torch.tensor(x) for n, x in back.items()}
  theirs.load_state_dict(back, strict=True)
  with torch.no_grad():
    np.testing.assert_allclose(theirs(x).numpy(), want, atol=1e-6)
