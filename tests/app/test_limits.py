"""Every number of every command, from far outside of what it can be: refused or served, in a sentence and at once."""

import inspect
import time
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import typer

from app.cli import cli, run
from app.commands.limits import checked, require_possible
from probe.errors import BadInput
from probe.methods import catalogue
from probe.text.prompts import encode_prompt

ABSURD = ("nan", "1e30", "10000000000000", "-1")
SETS = {
    "trace": ["--prompt", "one two", "--model", "toy", "--dry-run"],
    "patch": ["--clean", "one two", "--corrupted", "one one", "--model", "toy", "--dry-run"],
    "harvest": ["--model", "toy", "--dry-run"],
    "sample": ["--name", "x", "--model", "toy", "--dry-run"],
    "lens": ["--prompt", "one two", "--model", "toy", "--dry-run"],
}
"""Commands with what they need beside the absurd number; others refuse for want of what is stored."""


def numeric() -> list[tuple[list[str], str]]:
    """Every command's path and every option of it that is a number."""
    found, whole = [], cli()
    groups = [([], whole), *(([g.typer_instance.info.name], g.typer_instance) for g in whole.registered_groups)]
    for path, group in groups:
        own = (
            [(path, group.info.callback)] if path and callable(group.info.callback) else []
        )  # a command with methods below it
        for where, callback in [*own, *(([*path, c.name], c.callback) for c in group.registered_commands)]:
            for name, hint in get_type_hints(callback, include_extras=True).items():
                kinds = {*get_args(hint), *(a for arg in get_args(hint) for a in get_args(arg))} | {hint}
                option = next((a for a in get_args(hint) if isinstance(a, typer.models.OptionInfo)), None)
                if option and {int, float} & {*kinds, *(b for k in kinds for b in get_args(k))}:
                    found.append(
                        (
                            where,
                            next(
                                (d for d in option.param_decls or () if d.startswith("--")),
                                f"--{name.strip('_').replace('_', '-')}",
                            ),
                        )
                    )
    return found


def test_there_are_many():
    assert len(numeric()) > 60


@pytest.mark.slow
@pytest.mark.parametrize("value", ABSURD)
def test_absurd_numbers_never_end_in_a_traceback(home, capsys, value):
    for path, option in numeric():
        if path[0] not in ("serve", "demo"):
            start = time.perf_counter()
            code = run([*path, *SETS.get(path[-1], []), f"{option}={value}"])
            told = capsys.readouterr()
            assert code in (0, 1, 2) and "Traceback" not in told.err, (path, option, value)
            assert time.perf_counter() - start < 20, (path, option, value)


@pytest.mark.parametrize(
    ("path", "option", "value"),
    [
        (["trace", *SETS["trace"]], "--memory", "nan"),
        (["trace", *SETS["trace"]], "--check", "1000000"),
        (["patch", *SETS["patch"]], "--memory", "nan"),
        (["sweep", "--cache", "c"], "--d-dict", "1000000000"),
        (["sweep", "--cache", "c"], "--seed", "4294967296"),
        (["harvest", *SETS["harvest"]], "--tokens", "100000000000000"),
        (["sample", *SETS["sample"]], "--tokens", "100000000000000"),
        (["paths", "--prompt", "one two", "--model", "toy"], "--length", "99999"),
        (["train", "--cache", "c"], "--epochs", "1000000000000"),
        (["follow", "--prompt", "one two", "--model", "toy"], "--token", "\udc80"),
        (["lens", "--prompt", "a" * 5_000_000], "--model", "toy"),
    ],
)
def test_what_nobody_could_mean_is_refused_before_anything_is_loaded(home, capsys, monkeypatch, path, option, value):
    monkeypatch.setattr("probe.model.load.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    assert run([*path, option, value]) == 2
    assert "wanted" in (said := capsys.readouterr().err) or "at most" in said or "UTF-8" in said


def test_every_default_that_is_declared_is_possible():
    for about in (*catalogue.methods(), *catalogue.tools()):
        for p in about.parameters:
            require_possible(p.name, p.default)


@pytest.mark.parametrize(
    "asked", [["trace", "--ids", "1,5,7"], ["patch", "--clean-ids", "1,5", "--corrupted-ids", "1,8"]]
)
def test_memory_is_in_gigabytes_and_as_much_as_a_machine_may_have(home, capsys, asked):
    for size, code in (("0.5", 0), ("4", 0), ("10000000", 2), ("0", 2)):
        assert run([*asked, "--model", "toy", "--dry-run", "--memory", size]) == code, capsys.readouterr().err


def test_signatures_stay():
    def command(a: Annotated[int, typer.Option("--a")] = 3, b: str = "x") -> Any:
        """What it does."""
        return a, b

    kept = checked(command)
    assert inspect.signature(kept) == inspect.signature(command) and kept.__doc__ == command.__doc__
    assert get_origin(get_type_hints(kept, include_extras=True)["a"]) is Annotated
    assert kept(5) == (5, "x")
    with pytest.raises(BadInput, match="--a is"):
        kept(10**40)


@pytest.mark.parametrize("text", ["[" * 5000, '{"tokens": {"a": 1}}', '{"tokens": NaN}', '{"tokens": [[1]]}', "3", ""])
def test_options_files_that_are_none(home, tmp_path, capsys, text):
    for name in ("o.json", "o.toml"):
        (tmp_path / name).write_text(text if name == "o.json" else f"a = {text}")
        assert run(["sample", "--name", "x", "--model", "toy", "--dry-run", "--config", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert len(said) < 2000 and said.count("is not") <= 1  # not `is not JSON: it is not JSON`


def test_endless_prompts_are_not_tokenised(toy):
    start = time.perf_counter()
    with pytest.raises(BadInput, match="characters"):
        encode_prompt(toy, "a" * 10_000_000)
    with pytest.raises(BadInput, match="half of a character"):
        encode_prompt(toy, "a\ud800")
    assert time.perf_counter() - start < 5
