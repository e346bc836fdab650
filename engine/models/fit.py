"""Bring a checkpoint's tensors to a network's names, and say what does not fit."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.checkpoint import Checkpoint

Shapes = Mapping[str, Sequence[int]]
COUNTER = "num_batches_tracked"  # of BatchNorm: missing or there, it changes nothing in eval mode
HEADS = ("fc", "linear", "classifier", "head")  # one layer, as one or another author calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a checkpoint's names map to a network's, and what is left over on either side."""

    names: dict[str, str]  # the network's name -> the checkpoint's, shapes equal
    missing: tuple[str, ...]  # of the network
    unknown: tuple[str, ...]  # of the checkpoint
    misshapen: tuple[str, ...]  # the network's names: there, in another shape
    total: int  # tensors of the network, counters aside
    notes: tuple[str, ...] = ()  # what was renamed, in words

    @property
    def whole(self) -> bool:
        """Every tensor of both sides has its place."""
        return not (self.missing or self.unknown or self.misshapen)


def match(wanted: Shapes, given: Shapes) -> Fit:
    """The best of the usual renamings: none, a shared first name less, another name of the head."""
    best = _match(wanted, given, {}, ())
    for renamed, note in _renamings(wanted, given):
        fit = _match(wanted, {renamed.get(k, k): v for k, v in given.items()}, renamed, (note,))
        if _closeness(fit) > _closeness(best):
            best = fit
    return best


def _closeness(fit: Fit) -> tuple[int, int]:
    """More fitting tensors first; then more that are at least called alike."""
    return len(fit.names), len(fit.misshapen)


def _match(
    wanted: Shapes, given: Shapes, renamed: Mapping[str, str], notes: tuple[str, ...]
) -> Fit:
    original = {new: old for old, new in renamed.items()}
    wanted = {name: shape for name, shape in wanted.items() if not name.endswith(COUNTER)}
    given = {name: shape for name, shape in given.items() if not name.endswith(COUNTER)}
    both = [name for name in wanted if name in given]
    fitting = [name for name in both if list(wanted[name]) == list(given[name])]
    return Fit(
        names={name: original.get(name, name) for name in fitting},
        missing=tuple(name for name in wanted if name not in given),
        unknown=tuple(original.get(name, name) for name in given if name not in wanted),
        misshapen=tuple(name for name in both if name not in fitting),
        total=len(wanted),
        notes=notes,
    )


def _renamings(wanted: Shapes, given: Shapes) -> list[tuple[dict[str, str], str]]:
    """(checkpoint's name -> new name, in words) for each renaming worth a try."""
    found = []
    heads = [{name.partition(".")[0] for name in side} & set(HEADS) for side in (wanted, given)]
    for new in heads[0] - heads[1]:
        for old in heads[1] - heads[0]:
            renamed = {
                name: new + name.removeprefix(old) for name in given if name.startswith(f"{old}.")
            }
            found.append((renamed, f"{old!r} is this network's {new!r}"))
    shared = {name.partition(".")[0] for name in given}
    if len(shared) == 1:
        prefix = f"{shared.pop()}."
        renamed = {name: name.removeprefix(prefix) for name in given}
        found.append((renamed, f"prefix {prefix!r} taken off"))
    return found


def fill(model: nn.Module, checkpoint: Checkpoint, name: str) -> tuple[str, ...]:
    """Load the checkpoint into the network; returns what was undone, in words. UserError: no fit."""
    state = model.state_dict()
    fit = match(shapes(state), shapes(checkpoint.tensors))
    if not fit.whole:
        raise UserError(
            f"weights file {checkpoint.path} does not fit {name}: "
            f"{_misfit(fit, state, checkpoint.tensors)}"
        )
    for old in fit.names.values():
        if not checkpoint.tensors[old].isfinite().all():
            raise UserError(
                f"weights file {checkpoint.path} holds values in {old!r} that are no numbers (NaN or "
                "infinite); give a checkpoint from before the training broke"
            )
    filled = OrderedDict((new, checkpoint.tensors[old]) for new, old in fit.names.items())
    # Some networks (torchvision's MNASNet) refuse a state that does not say its version.
    filled._metadata = state._metadata  # type: ignore[attr-defined]
    model.load_state_dict(filled, strict=False)
    return (*checkpoint.undone, *fit.notes, *_half(checkpoint))


def _half(checkpoint: Checkpoint) -> tuple[str, ...]:
    narrow = [kind for kind in checkpoint.dtypes if kind in ("float16", "bfloat16")]
    return (f"stored as {' and '.join(narrow)}, computed in float32",) if narrow else ()


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Name -> shape."""
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def _misfit(fit: Fit, state: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    if fit.misshapen and not fit.missing and not fit.unknown:
        name = fit.misshapen[-1]
        has, wants = list(_named(given, name).shape), list(state[name].shape)
        if all(len(state[n].shape) <= 2 for n in fit.misshapen) and has[0] != wants[0]:
            return (
                f"the classes do not match the head ({name!r} has {has[0]} classes in the file, "
                f"{wants[0]} in the network); give a checkpoint of {wants[0]} classes, or bring the "
                "network as your own"
            )
        return (
            f"{name!r} has shape {has} in the file, {wants} in the network; "
            "give the checkpoint of this architecture"
        )
    example = (fit.missing or fit.unknown or fit.misshapen)[0]
    return (
        f"{len(fit.missing)} tensors missing, {len(fit.unknown)} unknown, {len(fit.misshapen)} of "
        f"another shape, for example {example!r}; give the checkpoint of this architecture"
    )


def _named(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor by the network's name, whichever name the file's author gave its head."""
    head, _, rest = name.partition(".")
    aliases = [name, *(f"{other}.{rest}" for other in HEADS if head in HEADS)]
    return next(tensors[alias] for alias in aliases if alias in tensors)
