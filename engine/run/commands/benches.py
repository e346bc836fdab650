"""`bench`: the measurements that take long."""

import argparse
import json

from engine.core.errors import UserError
from engine.run.commands import speed_benches
from engine.run.commands.printed.common import runs_folder
from engine.run.commands.printed.progress import Progress
from engine.run.commands.printed.tables import markdown, table


def bench(options: argparse.Namespace) -> int:
    from engine.run.benches import bench

    names = sorted([*bench.names(), *speed_benches.BENCHES, speed_benches.ALL])
    if options.name is None:
        print(json.dumps(names) if options.json else "\n".join(names))
        return 0
    if options.name not in names:
        raise UserError(
            f"benchmark {options.name!r} is not known; choose one of {', '.join(names)}"
        )
    if options.name in (*speed_benches.BENCHES, speed_benches.ALL):
        return speed_benches.speed_bench(options)
    own = {
        bench.EFFECTS: _effects,
        bench.QUANTIZERS: _quantizers,
        bench.ABLATION: _ablation,
        bench.RATES: _rates,
        bench.EXPORT: _export,
        bench.BITS_SLIDER: _bits_slider,
        bench.FILM_ANSWERS: _film_answers,
        bench.OUTCOMES: _outcomes,
        bench.ADVICE: _advice,
    }
    if options.name in own:
        return own[options.name](options)
    result = bench.run(options.name, options.data, runs_folder(options))
    print(json.dumps(result) if options.json else table(result.items()))
    return 0


def _effects(options: argparse.Namespace) -> int:
    from engine.run.benches.effects.images.cifar import cifar_subject
    from engine.run.benches.effects.images.claims import CIFAR, CLAIMS, ON_CIFAR
    from engine.run.benches.effects.images.measure import budget_of, effects
    from engine.run.benches.effects.verdicts import CIFAR_FILE, FILE, rows_of, seeds_of

    data = options.data
    budget = ("images", "steps", "generator_steps", "generator_batch")
    chosen = {name: getattr(options, name) for name in budget}
    result = effects(
        seeds_of(options.seeds or "0,1,2"),
        out=options.out or runs_folder(options) / (CIFAR_FILE if data else FILE),
        budget=budget_of({name: value for name, value in chosen.items() if value is not None}),
        tell=Progress().line,
        only=options.only.split(",") if options.only else (),
        claims=ON_CIFAR if data else CLAIMS,
        subjects={CIFAR: cifar_subject(data.expanduser())} if data else None,
    )
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0


def _quantizers(options: argparse.Namespace) -> int:
    from engine.run.benches.effects.quantizers.measure import quantizers
    from engine.run.benches.effects.verdicts import QUANTIZER_FILE, rows_of, seeds_of

    runs = runs_folder(options)
    result = quantizers(
        runs, options.out or runs / QUANTIZER_FILE, seeds_of(options.seeds or "0,1,2"),
        only=options.only.split(",") if options.only else (), tell=Progress().line,
        data=str(options.data.expanduser().resolve()) if options.data else "",
    )  # fmt: skip
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0


def _ablation(options: argparse.Namespace) -> int:
    from engine.run.benches.ablation import ablation
    from engine.run.benches.bench import ABLATION, needed
    from engine.run.benches.effects.verdicts import seeds_of
    from engine.run.benches.ladder import FILE, rows_of

    runs = runs_folder(options)
    result = ablation(
        needed(options.data, ABLATION), runs, seeds_of(options.seeds or "0,1,2"),
        options.out or runs / FILE, Progress().line,
    )  # fmt: skip
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0


def _rates(options: argparse.Namespace) -> int:
    from engine.run.benches.bench import RATES, needed
    from engine.run.benches.effects.verdicts import seeds_of
    from engine.run.benches.rates import rates, rows_of

    runs = runs_folder(options)
    result = rates(
        needed(options.data, RATES), runs, seeds_of(options.seeds or "0,1,2"),
        options.out or runs / f"{RATES}.json", Progress().line,
    )  # fmt: skip
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0


def _export(options: argparse.Namespace) -> int:
    from engine.run.benches.exports import FILE, exports, rows_of

    runs = runs_folder(options)
    runs.mkdir(parents=True, exist_ok=True)
    only = options.only.split(",") if options.only else ()
    result = exports(runs, options.out or runs / FILE, Progress().line, only, options.data)
    told = markdown if options.markdown else table
    print(json.dumps(result) if options.json else told(rows_of(result)))
    return 0


def _bits_slider(options: argparse.Namespace) -> int:
    from engine.run.benches.start.bits_slider import bits_slider
    from engine.run.benches.start.shipped import SLIDER, rows_of

    runs = runs_folder(options)
    result = bits_slider(runs, options.out or runs / SLIDER, Progress().line)
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0


def _film_answers(options: argparse.Namespace) -> int:
    from engine.models.card import ASSETS
    from engine.run.benches.start.film_answers import film_answers
    from engine.run.benches.start.shipped import FILM
    from engine.run.folders.folder import list_runs

    recorded = list_runs(ASSETS / "recorded")
    if not recorded:
        raise UserError(f"{ASSETS / 'recorded'} holds no run: put there what the start page plays")
    result = film_answers(recorded[0], options.out or runs_folder(options) / FILM)
    last = result["frames"][-1]
    found = {"frames": len(result["frames"]), "last_confidence": last["confidence"]}
    print(json.dumps(result) if options.json else table(found.items()))
    return 0


def _outcomes(options: argparse.Namespace) -> int:
    from engine.run.benches.measure_outcomes import outcomes
    from engine.run.benches.outcomes import FILE, rows_of

    runs = runs_folder(options)
    result = outcomes(runs, options.out or runs / FILE, Progress().line)
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0


def _advice(options: argparse.Namespace) -> int:
    from engine.run.benches.advice.file import FILE, rows_of
    from engine.run.benches.advice.measure import advice

    runs = runs_folder(options)
    result = advice(runs, options.out or runs / FILE, Progress().line)
    print(json.dumps(result) if options.json else table(rows_of(result)))
    return 0
