import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.errors import QuantError
from quant_engine.journal import hold_identity


@pytest.fixture
def folder(llama_folder: Path, tmp_path: Path) -> Path:
    """A copy that the test may break."""
    return Path(shutil.copytree(llama_folder, tmp_path / "model"))


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return tiny.save_tiny(tmp_path / "sharded", shard="60KB")


def refused(folder: Path, code: str) -> str:
    with pytest.raises(QuantError) as caught:
        Checkpoint.open(folder)
    assert caught.value.code == code and caught.value.advice
    return caught.value.message


def test_what_is_known_without_loading(llama: Checkpoint):
    stored = load_file(llama.path / "model.safetensors")
    assert llama.architecture == "LlamaForCausalLM" and llama.model_type == "llama" and llama.dtype == "bfloat16"
    assert llama.parameters == sum(tensor.numel() for tensor in stored.values())
    assert llama.bytes == sum(tensor.nbytes for tensor in stored.values())
    assert llama.quantization is None
    assert [file.name for file in llama.other_files] == ["generation_config.json"]


def test_opening_needs_no_torch(llama_folder: Path):
    code = (
        "import sys; from pathlib import Path; from quant_engine.checkpoint import Checkpoint, list_linears;"
        f"list_linears(Checkpoint.open(Path({str(llama_folder)!r}))); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tensors_are_loaded_bit_for_bit(llama: Checkpoint):
    stored = load_file(llama.path / "model.safetensors")
    loaded = llama.load(stored)
    assert all(torch.equal(loaded[name], stored[name]) for name in stored)
    with pytest.raises(KeyError):
        llama.load(["model.nothing"])


def test_linears_are_in_execution_order(llama: Checkpoint):
    found = list_linears(llama)
    assert [linear.kind for linear in found] == [
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head",
    ]  # fmt: skip
    assert found[-1].block is None and (found[-1].outputs, found[-1].inputs) == (tiny.VOCABULARY, 64)
    assert found[6].name == "model.layers.0.mlp.down_proj" and (found[6].outputs, found[6].inputs) == (64, 128)


def test_a_tied_head_is_no_layer_of_its_own(tmp_path: Path):
    checkpoint = Checkpoint.open(tiny.save_tiny(tmp_path / "tied", tie_word_embeddings=True))
    assert all(linear.block is not None for linear in list_linears(checkpoint))


def test_shards_are_one_checkpoint(sharded: Path, llama: Checkpoint):
    checkpoint = Checkpoint.open(sharded)
    assert len({info.file for info in checkpoint.tensors.values()}) > 2
    assert checkpoint.parameters == llama.parameters
    whole = llama.load(llama.tensors)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in checkpoint.load(checkpoint.tensors).items())


def test_missing_folder_and_file_instead_of_folder(tmp_path: Path):
    assert "does not exist" in refused(tmp_path / "nowhere", "model-missing")
    (tmp_path / "file").write_text("x")
    assert "not a checkpoint folder" in refused(tmp_path / "file", "model-missing")


def test_pickles_are_refused_unopened(folder: Path):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    message = refused(folder, "model-not-safetensors")
    assert "pytorch_model.bin" in message and "execute code" in message


def test_no_weights_or_no_config(folder: Path):
    (folder / "config.json").rename(folder / "renamed.json")
    assert "no config.json" in refused(folder, "model-broken")
    (folder / "model.safetensors").unlink()
    assert "neither config.json nor" in refused(folder, "model-missing")
    (folder / "renamed.json").rename(folder / "config.json")
    assert "neither model.safetensors" in refused(folder, "model-broken")


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 100_000])
def test_a_config_that_is_no_object(folder: Path, text: str):
    (folder / "config.json").write_text(text)
    assert "config.json" in refused(folder, "model-broken")


def test_truncated_weights(folder: Path):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert str(file) in refused(folder, "model-broken")


def edit_index(folder: Path, name: str, shard: object) -> None:
    index = folder / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    document["weight_map"][name] = shard
    index.write_text(json.dumps(document))


def test_an_index_that_names_a_missing_shard(sharded: Path):
    edit_index(sharded, "lm_head.weight", "model-00009-of-00009.safetensors")
    assert '"model-00009-of-00009.safetensors", which does not exist' in refused(sharded, "model-broken")


def test_an_index_that_promises_a_tensor_its_shard_lacks(sharded: Path):
    edit_index(sharded, "model.ghost", "model-00001-of-" + next(sharded.glob("model-00001-*")).name[-17:])
    assert 'holds "model.ghost", and it does not' in refused(sharded, "model-broken")


@pytest.mark.parametrize(
    "path",
    [
        "../outside.safetensors",
        "/etc/passwd",
        "..",
        "",
        "sub/model.safetensors",
        "..\\outside.safetensors",
        "C:\\x",
        "a\0b",
    ],
)
def test_an_index_that_points_out_of_the_folder(sharded: Path, path: str):
    shutil.copy(next(sharded.glob("model-00001-*")), sharded.parent / "outside.safetensors")
    edit_index(sharded, "lm_head.weight", path)
    assert "only files of the folder itself" in refused(sharded, "model-broken")


@pytest.mark.parametrize("weight_map", [None, [], {}, {"a": 1}])
def test_an_index_without_a_weight_map(sharded: Path, weight_map: object):
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert "weight_map" in refused(sharded, "model-broken")


def test_a_link_out_of_the_folder(folder: Path):
    outside = folder.parent / "outside.safetensors"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)
    assert "outside the folder" in refused(folder, "model-broken")


def test_the_links_of_a_hugging_face_cache_are_followed(folder: Path):
    home = folder.parent / "models--a--b"
    snapshot, blobs = home / "snapshots" / "1234", home / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for file in folder.iterdir():
        (blobs / f"hash-{file.name}").write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"hash-{file.name}")
    assert Checkpoint.open(snapshot).parameters == Checkpoint.open(folder).parameters


def test_a_tensor_in_two_shards(sharded: Path):
    first, second = sorted(sharded.glob("model-0000[12]-*"))
    tensors = {**load_file(second), next(iter(load_file(first))): torch.zeros(1)}
    save_file(tensors, second)
    assert "holds too" in refused(sharded, "model-broken")


def test_only_harmless_files_are_carried_over(folder: Path):
    for name in (
        "tokenizer.json",
        "LICENSE",
        "chat_template.jinja",
        "old.bin",
        "code.py",
        ".hidden",
        "extra.safetensors",
    ):
        (folder / name).write_text("x")
    (folder / "subfolder").mkdir()
    names = [file.name for file in Checkpoint.open(folder).other_files]
    assert names == ["LICENSE", "chat_template.jinja", "generation_config.json", "tokenizer.json"]


def test_identity_changes_with_header_size_and_config(folder: Path):
    first = Checkpoint.open(folder).identity()
    assert set(first) == {"config.json", "model.safetensors"}
    assert Checkpoint.open(folder).identity() == first
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    save_file(tensors, folder / "model.safetensors")
    second = Checkpoint.open(folder).identity()
    assert second["model.safetensors"] != first["model.safetensors"]
    assert second["config.json"] == first["config.json"]


@pytest.mark.parametrize("elements", [100, 3_000_000], ids=["read whole", "sampled"])
def test_other_weights_under_the_same_header_are_named(elements: int, folder: Path, tmp_path: Path):
    file, kept = folder / "model.safetensors", tmp_path / "kept" / "identity.json"
    save_file({"x": torch.full((elements,), 1.0)}, file)
    hold_identity(kept, Checkpoint.open(folder).identity())
    hold_identity(kept, Checkpoint.open(folder).identity())
    save_file({"x": torch.full((elements,), 2.0)}, file)
    with pytest.raises(QuantError, match="cannot be continued: model.safetensors") as caught:
        hold_identity(kept, Checkpoint.open(folder).identity())
    assert caught.value.code == "resume-mismatch"


@pytest.mark.parametrize("place", [0, -1])
def test_the_first_and_the_last_weight_count(place: int, folder: Path):
    file, weights = folder / "model.safetensors", torch.zeros(3_000_000)
    save_file({"x": weights}, file)
    before = Checkpoint.open(folder).identity()
    weights[place] = 1
    save_file({"x": weights}, file)
    assert Checkpoint.open(folder).identity() != before


def test_quantization_of_other_tools_is_recognised(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4, "checkpoint_format": "gptq_v2"}
    (folder / "config.json").write_text(json.dumps(config))
    found = Checkpoint.open(folder).quantization
    assert found is not None and (found.method, found.format, found.bits) == ("gptq", "gptq_v2", [4])
