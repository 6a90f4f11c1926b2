"""The stages of a run, in order. Each reads what the ones before it left in `Work` and can continue where a stopped run ended."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine import compiled, events, reuse
from quant_engine.architectures.registry import family_for
from quant_engine.atomic import replace_text
from quant_engine.errors import QuantError
from quant_engine.journal import Journal, Then, code_hash, flatten, hold_identity
from quant_engine.notes import note_bfloat16_only, note_few, note_flattened, note_short, note_torn, note_zero_points
from quant_engine.result import Measurement
from quant_engine.retry import fitted, smaller_batches
from quant_engine.run_directory import IMPORTANCE
from quant_engine.work import Work

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import CheckpointWriter
    from quant_engine.uses import Use
    from quant_engine.walk import MeasuredLayer, QuantizedBlock, QuantizedLayer

log = logging.getLogger(__name__)
PUBLISHING = "publishing"
DIVISORS = "divisors"


def prepare(work: Work) -> None:
    """Device, checkpoint headers, texts, and the identity that a resumed run must share."""
    from quant_engine.checkpoint import Checkpoint
    from quant_engine.devices import asked_devices, device_class, resolve_devices

    recipe = work.recipe
    with work.phase("prepare", 3, "steps"):
        work.checkpoint = Checkpoint.open(work.path(recipe.model))
        if work.is_streamed:
            # While torch is imported.
            compiled.warm_for(linear.inputs * linear.outputs for linear in work.linears)
        devices = resolve_devices(asked_devices(work.device, recipe.devices))
        work.device, *work.other_devices = [device.id for device in devices]
        work.directory.update(device=", ".join(f"{device.id} ({device.name})" for device in devices))
        work.tick(f"device {', '.join(device.id for device in devices)}")
        if not work.is_streamed or not family_for(work.checkpoint).verified:
            # transformers has the last word about an architecture whose layers were guessed from their names.
            _ = work.model
        work.tick("checkpoint headers")
        _read_texts(work)
        note_few(work)
        shared = {
            "code": code_hash(),
            "device": device_class(devices),
            **({} if work.is_streamed else {"calibration tokens": work.tokens.sha256}),
            **flatten(work.checkpoint.identity(), "checkpoint"),
            **flatten(work.directory.record.environment, "version"),
        }
        # Where the checkpoint goes changes none of its bytes, nor which ones of several equal devices compute: a resumed run may choose.
        own = flatten(recipe.model_dump(mode="json", exclude={"output", "devices"}), "recipe")
        if work.held_out is not None:
            own["evaluation tokens"] = work.held_out.sha256
        hold_identity(work.directory.state_folder / "identity.json", {"action": work.action, **shared, **own})
        seed = recipe.calibration.seed if recipe.calibration else None
        work.identity = reuse.measurement_identity(shared, work.checkpoint, seed, recipe.output_format)
        work.directory.update(resumable=True, measurement=reuse.digest(work.identity))
        work.tick("texts")


def _read_texts(work: Work) -> None:
    from quant_engine.tokens import calibration_tokens, held_out_tokens, load_tokenizer

    section, evaluation = work.recipe.calibration, work.recipe.evaluate if work.action == "run" else None
    if section is None and evaluation is None:
        return
    held_out = work.path(work.recipe.evaluate.data) if work.recipe.evaluate else None
    data = work.path(section.data) if section else None
    tokenizer = load_tokenizer(work.checkpoint.path)
    if section and data:
        length = work.sequence_length(section)
        work.tokens = calibration_tokens(tokenizer, data, section.samples, length, section.seed, held_out)
        note_short(work, work.tokens, ("calibration", "data"))
    if evaluation and held_out:
        # Text that is too short should not cost a whole run first.
        work.held_out = held_out_tokens(tokenizer, held_out, evaluation.samples, work.sequence_length(evaluation), data)
        note_short(work, work.held_out, ("evaluate", "data"))


def recall(work: Work) -> None:
    """What earlier runs have measured of the candidates: decided once for the run, whatever happens to these runs later."""
    state = work.directory.state_folder
    found = reuse.recall(state)
    if found is None:
        found, labels = reuse.Reused(), [use.label for use in work.candidates]
        if labels and not work.fresh:
            names = [linear.name for linear in work.linears]
            found = reuse.find(work.directory, work.identity, names, labels, work.objective)
        reuse.store(found, state)
        for run in dict.fromkeys(found.taken.values()):
            taken = [label for label in labels if found.taken.get(label) == run]
            log.info("measurements of the run %s are taken: %s", run, ", ".join(taken))
            work.directory.event(events.Reused, run=run, candidates=taken)
    work.reused = found


def importance(work: Work) -> None:
    """How much the model's answers hang on each layer's outputs, for a budget that weighs noise by it: one backward pass."""
    from quant_engine.checkpoint.durable import save_tensors
    from quant_engine.importance import Store, passes, prices, some_of

    if work.objective == "noise" or not work.missing:
        return
    kept = work.directory.folder / IMPORTANCE
    if work.reused.importance:
        from safetensors.torch import load_file

        work.importance = prices(load_file(kept), work.tokens.tokens, work.device)
        return
    assert work.recipe.calibration is not None
    blocks, seed = work.model.block_count, work.recipe.calibration.seed
    store = Store(work.directory.state_folder / "importance", blocks)
    with work.phase("importance", 2 * blocks + 1, "steps", store.done):
        if store.done < 2 * blocks + 1:
            attempt = lambda batches: passes(work.model, batches, store, seed, work.stop_if_asked)  # noqa: E731
            for block in smaller_batches(work, "importance", some_of(work.tokens.batches), attempt, store.clear):
                work.tick(_title(block))
    found = store.importance()
    save_tensors(kept, kept.with_name(f".{kept.name}"), found)
    work.importance = prices(found, work.tokens.tokens, work.device)


def measure(work: Work) -> None:
    """Every candidate on every layer, lm_head too (whether to quantize it is the reader's question), from one pass of the float model;
    those that an earlier run has measured are taken from it."""
    from quant_engine.walk import measure as walk

    if not work.candidates:
        return
    journal = Journal(work.directory.state_folder / "measure")
    head = any(linear.block is None for linear in work.linears)
    recall_measured(work, journal.layers())
    blocks = work.model.block_count
    done, head_done = (journal.done, journal.head_done) if work.missing else (blocks, head)
    with work.phase("measure", blocks + head, "blocks", done + head_done):
        if not work.missing:
            for layer in work.reused.layers.values():
                take_measured(work, layer)
        if done == blocks and head_done >= head:
            return
        attempt = lambda batches: walk(  # noqa: E731
            work.model,
            batches,
            work.missing,
            start=journal.done,
            hidden=fitted(journal.hidden(), batches),
            head=head,
            importance=work.importance,
            tick=work.stop_if_asked,
            others=work.other_devices,
        )
        for block in smaller_batches(work, "measure", work.tokens.batches, attempt):
            journal.add(block.block, [measured_json(layer) for layer in block.layers], block.hidden, _after(block.block, blocks, head))
            for layer in block.layers:
                take_measured(work, merged(work, layer))
            work.tick(_title(block.block))


def choose(work: Work) -> None:
    """What each layer is quantized with: rules, then the budget, then the default; and what else could be had for how many bits."""
    from quant_engine.assignment import Storage, assign, fused_layers, pareto_front

    linears, section = work.linears, work.recipe.quantize
    with work.phase("choose", 1, "steps"):
        measurements = work.measurements
        storage = Storage.of(work.checkpoint, linears)
        fused = fused_layers(linears, work.checkpoint.architecture)
        work.assignment = assign(linears, section, work.candidates, measurements, storage, fused)
        work.front = pareto_front(linears, section, work.candidates, measurements, storage, fused)
        note_torn(work, fused)
        note_zero_points(work)
        note_flattened(work)
        note_bfloat16_only(work)
        work.tick(f"{sum(assigned.use is not None for assigned in work.assignment.values())} layers to quantize")


def quantize(work: Work) -> None:
    """Block by block, each layer on inputs that passed the quantized layers before it; every block is durable before the next."""
    from quant_engine.walk import quantize as walk

    journal = Journal(work.directory.state_folder / "quantize")
    recall_quantized(work, journal.layers())
    if is_published(work.directory.state_folder, work.output):
        return
    writer = _writer(work)
    uses = {name: assigned.use for name, assigned in work.assignment.items()}
    head = any(linear.block is None and uses.get(linear.name) is not None for linear in work.linears)
    done, blocks = journal.done, work.model.block_count
    with work.phase("quantize", blocks + head, "blocks", done + journal.head_done):
        if done == blocks and journal.head_done >= head:
            return
        attempt = lambda batches: walk(  # noqa: E731
            work.model,
            batches,
            uses,
            writer,
            start=journal.done,
            hidden=fitted(journal.hidden(), batches),
            tick=work.stop_if_asked,
            others=work.other_devices,
        )
        for block in smaller_batches(work, "quantize", work.tokens.batches, attempt):
            _keep_divisors(work, block)
            journal.add(block.block, [quantized_json(layer) for layer in block.layers], block.hidden, _after(block.block, blocks, head))
            for layer in block.layers:
                work.quantized[layer.name] = layer
                announce(work, layer)
            work.tick(_title(block.block))


def write(work: Work) -> None:
    """The checkpoint appears at the output, complete, by one renaming."""
    from quant_engine.output_format import output_config

    layers: dict[str, Use | None] = {}
    for linear in work.linears:
        done = work.quantized.get(linear.name)
        layers[linear.name] = work.assignment[linear.name].use if done and done.applied is not None else None
    with work.phase("write", 1, "steps"):
        if is_published(work.directory.state_folder, work.output):
            work.published = work.output
        else:
            config = output_config(work.checkpoint, work.linears, layers)
            mark = partial(mark_published, work.directory.state_folder)
            work.published = _writer(work).publish(config, complete=mark)
        work.tick("checkpoint written")


def evaluate(work: Work) -> None:
    """Original and quantized model on held-out text. The quantized one is read from the published files, as any loader would."""
    from quant_engine.architectures.decoder import open_model
    from quant_engine.benchmarks.perplexity import Evaluated
    from quant_engine.benchmarks.perplexity import evaluate as benchmark
    from quant_engine.checkpoint import Checkpoint

    section, data = work.recipe.evaluate, work.held_out
    if section is None or data is None or work.published is None:
        return
    written = Checkpoint.open(work.published)
    models = 2 if section.baseline else 1
    with work.phase("evaluate", models * work.model.block_count + len(data.batches), "steps"):
        original = Evaluated(work.model) if section.baseline else None
        quantized = Evaluated(open_model(work.checkpoint, work.device), written, _divisors(work))
        attempt = lambda batches: iter([benchmark(batches, original, quantized, work.tick)])  # noqa: E731
        for sums in smaller_batches(work, "evaluate", data.batches, attempt, key=("evaluate",)):
            work.scores, work.accumulated = sums.scores(), sums.layers
    for name in ("perplexity", "baseline_perplexity", "perplexity_ratio", "kl", "same_top"):
        score = getattr(work.scores, name)
        if score is not None:
            work.directory.event(events.Scored, name=name, score=score)


def _keep_divisors(work: Work, block: QuantizedBlock) -> None:
    """Beside the journal: the checkpoint does not say what it is divided by, and the comparison with the original must know."""
    from quant_engine.checkpoint.durable import save_tensors

    if block.divisors and block.block is not None:
        folder = work.directory.state_folder / DIVISORS
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{block.block:05d}.safetensors"
        save_tensors(file, file.with_name(f".{file.name}"), block.divisors)


def _divisors(work: Work) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    files = sorted((work.directory.state_folder / DIVISORS).glob("[0-9]*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def _after(block: int | None, blocks: int, head: bool) -> Then:
    """What a walk does when it has done a block; head: whether lm_head follows the last one."""
    if block is None or block < blocks - 1:
        return "block"
    return "head" if head else "nothing"


def _title(block: int | None) -> str:
    return "lm_head" if block is None else f"block {block}"


def is_published(state: Path, output: Path) -> bool:
    """Whether the output is the checkpoint that this run was just publishing: complete, its own, and not in the way."""
    from quant_engine.checkpoint import Checkpoint

    mark = state / PUBLISHING
    if not mark.exists() or not output.is_dir():
        return False
    try:
        return json.loads(mark.read_text(encoding="utf-8")) == Checkpoint.open(output).identity()
    except (QuantError, ValueError, OSError):
        return False


def mark_published(state: Path, folder: Path) -> None:
    from quant_engine.checkpoint import Checkpoint

    replace_text(state / PUBLISHING, json.dumps(Checkpoint.open(folder).identity()))


def _writer(work: Work) -> CheckpointWriter:
    from quant_engine.checkpoint import CheckpointWriter

    return CheckpointWriter(work.output, work.checkpoint, work.directory.state_folder)


def announce(work: Work, layer: QuantizedLayer) -> None:
    """Tell of a layer that is quantized."""
    if layer.asked is None or layer.achieved is None:
        return
    applied = layer.applied or "none"
    work.directory.event(
        events.LayerQuantized,
        layer=layer.name,
        asked=layer.asked,
        applied=applied,
        damping=layer.damping,
        loss=layer.loss,
        achieved=layer.achieved,
    )
    if layer.fallback:
        work.directory.event(
            events.Fallback, layer=layer.name, asked=layer.asked, applied=applied, reason=layer.fallback
        )


def _json(measurement: Measurement | None) -> dict[str, object] | None:
    return measurement.model_dump(mode="json") if measurement else None


def quantized_json(layer: QuantizedLayer) -> dict[str, object]:
    return {**asdict(layer), "achieved": _json(layer.achieved)}


def measured_json(layer: MeasuredLayer) -> dict[str, object]:
    return {**vars(layer), "candidates": {label: _json(found) for label, found in layer.candidates.items()}}


def recall_measured(work: Work, layers: Sequence[Any]) -> None:
    """layers: as they are kept in a journal."""
    from quant_engine.walk import MeasuredLayer

    for layer in layers:
        candidates = {label: Measurement.model_validate(found) for label, found in layer["candidates"].items()}
        work.measured[layer["name"]] = merged(work, MeasuredLayer(**{**layer, "candidates": candidates}))


def merged(work: Work, layer: MeasuredLayer) -> MeasuredLayer:
    """The layer with what was measured of it before, in the recipe's order."""
    earlier = work.reused.layers.get(layer.name)
    every = {**layer.candidates, **(earlier.candidates if earlier else {})}
    return replace(layer, candidates={use.label: every[use.label] for use in work.candidates})


def take_measured(work: Work, layer: MeasuredLayer) -> None:
    work.measured[layer.name] = layer
    work.directory.event(events.LayerMeasured, layer=layer.name, signal=layer.signal, candidates=layer.candidates)


def recall_quantized(work: Work, layers: Sequence[Any]) -> None:
    """layers: as `quantized_json` gives them."""
    from quant_engine.walk import QuantizedLayer

    for layer in layers:
        achieved = layer["achieved"] and Measurement.model_validate(layer["achieved"])
        work.quantized[layer["name"]] = QuantizedLayer(**{**layer, "achieved": achieved})
