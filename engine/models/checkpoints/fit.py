"""Bring a checkpoint's tensors to a network's names, and say what does not fit."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from engine.core.errors import UserError
from engine.models.checkpoints.read import Checkpoint
from engine.models.checkpoints.reparametrised import baked

Shapes = Mapping[str, Sequence[int]]
COUNTER = "num_batches_tracked"  # of BatchNorm: missing or there, it changes nothing in eval mode
MOST_PREFIXES = 6  # that are tried, the commonest
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
    inside: tuple[
        str, ...
    ] = ()  # of the unknown: in modules of the network (of a deeper one, then)

    @property
    def whole(self) -> bool:
        """Every tensor of both sides has its place."""
        return not (self.missing or self.unknown or self.misshapen)

    @property
    def enough(self) -> bool:
        """Every tensor of the network has its value, and what the file holds besides lies beside it."""
        return not (self.missing or self.misshapen or self.inside)


def match(wanted: Shapes, given: Shapes) -> Fit:
    """The best of the usual renamings: none, prefixes less or more, another name of the head."""
    best = _match(wanted, given, {}, ())
    for renamed, notes in _renamings(wanted, given):
        shapes_now = {renamed.get(k, k): v for k, v in given.items()}
        if len(shapes_now) < len(given):  # two of one name
            continue
        fit = _match(wanted, shapes_now, renamed, notes)
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
    unknown = [name for name in given if name not in wanted]
    known = {_module(name) for name in fitting}
    return Fit(
        names={name: original.get(name, name) for name in fitting},
        missing=tuple(name for name in wanted if name not in given),
        unknown=tuple(original.get(name, name) for name in unknown),
        inside=tuple(original.get(name, name) for name in unknown if _module(name) in known),
        misshapen=tuple(name for name in both if name not in fitting),
        total=len(wanted),
        notes=notes,
    )


def _module(name: str) -> str:
    """The module of the whole that a tensor lies in; those of a Sequential are all one."""
    first = name.partition(".")[0]
    return "0" if first.isdecimal() else first


Renaming = tuple[dict[str, str], tuple[str, ...]]  # checkpoint's name -> new name; in words


def _renamings(wanted: Shapes, given: Shapes) -> Iterator[Renaming]:
    """Each renaming worth a try, the simplest first; a prefix may hide another name of the head."""
    for renamed, notes in ({}, ()), *_prefixes(wanted, given):
        names = [renamed.get(name, name) for name in given]
        if notes:
            yield renamed, notes
        heads = [{name.partition(".")[0] for name in side} & set(HEADS) for side in (wanted, names)]
        for new in sorted(heads[0] - heads[1]):
            for old in sorted(heads[1] - heads[0]):
                moved = {
                    key: new + name.removeprefix(old)
                    for key, name in zip(given, names, strict=True)
                    if name.startswith(f"{old}.")
                }
                yield renamed | moved, (*notes, f"{old!r} is this network's {new!r}")


def _prefixes(wanted: Shapes, given: Shapes) -> Iterator[Renaming]:
    """Prefixes that most of the file's names share, taken off; the network's own, put before them."""
    counts: Counter[str] = Counter()
    for name in given:
        parts = name.split(".")[:3]
        counts.update(".".join(parts[:n]) + "." for n in (1, 2) if len(parts) > n)
    for prefix, _ in counts.most_common(MOST_PREFIXES):
        inside = {name.removeprefix(prefix) for name in given if name.startswith(prefix)}
        if inside & wanted.keys():
            renamed = {prefix + name: name for name in inside}
            yield renamed, (f"prefix {prefix!r} taken off",)
    rests = {name: name.partition(".")[2] for name in given}
    if {*rests.values()} & wanted.keys() and all(rests.values()):  # backbone., head.
        yield rests, ("the first part of every name taken off",)
    own = {name.partition(".")[0] for name in wanted}
    if len(own) == 1:
        prefix = f"{own.pop()}."
        yield {name: prefix + name for name in given}, (f"prefix {prefix!r} put before",)


def fill(model: nn.Module, checkpoint: Checkpoint, name: str) -> tuple[str, ...]:
    """Load the checkpoint into the network; returns what was undone, in words. UserError: no fit."""
    state = model.state_dict()
    fit = match(shapes(state), shapes(checkpoint.tensors))
    if not fit.whole and (together := baked(checkpoint)) is not checkpoint:
        checkpoint, fit = together, match(shapes(state), shapes(together.tensors))
    if not fit.enough:
        raise UserError(
            f"weights file {checkpoint.path} does not fit {name}: "
            f"{_misfit(fit, state, checkpoint.tensors)}"
        )
    for new, old in fit.names.items():
        if state[new].is_floating_point() and not checkpoint.tensors[old].is_floating_point():
            raise UserError(
                f"weights file {checkpoint.path} holds {old!r} as {_kind(checkpoint.tensors[old])}: codes "
                "whose scale is not known; give the float weights"
            )
        if not checkpoint.tensors[old].isfinite().all():
            raise UserError(
                f"weights file {checkpoint.path} holds values in {old!r} that are no numbers (NaN or "
                "infinite); give a checkpoint from before the training broke"
            )
    filled = OrderedDict((new, checkpoint.tensors[old]) for new, old in fit.names.items())
    # Some networks (torchvision's MNASNet) refuse a state that does not say its version.
    filled._metadata = state._metadata  # type: ignore[attr-defined]
    model.load_state_dict(filled, strict=False)
    return (*checkpoint.undone, *fit.notes, *_unknown(fit), *_half(checkpoint))


def _unknown(fit: Fit) -> tuple[str, ...]:
    """What of the file the network has no place for, in words."""
    if not fit.unknown:
        return ()
    more = f" and {len(fit.unknown) - 3} more" if len(fit.unknown) > 3 else ""
    return (f"no place for {', '.join(fit.unknown[:3])}{more}: left out",)


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


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
