"""DINOv3, Swin, BEiT and VQModel against the libraries' own networks."""

import json
import pathlib
import sys

import jax
import numpy as np
import pytest

import jmim
from jmim.convert import exporting
from jmim.convert import families
from jmim.convert import files
from jmim.convert import table
from jmim.core import discovery
from jmim.core import errors
from jmim.core import tree as trees

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import test_families as shapes  # noqa: E402
import test_libraries as kit  # noqa: E402

SWIN = dict(
  img_size=16,
  patch_size=2,
  embed_dim=8,
  depths=[2, 2],
  num_heads=[2, 4],
  window_size=4,
  mlp_ratio=3.0,
)
BEIT = dict(
  img_size=16, patch_size=4, embed_dim=32, depth=2, num_heads=4, mlp_ratio=3.0
)
TIMM = {
  "timm_swin": ("swin_base_patch4_window7_224", SWIN),
  "timm_swin without bias": (
    "swin_base_patch4_window7_224",
    SWIN | dict(qkv_bias=False),
  ),
  "timm_beit": (
    "beit_base_patch16_224",
    BEIT | dict(use_rel_pos_bias=True, init_values=0.5),
  ),
  "timm_beit shared": (
    "beit_base_patch16_224",
    BEIT
    | dict(
      use_rel_pos_bias=False,
      use_shared_rel_pos_bias=True,
      use_abs_pos_emb=True,
      init_values=0.0,
      global_pool="token",
      qkv_bias=False,
    ),
  ),
}


@pytest.mark.parametrize("case", TIMM)
def test_timm(tmp_path, case):
  timm = pytest.importorskip("timm")
  (architecture, args), name = TIMM[case], case.split()[0]
  theirs = timm.create_model(architecture, num_classes=5, **args)
  kit.shake(theirs)
  torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
  settings = dict(
    architecture=architecture, num_classes=5, model_args=args, num_features=0
  )
  assert families.told(settings) == name
  found = files.read(tmp_path / "theirs.pth")
  method, params, made = kit.load(name, settings, found)
  assert not made.fresh and not made.ignored
  ours, x = kit.images()
  with torch.no_grad():
    want, features = theirs(x).numpy(), theirs.forward_features(x).numpy()
  logits = jax.jit(method.logits)(params, ours)
  # Heads of timm start small.
  np.testing.assert_allclose(logits, want, atol=1e-4 * np.abs(want).max())
  latent = method.encode(params, {"image": ours})["latent"]
  np.testing.assert_allclose(latent, features.reshape(latent.shape), atol=1e-4)
  config, arrays = kit.back(name, method, params)
  kit.save(tmp_path / "ours", config, arrays)
  again = timm.create_model(
    config["architecture"],
    num_classes=config["num_classes"],
    checkpoint_path=str(tmp_path / "ours/model.safetensors"),
    **config["model_args"],
  )
  with torch.no_grad():
    np.testing.assert_allclose(again.eval()(x).numpy(), want, atol=1e-5)


@pytest.mark.parametrize(
  "name, architecture",
  [
    ("timm_swin", "swin_tiny_patch4_window7_224"),
    ("timm_swin", "swin_large_patch4_window12_384"),
    ("timm_beit", "beit_large_patch16_384"),
  ],
)
def test_timm_architectures_are_known_by_name(name, architecture):
  timm = pytest.importorskip("timm")
  with torch.device("meta"):
    state = timm.create_model(architecture).state_dict()
  family = families.FAMILIES[name]
  method = discovery.find(family.methods[0])(
    **family.read_config({"architecture": architecture, "num_classes": 1000})
  )
  wanted = table.shapes(family.table(method), shapes.shapes(method))
  assert {n: tuple(x.shape) for n, x in state.items()} == wanted
  with pytest.raises(errors.UserError, match="_nano_"):
    family.read_config({"architecture": "swin_nano_patch4"})


def test_timm_loads_the_swin_of_simmim(tmp_path):
  timm = pytest.importorskip("timm")
  method = shapes.tiny("timm_swin", "mim.simmim")
  family = families.FAMILIES["timm_swin"]
  arrays = shapes.filled(shapes.shapes(method))
  written, kept = shapes.exported(family, method, arrays)
  assert {n.split("/")[2] for n in set(arrays) - set(kept)} == {
    "encoder",
    "head",
  }
  config = family.write_config(method)
  kit.save(tmp_path / "ours", config, written)
  theirs = timm.create_model(
    config["architecture"],
    num_classes=config["num_classes"],
    checkpoint_path=str(tmp_path / "ours/model.safetensors"),
    **config["model_args"],
  )
  ours, x = kit.images()
  with torch.no_grad():
    want = theirs.eval().forward_features(x).numpy()
  encoder = trees.nested(arrays)["params"]["main"]["encoder"]
  got = np.asarray(jax.jit(method.latent)(encoder, ours))
  scale = np.abs(want).max()
  np.testing.assert_allclose(got, want.reshape(got.shape), atol=1e-4 * scale)


def test_transformers_swin_classifier(tmp_path):
  config = transformers.SwinConfig(
    image_size=16,
    patch_size=2,
    embed_dim=8,
    depths=[2, 2],
    num_heads=[2, 4],
    window_size=4,
    mlp_ratio=3.0,
    num_labels=5,
    qkv_bias=False,
  )
  theirs = kit.shake(transformers.SwinForImageClassification(config))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = kit.images()
  with torch.no_grad():
    want = theirs(x).logits.numpy()
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  assert families.told(settings) == "hf_swin_classifier"
  found = files.read(tmp_path / "theirs")
  method, params, made = kit.load("hf_swin_classifier", settings, found)
  assert not made.fresh
  logits = jax.jit(method.logits)(params, ours)
  np.testing.assert_allclose(logits, want, atol=1e-4)
  kit.save(tmp_path / "ours", *kit.back("hf_swin_classifier", method, params))
  again, info = transformers.SwinForImageClassification.from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert not any(info.values()), info
  with torch.no_grad():
    np.testing.assert_allclose(again.eval()(x).logits.numpy(), want, atol=1e-5)


DINO3 = {
  "plain": dict(num_register_tokens=2),
  "gated": dict(
    num_register_tokens=2,
    use_gated_mlp=True,
    hidden_act="silu",
    query_bias=False,
    value_bias=False,
  ),
  "all": dict(num_register_tokens=1, key_bias=True, rope_theta=50.0),
}


@pytest.mark.parametrize("case", DINO3)
def test_transformers_dinov3(tmp_path, case):
  config = transformers.DINOv3ViTConfig(**kit.KW, **DINO3[case])
  theirs = kit.shake(transformers.DINOv3ViTModel(config))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = kit.images()
  with torch.no_grad():
    want = theirs(x).last_hidden_state.numpy()
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  assert families.told(settings) == "hf_dinov3"
  found = files.read(tmp_path / "theirs")
  method, params, made = kit.load("hf_dinov3", settings, found)
  assert {n.split("/")[2] for n in made.fresh} == {"head"}
  assert made.ignored == ["embeddings.mask_token"]
  latent = jax.jit(method.encode)(params, {"image": ours})["latent"]
  np.testing.assert_allclose(latent, want, atol=1e-4)
  kit.save(tmp_path / "ours", *kit.back("hf_dinov3", method, params))
  again, info = transformers.AutoModel.from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert not any(info.values()), info
  with torch.no_grad():
    got = again.eval()(x).last_hidden_state.numpy()
  np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("gated", [False, True])
def test_timm_reads_the_authors_names_of_dinov3(tmp_path, gated):
  """timm's own reader of Meta's files is the second opinion on the names."""
  timm = pytest.importorskip("timm")
  sizes = shapes.VIT | shapes.DINO3 | dict(eps=1e-5, registers=4)
  method = discovery.find("supervised.backbone")(
    **sizes, act="swiglu" if gated else "gelu", mlp_ratio=3.0
  )
  family = families.FAMILIES["dinov3"]
  arrays = shapes.filled(shapes.shapes(method))
  written, _ = shapes.exported(family, method, arrays)
  torch.save(
    {n: torch.tensor(x) for n, x in written.items()}, tmp_path / "theirs.pth"
  )
  name = "small_plus" if gated else "small"
  theirs = timm.create_model(
    f"vit_{name}_patch16_dinov3_qkvb",
    pretrained=True,
    img_size=16,
    patch_size=4,
    embed_dim=32,
    depth=2,
    num_heads=4,
    mlp_ratio=3.0,
    pretrained_cfg_overlay=dict(file=str(tmp_path / "theirs.pth")),
  ).eval()
  ours, x = kit.images()
  with torch.no_grad():
    want = theirs.forward_features(x).numpy()
  params = trees.nested(arrays)["params"]
  got = jax.jit(method.encode)(params, {"image": ours})["latent"]
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_an_exported_swin_is_all_timm_and_transformers_need(tmp_path):
  timm = pytest.importorskip("timm")
  fields = dict(
    variant="SwinT/2",
    size=16,
    width=8,
    depths=(2, 2),
    heads=(2, 4),
    window=4,
    classes=6,
    mixup=0.0,
    cutmix=0.0,
  )
  run = kit.workdir(tmp_path, "supervised.swin", "timm_swin", **fields)
  want = jmim.load(run)("logits", [kit.PICTURE])
  for library in ("timm", "hf"):
    exporting.run(run, library, tmp_path / library)
  model = jmim.load(tmp_path / "timm")
  x = model.preprocess([kit.PICTURE]).transpose(0, 3, 1, 2).copy()
  folder = f"local-dir:{tmp_path / 'timm'}"
  theirs = timm.create_model(folder, pretrained=True).eval()
  auto = transformers.AutoModelForImageClassification
  other = auto.from_pretrained(tmp_path / "hf").eval()
  with torch.no_grad():
    x = torch.from_numpy(x)
    np.testing.assert_allclose(theirs(x).numpy(), want, atol=1e-4)
    np.testing.assert_allclose(other(x).logits.numpy(), want, atol=1e-4)


@pytest.mark.parametrize("embed", [None, 3])
def test_diffusers_vq_model(tmp_path, embed):
  diffusers = pytest.importorskip("diffusers")
  theirs = kit.shake(
    diffusers.VQModel(
      in_channels=3,
      out_channels=3,
      block_out_channels=(32, 64),
      layers_per_block=1,
      latent_channels=4,
      sample_size=32,
      norm_num_groups=32,
      num_vq_embeddings=20,
      vq_embed_dim=embed,
      down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
      up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
    )
  )
  with torch.no_grad():
    theirs.quantize.embedding.weight *= 20  # codes that differ
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = kit.images()
  with torch.no_grad():
    latents = theirs.encode(x).latents
    _, _, (_, _, ids) = theirs.quantize(latents)
    want = theirs.decode(latents).sample.numpy()
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  assert families.told(settings) == "diffusers_vq"
  found = files.read(tmp_path / "theirs")
  method, params, made = kit.load("diffusers_vq", settings, found)
  assert all("discriminator" in n for n in made.fresh) and not made.ignored
  net, own = method.net, params["autoencoder"]
  z, _ = jax.jit(net.encode)(own, ours)
  scale = float(np.abs(z).max())
  np.testing.assert_allclose(
    z, np.moveaxis(latents.numpy(), 1, -1), atol=1e-4 * scale
  )
  codes = method.ids(params, {}, {}, {"image": ours}, None)
  assert len(np.unique(codes)) > 2
  np.testing.assert_array_equal(np.ravel(codes), ids.numpy())
  got = np.moveaxis(np.asarray(jax.jit(net.decode)(own, z)), -1, 1)
  np.testing.assert_allclose(got, want, atol=2e-4 * np.abs(want).max())
  kit.check_diffusers_reads(
    "diffusers_vq", method, params, theirs, tmp_path / "ours"
  )
