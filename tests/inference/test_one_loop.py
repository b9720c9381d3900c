"""There is one loop of expectation-maximisation, and every model goes through it."""

from __future__ import annotations

import ast
from pathlib import Path

import velotime

SOURCE = Path(velotime.__file__).parent
MODULES = {str(path.relative_to(SOURCE)): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
THE_LOOP = ("inference/em.py", "run_em")


def called(node):
    """Names of what is called anywhere within a node, methods by their last name."""
    functions = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in functions}


def functions_that(holds):
    return {
        (module, function.name)
        for module, tree in MODULES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and holds(function)
    }


def test_only_run_em_repeats_an_m_step():
    def repeats(function):
        loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.While | ast.comprehension)]
        return any("maximise" in called(loop) for loop in loops)

    assert functions_that(repeats) == {THE_LOOP}


def test_only_run_em_watches_a_bound():
    assert functions_that(lambda function: "Monitor" in called(function)) == {THE_LOOP}


def test_every_model_is_a_problem_of_the_loop():
    """Each class with an M-step has an E-step, and is passed to the loop somewhere."""
    problems = {
        node.name: {method.name for method in node.body if isinstance(method, ast.FunctionDef)}
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    with_m_step = {name for name, methods in problems.items() if "maximise" in methods}
    assert {"SoftProblem", "HardProblem", "MixtureProblem", "ClusterProblem"} <= with_m_step
    assert all("expect" in problems[name] for name in with_m_step)
    runners = {module for module, _ in functions_that(lambda function: "run_em" in called(function))}
    assert {
        f"inference/{name}.py" for name in ("methods/passes", "methods/mixture_em", "two_stage/shared_clock/fit")
    } <= runners
