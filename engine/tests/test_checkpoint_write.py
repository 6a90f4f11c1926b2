import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import tiny
from quant_engine.atomic import replace_text
from quant_engine.checkpoint import Checkpoint, CheckpointWriter, list_linears, quantization_config, write
from quant_engine.checkpoint.durable import save_tensors
from quant_engine.errors import QuantError
from quant_engine.formats.stored import checkpoint_tensors
from quant_engine.journal import Journal
from quant_engine.methods.rtn import RtnArguments, rtn
from quant_engine.uses import parse_short

USE = parse_short("rtn-w4a16-g32")


def fill(writer: CheckpointWriter, source: Checkpoint) -> dict[str, torch.Tensor]:
    """Quantize every layer of the blocks; returns all tensors that were put."""
    everything: dict[str, torch.Tensor] = {}
    for block in range(2):
        names = [linear.name for linear in list_linears(source) if linear.block == block]
        tensors: dict[str, torch.Tensor] = {}
        for name in names:
            weight = source.load([f"{name}.weight"])[f"{name}.weight"]
            tensors |= checkpoint_tensors(name, rtn(weight, None, USE.weight_format, RtnArguments()))
        writer.put(f"block-{block:05d}", tensors)
        everything |= tensors
    return everything


def config_of(source: Checkpoint) -> dict:
    config = quantization_config({linear.name: USE if linear.block is not None else None for linear in list_linears(source)})
    assert config is not None
    return config


@pytest.mark.parametrize("max_shard_bytes", [5_000_000_000, 20_000, 1])
def test_everything_not_quantized_is_bit_identical(max_shard_bytes: int, llama: Checkpoint, tmp_path: Path):
    writer = CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")
    put = fill(writer, llama)
    output = Checkpoint.open(writer.publish(config_of(llama), max_shard_bytes))
    stored = output.load(output.tensors)
    original = llama.load(llama.tensors)
    replaced = {f"{linear.name}.weight" for linear in list_linears(llama) if linear.block is not None}
    assert set(stored) == (set(original) - replaced) | set(put)
    for name, tensor in stored.items():
        assert torch.equal(tensor, put[name] if name in put else original[name])
    assert output.parameters == llama.parameters
    files = sorted(file.name for file in output.path.glob("*.safetensors"))
    assert files == ["model.safetensors"] if max_shard_bytes > 10**6 else len(files) > 2
    for file in output.path.glob("*.safetensors"):
        load_file(file)  # safetensors' own reader accepts the layout
        if max_shard_bytes == 20_000:
            assert sum(info.bytes for info in output.tensors.values() if info.file == file) <= max_shard_bytes


def test_config_and_other_files_are_carried_over(tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model")
    (folder / "tokenizer.json").write_bytes(b'{"\xc3\xa9": 1}\r\n')
    source = Checkpoint.open(folder)
    writer = CheckpointWriter(tmp_path / "output", source, tmp_path / "state")
    fill(writer, source)
    output = writer.publish(config_of(source))
    config = json.loads((output / "config.json").read_text())
    assert config.pop("quantization_config") == config_of(source)
    assert config == source.config
    assert sorted(file.name for file in output.iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    for name in ("tokenizer.json", "generation_config.json"):
        assert (output / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("front", ["", "---\nlicense: mit\n---\n\n"])
def test_the_card_of_the_original_says_that_it_is_the_originals(tmp_path: Path, front: str):
    folder = tiny.save_tiny(tmp_path / "model")
    (folder / "README.md").write_text(front + "# A model\n\nperplexity 36.02\n")
    source = Checkpoint.open(folder)
    writer = CheckpointWriter(tmp_path / "output", source, tmp_path / "state")
    fill(writer, source)
    card = (writer.publish(config_of(source)) / "README.md").read_text()
    assert card.startswith(f"{front}> These are quantized weights") and card.endswith("\n\n# A model\n\nperplexity 36.02\n")


def test_pieces_survive_the_process_and_go_after_publication(llama: Checkpoint, tmp_path: Path):
    fill(CheckpointWriter(tmp_path / "output", llama, tmp_path / "state"), llama)
    writer = CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")
    assert writer.has("block-00000") and writer.has("block-00001") and not writer.has("head")
    writer.publish(config_of(llama))
    assert not writer.has("block-00000") and list((tmp_path / "state").iterdir()) == []


def test_nothing_to_put_is_a_piece_too(llama: Checkpoint, tmp_path: Path):
    writer = CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")
    writer.put("block-00000", {})
    assert writer.has("block-00000")
    output = Checkpoint.open(writer.publish(None))
    assert output.quantization is None and output.bytes == llama.bytes


def test_an_output_that_exists_is_refused_and_untouched(llama: Checkpoint, tmp_path: Path):
    writer = CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")
    fill(writer, llama)
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "precious").write_text("x")
    with pytest.raises(QuantError) as caught:
        writer.publish(config_of(llama))
    assert caught.value.code == "output-exists" and caught.value.key == ("output",)
    assert [file.name for file in (tmp_path / "output").iterdir()] == ["precious"]
    assert writer.has("block-00000")
    with pytest.raises(QuantError):
        CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(13, "Permission denied"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_but_the_pieces(error: BaseException, llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    writer = CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")
    fill(writer, llama)
    original, calls = write.write_shard, []

    def failing(file: Path, tensors: list) -> None:
        if calls:
            raise error
        calls.append(file)
        original(file, tensors)

    monkeypatch.setattr(write, "write_shard", failing)
    with pytest.raises((QuantError, KeyboardInterrupt)) as caught:
        writer.publish(config_of(llama), 20_000)
    assert calls
    if isinstance(caught.value, QuantError):
        assert caught.value.code == ("disk-space" if "space" in str(error) else "output-write")
    assert [file.name for file in tmp_path.iterdir()] == ["state"]
    assert writer.has("block-00000") and writer.has("block-00001")


def test_a_small_disk_is_refused_before_writing(llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    writer = CheckpointWriter(tmp_path / "deep" / "output", llama, tmp_path / "state")
    fill(writer, llama)
    monkeypatch.setattr(write.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(QuantError, match=r"needs \d+\.\d kB, 1\.0 kB are free") as caught:
        writer.publish(config_of(llama))
    assert caught.value.code == "disk-space"
    assert not (tmp_path / "deep").exists()


def test_what_a_killed_process_left_is_replaced(llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    writer = CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")
    fill(writer, llama)
    with monkeypatch.context() as patch:
        patch.setattr(write.shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(write, "sync_folder", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            writer.publish(config_of(llama))
    (left,) = [file for file in tmp_path.iterdir() if file.name.startswith(".output.partial")]
    assert left.is_dir()
    CheckpointWriter(tmp_path / "output", llama, tmp_path / "state").publish(config_of(llama))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["output", "state"]


def test_the_same_pieces_give_the_same_bytes(llama: Checkpoint, tmp_path: Path):
    outputs = []
    for run in ("one", "two"):
        writer = CheckpointWriter(tmp_path / run, llama, tmp_path / f"state-{run}")
        fill(writer, llama)
        folder = writer.publish(config_of(llama), 20_000)
        outputs.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert outputs[0] == outputs[1]


def test_a_uniform_config_targets_the_class_and_ignores_what_is_kept(llama: Checkpoint):
    config = config_of(llama)
    assert config["format"] == "pack-quantized" and config["quant_method"] == "compressed-tensors"
    assert config["ignore"] == ["lm_head"]
    (group,) = config["config_groups"].values()
    assert group["targets"] == ["Linear"]
    assert group["weights"]["num_bits"] == 4 and group["weights"]["group_size"] == 32


def test_several_formats_are_groups_with_explicit_names():
    layers = {"a.q": USE, "a.k": parse_short("rtn-w8a16-channel"), "a.v": parse_short("gptq-w4a16-g32"), "a.o": None}
    config = quantization_config(layers)
    assert config is not None
    assert [group["targets"] for group in config["config_groups"].values()] == [["a.q", "a.v"], ["a.k"]]
    assert config["ignore"] == ["a.o", "lm_head"]
    assert quantization_config({"a.q": None}) is None


def test_the_config_is_what_the_library_understands(llama: Checkpoint):
    from compressed_tensors.quantization import QuantizationConfig

    layers = {"a.q": USE, "a.k": parse_short("rtn-w8a16-channel"), "lm_head": None}
    for config in (config_of(llama), quantization_config(layers)):
        assert config is not None
        assert QuantizationConfig.model_validate(config).format == "pack-quantized"


def full_disk(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """A full disk as safetensors reports it."""
    file.write_bytes(b"the beginning")
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_a_full_disk_under_a_piece_is_said(llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    writer = CheckpointWriter(tmp_path / "output", llama, tmp_path / "state")
    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(QuantError, match="the disk became full while .*block-00000") as caught:
        writer.put("block-00000", {"x.weight_packed": torch.zeros(8)})
    assert (caught.value.code, caught.value.key) == ("disk-space", ("output",))

    monkeypatch.setattr(write, "same_disk", lambda a, b: False)
    with pytest.raises(QuantError, match="the disk became full while .*block-00000") as caught:
        write.CheckpointWriter(tmp_path / "out", llama, tmp_path / "work").put("block-00000", {"a": torch.zeros(1)})
    assert caught.value.key == (), "the output's place in the recipe is not to blame for another disk"
    assert list((tmp_path / "state" / "pieces").iterdir()) == []


def test_a_full_disk_under_hidden_states_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(tmp_path)
    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(QuantError) as caught:
        journal.add(0, [], [torch.zeros(8)])
    assert caught.value.code == "disk-space"
    assert list(tmp_path.iterdir()) == [] and journal.done == 0


def test_what_cannot_be_saved_otherwise_names_the_file(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(QuantError, match="cannot write .*absent") as caught:
        save_tensors(tmp_path / "x", tmp_path / "absent" / "x", {"a": torch.zeros(1)})
    assert caught.value.code == "output-write"


def test_a_text_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path: Path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        replace_text(tmp_path / "taken", "x")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]
