"""A recipe against the files it names: checkpoint headers, texts, the output folder and the disk. No tensor is read, torch is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from pydantic import TypeAdapter

from quant_engine import preflight
from quant_engine.errors import QuantError
from quant_engine.nearest import nearest
from quant_engine.recipe import matches
from quant_engine.structure import Finding
from quant_engine.texts import has_text
from quant_engine.uses import LongUse, Use, resolve
from quant_engine.yaml_source import Key, Listing, Mapping, Node, Scalar, Source, Span, plain

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo

_WILDCARDS = set("*?[")
_SAMPLES, _LENGTH = 128, 2048


def target(folder: Path, written: str) -> Path:
    """A path of the recipe: `~` is the home folder, relative ones count from the recipe's folder."""
    return (folder / Path(written).expanduser()).resolve()


class FileCheck:
    def __init__(self, source: Source, wrong: set[Key], folder: Path, free: Callable[[Path], int]) -> None:
        self._source = source
        self._wrong = wrong
        self._folder = folder
        self._free = free

    def check(self, runs: Path, ignore_output: bool) -> list[Finding]:
        findings: list[Finding] = []
        checkpoint: Checkpoint | None = None
        linears: list[LinearInfo] = []
        assignment: dict[str, Use | None] = {}
        model = self._scalar(("model",), str)
        if model is not None:
            checkpoint, problem = self._model(model)
            findings += [problem] if problem else []
        if checkpoint is not None:
            from quant_engine.checkpoint import list_linears

            linears = list_linears(checkpoint)
            findings += self._sequence_lengths(checkpoint)
            findings += self._layers(linears, assignment, model)
            findings += self._budget(linears, checkpoint)
        for section in ("calibration", "evaluate"):
            findings += self._data((section, "data"))
        if not ignore_output:
            existing = self._output()
            findings += existing
            if checkpoint is not None and not existing:
                findings += self._disk(checkpoint, linears, assignment, runs)
        return findings

    def _node(self, key: Key) -> Node | None:
        """The node at a key path when it and everything around it is right."""
        node = self._source.root
        for depth, part in enumerate(key):
            if key[: depth + 1] in self._wrong:
                return None
            if isinstance(node, Mapping) and isinstance(part, str):
                entry = node.get(part)
                node = entry.value if entry else None
            elif isinstance(node, Listing) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            else:
                return None
        return node

    @overload
    def _scalar(self, key: Key, kind: type[str]) -> tuple[str, Span] | None: ...
    @overload
    def _scalar(self, key: Key, kind: type[float]) -> tuple[float, Span] | None: ...

    def _scalar(self, key: Key, kind: Any) -> Any:
        node = self._node(key)
        kinds = (int, float) if kind is float else kind
        return (node.value, node.span) if isinstance(node, Scalar) and isinstance(node.value, kinds) else None

    def _model(self, model: tuple[str, Span]) -> tuple[Checkpoint | None, Finding | None]:
        from quant_engine.architectures.registry import supported
        from quant_engine.checkpoint import Checkpoint

        written, span = model
        path = target(self._folder, written)
        if not path.is_dir():
            return None, Finding("model-missing", f'no checkpoint at "{written}": the folder does not exist', span)
        try:
            checkpoint = Checkpoint.open(path)
        except QuantError as error:
            return None, Finding(error.code, error.message.replace(str(path), written), span)
        if checkpoint.architecture not in supported():
            names = ", ".join(supported())
            message = f'architecture "{checkpoint.architecture}" is not supported; supported: {names}'
            return None, Finding("model-unsupported", message, span)
        if checkpoint.quantization is not None:
            return None, Finding(
                "model-quantized", f'"{written}" is already quantized ({checkpoint.quantization.method})', span
            )
        return checkpoint, None

    def _data(self, key: Key) -> Iterator[Finding]:
        found = self._scalar(key, str)
        if found is None:
            return
        written, span = found
        path = target(self._folder, written)
        if not path.is_file():
            yield Finding("data-missing", f'no file at "{written}"', span)
            return
        try:
            if not has_text(path):
                yield Finding("data-empty", f'"{written}" has no text', span)
        except QuantError as error:
            yield Finding(error.code, error.message.replace(str(path), written), span)

    def _sequence_lengths(self, checkpoint: Checkpoint) -> Iterator[Finding]:
        most = checkpoint.config.get("max_position_embeddings")
        for section in ("calibration", "evaluate"):
            found = self._scalar((section, "sequence_length"), float)
            if found and isinstance(most, int) and found[0] > most:
                yield Finding(
                    "sequence-too-long", f"{int(found[0])} is above the model's maximum of {most} tokens", found[1]
                )

    def _use(self, key: Key) -> Use | Literal["unknown"] | None:
        """The use at a key path; None: keep; `unknown`: absent or wrong."""
        node = self._node(key)
        if node is None or any(wrong[: len(key)] == key for wrong in self._wrong):
            return "unknown"
        value = plain(node)
        return TypeAdapter(LongUse).validate_python(value) if isinstance(value, dict) else resolve(value)

    def _count(self, key: Key) -> int:
        node = self._node(key)
        return len(node.items) if isinstance(node, Listing) else 0

    def _patterns(self, key: Key) -> list[tuple[str, Span]]:
        node = self._node(key)
        nodes = node.items if isinstance(node, Listing) else [node]
        return [
            (item.value, item.span)
            for item in nodes
            if isinstance(item, Scalar) and isinstance(item.value, str) and item.value
        ]

    def _layers(
        self, linears: list[LinearInfo], assignment: dict[str, Use | None], model: tuple[str, Span] | None
    ) -> Iterator[Finding]:
        """Patterns that match nothing, group sizes that do not fit; fills in what each layer is assigned."""
        left = list(linears)
        for index in range(self._count(("quantize", "rules"))):
            key: Key = ("quantize", "rules", index)
            patterns = self._patterns((*key, "layers"))
            for pattern, span in patterns:
                if not any(matches([pattern], linear.name) for linear in linears):
                    yield Finding(
                        "no-layer-matches",
                        no_match(pattern, [linear.name for linear in linears], model),
                        span,
                        "warning",
                    )
            names = [pattern for pattern, _ in patterns]
            decided = [linear for linear in left if matches(names, linear.name)]
            left = [linear for linear in left if not matches(names, linear.name)]
            yield from self._decide((*key, "use"), decided, assignment)
        blocks = [linear for linear in linears if linear.block is not None]
        yield from self._decide(
            ("quantize", "default"), [linear for linear in left if linear.block is not None], assignment
        )
        for index in range(self._count(("candidates",))):
            yield from self._decide(("candidates", index), blocks, {})

    def _decide(self, key: Key, linears: list[LinearInfo], assignment: dict[str, Use | None]) -> Iterator[Finding]:
        use = self._use(key)
        if use is None or use == "unknown":
            return
        assignment.update({linear.name: use for linear in linears})
        size = use.weight_format.group_size
        misfit = next((linear for linear in linears if not use.weight_format.fits(linear.inputs)), None)
        if misfit is None or size is None:
            return
        divisors = [n for n in range(8, 257) if misfit.inputs % n == 0] or [misfit.inputs]
        message = f"group size {size} does not divide the input width {misfit.inputs} of {misfit.name}; divisors: "
        yield Finding("group-size", message + ", ".join(map(str, divisors)), self._size_span(key))

    def _size_span(self, key: Key) -> Span:
        node = self._node(key)
        if isinstance(node, Mapping):
            entry = node.get("group_size")
            size = (
                entry
                if entry and isinstance(entry.value, Scalar) and entry.value.value is not None
                else node.get("scheme")
            )
            node = size.value if size else node
        return node.span if node else self._source.first_line

    def _budget(self, linears: list[LinearInfo], checkpoint: Checkpoint) -> Iterator[Finding]:
        """A budget below the smallest candidates, known from the shapes alone, should not cost a measurement first."""
        budget = self._scalar(("quantize", "budget", "bits_per_weight"), float)
        if budget is None or ("candidates",) in self._wrong:
            return
        count = self._count(("candidates",))
        uses = [self._use(("candidates", index)) for index in range(count)]
        if not count:
            yield Finding("budget-unreachable", "a budget chooses among the candidates, and there are none", budget[1])
            return
        patterns = [
            name
            for index in range(self._count(("quantize", "rules")))
            for name, _ in self._patterns(("quantize", "rules", index, "layers"))
        ]
        chosen = [linear for linear in linears if linear.block is not None and not matches(patterns, linear.name)]
        formats = [use.weight_format for use in uses if isinstance(use, Use)]
        if len(formats) < count or not chosen:
            return
        scale_bits = 8 * preflight.dtype_bytes(checkpoint.dtype)
        weights = sum(linear.outputs * linear.inputs for linear in chosen)
        least = (
            sum(
                min(weight_format.bits_per_weight(linear.inputs, scale_bits) for weight_format in formats)
                * linear.outputs
                * linear.inputs
                for linear in chosen
            )
            / weights
        )
        if budget[0] < least:
            message = (
                f"no choice of candidates needs only {budget[0]:g} bits per weight; the smallest needs {least:.3f}"
            )
            yield Finding("budget-unreachable", message, budget[1])

    def _output(self) -> list[Finding]:
        found, model = self._scalar(("output",), str), self._scalar(("model",), str)
        if found is None:
            return []
        written, span = found
        path = target(self._folder, written)
        if model and path == target(self._folder, model[0]):
            return [Finding("output-is-model", "the output is the checkpoint itself", span)]
        if path.exists():
            return [Finding("output-exists", f'"{written}" exists already; choose another folder or remove it', span)]
        return []

    def _disk(
        self, checkpoint: Checkpoint, linears: list[LinearInfo], assignment: dict[str, Use | None], runs: Path
    ) -> Iterator[Finding]:
        found = self._scalar(("output",), str)
        if found is None:
            return
        written, span = found
        path = target(self._folder, written)
        samples = self._scalar(("calibration", "samples"), float) or (_SAMPLES, span)
        length = self._scalar(("calibration", "sequence_length"), float) or (_LENGTH, span)
        needs = preflight.needs(checkpoint, linears, assignment, int(samples[0] * length[0]))
        if preflight.same_disk(path, runs):
            places = [(path, written, needs.output + needs.state)]
        else:
            places = [(path, written, needs.output), (runs, str(runs), needs.state)]
        for place, shown, needed in places:
            free = self._free(place)
            if needed > free:
                size, left = preflight.format_bytes(needed), preflight.format_bytes(free)
                yield Finding("disk-space", f'about {size} are needed for "{shown}", {left} are free', span)


def no_match(pattern: str, names: list[str], model: tuple[str, Span] | None) -> str:
    """The sentence for a pattern without layers, with the nearest name when there is one (docs/diagnostics.md#no-layer-matches)."""
    near = nearest(pattern, _pattern_forms(names) if _WILDCARDS & set(pattern) else names)
    title = Path(model[0]).name if model else "the model"
    return f'"{pattern}" matches no layer of {title}' + (f'; did you mean "{near}"?' if near else "")


def _pattern_forms(names: list[str]) -> list[str]:
    forms: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        numbers = [index for index, part in enumerate(parts) if part.isdigit()]
        forms[".".join("*" if part.isdigit() else part for part in parts)] = None
        if numbers:
            tail = parts[numbers[-1] + 1 :]
            forms.update({"*." + ".".join(tail[start:]): None for start in range(len(tail))})
    return list(forms)
